"""Sentences cut at their blanks, so that what comes again and again is worked on once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from weam.batches import Ints

LIMIT = 1 << 17
"""Most pieces that a stage remembers; then it forgets those that it did not need for long, so that its memory does not
grow with the corpus."""
LONGEST = 32
"""Characters of a piece that is worth remembering."""


class Cut(NamedTuple):
    """Sentences cut at their blanks; a piece that comes again and again is there once."""

    pieces: list[str]
    places: Ints
    """[all pieces] which of them"""
    sizes: Ints
    """[sentences] pieces of each, at least one"""

    @classmethod
    def of(cls, texts: Any) -> Cut:
        """``texts``: an Arrow array of strings without null."""
        lists = pc.split_pattern(texts, " ")
        encoded = pc.dictionary_encode(pc.list_flatten(lists))
        places = encoded.indices.to_numpy().astype(np.int64)
        return cls(encoded.dictionary.to_pylist(), places, pc.list_value_length(lists).to_numpy().astype(np.int64))
