"""Natural language inference: XNLI (zip or one TSV per language) and the translated MultiNLI of XNLI-MT.

The TSVs have no quoting: a quote is a character like any other. Labels are stored by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from weam.errors import UserError
from weam.readers import (
    INVALID_UTF8,
    Fault,
    Release,
    base_name,
    decode_lines,
    members,
    missing_member,
    open_zip,
    reading,
)

LABELS = ("entailment", "neutral", "contradiction")
SPELLINGS = {label: label for label in LABELS} | {"contradictory": "contradiction"}

WRONG_COLUMNS = "wrong number of columns"
UNKNOWN_LABEL = "unknown label"
EMPTY = "empty premise or hypothesis"


class NLIExample(NamedTuple):
    """A premise and a hypothesis; ``label`` is one of :data:`LABELS`, ``id`` the pairID or the 1-based line."""

    id: str
    premise: str
    hypothesis: str
    label: str


def read_train(release: Release, language: str) -> tuple[list[NLIExample], list[dict[str, Any]]]:
    """Training examples of an ``xnli-mt`` release in ``language``, and the funnel of rows dropped and why."""
    release.require_language(language)
    if release.format != "xnli-mt":
        raise UserError(f"source {release.name}: format {release.format!r} is no NLI training data; known: xnli-mt")
    removed = dict.fromkeys((INVALID_UTF8, WRONG_COLUMNS, UNKNOWN_LABEL, EMPTY), 0)
    kept: list[NLIExample] = []
    read = 0
    with _opened(release, f"multinli.train.{language}.tsv") as (stream, where):
        for row in _three_columns(stream, header=("premise", "hypo", "label"), where=where):
            read += 1
            if isinstance(row, Fault):
                removed[row.reason] += 1
            elif not (row.premise.strip() and row.hypothesis.strip()):
                removed[EMPTY] += 1
            else:
                kept.append(row)
    assert read == len(kept) + sum(removed.values())
    _not_blanked(kept, where)
    steps: list[dict[str, Any]] = [{"step": "read", "rows": read}]
    steps += [{"step": reason, "removed": count} for reason, count in removed.items()]
    steps.append({"step": "kept", "rows": len(kept)})
    return kept, steps


def read_test(release: Release, split: str, language: str) -> list[NLIExample]:
    """Examples of ``split`` (dev, test) of an ``xnli`` release in ``language``; any faulty row is an error."""
    release.require_language(language)
    if release.format != "xnli":
        raise UserError(f"source {release.name}: format {release.format!r} is no NLI test set; known: xnli")
    if any(name.endswith(".zip") for name in release.files):
        with _opened(release, f"xnli.{split}.tsv") as (stream, where):
            examples = _complete(_xnli_rows(stream, language, where), where)
    else:
        with _opened(release, f"{split}-{language}.tsv") as (stream, where):
            examples = _complete(_three_columns(stream, header=None, where=where), where)
    if not examples:
        raise UserError(f"{where}: has no rows in language {language!r}; name another source or language")
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise UserError(f"{where}: pairID {example.id!r} stands twice in language {language!r}; ids must be unique")
        seen.add(example.id)
    _not_blanked(examples, where)
    return examples


@contextlib.contextmanager
def _opened(release: Release, wanted: str) -> Iterator[tuple[IO[bytes], str]]:
    """Open the zip member or (``.gz``) file called ``wanted``, whatever its folder; also say where it is."""
    for name in release.files:
        path = release.path(name)
        if name.endswith(".zip"):
            with open_zip(path) as archive:
                member = next((entry for entry in members(archive) if base_name(entry) == wanted), None)
                if member is None:
                    raise missing_member(path, wanted, archive)
                with archive.open(member) as stream:
                    yield stream, f"{path}: {wanted}"
                return
    names = release.find(lambda name: name == wanted)
    if not names:
        raise UserError(
            f"source {release.name}: has no file {wanted}[.gz]; it has {', '.join(map(base_name, release.files))}"
        )
    path = release.path(names[0])
    with reading(path), release.open(names[0]) as stream:
        yield stream, str(path)


def _three_columns(stream: IO[bytes], header: tuple[str, str, str] | None, where: str) -> Iterator[NLIExample | Fault]:
    for number, text in enumerate(decode_lines(stream)):
        columns = [] if text is None else text.split("\t")
        if number == 0 and header:
            if columns != list(header):
                raise UserError(
                    f"{where}, line 1: the header is {columns!r}; expected {' TAB '.join(header)}; "
                    "check the source's format"
                )
        elif text is None:
            yield Fault(number, INVALID_UTF8)
        elif len(columns) != 3:
            yield Fault(number, WRONG_COLUMNS)
        elif columns[2] not in SPELLINGS:
            yield Fault(number, UNKNOWN_LABEL)
        else:
            yield NLIExample(str(number + 1), columns[0], columns[1], SPELLINGS[columns[2]])


def _xnli_rows(stream: IO[bytes], language: str, where: str) -> Iterator[NLIExample | Fault]:
    """Rows of one language of ``xnli.{dev,test}.tsv``; columns are found by the header."""
    lines = decode_lines(stream)
    header = (next(lines, None) or "").split("\t")
    needed = ("language", "gold_label", "sentence1", "sentence2", "pairID")
    lacking = [name for name in needed if name not in header]
    if lacking:
        raise UserError(f"{where}, line 1: the header lacks {', '.join(lacking)}; check the source's format")
    of_language, of_label, of_premise, of_hypothesis, of_id = (header.index(name) for name in needed)
    there: set[str] = set()
    found = False
    for number, text in enumerate(lines, start=1):
        columns = [] if text is None else text.split("\t")
        if text is None:
            yield Fault(number, INVALID_UTF8)
        elif len(columns) != len(header):
            yield Fault(number, WRONG_COLUMNS)
        elif columns[of_language] != language:
            there.add(columns[of_language])
        elif columns[of_label] not in SPELLINGS:
            yield Fault(number, UNKNOWN_LABEL)
        else:
            found = True
            label = SPELLINGS[columns[of_label]]
            yield NLIExample(columns[of_id], columns[of_premise], columns[of_hypothesis], label)
    if not found:
        raise UserError(
            f"{where}: has no rows in language {language!r}; it has {', '.join(sorted(there)) or 'no rows at all'}"
        )


def _complete(rows: Iterator[NLIExample | Fault], where: str) -> list[NLIExample]:
    examples = []
    for row in rows:
        if isinstance(row, Fault):
            raise UserError(
                f"{where}, line {row.line + 1}: {row.reason}; a test set must be complete: fetch the file again"
            )
        examples.append(row)
    return examples


def _not_blanked(examples: list[NLIExample], where: str) -> None:
    if not examples:
        raise UserError(f"{where}: has no usable row; check the source's url and format")
    if len({example.label for example in examples}) == 1:
        raise UserError(
            f"{where}: all {len(examples)} rows have the label {examples[0].label!r} (blanked labels); "
            "get the release with labels, or use its dev split"
        )
