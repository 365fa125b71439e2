"""From rows of token ids to the inputs of a model, vectorised: no loop over tokens or examples.

A batch is masked as a whole, then cut into parts (micro-batches, processes), so that the masks do not depend on how the
work is divided. Shapes: B sequences, L positions of the longest, N = B * L; positions count within N.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from weam.batches import Ints, Ragged, Rows, spread
from weam.config import Masking
from weam.subwords import Template

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

WORD_KEY = 1 << 20
"""More than the words of a sentence (shards.MAX_WORDS)."""


class Sequences(NamedTuple):
    """Token ids ready for an encoder."""

    ids: Ints
    """[B, L], padded"""
    lengths: Ints
    """[B] real tokens"""
    segments: Ints | None
    """[B, L] token types, None for models without"""

    @property
    def attention(self) -> Ints:
        """[B, L], 1 at real tokens."""
        real: Ints = (np.arange(self.ids.shape[1]) < self.lengths[:, None]).astype(np.int64)
        return real

    def part(self, rows: Ints) -> Sequences:
        """Some of the sequences, no wider than the longest of them."""
        width = int(self.lengths[rows].max(initial=0))
        segments = None if self.segments is None else self.segments[rows, :width]
        return Sequences(self.ids[rows, :width], self.lengths[rows], segments)


class Layout(NamedTuple):
    """Sequences, and where the texts are in them."""

    inputs: Sequences
    first: Ints
    """[B] place of the first text's first token within its sequence"""
    second: Ints | None
    """[B] the same of the second text"""
    plain: Bools
    """[B, L], real tokens that are not special"""


def lay_out(first: Ragged, second: Ragged | None, template: Template) -> Layout:
    """Sequences ``prefix first suffix``, or ``prefix first middle second suffix``, padded to the longest."""
    pieces: list[tuple[list[int] | Ragged, int]] = [(template.prefix, 0), (first, 0)]
    if second is not None:
        pieces += [(template.middle, 0), (second, 1)]
    pieces.append((template.suffix, 0 if second is None else 1))
    sizes = [p.lengths if isinstance(p, Ragged) else np.full(len(first.lengths), len(p)) for p, _ in pieces]
    starts = np.cumsum([0 * sizes[0], *sizes], axis=0)
    count, width = len(first.lengths), int(starts[-1].max(initial=0))
    ids = np.full((count, width), template.pad, dtype=np.int64)
    types = np.zeros((count, width), dtype=np.int64)
    plain = np.zeros((count, width), dtype=bool)
    base = np.arange(count) * width
    for (piece, segment), start, size in zip(pieces, starts, sizes, strict=False):
        places = spread(base + start, size)
        ids.reshape(-1)[places] = piece.values if isinstance(piece, Ragged) else np.tile(piece, count)
        types.reshape(-1)[places] = segment
        plain.reshape(-1)[places] = isinstance(piece, Ragged)
    inputs = Sequences(ids, starts[-1], types if template.segments else None)
    return Layout(inputs, starts[1], None if second is None else starts[3], plain)


class Masks(NamedTuple):
    """Which tokens of a batch are predicted, and the sequences with these hidden."""

    chosen: Bools
    """[B, L]"""
    labels: Ints
    """[B, L] original ids"""
    inputs: Sequences


def mask(
    layout: Layout, template: Template, settings: Masking, generator: np.random.Generator, words: Ints | None = None
) -> Masks:
    """Choose sub-words for prediction and hide them (mask token, random token, or unchanged).

    With ``words`` ([tokens] ids of words, of all tokens that are not special, in order), all sub-words of a word are
    chosen together.
    """
    inputs = layout.inputs
    places = np.flatnonzero(layout.plain)
    if words is None:
        hit = generator.random(len(places)) < settings.mask_probability
    else:
        _, word = np.unique(words, return_inverse=True)
        hit = (generator.random(int(word.max(initial=-1)) + 1) < settings.mask_probability)[word]
    chosen = np.zeros(inputs.ids.size, dtype=bool)
    chosen[places[hit]] = True
    positions = places[hit]
    labels = inputs.ids.reshape(-1)[positions]
    how = generator.random(len(positions))
    allowed = _ordinary(template.vocab_size, tuple(template.special))
    random_ids = allowed[generator.integers(len(allowed), size=len(positions))]
    share = settings.mask_token_share
    hidden = np.where(
        how < share, template.mask, np.where(how < share + settings.random_token_share, random_ids, labels)
    )
    ids = inputs.ids.copy()
    ids.reshape(-1)[positions] = hidden
    return Masks(chosen.reshape(inputs.ids.shape), inputs.ids, inputs._replace(ids=ids))


@cache
def _ordinary(vocabulary: int, special: tuple[int, ...]) -> Ints:
    """Ids that a random token may have."""
    return np.setdiff1d(np.arange(vocabulary), special)


class Edges(NamedTuple):
    """What masked sub-words receive from their aligned partners: A of the M masked rows have some."""

    aligned: Ints
    """[A] masked rows (0..M-1), ascending"""
    row: Ints
    """[E] edge e gives the sub-word of aligned row (0..A-1) ..."""
    position: Ints
    """[E] ... the vector at this position ..."""
    weight: Floats
    """[E] ... with this weight"""


_NONE = np.empty(0, dtype=np.int64)
NO_EDGES = Edges(_NONE, _NONE, _NONE, np.empty(0, dtype=np.float32))


class MaskedBatch(NamedTuple):
    """What masked prediction needs."""

    inputs: Sequences
    """with masked tokens replaced"""
    positions: Ints
    """[M] positions of the masked sub-words"""
    labels: Ints
    """[M] their original ids"""
    edges: Edges
    predicted: int
    """masked sub-words of the global batch"""


def masked_part(masks: Masks, rows: Ints) -> MaskedBatch:
    """The sequences ``rows`` of a masked batch."""
    inputs = masks.inputs.part(rows)
    width = inputs.ids.shape[1]
    positions = np.flatnonzero(masks.chosen[rows, :width])
    labels = masks.labels[rows, :width].reshape(-1)[positions]
    return MaskedBatch(inputs, positions, labels, NO_EDGES, int(np.count_nonzero(masks.chosen)))


def pair_edges(layout: Layout, links: tuple[Ragged, Ragged], batch: MaskedBatch, rows: Ints, exchange: str) -> Edges:
    """Edges of a part of a batch of concatenated pairs, in both directions at once.

    Args:
        layout: of the whole batch.
        links: of the part's rows: places of linked sub-words within source and target.
        batch: the part.
        rows: its rows in the whole batch.
        exchange: ``mean`` over all partners, or the ``first`` (leftmost) one.
    """
    assert layout.second is not None
    width = batch.inputs.ids.shape[1]
    base = np.arange(len(rows)) * width
    left, right = (
        np.repeat(base + start[rows], side.lengths) + side.values
        for start, side in zip((layout.first, layout.second), links, strict=True)
    )
    row_of = np.full(batch.inputs.ids.size, -1)
    row_of[batch.positions] = np.arange(len(batch.positions))
    here, there = np.concatenate([left, right]), np.concatenate([right, left])
    masked = row_of[here] >= 0
    row, partner = row_of[here[masked]], there[masked]
    order = np.lexsort((partner, row))
    aligned, first, place, degree = np.unique(row[order], return_index=True, return_inverse=True, return_counts=True)
    partner = partner[order]
    if exchange == "first":
        return Edges(aligned, np.arange(len(aligned)), partner[first], np.ones(len(aligned), dtype=np.float32))
    return Edges(aligned, place, partner, (1 / degree[place]).astype(np.float32))


def word_ids(rows: Rows, index: Ints, joint: bool) -> Ints:
    """Ids of the words of all sub-words of pairs, in the order of the sequences.

    That is pair by pair if they are ``joint``, else first those of all source sides.
    """
    sides = [rows.ragged(f"{side}_word", index) for side in ("source", "target")]
    pair, sentence = (2 * WORD_KEY, WORD_KEY) if joint else (WORD_KEY, len(index) * WORD_KEY)
    keys = [pair * side.owners + number * sentence + side.values for number, side in enumerate(sides)]
    return np.sort(np.concatenate(keys))  # keys grow along a sequence


class Spans(NamedTuple):
    """Words of a batch of sentences as spans of positions (first and last sub-word)."""

    keys: Ints
    """[W] ``sentence * WORD_KEY + word``, ascending"""
    spans: Ints
    """[W, 2]"""


def word_spans(words: Ragged, whole: Ints, first: Ints, width: int) -> Spans:
    """The whole words (``word < whole``) of sentences whose sub-words belong to ``words``.

    Args:
        words: word of each sub-word, never decreasing within a sentence.
        whole: [B] words that truncation left whole.
        first: [B] place of the first sub-word in its sequence.
        width: positions per sequence.
    """
    keys = words.owners * WORD_KEY + words.values
    places = spread(np.arange(len(first)) * width + first, words.lengths)
    known, start, count = np.unique(keys, return_index=True, return_counts=True)
    kept = known % WORD_KEY < whole[known // WORD_KEY]
    spans = np.stack([places[start], places[start + count - 1]], axis=1)
    return Spans(known[kept], spans[kept])


class WordBatch(NamedTuple):
    """English and target sentences as sequences of one batch, with the spans of words."""

    inputs: Sequences
    """[2 B, L], first all English sentences"""
    source_links: Ints
    """[K, 2] spans of the linked English words, special tokens included"""
    target_links: Ints
    """[K, 2] spans of their partners"""
    source_words: Ints
    """[W, 2] spans of all English words"""
    links: int
    """K of the global batch"""
    words: int
    """W of the global batch"""


def word_batches(rows: Rows, index: Ints, parts: Sequence[Ints], template: Template) -> list[WordBatch]:
    """Pairs for word alignment; [CLS]-[CLS] and [SEP]-[SEP] (first prefix and suffix tokens) count as links."""
    every = [_word_part(rows, index, template)] if len(parts) != 1 or len(parts[0]) != len(index) else []
    chosen = [_word_part(rows, index[part], template) for part in parts]
    total = every[0] if every else chosen[0]
    return [batch._replace(links=total.links, words=total.words) for batch in chosen]


def _word_part(rows: Rows, index: Ints, template: Template) -> WordBatch:
    count = len(index)
    sides = [rows.ragged(f"{side}_ids", index) for side in ("source", "target")]
    both = Ragged(np.concatenate([s.values for s in sides]), np.concatenate([s.lengths for s in sides]))
    layout = lay_out(both, None, template)
    width = layout.inputs.ids.shape[1]
    links, words = [], []
    for number, side in enumerate(("source", "target")):
        begin = layout.first[number * count : (number + 1) * count]
        spans = word_spans(rows.ragged(f"{side}_word", index), rows.integers(f"{side}_whole", index), begin, width)
        shift = number * count * width
        one = rows.ragged(f"one_{side}", index)
        place = np.searchsorted(spans.keys, one.owners * WORD_KEY + one.values)
        base = np.arange(count) * width
        ends = np.concatenate([base, base + begin + sides[number].lengths])
        links.append(np.concatenate([spans.spans[place], np.stack([ends, ends], axis=1)]) + shift)
        words.append(spans.spans + shift)
    return WordBatch(layout.inputs, links[0], links[1], words[0], len(links[0]), len(words[0]))
