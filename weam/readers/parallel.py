"""Parallel corpora: OPUS Moses zips, JSON lines like translation2019zh, TSV zips like manythings.org.

All readers stream: a corpus never stands in memory as a whole.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

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
)

WRONG_COLUMNS = "wrong number of columns"
MALFORMED_JSON = "malformed JSON"
LACKS_A_SIDE = "JSON without both sides"

JSON_KEYS = {"zh": "chinese"}
"""Key of the other language in a ``jsonl-zip``."""

JSON_MEMBER = "translation2019zh_train.json"


class RawPair(NamedTuple):
    """One sentence pair as it stands in the release: 0-based line, English, other language."""

    line: int
    english: str
    other: str


def read_pairs(release: Release, language: str) -> Iterator[RawPair | Fault]:
    """Yield each line of the English-``language`` corpus, as a pair or as the reason why it is none.

    Lines are numbered from 0 through all files of the release. A zip that lacks the member, is damaged, or whose sides
    have different line counts is a :class:`UserError`.
    """
    release.require_language(language)
    if language == "en":
        raise UserError(f"source {release.name}: pairs are of English and another language; name the other one, not en")
    readers: dict[str, Callable[[Path, str], Iterator[RawPair | Fault]]] = {
        "moses": _moses,
        "jsonl-zip": _jsonl,
        "tsv-zip": _tsv,
    }
    if release.format not in readers:
        raise UserError(
            f"source {release.name}: format {release.format!r} has no sentence pairs; known: {', '.join(readers)}"
        )
    before = 0
    for name in release.files:
        line = -1
        for line, row in enumerate(readers[release.format](release.path(name), language)):
            yield row._replace(line=before + line) if before else row
        before += line + 1


def _moses(path: Path, language: str) -> Iterator[RawPair | Fault]:
    with open_zip(path) as archive:
        names = set(members(archive))
        stems = sorted(
            name.removesuffix(".en") for name in names if name.endswith(".en") and f"{name[:-3]}.{language}" in names
        )
        if not stems:
            raise missing_member(path, f"pair NAME.en, NAME.{language}", archive)
        for stem in stems:
            yield from _line_pairs(path, archive, f"{stem}.en", f"{stem}.{language}")


def _line_pairs(path: Path, archive: zipfile.ZipFile, english: str, other: str) -> Iterator[RawPair | Fault]:
    with archive.open(english) as left_stream, archive.open(other) as right_stream:
        left_lines, right_lines = decode_lines(left_stream), decode_lines(right_stream)
        count, end = 0, object()
        while True:
            left, right = next(left_lines, end), next(right_lines, end)
            if left is end or right is end:
                break
            if isinstance(left, str) and isinstance(right, str):
                yield RawPair(count, left, right)
            else:
                yield Fault(count, INVALID_UTF8)
            count += 1
        lefts = count + (left is not end) + sum(1 for _ in left_lines)
        rights = count + (right is not end) + sum(1 for _ in right_lines)
        if lefts != rights:
            raise UserError(
                f"{path}: {english} has {lefts} lines and {other} has {rights}; line n of one must translate line n of "
                "the other: fetch the corpus again or use another release"
            )


def _jsonl(path: Path, language: str) -> Iterator[RawPair | Fault]:
    key = JSON_KEYS.get(language)
    if key is None:
        raise UserError(f"{path}: format jsonl-zip knows the languages {', '.join(JSON_KEYS)}, not {language}")
    with open_zip(path) as archive:
        name = next((name for name in members(archive) if base_name(name) == JSON_MEMBER), None)
        if name is None:
            raise missing_member(path, JSON_MEMBER, archive)
        with archive.open(name) as stream:
            for line, text in enumerate(decode_lines(stream)):
                yield Fault(line, INVALID_UTF8) if text is None else _json_pair(line, text, key)


def _json_pair(line: int, text: str, key: str) -> RawPair | Fault:
    try:
        row = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return Fault(line, MALFORMED_JSON)
    english, other = (row.get("english"), row.get(key)) if isinstance(row, dict) else (None, None)
    if not isinstance(english, str) or not isinstance(other, str):
        return Fault(line, LACKS_A_SIDE)
    if not (is_unicode(english) and is_unicode(other)):  # half of a \ud83d\ude00 escape
        return Fault(line, INVALID_UTF8)
    return RawPair(line, english, other)


def _tsv(path: Path, language: str) -> Iterator[RawPair | Fault]:
    with open_zip(path) as archive:
        names = [n for n in members(archive) if n.endswith(".txt") and not base_name(n).startswith("_")]
        if not names:
            raise missing_member(path, "NAME.txt with the pairs", archive)
        if len(names) > 1:
            raise UserError(f"{path}: has {len(names)} text members ({', '.join(names)}) where one holds the pairs")
        with archive.open(names[0]) as stream:
            for line, text in enumerate(decode_lines(stream)):
                columns = [] if text is None else text.split("\t")
                if text is None:
                    yield Fault(line, INVALID_UTF8)
                elif len(columns) in (2, 3):
                    yield RawPair(line, columns[0], columns[1])
                else:
                    yield Fault(line, WRONG_COLUMNS)
