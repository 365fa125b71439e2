"""What the alignment stages share: the corpus as the aligners read it, their links checked, counted and scored."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from weam.batches import Ints
from weam.errors import UserError
from weam.links import link_numbers
from weam.metrics.aer import score_links
from weam.progress import Progress
from weam.readers.gold import GoldPair
from weam.tables import open_parquet

OUT = "links.txt; forward.txt, reverse.txt and gold.jsonl go beside it"
"""The help of --out."""

_ESCAPES = {"|||": "｜｜｜", "<eps>": "＜eps＞"}
_BLANKS = str.maketrans(dict.fromkeys(" \t\n\r", "_") | {"\ufeff": "", "\0": ""})


class Lengths:
    """Words on both sides of each line of a corpus; they stay in a file, which may be long."""

    CHUNK = 10_000

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[int, int], None]]:
        """A function that notes one more line."""
        with self.path.open("wb") as stream:
            waiting = array("I")

            def note(source: int, target: int) -> None:
                waiting.append(source)
                waiting.append(target)
                self.count += 1
                if len(waiting) >= 2 * self.CHUNK:
                    waiting.tofile(stream)
                    del waiting[:]

            yield note
            waiting.tofile(stream)

    def __iter__(self) -> Iterator[Ints]:
        """[lines, 2] words, many lines at a time."""
        with self.path.open("rb") as stream:
            while len(found := np.fromfile(stream, np.uintc, 2 * self.CHUNK)):
                yield found.reshape(-1, 2).astype(np.int64)


class Rows(NamedTuple):
    """Some rows of a text of ``total``: ``kept`` of them, evenly spread from the first one on, or a stretch.

    Row i is in it if it starts a new one of ``kept`` equal parts; a stretch has ``kept`` equal to ``total``.
    """

    total: int
    kept: int
    start: int = 0
    end: int | None = None

    def __contains__(self, row: object) -> bool:
        assert isinstance(row, int)
        inside = self.start <= row < (self.total if self.end is None else self.end)
        return inside and (row == 0 or row * self.kept // self.total > (row - 1) * self.kept // self.total)

    def __len__(self) -> int:
        return min(self.kept, (self.total if self.end is None else self.end) - self.start)


class Counts(NamedTuple):
    """Of symmetrised links: how many, and how many words have at least one."""

    sentences: int
    links: int
    aligned_source: int
    aligned_target: int
    source_words: int
    target_words: int

    def quality(self) -> dict[str, Any]:
        """What quality.json says; ``links_per_word``: links per English word."""
        source_words, target_words = max(self.source_words, 1), max(self.target_words, 1)
        return {
            "sentences": self.sentences,
            "links": self.links,
            "links_per_word": self.links / source_words,
            "aligned_source": self.aligned_source / source_words,
            "aligned_target": self.aligned_target / target_words,
        }


@contextlib.contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` for big intermediate files; what a killed run left there is removed first."""
    folder = out.with_name(f".{out.name}.work")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def escape(word: str, lowercase: bool) -> str:
    """A word as one token for fast_align: never empty, without blanks, and not one of its two special tokens."""
    word = (word.lower() if lowercase else word).translate(_BLANKS) or "_"
    return _ESCAPES.get(word, word)


def write_corpus(text: Path, gold: Iterable[GoldPair], lowercase: bool, out: Path, rows: Rows | None = None) -> Lengths:
    """Write ``source ||| target`` lines of some rows of text.parquet (None: of all), the gold sentences last."""
    lengths = Lengths(out.with_name(f"{out.name}.lengths"))
    escaped = functools.lru_cache(maxsize=1 << 17)(functools.partial(escape, lowercase=lowercase))
    with lengths.writing() as note, out.open("w", encoding="utf-8", newline="\n") as stream:

        def write(source: list[str], target: list[str]) -> None:
            note(len(source), len(target))
            stream.write(f"{' '.join(map(escaped, source))} ||| {' '.join(map(escaped, target))}\n")

        for source, target in read_words(text, rows):
            write(source, target)
        if not lengths.count and (rows is None or len(rows)):
            raise UserError(f"{text}: has no pairs; look into the funnel.json beside it for what was removed")
        for pair in gold:
            write(pair.english, pair.other)
    return lengths


def read_words(text: Path, rows: Rows | None = None) -> Iterator[tuple[list[str], list[str]]]:
    """Words of both sides of some rows of text.parquet (None: of all)."""
    columns = ["source_words", "target_words"]
    table = open_parquet(text, columns, "pairs")
    with Progress("align", table.rows, "pairs") as progress:
        first = 0
        for batch in table.batches(8192):
            if rows is None:
                kept = batch
            else:  # only these become Python objects: a part of the corpus must not cost as much as the whole
                places = [row - first for row in range(first, first + batch.num_rows) if row in rows]
                kept = batch.take(pa.array(places, pa.int64()))
            yield from zip(*(kept.column(name).to_pylist() for name in columns), strict=True)
            first += batch.num_rows
            progress.step(batch.num_rows)


def cut(
    path: Path, lengths: Lengths, rows: int, out: Path, where: str
) -> tuple[Counts, list[frozenset[tuple[int, int]]]]:
    """Check every line of links in ``path`` and copy the first ``rows`` lines to ``out``.

    Returns the counts of these rows, and the links of the lines behind them (the gold sentences).
    """
    links, written = 0, 0
    words, aligned = np.zeros(2, np.int64), np.zeros(2, np.int64)
    gold = []
    with path.open("rb") as stream, out.open("wb") as copy:
        for sizes in lengths:
            lines = list(islice(stream, len(sizes)))
            here = max(0, min(rows - written, len(lines)))
            data, found = _checked(lines[:here], sizes[:here], f"{where}, line", written)
            copy.write(data)
            words += sizes[:here].sum(axis=0)
            links += len(found)
            for side in (0, 1):
                bases = np.cumsum(sizes[:here, side]) - sizes[:here, side]
                seen = np.zeros(int(sizes[:here, side].sum()), np.bool_)
                seen[bases[found[:, 0]] + found[:, 1 + side]] = True
                aligned[side] += int(seen.sum())
            for number in range(here, len(lines)):
                at = f"{where}, line {written + number + 1}"
                gold.append(frozenset(parse_links(lines[number], int(sizes[number, 0]), int(sizes[number, 1]), at)))
            written += len(lines)
        written += sum(1 for _ in stream)
    if written != lengths.count:
        raise UserError(f"{where}: {written} lines for {lengths.count} pairs; build the programs again")
    if links == 0 and rows >= 10:  # the original program does this after one line with an empty side
        raise UserError(f"{where}: not one link in {rows} pairs; is the text parallel, and are the programs sound?")
    return Counts(rows, links, *map(int, aligned), *map(int, words)), gold


def _checked(lines: list[bytes], sizes: Ints, where: str, before: int) -> tuple[bytes, Ints]:
    """Lines of links as we write them, and the links: [links, 3] line, source word, target word."""
    data = b"".join(lines)
    codes = np.frombuffer(data, np.uint8)
    usual = data[-1:] in (b"", b"\n") and not re.search(rb"  | \n|\n |^ ", data)
    if usual and (numbers := link_numbers(codes)) is not None:
        rows = np.searchsorted(np.flatnonzero(codes == ord("\n")), numbers[0])
        found = np.stack([rows, *numbers[1:]], axis=1)
        if (found[:, 1:] < sizes[rows]).all():
            return data, found
    parsed = [
        parse_links(line, int(size[0]), int(size[1]), f"{where} {number}")
        for number, (line, size) in enumerate(zip(lines, sizes, strict=True), start=before + 1)
    ]
    text = "".join(" ".join(f"{i}-{j}" for i, j in some) + "\n" for some in parsed)
    flat = [(row, i, j) for row, some in enumerate(parsed) for i, j in some]
    return text.encode("ascii"), np.array(flat, np.int64).reshape(-1, 3)


def parse_links(line: bytes, source_words: int, target_words: int, where: str) -> list[tuple[int, int]]:
    links = []
    for token in line.split():
        first, dash, second = token.partition(b"-")
        if not (dash and first.isdigit() and second.isdigit()):
            raise UserError(
                f"{where}: {token.decode(errors='replace')!r} is not a link; are these fast_align and atools?"
            )
        link = int(first), int(second)
        if link[0] >= source_words or link[1] >= target_words:
            raise UserError(
                f"{where}: link {token.decode()} points outside the pair ({source_words} and {target_words} words); "
                "build the programs again"
            )
        links.append(link)
    return links


def gold_lines(gold: list[GoldPair], found: dict[str, list[frozenset[tuple[int, int]]]]) -> str:
    """gold.jsonl: a JSON line per gold sentence with its words, its links (the possible ones hold the sure ones) and
    those found per direction, as pairs of positions from 0, English first."""
    lines = []
    for number, pair in enumerate(gold):
        links = {"sure": pair.sure, "possible": pair.possible}
        links |= {direction: sentences[number] for direction, sentences in found.items()}
        entry = {"source": pair.english, "target": pair.other} | {name: sorted(some) for name, some in links.items()}
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    return "".join(lines)


def gold_scores(gold: list[GoldPair], found: dict[str, list[frozenset[tuple[int, int]]]]) -> dict[str, Any]:
    scores: dict[str, Any] = {"sentences": len(gold)}
    for direction, links in found.items():
        triples = ((line, pair.sure, pair.possible) for line, pair in zip(links, gold, strict=True))
        scores[direction] = score_links(triples)._asdict()
    return scores
