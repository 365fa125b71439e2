"""Which examples form which batch, as a pure function of (seed, epoch): the key to exact resume and fair comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

BUCKET_BATCHES = 32
"""Examples are sorted by length within chunks of this many batches: little padding, and still a random order."""


def rng(*key: int) -> np.random.Generator:
    """A generator that depends on nothing but the numbers of ``key``."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key))))


def epoch_batches(lengths: Ints, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """The batches of one epoch, as index arrays.

    Every example comes exactly once; examples of similar length come together; batches come in random order. The last
    batch may be smaller.
    """
    generator = rng(seed, epoch, 0)
    order = generator.permutation(len(lengths))
    chunk = batch_size * BUCKET_BATCHES
    batches: list[Ints] = []
    for start in range(0, len(order), chunk):
        part = order[start : start + chunk]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches.extend(part[i : i + batch_size] for i in range(0, len(part), batch_size))
    return [batches[i] for i in generator.permutation(len(batches))]


def length_batches(lengths: Ints, batch_size: int) -> list[Ints]:
    """Batches for prediction: all examples once, longest first."""
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def pad(rows: Sequence[Any], value: int) -> Ints:
    """Rows of different lengths as one array ``[rows, longest]``, filled up with ``value``."""
    out = np.full((len(rows), max((len(row) for row in rows), default=0)), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
