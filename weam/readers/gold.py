"""Hand-made word alignments: the formats ``xlwa`` (XL-WA, Martelli et al. 2023) and ``bicici`` (Bicici 2011)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import IO, NamedTuple

from weam.errors import UserError
from weam.readers import Release, base_name, decode_lines, members, missing_member, open_zip, reading

_TOLERATED = 0.01
"""Share of links that may point outside their sentences: a slip of the annotators (the Bicici release has one link in
1,233) is left out with a warning, a swapped or shifted file is an error."""

_LINK = re.compile(r"([0-9]{1,9})([-p])([0-9]{1,9})")


class GoldPair(NamedTuple):
    """One sentence pair, tokenised as released. Links are (English position, other position), 0-based; ``possible``
    holds the sure ones too."""

    english: list[str]
    other: list[str]
    sure: frozenset[tuple[int, int]]
    possible: frozenset[tuple[int, int]]


class _Line(NamedTuple):
    where: str  # file and line, for messages
    english: list[str]
    other: list[str]
    links: str
    swapped: bool  # links are written other-English


def read_gold(release: Release, language: str) -> list[GoldPair]:
    """Read the gold alignments of English and ``language``. Any fault is a :class:`UserError` with file and line."""
    release.require_language(language)
    readers = {"xlwa": _read_xlwa, "bicici": _read_bicici}
    if release.format not in readers:
        raise UserError(
            f"source {release.name}: format {release.format!r} has no gold alignments; formats that have: "
            f"{', '.join(readers)}"
        )
    pairs: list[GoldPair] = []
    outside: list[str] = []
    links = 0
    for line in readers[release.format](release, language):
        pair, faults = _pair(line)
        pairs.append(pair)
        outside += faults
        links += len(pair.possible) + len(faults)
    if not pairs:
        raise UserError(f"source {release.name}: has no sentence with gold alignments for {language}; check its files")
    if len(outside) > _TOLERATED * links:
        raise UserError(f"{outside[0]} ({len(outside)} of {links} links do); positions are counted from 0")
    for fault in outside:
        print(f"gold: warning: {fault}; the link is left out", file=sys.stderr)
    return pairs


def _read_xlwa(release: Release, language: str) -> list[_Line]:
    """``[xlwa-]en-XX.SPLIT.tsv``: English tokens TAB other tokens TAB links, English first."""
    names = release.find(lambda name: re.search(rf"(^|[^a-z])en-{re.escape(language)}([^a-z]|$)", name) is not None)
    if len(names) > 1:  # several splits of one release: the test set is the one that counts
        names = [name for name in names if "test" in base_name(name)] or names
    if len(names) != 1:
        raise UserError(
            f"source {release.name}: {len(names)} files are named en-{language}; it has {', '.join(release.files)}; "
            "list one of them, or one with 'test' in its name"
        )
    path = release.path(names[0])
    lines = []
    with reading(path), release.open(names[0]) as stream:
        for number, line in enumerate(_lines(stream, path), start=1):
            if not line.strip():
                continue
            columns = line.split("\t")
            if len(columns) != 3:
                raise UserError(
                    f"{path}, line {number}: {len(columns)} columns where three are expected "
                    f"(English words, {language} words, links), separated by tabs"
                )
            english, other, links = columns
            lines.append(_Line(f"{path}, line {number}", _words(english), _words(other), links, swapped=False))
    return lines


def _read_bicici(release: Release, language: str) -> list[_Line]:
    """A zip with ``test.XX``, ``test.en`` and ``XX-en.wa`` in any folder; the links have the other language first."""
    archives = release.find(lambda name: name.endswith(".zip"))
    if len(archives) != 1:
        raise UserError(f"source {release.name}: {len(archives)} zip files where one is expected; list one")
    path = release.path(archives[0])
    wanted = (f"test.{language}", "test.en", f"{language}-en.wa")
    columns: list[list[str]] = []
    with open_zip(path) as archive:
        for name in wanted:
            found = [member for member in members(archive) if base_name(member) == name]
            if len(found) != 1:
                raise missing_member(path, name, archive)
            with archive.open(found[0]) as stream:
                columns.append(_lines(stream, f"{path}:{found[0]}"))
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        counts = ", ".join(f"{name} {length}" for name, length in zip(wanted, lengths, strict=True))
        raise UserError(f"{path}: the files differ in their number of lines ({counts}); download it again")
    return [
        _Line(f"{path}:{wanted[2]}, line {number}", _words(english), _words(other), links, swapped=True)
        for number, (other, english, links) in enumerate(zip(*columns, strict=True), start=1)
    ]


def _lines(stream: IO[bytes], where: Path | str) -> list[str]:
    lines = []
    for number, line in enumerate(decode_lines(stream), start=1):
        if line is None:
            raise UserError(f"{where}, line {number}: not valid UTF-8; download the file again")
        lines.append(line)
    return lines


def _words(text: str) -> list[str]:
    """Only the plain space separates words: a no-break space may stand inside one."""
    return [word for word in text.split(" ") if word]


def _pair(line: _Line) -> tuple[GoldPair, list[str]]:
    """Parse ``i-j`` (sure) and ``ipj`` (possible) links; also returns a sentence for each link outside the pair."""
    if not line.english or not line.other:
        raise UserError(f"{line.where}: a side has no words; take the line out")
    sure, possible = set(), set()
    outside = []
    for text in line.links.split():
        match = _LINK.fullmatch(text)
        if match is None:
            raise UserError(f"{line.where}: {text!r} is not a link; links are written i-j with positions from 0")
        first, second = int(match[1]), int(match[3])
        link = (second, first) if line.swapped else (first, second)
        if link[0] >= len(line.english) or link[1] >= len(line.other):
            outside.append(
                f"{line.where}: link {text} points outside the sentences ({len(line.english)} English words, "
                f"{len(line.other)} others)"
            )
            continue
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return GoldPair(line.english, line.other, frozenset(sure), frozenset(possible)), outside
