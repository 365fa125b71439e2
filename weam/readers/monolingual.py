"""Running text for a backbone made from scratch: lines, or the sides and contexts of other training data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from weam.errors import UserError
from weam.readers import INVALID_UTF8, Fault, Release, base_name, decode_lines, reading
from weam.readers.parallel import read_pairs
from weam.readers.qa import read_train_questions


class Passage(NamedTuple):
    """One passage: its language, 0-based line (or number) in its file, and its text or why there is none."""

    language: str
    line: int
    text: str | Fault


PARALLEL = ("moses", "jsonl-zip", "tsv-zip")
QUESTIONS = ("squad", "tydiqa", "mlqa-translate-train")


def read_passages(release: Release, languages: Sequence[str] | None = None) -> Iterator[Passage]:
    """Yield the passages of a release in the given ``languages`` (those that it has; None: all), language by language.

    ``lines`` has one passage a line; each side of a pair of a parallel corpus is a passage; of training data for
    question answering each context is one, once. Test sets are refused: a model must not be trained on them.
    """
    wanted = [name for name in release.languages if languages is None or name in languages]
    if release.format == "lines":
        for language in wanted:
            yield from _lines(release, language)
    elif release.format in PARALLEL:
        yield from _sides(release, wanted)
    elif release.format in QUESTIONS:
        for language in wanted:
            contexts = dict.fromkeys(example.context for example in read_train_questions(release, language))
            yield from (Passage(language, line, context) for line, context in enumerate(contexts))
    else:
        raise UserError(
            f"source {release.name}: format {release.format!r} is not used as running text; "
            f"take one of the formats {', '.join(('lines', *PARALLEL, *QUESTIONS))}"
        )


def _lines(release: Release, language: str) -> Iterator[Passage]:
    names = release.find(lambda name: name == f"mono.{language}.txt")
    if not names:
        raise UserError(
            f"source {release.name}: has no file mono.{language}.txt[.gz]; "
            f"it has {', '.join(map(base_name, release.files))}"
        )
    for name in names:
        with reading(release.path(name)), release.open(name) as stream:
            for line, text in enumerate(decode_lines(stream)):
                yield Passage(language, line, Fault(line, INVALID_UTF8) if text is None else text)


def _sides(release: Release, wanted: list[str]) -> Iterator[Passage]:
    """English once, from the first pair of languages; each other language from its own pairs."""
    others = [language for language in release.languages if language != "en"]
    if "en" in wanted:
        for row in read_pairs(release, others[0]):
            yield Passage("en", row.line, row if isinstance(row, Fault) else row.english)
    for language in others:
        if language in wanted:
            for row in read_pairs(release, language):
                yield Passage(language, row.line, row if isinstance(row, Fault) else row.other)
