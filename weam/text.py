"""Clean, filter, de-duplicate and segment corpora into words, and count what each filter removed.

Several sources are read one after the other; a row keeps the number of its line among them as its id. With
--monolingual the passages of all languages are cleaned and de-duplicated only.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from weam.batches import spread
from weam.blanks import LIMIT, LONGEST, Cut
from weam.config_data import Text
from weam.errors import UserError
from weam.io import atomic_path, write_json
from weam.progress import Progress
from weam.readers import Fault, Release
from weam.readers.monolingual import Passage, read_passages
from weam.readers.parallel import RawPair, read_pairs
from weam.settings import read_settings
from weam.words import Segmenter, clean, segmenter

ROW_GROUP = 10_000
BATCH = 8000
"""Lines that are worked on together."""

PAIRS = pa.schema(
    [
        ("id", pa.int64()),
        ("source", pa.string()),
        ("target", pa.string()),
        ("source_words", pa.list_(pa.string())),
        ("target_words", pa.list_(pa.string())),
    ]
)
PASSAGES = pa.schema([("id", pa.int64()), ("language", pa.string()), ("text", pa.string())])

EMPTY, SHORT, LONG, RATIO = "empty side", "too few words", "too many words", "length ratio"
DUPLICATE, BEYOND = "duplicate", "beyond max_pairs"


class Batch(NamedTuple):
    """Some lines of a corpus: how many were read, how many removed for which reason, and the rows that are left."""

    read: int
    removed: Counter[str]
    kept: Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--manifest", type=Path, action="append", required=True, help="of a source; may be repeated")
    parser.add_argument("--languages", nargs="+", required=True, metavar="LANG", help="en and the target language")
    parser.add_argument("--monolingual", action="store_true", help="write passages of all --languages, not pairs")
    parser.add_argument("--settings", help="the text block of the configuration (JSON or file)")
    parser.add_argument("--out", type=Path, required=True, help="text.parquet")
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json: rows per filter")


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Text, args.settings)
    releases = [Release(path) for path in args.manifest]
    batches: Iterator[Batch]
    if args.monolingual:
        for language in args.languages:
            if not any(language in release.languages for release in releases):
                names = ", ".join(release.name for release in releases)
                raise UserError(f"--languages: no source has text in {language!r} ({names}); add one or drop it")
        corpus, unit, schema = "mono", "passages", PASSAGES
        filters = Funnel([EMPTY, *([DUPLICATE] if settings.deduplicate else [])])
        batches = filter_passages((p for release in releases for p in read_passages(release, args.languages)), settings)
    else:
        if len(args.languages) != 2 or args.languages[0] != "en" or args.languages[1] == "en":
            raise UserError(
                f"--languages {' '.join(args.languages)}: pairs are of en and one other language; write en LANG"
            )
        language = args.languages[1]
        corpus, unit, schema = f"en-{language}", "pairs", PAIRS
        filters = Funnel(
            [EMPTY, SHORT, LONG, RATIO]
            + ([DUPLICATE] if settings.deduplicate else [])
            + ([BEYOND] if language in settings.max_pairs else [])
        )
        pairs = (pair for release in releases for pair in read_pairs(release, language))
        batches = filter_pairs(pairs, language, settings)
    with atomic_path(args.out) as temporary:
        _write(batches, schema, temporary, filters, Progress(f"text {corpus}", None, unit))
        if not filters.kept:
            raise UserError(
                f"{corpus}: none of the {filters.read} {unit} is left ({filters.sentence()}); "
                "check the sources and the text block of the configuration"
            )
    sources = [release.name for release in releases]
    write_json(args.funnel, {"corpus": corpus, "sources": sources, "steps": filters.steps()})


class Funnel:
    """Counts of rows read, removed (per reason) and kept; the filters are listed even when they removed nothing."""

    def __init__(self, filters: list[str]) -> None:
        self.read = self.kept = 0
        self.filters = dict.fromkeys(filters, 0)
        self.faults: dict[str, int] = {}

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch."""
        self.read += batch.read
        self.kept += batch.kept.num_rows
        for reason, number in batch.removed.items():
            counts = self.filters if reason in self.filters else self.faults
            counts[reason] = counts.get(reason, 0) + number

    def removed(self) -> dict[str, int]:
        """Faults of the files by name, then the filters in their order."""
        return dict(sorted(self.faults.items())) | self.filters

    def sentence(self) -> str:
        """The reasons that removed anything."""
        return ", ".join(f"{reason}: {count}" for reason, count in self.removed().items() if count) or "nothing read"

    def steps(self) -> list[dict[str, Any]]:
        """The steps as funnel.json has them; every row that was read is accounted for."""
        removed = self.removed()
        assert self.read == self.kept + sum(removed.values()), (self.read, self.kept, removed)
        return [
            {"step": "read", "rows": self.read},
            *({"step": reason, "removed": count} for reason, count in removed.items()),
            {"step": "kept", "rows": self.kept},
        ]


def filter_pairs(pairs: Iterable[RawPair | Fault], language: str, settings: Text) -> Iterator[Batch]:
    """Rows of text.parquet and what was removed; the id of a row is the number of its line."""
    words_of = [Words(name, settings.segmenter.get(name)) for name in ("en", language)]
    most = settings.max_pairs.get(language)
    kept: int = 0
    seen = Seen()
    numbered = enumerate(pairs)
    while lines := list(islice(numbered, BATCH)):
        removed: Counter[str] = Counter(pair.reason for _, pair in lines if isinstance(pair, Fault))
        good = [(number, pair) for number, pair in lines if not isinstance(pair, Fault)]
        if most is not None and kept >= most:
            yield Batch(len(lines), removed + Counter({BEYOND: len(good)}), PAIRS.empty_table())
            continue
        sides = [[clean(pair.english) for _, pair in good], [clean(pair.other) for _, pair in good]]
        reasons = np.full(len(good), None)
        for row, (source, target) in enumerate(zip(*sides, strict=True)):
            if not source or not target:
                reasons[row] = EMPTY
            elif max(source.count(" "), target.count(" ")) >= settings.max_words:  # each piece has at least one word
                reasons[row] = LONG
        rows = np.flatnonzero(reasons == None)  # noqa: E711
        texts = [pa.array([side[row] for row in rows], pa.string()) for side in sides]
        words = [cut(side) for cut, side in zip(words_of, texts, strict=True)]
        counts = np.stack([pc.list_value_length(side).to_numpy() for side in words]).astype(np.int64)
        shorter, longer = counts.min(axis=0), counts.max(axis=0)
        short, long = shorter < settings.min_words, longer > settings.max_words
        ratio = (longer + 3) / (shorter + 3) > settings.max_ratio
        for reason, found in ((RATIO, ratio), (LONG, long), (SHORT, short)):  # the last one stands
            reasons[rows[found]] = reason
        if settings.deduplicate:
            for place in np.flatnonzero(reasons == None):  # noqa: E711
                if not seen.add(f"{sides[0][place]}\t{sides[1][place]}"):
                    reasons[place] = DUPLICATE
        left = np.flatnonzero(reasons == None)  # noqa: E711
        if most is not None and kept + len(left) >= most:
            left = left[: most - kept]
            reasons[int(left[-1]) + 1 :] = BEYOND
        kept += len(left)
        removed.update(reason for reason in reasons if reason is not None)
        chosen = pa.array(np.searchsorted(rows, left))
        ids = pa.array([good[row][0] for row in left], pa.int64())
        columns = [ids, *(column.take(chosen) for column in (*texts, *words))]
        yield Batch(len(lines), removed, pa.table(columns, schema=PAIRS))


def filter_passages(passages: Iterable[Passage], settings: Text) -> Iterator[Batch]:
    """Rows of text.parquet and what was removed. Passages have no limit of length."""
    seen = Seen()
    numbered = enumerate(passages)
    while lines := list(islice(numbered, BATCH)):
        removed: Counter[str] = Counter()
        rows = []
        for number, (language, _, raw) in lines:
            text = "" if isinstance(raw, Fault) else clean(raw)
            if isinstance(raw, Fault):
                removed[raw.reason] += 1
            elif not text:
                removed[EMPTY] += 1
            elif settings.deduplicate and not seen.add(f"{language}\t{text}"):
                removed[DUPLICATE] += 1
            else:
                rows.append((number, language, text))
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
        yield Batch(len(lines), removed, pa.table(columns, schema=PASSAGES))


class Words:
    """Cuts cleaned sentences into words, with a memory for what stands between two blanks."""

    def __init__(self, language: str, kind: Segmenter | None) -> None:
        self.cut = segmenter(language, kind)
        self.known, self.older = dict[str, list[str]](), dict[str, list[str]]()

    def __call__(self, texts: Any) -> Any:
        """The words of each sentence, as Arrow arrays."""
        cut = Cut.of(texts)
        words = [self._words(piece) for piece in cut.pieces]
        sizes = np.fromiter(map(len, words), np.int64, len(words))
        values = pa.array(list(chain.from_iterable(words)), pa.string())
        counts = sizes[cut.places]
        places = spread((np.cumsum(sizes) - sizes)[cut.places], counts)
        ends = np.concatenate([[0], np.cumsum(counts)])[np.concatenate([[0], np.cumsum(cut.sizes)])]
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values.take(pa.array(places)))

    def _words(self, piece: str) -> list[str]:
        found = self.known.get(piece)
        if found is None:
            found = self.older.get(piece) or self.cut(piece)
            if len(piece) <= LONGEST:
                if len(self.known) >= LIMIT // 2:  # what does not come again until the next time is forgotten
                    self.known, self.older = {}, self.known
                self.known[piece] = [piece] if found == [piece] else found
        return found


class Seen:
    """Digests (8 bytes) of texts, in a temporary database of SQLite's: memory stays the same however many there are.

    It lies in ``SQLITE_TMPDIR``, else ``TMPDIR``, else /var/tmp or /tmp, about 15 bytes a text, and
    goes with the process.
    """

    CACHE = 32 << 10
    """KiB that stay in memory."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{self.CACHE}"):
            self.database.execute(f"PRAGMA {setting}")
        self.database.execute("CREATE TABLE digests (digest INTEGER PRIMARY KEY)")
        self.database.execute("BEGIN")

    def add(self, text: str) -> bool:
        """Remember ``text``; False if it was there."""
        digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
        number = int.from_bytes(digest, "little", signed=True)
        try:
            return self.database.execute("INSERT OR IGNORE INTO digests VALUES (?)", (number,)).rowcount == 1
        except sqlite3.OperationalError as error:
            raise UserError(
                f"the list of texts for finding duplicates cannot be kept ({error}); set TMPDIR to a folder with room"
            ) from None


def _write(batches: Iterable[Batch], schema: pa.Schema, path: Path, funnel: Funnel, progress: Progress) -> None:
    waiting = schema.empty_table()
    with progress, pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            funnel.add(batch)
            progress.step(batch.read)
            waiting = pa.concat_tables([waiting, batch.kept])
            while waiting.num_rows >= ROW_GROUP:
                writer.write_table(waiting.slice(0, ROW_GROUP).combine_chunks())
                waiting = waiting.slice(ROW_GROUP)
        if waiting.num_rows:
            writer.write_table(waiting.combine_chunks())
