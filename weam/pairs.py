"""Shards in memory, and batches of pairs or passages with masks, made in numpy before the model sees them.

Shapes: B pairs, L sub-words of the longest sequence of the batch; positions count within the flattened B * L rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from weam.batches import Ints, pad
from weam.config import Masking
from weam.errors import UserError
from weam.io import read_object
from weam.shards import SCHEMA_VERSION
from weam.subwords import Template


class Shards:
    """The rows of a shard manifest: list columns as flat arrays with offsets, integer columns as one array each.

    Raises:
        UserError: another schema, kind or tokenizer than the caller's, or a part that is missing or was changed.
    """

    def __init__(self, manifest: str | Path, kind: str, tokenizer: str) -> None:
        self.manifest = read_object(manifest)
        self.folder = Path(manifest).parent
        if self.manifest.get("schema") != SCHEMA_VERSION:
            raise UserError(
                f"{manifest}: schema {self.manifest.get('schema')}, expected {SCHEMA_VERSION}; make it again"
            )
        if self.manifest["kind"] != kind:
            raise UserError(f"{manifest}: holds {self.manifest['kind']}, but {kind} are needed")
        if self.manifest["tokenizer"] != tokenizer:
            raise UserError(
                f"{manifest}: made with another tokenizer than the model's; make the shards again with the model"
            )
        self.template = Template(**self.manifest["template"])
        self.rows = int(self.manifest["rows"])
        if not self.rows:
            raise UserError(f"{manifest}: has no rows; see the corpus's funnel.json for what the filters removed")
        tables = []
        for part in self.manifest["parts"]:
            path = self.folder / part["name"]
            if not path.is_file() or path.stat().st_size != part["bytes"]:
                raise UserError(
                    f"{path}: missing or of another size than in {manifest}; delete the manifest to make it again"
                )
            try:
                tables.append(pq.read_table(path))
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{path}: broken ({error}); delete {manifest} to make it again") from None
        table = pa.concat_tables(tables).combine_chunks()
        self.columns: dict[str, tuple[npt.NDArray[Any], Ints]] = {}
        self.integers: dict[str, Ints] = {}
        for name in table.column_names:
            column = table.column(name)
            if pa.types.is_list(column.type):
                array = column.combine_chunks()
                array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
                self.columns[name] = (
                    array.values.to_numpy(zero_copy_only=False),
                    array.offsets.to_numpy(zero_copy_only=False).astype(np.int64),
                )
            elif pa.types.is_integer(column.type):
                self.integers[name] = column.to_numpy().astype(np.int64)

    def row(self, column: str, index: int) -> npt.NDArray[Any]:
        values, offsets = self.columns[column]
        return values[offsets[index] : offsets[index + 1]]

    def lengths(self, column: str) -> Ints:
        offsets = self.columns[column][1]
        return offsets[1:] - offsets[:-1]

    def word_counts(self, side: str) -> Ints:
        """Words of each row's full sentence on one side (source or target), before truncation."""
        return self.integers[f"{side}_words"]

    def whole_words(self, side: str, index: int) -> int:
        """Words at the start of a row's sentence that truncation left whole."""
        return int(self.integers[f"{side}_whole"][index])


class Sequences(NamedTuple):
    """Token ids ready for an encoder."""

    ids: Ints
    """[B, L], padded"""
    attention: Ints
    """[B, L], 1 at real tokens"""
    segments: Ints | None
    """[B, L] token types, None for models without"""
    maskable: npt.NDArray[np.bool_]
    """[B, L], real tokens that are not special"""


class MaskedBatch(NamedTuple):
    """What masked prediction needs."""

    inputs: Sequences
    """with masked tokens replaced"""
    positions: Ints
    """[M] flat positions of the masked sub-words"""
    labels: Ints
    """[M] their original ids"""
    partner_row: Ints
    """[E] edge e gives the row (0..M-1) of a masked sub-word ..."""
    partner_position: Ints
    """[E] ... and the flat position of one of its aligned partners"""


def join(firsts: list[Any], seconds: list[Any] | None, template: Template) -> Sequences:
    """Rows ``prefix first suffix``, or ``prefix first middle second suffix``, padded to the longest."""
    prefix, middle, suffix = template.prefix, template.middle, template.suffix
    rows, types, plain = [], [], []
    for number, first in enumerate(firsts):
        second = [] if seconds is None else seconds[number]
        joint = [] if seconds is None else middle
        rows.append(np.concatenate([prefix, first, joint, second, suffix]).astype(np.int64))
        head = len(prefix) + len(first) + len(joint)
        tail = len(second) + len(suffix)
        types.append([0] * (head + tail) if seconds is None else [0] * head + [1] * tail)
        plain.append([0] * len(prefix) + [1] * len(first) + [0] * len(joint) + [1] * len(second) + [0] * len(suffix))
    return Sequences(
        ids=pad(rows, template.pad),
        attention=pad([np.ones(len(row)) for row in rows], 0),
        segments=pad(types, 0) if template.segments else None,
        maskable=pad(plain, 0).astype(bool),
    )


def mask(
    inputs: Sequences, template: Template, settings: Masking, generator: np.random.Generator
) -> tuple[Sequences, Ints, Ints]:
    """Choose sub-words for prediction and hide them (mask token, random token, or unchanged).

    Returns the changed inputs, the flat positions [M] and the original ids [M].
    """
    chosen = inputs.maskable & (generator.random(inputs.ids.shape) < settings.mask_probability)
    positions = np.flatnonzero(chosen)
    labels = inputs.ids.reshape(-1)[positions]
    how = generator.random(len(positions))
    allowed = np.setdiff1d(np.arange(template.vocab_size), template.special)
    random_ids = allowed[generator.integers(len(allowed), size=len(positions))]
    share = settings.mask_token_share
    hidden = np.where(
        how < share, template.mask, np.where(how < share + settings.random_token_share, random_ids, labels)
    )
    ids = inputs.ids.copy()
    ids.reshape(-1)[positions] = hidden
    return inputs._replace(ids=ids), positions, labels


def pair_batch(shards: Shards, index: Ints, settings: Masking, generator: np.random.Generator) -> MaskedBatch:
    """Concatenated pairs with masks, and the aligned partners of every masked sub-word."""
    sources = [shards.row("source_ids", i) for i in index]
    targets = [shards.row("target_ids", i) for i in index]
    template = shards.template
    inputs, positions, labels = mask(join(sources, targets, template), template, settings, generator)
    width = inputs.ids.shape[1]
    lefts, rights = [], []
    for number, i in enumerate(index):
        start = number * width + len(template.prefix)
        lefts.append(start + shards.row("link_source", i).astype(np.int64))
        rights.append(
            start + len(sources[number]) + len(template.middle) + shards.row("link_target", i).astype(np.int64)
        )
    left, right = np.concatenate(lefts), np.concatenate(rights)
    here, there = np.concatenate([left, right]), np.concatenate([right, left])
    row_of = np.full(inputs.ids.size, -1)
    row_of[positions] = np.arange(len(positions))
    masked = row_of[here] >= 0
    rows, partners = row_of[here[masked]], there[masked]
    order = np.lexsort((partners, rows))
    return MaskedBatch(inputs, positions, labels, rows[order], partners[order])


def passage_batch(shards: Shards, index: Ints, settings: Masking, generator: np.random.Generator) -> MaskedBatch:
    """Single passages with masks."""
    template = shards.template
    rows = [shards.row("ids", i) for i in index]
    inputs, positions, labels = mask(join(rows, None, template), template, settings, generator)
    none = np.empty(0, dtype=np.int64)
    return MaskedBatch(inputs, positions, labels, none, none)


class WordBatch(NamedTuple):
    """Both sides encoded apart, with the positions of word vectors.

    A word is a span of positions (``first``, ``last`` inclusive, flat over the side's B * L).
    """

    source: Sequences
    target: Sequences
    source_links: Ints
    """[K, 2] spans of the linked English words, special tokens included"""
    target_links: Ints
    """[K, 2] spans of their partners"""
    source_words: Ints
    """[W, 2] spans of all English words"""


def word_batch(shards: Shards, index: Ints) -> WordBatch:
    """Pairs for word alignment; [CLS]-[CLS] and [SEP]-[SEP] (their first prefix and suffix tokens) count as links."""
    source, target = _word_side(shards, index, "source"), _word_side(shards, index, "target")
    links = []
    for side, column in ((source, "one_source"), (target, "one_target")):
        pieces: list[Ints] = []
        for number, i in enumerate(index):
            pieces += [side.words[number][shards.row(column, i).astype(np.int64)], side.ends[number]]
        links.append(np.concatenate(pieces))
    words = np.concatenate(source.words)
    return WordBatch(source.inputs, target.inputs, links[0], links[1], words[words[:, 0] >= 0])


class _WordSide(NamedTuple):
    inputs: Sequences
    words: list[Ints]
    """per pair: span of each word, -1 for a word without sub-words or cut by truncation"""
    ends: list[Ints]
    """per pair: spans of the first special token and of the one after the sentence"""


def _word_side(shards: Shards, index: Ints, side: str) -> _WordSide:
    template = shards.template
    rows = [shards.row(f"{side}_ids", i) for i in index]
    inputs = join(rows, None, template)
    width = inputs.ids.shape[1]
    spans, ends = [], []
    for number, i in enumerate(index):
        words = shards.row(f"{side}_word", i).astype(np.int64)
        start = number * width + len(template.prefix)
        known = np.unique(words)
        span = np.full((int(words[-1]) + 1, 2), -1, dtype=np.int64)
        span[known, 0] = start + np.searchsorted(words, known)
        span[known, 1] = start + np.searchsorted(words, known, side="right") - 1
        span[shards.whole_words(side, i) :] = -1
        spans.append(span)
        ends.append(np.array([[number * width] * 2, [start + len(rows[number])] * 2]))
    return _WordSide(inputs, spans, ends)
