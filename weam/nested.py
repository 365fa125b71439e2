"""Nested random subsets of numbered rows: each row has a fixed random rank, a subset takes those of the lowest ranks.

Ranks depend on a seed and the row's number only. A larger subset therefore contains every smaller one, whatever files
the rows lie in, and whether a row belongs can be told without looking at other rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weam.batches import Ints

Ranks = npt.NDArray[np.uint64]

STEP = 0x9E3779B97F4A7C15
CHUNK = 1 << 20
"""Rows that are ranked at a time."""


def ranks(first: int, count: int, seed: int) -> Ranks:
    """Ranks of the rows ``first`` to ``first + count``: splitmix64 (Steele, Lea and Flood 2014), started at a place
    that the seed gives. It maps 64-bit numbers one to one: no two rows have the same rank."""
    start = _mix(np.array([seed], dtype=np.uint64))[0]
    with np.errstate(over="ignore"):
        return _mix(np.arange(first, first + count, dtype=np.uint64) + start)


def members(first: int, count: int, seed: int, threshold: int) -> npt.NDArray[np.bool_]:
    """Which of the rows ``first`` to ``first + count`` are in the subset: those with a rank up to ``threshold``."""
    return ranks(first, count, seed) <= np.uint64(threshold)


def threshold(rows: int, wanted: int, seed: int) -> int:
    """The rank that exactly ``wanted`` (1 to ``rows``) of the rows do not exceed, in memory for as many ranks."""
    lowest = np.empty(0, dtype=np.uint64)
    for first in range(0, rows, CHUNK):
        lowest = np.concatenate([lowest, ranks(first, min(CHUNK, rows - first), seed)])
        if len(lowest) > wanted:
            lowest = np.partition(lowest, wanted - 1)[:wanted]
    return int(lowest.max())


def counts(starts: Ints, sizes: Ints, seed: int, limit: int) -> Ints:
    """Members in each block of rows."""
    found = [int(members(int(a), int(n), seed, limit).sum()) for a, n in zip(starts, sizes, strict=True)]
    return np.array(found, dtype=np.int64)


def _mix(state: Ranks) -> Ranks:
    with np.errstate(over="ignore"):
        z = (state + np.uint64(1)) * np.uint64(STEP)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
