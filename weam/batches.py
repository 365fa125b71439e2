"""Which examples form which batch: a pure function of the seed and the step, for exact resume and fair comparison.

Sources are read in a random order of their blocks (row groups of Parquet), so that memory does not grow with the
corpus: blocks in random order are gathered to windows of :data:`WINDOW_ROWS` rows, and the rows of a window come in
random order. Several sources are mixed row by row. Rows of similar length come into one batch.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]

CHUNK_BATCHES = 32
"""Rows are sorted by length within chunks of this many batches: little padding, and still a random order."""
WINDOW_ROWS = 65_536
"""Rows (at least) that are shuffled together."""

# First number of every key of a generator: what it is for.
BLOCKS, ROWS, MIXTURE, CHUNK, MASKS, DROPOUT = range(1, 7)


def rng(purpose: int, seed: int, *key: int) -> np.random.Generator:
    """A generator that depends on nothing but these numbers."""
    return np.random.Generator(np.random.PCG64(seed_sequence(purpose, seed, *key)))


def seed_sequence(purpose: int, seed: int, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([purpose, seed, *key])


class Ragged(NamedTuple):
    """Rows of different lengths, one after the other."""

    values: Ints
    lengths: Ints
    """[rows]"""

    @property
    def owners(self) -> Ints:
        """Row of each value."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def spread(starts: Ints, lengths: Ints) -> Ints:
    """``starts[0], starts[0] + 1, ...`` (``lengths[0]`` numbers), then the same for the next row, and so on."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


class Rows:
    """Some examples: list columns as flat arrays with offsets, integer columns as arrays."""

    def __init__(self, table: pa.Table) -> None:
        self.count = table.num_rows
        self.names = table.column_names
        self._lists: dict[str, tuple[Ints, Ints]] = {}
        self._integers: dict[str, Ints] = {}
        for name in table.column_names:
            column = table.column(name).combine_chunks()
            if isinstance(column, pa.ChunkedArray):  # of no chunks
                column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=column.type)
            if pa.types.is_list(column.type):
                offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
                self._lists[name] = (column.values.to_numpy(zero_copy_only=False), offsets)
            elif pa.types.is_integer(column.type):
                self._integers[name] = column.to_numpy(zero_copy_only=False).astype(np.int64)

    def ragged(self, name: str, index: Ints) -> Ragged:
        """The lists of column ``name`` in rows ``index``."""
        values, offsets = self._lists[name]
        starts = offsets[index]
        lengths = offsets[index + 1] - starts
        return Ragged(values[spread(starts, lengths)].astype(np.int64), lengths)

    def lengths(self, name: str) -> Ints:
        """Length of each row's list."""
        offsets = self._lists[name][1]
        return offsets[1:] - offsets[:-1]

    def integers(self, name: str, index: Ints) -> Ints:
        return self._integers[name][index]


class Source(Protocol):
    """Where examples come from."""

    @property
    def blocks(self) -> Ints:
        """Rows of each block."""

    @property
    def texts(self) -> Sequence[str]:
        """List columns whose lengths together are the length of an example."""

    def read(self, blocks: Ints) -> pa.Table:
        """The rows of these blocks (ascending), one block after the other."""


class InMemory:
    """A table as a source."""

    def __init__(self, table: pa.Table, texts: Sequence[str]) -> None:
        self.table = table
        self.texts = texts
        self.blocks = np.array([table.num_rows], dtype=np.int64)

    def read(self, blocks: Ints) -> pa.Table:
        return self.table.take(spread(0 * blocks, self.blocks[blocks]))


class Stream:
    """The rows of one source in random order, epoch after epoch."""

    def __init__(self, source: Source, seed: int, number: int) -> None:
        self.source, self.seed, self.number = source, seed, number
        self.rows = int(source.blocks.sum())
        self._epoch = self._window = -1
        self._groups: list[Ints] = []
        self._starts = np.zeros(1, dtype=np.int64)
        self._table: pa.Table | None = None

    def take(self, start: int, count: int) -> list[pa.Table]:
        """Rows ``start`` to ``start + count`` of the endless order, in pieces."""
        pieces = []
        while count > 0:
            epoch, place = divmod(start, self.rows)
            self._open(epoch, place)
            assert self._table is not None
            offset = place - int(self._starts[self._window])
            piece = self._table.slice(offset, min(count, self._table.num_rows - offset))
            pieces.append(piece)
            start, count = start + piece.num_rows, count - piece.num_rows
        return pieces

    def _open(self, epoch: int, place: int) -> None:
        """Have the window in memory that holds row ``place`` of ``epoch``."""
        if epoch != self._epoch:
            order = rng(BLOCKS, self.seed, self.number, epoch).permutation(len(self.source.blocks))
            ends = np.cumsum(self.source.blocks[order])
            self._groups, first, before = [], 0, 0
            while first < len(order):
                last = min(int(np.searchsorted(ends, before + WINDOW_ROWS)), len(order) - 1)
                self._groups.append(np.sort(order[first : last + 1]))
                first, before = last + 1, int(ends[last])
            sizes = [int(self.source.blocks[group].sum()) for group in self._groups]
            self._starts = np.cumsum([0, *sizes])
            self._epoch, self._window = epoch, -1
        window = int(np.searchsorted(self._starts, place, side="right")) - 1
        if window != self._window:
            self._table = None
            table = self.source.read(self._groups[window])
            order = rng(ROWS, self.seed, self.number, epoch, window).permutation(table.num_rows)
            self._table, self._window = table.take(order), window


class Mixture:
    """Batches from one or more sources.

    With several, each row comes from source ``l`` with a probability proportional to ``rows_l ** (1 / temperature)``:
    1 samples in proportion to the sizes, a higher temperature more evenly.
    """

    def __init__(self, sources: Sequence[Source], seed: int, batch_size: int, temperature: float = 1.0) -> None:
        self.sources, self.seed, self.batch_size = list(sources), seed, batch_size
        sizes = np.array([int(source.blocks.sum()) for source in sources], dtype=np.float64)
        self.rows = int(sizes.sum())
        shares = (sizes / max(sizes.sum(), 1)) ** (1 / temperature)
        self.shares = shares / max(shares.sum(), 1e-300)

    @property
    def steps(self) -> int:
        """Batches of an epoch: as many rows as all sources have; one batch may be smaller than the others."""
        return -(-self.rows // self.batch_size)

    def batches(self, first: int = 0) -> Iterator[tuple[Rows, Ints]]:
        """Batches without end, from batch ``first`` on, as rows and the places of the batch's examples in them.

        The places are in order of the examples' lengths. A single source gives every row once per epoch.
        """
        streams = [Stream(source, self.seed, number) for number, source in enumerate(self.sources)]
        size = self.batch_size * CHUNK_BATCHES
        chunks = -(-self.rows // size)
        offsets = np.zeros(len(streams), dtype=np.int64)
        for chunk in itertools.count():
            epoch, place = divmod(chunk, chunks)
            begin = epoch * self.steps + place * CHUNK_BATCHES
            count = min(size, self.rows - place * size)
            counts = np.array([count])
            if len(streams) > 1:
                counts = rng(MIXTURE, self.seed, chunk).multinomial(count, self.shares)
            if begin - (-count // self.batch_size) > first:
                pieces = [
                    piece
                    for stream, start, part in zip(streams, offsets, counts, strict=True)
                    for piece in stream.take(int(start), int(part))
                ]
                rows = Rows(pa.concat_tables(pieces).combine_chunks())
                del pieces
                yield from self._cut(rows, chunk, first - begin)
            offsets += counts

    def _cut(self, rows: Rows, chunk: int, skip: int) -> Iterator[tuple[Rows, Ints]]:
        generator = rng(CHUNK, self.seed, chunk)
        order = generator.permutation(rows.count)
        lengths = sum((rows.lengths(name) for name in self.sources[0].texts), np.zeros(rows.count, dtype=np.int64))
        order = order[np.argsort(lengths[order], kind="stable")]
        batches = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        for number in generator.permutation(len(batches))[max(skip, 0) :]:
            yield rows, batches[number]


def length_batches(lengths: Ints, batch_size: int) -> list[Ints]:
    """Batches for prediction: all examples once, longest first."""
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


T = TypeVar("T")


def ahead(items: Iterator[T], depth: int = 3) -> Iterator[T]:
    """The same items, made ``depth`` in advance by a thread: a GPU does not wait for the next batch."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Any] = deque(pool.submit(next, items, end) for _ in range(depth))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item
