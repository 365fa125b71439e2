"""The objectives. Each collates rows into batches, and turns a batch into vectors, targets and weights, hence a loss.

Losses are shares of the loss of the global batch: those of its parts (micro-batches, processes) add up to it.
Shapes: B sequences, L positions, N = B * L, D width, M masked rows, A of them aligned, E edges to partners.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weam import head
from weam.batches import Ints, Ragged, Rows
from weam.collate import (
    Layout,
    MaskedBatch,
    Masks,
    Sequences,
    WordBatch,
    lay_out,
    mask,
    masked_part,
    pair_edges,
    word_batches,
    word_ids,
)
from weam.config import Masking, Mlm, Weam, WordAlign
from weam.flops import TRAINING, Flops
from weam.subwords import Template


@dataclass(frozen=True)
class Loss:
    """Share of the loss of the global batch, and of the single losses behind it (without gradient, for the log)."""

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class Work(NamedTuple):
    """What a part of a batch amounts to."""

    examples: int
    tokens: int
    rows: int
    """predictions, of tokens or of whatever the task predicts"""
    flops: float


class Objective(Protocol):
    """What the training loop needs."""

    @property
    def names(self) -> Sequence[str]:
        """The single losses that are logged."""

    def collate(
        self, rows: Rows, index: Ints, parts: Sequence[Ints], generator: np.random.Generator
    ) -> list[tuple[Any, Work]]:
        """The batch of examples ``index``, cut into ``parts`` (places within ``index``)."""

    def loss(self, batch: Any, device: torch.device) -> Loss:
        """Share of the loss of one part."""


def tensor(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    result = torch.from_numpy(np.ascontiguousarray(array))
    return result.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else result


def full(values: Tensor) -> Tensor:
    """At least float32: losses are not summed in half precision."""
    return values.float() if values.element_size() < 4 else values


def model_inputs(inputs: Sequences, device: torch.device) -> dict[str, Tensor]:
    """Arguments of a Hugging Face encoder.

    The mask, [B, 1, 1, L] and boolean, is what attention takes: of a plain one Transformers asks whether it masks
    anything, and waits for the GPU's answer in every pass.
    """
    arguments = {"input_ids": tensor(inputs.ids, device)}
    attention = inputs.attention
    if not attention.all():
        arguments["attention_mask"] = tensor(attention.astype(bool)[:, None, None], device)
    if inputs.segments is not None:
        arguments["token_type_ids"] = tensor(inputs.segments, device)
    return arguments


def encode(encoder: Any, inputs: Sequences, device: torch.device) -> Tensor:
    """Last-layer vectors, flat: [N, D]."""
    h_BLD: Tensor = encoder(**model_inputs(inputs, device)).last_hidden_state
    return h_BLD.reshape(-1, h_BLD.shape[-1])


def exchanged(r_ND: Tensor, batch: MaskedBatch, device: torch.device) -> Tensor:
    """What aligned masked sub-words receive from their partners (10-model, step 3): [A, D]."""
    row, position, weight = (tensor(array, device) for array in batch.edges[1:])
    total = torch.zeros(len(batch.edges.aligned), r_ND.shape[1], dtype=r_ND.dtype, device=device)
    # index_select: the gradient of r_ND[position] is summed by several threads in any order
    return total.index_add(0, row, r_ND.index_select(0, position) * weight.to(r_ND.dtype).unsqueeze(1))


def masked_loss(model: Any, batch: MaskedBatch, device: torch.device, cross_weight: float = 0.0) -> Loss:
    """Masked prediction; with ``cross_weight`` (lambda) above 0, WEAM; with 0, MLM or TLM, bit for bit.

    L = L_mp + lambda L_cp, both means over the M masked rows of the global batch with the original token as label.
    L_mp reads R, L_cp the exchanged R. A masked row without a partner is the same row in both: it is predicted once
    and weighs 1 + lambda.
    """
    r_ND = encode(model.base_model, batch.inputs, device)
    vectors, labels = r_ND.index_select(0, tensor(batch.positions, device)), tensor(batch.labels, device)
    rows, count = len(labels), max(batch.predicted, 1)
    weights = torch.full((rows,), 1 / count, dtype=torch.promote_types(vectors.dtype, torch.float32), device=device)
    alone = torch.ones_like(weights)
    if cross_weight:
        aligned = tensor(batch.edges.aligned, device)
        alone[aligned] = 0
        vectors = torch.cat([vectors, exchanged(r_ND, batch, device).to(vectors.dtype)])
        labels = torch.cat([labels, labels[aligned]])
        weights = torch.cat([weights * (1 + cross_weight * alone), weights[: len(aligned)] * cross_weight])
    transform, decoder = head.parts(model)
    total, losses = head.linear_cross_entropy(transform(vectors), decoder.weight, decoder.bias, labels, weights)
    parts = {"mp": losses[:rows].sum() / count}
    if cross_weight:
        parts["cp"] = ((losses[:rows] * alone).sum() + losses[rows:].sum()) / count
    return Loss(total, parts)


class MaskedPrediction:
    """mlm on passages or on the sides of pairs; tlm and weam on concatenated pairs."""

    def __init__(self, model: Any, template: Template, settings: Masking, objective: str) -> None:
        self.model, self.template, self.settings, self.joint = model, template, settings, objective != "mlm"
        self.weam = settings if isinstance(settings, Weam) and settings.cross_weight else None
        self.whole_words = isinstance(settings, Mlm) and settings.mask_unit == "word"
        self.flops = Flops(model.config)

    @property
    def names(self) -> tuple[str, ...]:
        return ("mp", "cp") if self.weam else ("mp",)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of pair shards that are used beside the texts."""
        words = ("source_word", "target_word") if self.whole_words else ()
        return (*words, "link_source", "link_target") if self.weam else words

    def collate(
        self, rows: Rows, index: Ints, parts: Sequence[Ints], generator: np.random.Generator
    ) -> list[tuple[MaskedBatch, Work]]:
        layout, masks = self.masks(rows, index, generator)
        sides = len(layout.inputs.lengths) // len(index)
        found = []
        for part in parts:
            sequences = np.concatenate([part + side * len(index) for side in range(sides)])
            batch = masked_part(masks, sequences)
            if self.weam is not None:
                links = (rows.ragged("link_source", index[part]), rows.ragged("link_target", index[part]))
                batch = batch._replace(edges=pair_edges(layout, links, batch, part, self.weam.exchange))
            predicted = len(batch.positions) + len(batch.edges.aligned)
            flops = TRAINING * (self.flops.encoder(batch.inputs.lengths) + self.flops.head(predicted))
            found.append((batch, Work(len(part), int(batch.inputs.lengths.sum()), predicted, flops)))
        return found

    def masks(self, rows: Rows, index: Ints, generator: np.random.Generator) -> tuple[Layout, Masks]:
        """The whole batch with its masks. Of pairs that are not joint, first all source, then all target sides."""
        if "ids" in rows.names:
            first, second = rows.ragged("ids", index), None
        else:
            first, second = rows.ragged("source_ids", index), rows.ragged("target_ids", index)
        words = None
        if self.whole_words:
            words = word_ids(rows, index, self.joint)
        if second is not None and not self.joint:
            first, second = Ragged(*(np.concatenate(both) for both in zip(first, second, strict=True))), None
        layout = lay_out(first, second, self.template)
        return layout, mask(layout, self.template, self.settings, generator, words)

    def loss(self, batch: MaskedBatch, device: torch.device) -> Loss:
        return masked_loss(self.model, batch, device, self.weam.cross_weight if self.weam else 0.0)


def word_vectors(r_ND: Tensor, spans: Tensor, how: str) -> Tensor:
    """One vector per span (first, last): the first or last sub-word's, or the mean. [K, D]"""
    if how != "mean":
        return r_ND.index_select(0, spans[:, 1] if how == "last" else spans[:, 0])
    lengths = spans[:, 1] - spans[:, 0] + 1
    owner = torch.repeat_interleave(torch.arange(len(spans), device=spans.device), lengths)
    starts = torch.cumsum(lengths, 0) - lengths
    places = spans[owner, 0] + torch.arange(len(owner), device=spans.device) - starts[owner]
    total = torch.zeros(len(spans), r_ND.shape[1], dtype=r_ND.dtype, device=r_ND.device)
    return total.index_add(0, owner, r_ND.index_select(0, places)) / lengths.unsqueeze(1).to(r_ND.dtype)


def word_align_loss(model: Any, frozen: Any, batch: WordBatch, device: torch.device, settings: WordAlign) -> Loss:
    """MSE(f(t), f(s)) over links + mu MSE(f(s), f_0(s)) over English words (Cao, Kitaev and Klein 2020).

    Each MSE is a mean over the vectors of the global batch and their dimensions. One pass for both languages, and one
    without gradients of the frozen model over English.
    """
    english = batch.inputs.part(np.arange(len(batch.inputs.lengths) // 2))
    r_ND = encode(model.base_model, batch.inputs, device)
    with torch.no_grad():
        initial_ND = encode(frozen, english, device)
    how, dimensions = settings.word_vector, r_ND.shape[1]
    links_s, links_t = tensor(batch.source_links, device), tensor(batch.target_links, device)
    words = tensor(batch.source_words, device)
    width, narrow = batch.inputs.ids.shape[1], english.ids.shape[1]
    same = torch.div(words, width, rounding_mode="floor") * narrow + words % width
    apart = full(word_vectors(r_ND, links_t, how) - word_vectors(r_ND, links_s, how))
    moved = full(word_vectors(r_ND, words, how) - word_vectors(initial_ND, same, how))
    align = apart.pow(2).sum() / (max(batch.links, 1) * dimensions)
    stay = moved.pow(2).sum() / (max(batch.words, 1) * dimensions)
    return Loss(align + settings.regularisation * stay, {"align": align.detach(), "stay": stay.detach()})


class WordAlignment:
    """word_align; pairs of more than ``max_words`` words on a side keep their place in the order, but do not count.

    A batch of nothing else is a step with a gradient of 0.
    """

    names = ("align", "stay")
    columns = tuple(
        f"{head}{side}{tail}"
        for side in ("source", "target")
        for head, tail in (("", "_word"), ("", "_words"), ("", "_whole"), ("one_", ""))
    )

    def __init__(self, model: Any, template: Template, settings: WordAlign) -> None:
        self.model, self.template, self.settings = model, template, settings
        self.frozen = copy.deepcopy(model.base_model).eval().requires_grad_(False)
        encoder = {id(parameter) for parameter in model.base_model.parameters()}
        for parameter in model.parameters():  # the prediction head has no part in this
            parameter.requires_grad_(id(parameter) in encoder)
        self.flops = Flops(model.config)

    def collate(
        self, rows: Rows, index: Ints, parts: Sequence[Ints], generator: np.random.Generator
    ) -> list[tuple[WordBatch, Work]]:
        del generator
        words = np.maximum(rows.integers("source_words", index), rows.integers("target_words", index))
        short = words <= self.settings.max_words
        place = np.cumsum(short) - 1
        kept = [place[part[short[part]]] for part in parts]
        batches = word_batches(rows, index[short], kept, self.template)
        found = []
        for part, batch in zip(kept, batches, strict=True):
            lengths = batch.inputs.lengths
            flops = TRAINING * self.flops.encoder(lengths) + self.flops.encoder(lengths[: len(part)])
            found.append((batch, Work(len(part), int(lengths.sum()), len(batch.source_links), flops)))
        return [(batch, work) for batch, work in found if work.examples]

    def loss(self, batch: WordBatch, device: torch.device) -> Loss:
        return word_align_loss(self.model, self.frozen, batch, device, self.settings)
