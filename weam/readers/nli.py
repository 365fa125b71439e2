"""Natural language inference: XNLI (zip or one TSV per language), MultiNLI, and its translations of XNLI-MT.

The TSVs have no quoting: a quote is a character like any other. Labels are stored by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

from weam.errors import UserError
from weam.readers import (
    INVALID_UTF8,
    Fault,
    Release,
    base_name,
    decode_lines,
    is_unicode,
    members,
    missing_member,
    open_zip,
    reading,
)
from weam.readers.archives import listing
from weam.readers.rows import INVALID_JSON, INVALID_UNICODE, funnel, json_lines, require_format, text_of

LABELS = ("entailment", "neutral", "contradiction")
SPELLINGS = {label: label for label in LABELS} | {"contradictory": "contradiction"}

WRONG_COLUMNS = "wrong number of columns"
UNKNOWN_LABEL = "unknown label"
EMPTY = "empty premise or hypothesis"
NO_GOLD = "no gold label"
WRONG_KEYS = "a key is missing or has a wrong value"
JSON_FAULTS = (INVALID_JSON, WRONG_KEYS, INVALID_UNICODE)
MULTINLI = "multinli_1.0_train"


class NLIExample(NamedTuple):
    """A premise and a hypothesis; ``label`` is one of :data:`LABELS`, ``id`` the pairID or the 1-based line."""

    id: str
    premise: str
    hypothesis: str
    label: str


def read_train(release: Release, language: str) -> tuple[list[NLIExample], list[dict[str, Any]]]:
    """Training examples of an ``xnli-mt`` or ``multinli`` release, and the funnel of rows dropped and why."""
    release.require_language(language)
    require_format(release.name, release.format, ("xnli-mt", "multinli"), "NLI training data")
    if release.format == "multinli":
        lines = f"{MULTINLI}.jsonl"
        wanted = lines if {lines, f"{lines}.gz"} & set(listing(release)) else f"{MULTINLI}.txt"
        rows, faults = (_json_rows, JSON_FAULTS) if wanted == lines else (_multinli_rows, (WRONG_COLUMNS,))
        reasons = (INVALID_UTF8, *faults, NO_GOLD, UNKNOWN_LABEL, EMPTY)
    else:
        wanted, rows = f"multinli.train.{language}.tsv", _translated_rows
        reasons = (INVALID_UTF8, WRONG_COLUMNS, UNKNOWN_LABEL, EMPTY)
    with _opened(release, wanted) as (stream, where):
        kept, steps = funnel(_with_text(rows(stream, where)), reasons, where)
    _not_blanked(kept, where)
    return kept, steps


def _with_text(rows: Iterable[NLIExample | Fault]) -> Iterator[NLIExample | Fault]:
    for number, row in enumerate(rows):
        whole = isinstance(row, Fault) or (row.premise.strip() and row.hypothesis.strip())
        yield row if whole else Fault(number, EMPTY)


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


def _translated_rows(stream: IO[bytes], where: str) -> Iterator[NLIExample | Fault]:
    return _three_columns(stream, header=("premise", "hypo", "label"), where=where)


def _labelled(line: int, name: str, premise: str, hypothesis: str, label: str) -> NLIExample | Fault:
    """A row of MultiNLI; ``-`` stands for a label that the annotators did not agree on."""
    if label not in SPELLINGS:
        return Fault(line, NO_GOLD if label == "-" else UNKNOWN_LABEL)
    return NLIExample(name, premise, hypothesis, SPELLINGS[label])


def _json_rows(stream: IO[bytes], where: str) -> Iterator[NLIExample | Fault]:
    for found in json_lines(stream):
        if isinstance(found, Fault):
            yield found
            continue
        line, row = found
        try:
            texts = [text_of(row, key) for key in ("pairID", "sentence1", "sentence2", "gold_label")]
        except (KeyError, TypeError):
            yield Fault(line, WRONG_KEYS)
            continue
        yield _labelled(line, *texts) if all(map(is_unicode, texts)) else Fault(line, INVALID_UNICODE)


def _multinli_rows(stream: IO[bytes], where: str) -> Iterator[NLIExample | Fault]:
    for line, columns in _by_header(stream, ("pairID", "sentence1", "sentence2", "gold_label"), where):
        yield Fault(line, columns) if isinstance(columns, str) else _labelled(line, *columns)


def _by_header(stream: IO[bytes], needed: Sequence[str], where: str) -> Iterator[tuple[int, list[str] | str]]:
    """0-based line and the ``needed`` columns, which the header names, of each row, or what is wrong with it."""
    lines = decode_lines(stream)
    header = (next(lines, None) or "").split("\t")
    if lacking := [name for name in needed if name not in header]:
        raise UserError(f"{where}, line 1: the header lacks {', '.join(lacking)}; check the source's format")
    places = [header.index(name) for name in needed]
    for number, text in enumerate(lines, start=1):
        columns = [] if text is None else text.split("\t")
        if len(columns) == len(header):
            yield number, [columns[place] for place in places]
        else:
            yield number, INVALID_UTF8 if text is None else WRONG_COLUMNS


def _xnli_rows(stream: IO[bytes], language: str, where: str) -> Iterator[NLIExample | Fault]:
    """Rows of one language of ``xnli.{dev,test}.tsv``; columns are found by the header."""
    needed = ("language", "gold_label", "sentence1", "sentence2", "pairID")
    there: set[str] = set()
    found = False
    for line, columns in _by_header(stream, needed, where):
        if isinstance(columns, str):
            yield Fault(line, columns)
            continue
        spoken, label, premise, hypothesis, name = columns
        if spoken != language:
            there.add(spoken)
        elif label not in SPELLINGS:
            yield Fault(line, UNKNOWN_LABEL)
        else:
            found = True
            yield NLIExample(name, premise, hypothesis, SPELLINGS[label])
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
