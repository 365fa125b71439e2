"""A tag for every word: parts of speech of Universal Dependencies, named entities of WikiANN.

Formats:

* ``conllu`` (Nivre et al. 2020, arXiv 2004.10643): CoNLL-U files ``<lang>_<treebank>-ud-<train|dev|test>.conllu``, in
  plain files, ``.gz`` or members of a ``.zip`` or ``.tgz``; all treebanks of a language are taken together. Ten columns
  separated by TAB, of which ID, FORM and UPOS are read; ``# sent_id = …`` before a sentence is its id; a blank line
  ends a sentence. Ranges (``1-2``) and empty nodes (``1.1``) are no words and are skipped. Some treebanks come without
  their text, for its licence: all forms are ``_``. Their sentences are left out, in test sets too, and told on stderr.
* ``wikiann`` (Pan et al. 2017; splits of Rahimi et al. 2019, arXiv 1902.00193): ``<lang>.tar.gz`` for each language, or
  a zip of them, with the members ``train``, ``dev``, ``test``; lines ``<lang>:<word> TAB <tag>``, a blank line ends a
  sentence. A word can be empty.

XTREME takes the words of Universal Dependencies otherwise: it has the range (French ``du``) in place of the syntactic
words in it (``de``, ``le``), with the tag of one of them. Here words are what the treebanks give a tag.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from weam.errors import UserError
from weam.readers import INVALID_UTF8, Fault, Release, base_name, decode_lines
from weam.readers.archives import Entry, collect, lacking, read_named, tar_members
from weam.readers.rows import complete, funnel, require_format, require_unique

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
    "VERB", "X",
)  # fmt: skip
"""The universal parts of speech (version 2)."""

BIO = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
"""The tags of WikiANN: B- begins an entity, I- goes on with it, O is in none."""

TREEBANK = re.compile(r"([a-z]{2,3})_([A-Za-z0-9]+)-ud-(train|dev|test)(?:-[A-Za-z0-9-]+)?\.conllu")
"""Language, treebank, split; the training sets of large treebanks come in parts."""
COMMENT = re.compile(r"#\s*sent_id\s*=\s*(\S.*?)\s*")
NO_WORD = re.compile(r"[0-9]+-[0-9]+|[0-9]+\.[0-9]+")

WRONG_COLUMNS = "wrong number of columns"
WRONG_ORDER = "word out of order"
EMPTY = "empty word"
UNKNOWN_TAG = "unknown tag"
NO_LANGUAGE = "no language before the word"
NO_WORDS = "sentence without words"
WITHHELD = "sentence without its text"
REASONS = {
    "conllu": (INVALID_UTF8, WRONG_COLUMNS, WRONG_ORDER, EMPTY, UNKNOWN_TAG, NO_WORDS, WITHHELD),
    "wikiann": (INVALID_UTF8, WRONG_COLUMNS, NO_LANGUAGE, UNKNOWN_TAG),
}


class TaggedSentence(NamedTuple):
    """A sentence: ``words`` and ``tags`` are of the same length, at least 1.

    ``id`` begins with the language (``de:…``): treebanks and WikiANN are not parallel.
    """

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...]


Rows = list[TaggedSentence | Fault]


def read_conllu(release: Release, split: str, languages: Sequence[str]) -> dict[tuple[str, ...], list[TaggedSentence]]:
    """Sentences of ``split`` (dev, test) of all treebanks of a ``conllu`` release, per language.

    A fault is an error, but sentences without their text are left out and told on stderr.
    """
    require_format(release.name, release.format, ("conllu",), "test set of parts of speech")
    found: dict[tuple[str, ...], list[TaggedSentence]] = {(language,): [] for language in languages}
    for language, where, rows in _treebanks(release, split, languages):
        there = [row for row in rows if not (isinstance(row, Fault) and row.reason == WITHHELD)]
        if len(there) < len(rows):
            print(
                f"{where}: {len(rows) - len(there)} of {len(rows)} sentences are without their text and left out",
                file=sys.stderr,
            )
        if there:
            found[(language,)] += complete(there, where)
    for (language,), sentences in found.items():
        where = f"source {release.name}, {split} set of {language!r}"
        if not sentences:
            raise UserError(f"{where}: no treebank has its text; leave the language out")
        require_unique((sentence.id for sentence in sentences), where)
        _not_blanked(sentences, where)
    return found


def _treebanks(release: Release, split: str, languages: Sequence[str]) -> list[tuple[str, str, Rows]]:
    """Language, place and rows of the treebanks of all ``languages``, each of which must have one."""
    for language in languages:
        release.require_language(language)

    def wanted(path: str) -> bool:
        match = TREEBANK.fullmatch(base_name(path))
        return match is not None and match[1] in languages and match[3] == split

    def read(entry: Entry) -> tuple[str, str, Rows]:
        match = TREEBANK.fullmatch(entry.name)
        assert match is not None
        return match[1], entry.where, list(conllu_rows(entry.stream, f"{match[1]}:{match[2]}"))

    found = collect(release, wanted, read)
    for language in languages:
        if language not in {there for there, _, _ in found}:
            raise lacking(release, f"{language}_<treebank>-ud-{split}.conllu")
    return found


def conllu_rows(stream: IO[bytes], prefix: str) -> Iterator[TaggedSentence | Fault]:
    """Sentences of a CoNLL-U file, or the first fault of each; ids are ``prefix:sent_id``, else ``prefix:number``."""
    number = 0
    first: int | None = None
    fault: Fault | None = None
    name = ""
    words: list[str] = []
    tags: list[str] = []

    def sentence() -> TaggedSentence | Fault:
        assert first is not None
        if fault:
            return fault
        if not words:
            return Fault(first, NO_WORDS)
        withheld = words.count("_")
        if 0 < withheld >= len(words) - 1:  # XTREME too takes such sentences for ones without text
            return Fault(first, WITHHELD)
        return TaggedSentence(f"{prefix}:{name or number}", tuple(words), tuple(tags))

    for line, text in enumerate(decode_lines(stream)):
        if text is not None and not text.strip():
            if first is not None:
                yield sentence()
            first, fault, name, words, tags = None, None, "", [], []
            continue
        if first is None:
            first = line
            number += 1
        if text is not None and text.startswith("#"):
            if match := COMMENT.fullmatch(text):
                name = match[1]
            continue
        reason = INVALID_UTF8 if text is None else _add_word(text.split("\t"), words, tags)
        fault = fault or (Fault(line, reason) if reason else None)
    if first is not None:
        yield sentence()


def _add_word(columns: Sequence[str], words: list[str], tags: list[str]) -> str | None:
    """Add a word line to ``words`` and ``tags``; else say why not."""
    if len(columns) != 10:
        return WRONG_COLUMNS
    if NO_WORD.fullmatch(columns[0]):
        return None
    if columns[0] != str(len(words) + 1):
        return WRONG_ORDER
    if not columns[1].strip():
        return EMPTY
    if columns[3] not in UPOS:
        return UNKNOWN_TAG
    words.append(columns[1])
    tags.append(columns[3])
    return None


def read_wikiann(release: Release, split: str, languages: Sequence[str]) -> dict[tuple[str, ...], list[TaggedSentence]]:
    """Sentences of ``split`` (dev, test) of a ``wikiann`` release, per language; any fault is an error."""
    require_format(release.name, release.format, ("wikiann",), "test set of named entities")
    found: dict[tuple[str, ...], list[TaggedSentence]] = {}
    for language, (where, rows) in _wikiann(release, split, languages).items():
        found[(language,)] = complete(rows, where)
        _not_blanked(found[(language,)], where)
    return found


def _wikiann(release: Release, split: str, languages: Sequence[str]) -> dict[str, tuple[str, Rows]]:
    """Place and rows of each language."""
    for language in languages:
        release.require_language(language)

    def read(entry: Entry) -> tuple[str, Rows]:
        there: dict[str, Rows] = {}
        for path, _, stream in tar_members(entry.stream):
            name = base_name(path)
            there[name] = list(wikiann_rows(stream, entry.name.removesuffix(".tar"))) if name == split else []
        if split not in there:
            raise UserError(
                f"{entry.where}: has no member {split}; it has {', '.join(there) or 'nothing'}; "
                "check the source's url and format"
            )
        return f"{entry.where}: {split}", there[split]

    found = read_named(release, [f"{language}.tar" for language in languages], read)
    return {name.removesuffix(".tar"): value for name, value in found.items()}


def wikiann_rows(stream: IO[bytes], prefix: str) -> Iterator[TaggedSentence | Fault]:
    """Sentences of a file of WikiANN, or the first fault of each; ids are ``prefix:number``."""
    number = 0
    fault: Fault | None = None
    words: list[str] = []
    tags: list[str] = []

    def sentence() -> TaggedSentence | Fault:
        return fault or TaggedSentence(f"{prefix}:{number}", tuple(words), tuple(tags))

    for line, text in enumerate(decode_lines(stream)):
        if text is not None and not text.strip():
            if words or fault:
                yield sentence()
            fault, words, tags = None, [], []
            continue
        if not words and not fault:
            number += 1
        columns = ["", ""] if text is None else text.split("\t")
        language, colon, word = columns[0].partition(":")
        reason = None
        if text is None:
            reason = INVALID_UTF8
        elif len(columns) != 2:
            reason = WRONG_COLUMNS
        elif not (language and colon):
            reason = NO_LANGUAGE
        elif columns[1] not in BIO:
            reason = UNKNOWN_TAG
        else:
            words.append(word)
            tags.append(columns[1])
        fault = fault or (Fault(line, reason) if reason else None)
    if words or fault:
        yield sentence()


def read_train(release: Release, language: str) -> tuple[list[TaggedSentence], list[dict[str, Any]]]:
    """Training sentences of a ``conllu`` or ``wikiann`` release, and the funnel of sentences dropped and why.

    A sentence with several faults is counted under its first one.
    """
    require_format(release.name, release.format, tuple(REASONS), "training data of taggers")
    if release.format == "conllu":
        found = [(where, rows) for _, where, rows in _treebanks(release, "train", [language])]
    else:
        found = list(_wikiann(release, "train", [language]).values())
    where = f"source {release.name}, training sentences in {language!r}"
    kept, steps = funnel((row for _, rows in found for row in rows), REASONS[release.format], where)
    _not_blanked(kept, where)
    return kept, steps


def _not_blanked(sentences: Sequence[TaggedSentence], where: str) -> None:
    tags = [tag for sentence in sentences for tag in sentence.tags]
    if len(tags) > 1 and len(set(tags)) == 1:
        raise UserError(
            f"{where}: all {len(tags)} words have the tag {tags[0]!r} (blanked labels); "
            "get the release with labels, or use its dev split"
        )
