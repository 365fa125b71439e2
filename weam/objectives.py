"""The objectives: small functions from a model and a batch to a sum of losses and the number of rows it is over.

Shapes: B sequences, L positions, D width, M masked rows, E edges to aligned partners, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from weam.batches import Ints
from weam.config import WordAlign
from weam.pairs import MaskedBatch, Sequences, WordBatch


@dataclass(frozen=True)
class Loss:
    """``total / count`` is the loss of the batch; ``parts`` are shown in the log (means over the batch)."""

    total: Tensor
    count: int
    parts: dict[str, Tensor]


def tensor(array: Ints, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def full(values: Tensor) -> Tensor:
    """At least float32: losses are not summed in half precision."""
    return values.float() if values.element_size() < 4 else values


def encode(encoder: Any, inputs: Sequences, device: torch.device) -> Tensor:
    """Last-layer vectors, flat: [B * L, D]."""
    arguments = {"input_ids": tensor(inputs.ids, device), "attention_mask": tensor(inputs.attention, device)}
    if inputs.segments is not None:
        arguments["token_type_ids"] = tensor(inputs.segments, device)
    h_BLD: Tensor = encoder(**arguments).last_hidden_state
    return h_BLD.reshape(-1, h_BLD.shape[-1])


def head(model: Any) -> Any:
    """The masked-prediction head of a BERT- or XLM-R-like masked language model: [M, D] to [M, V]."""
    return model.cls if hasattr(model, "cls") else model.lm_head


def exchanged(r_ND: Tensor, rows: Tensor, partners: Tensor, count: int, how: str) -> tuple[Tensor, Tensor]:
    """What masked sub-words receive from their aligned partners (10-model, step 3), for those that have any.

    Args:
        r_ND: vectors of all positions.
        rows: [E] masked row of each edge, sorted.
        partners: [E] position of its partner.
        count: M, the number of masked rows.
        how: ``mean`` over all partners, or the ``first`` (leftmost) partner.

    Returns:
        The aligned rows [A] (sorted) and their exchanged vectors [A, D].
    """
    degree = torch.bincount(rows, minlength=count)
    aligned = torch.nonzero(degree).squeeze(1)
    if how == "first":
        starts = torch.cumsum(degree, 0) - degree
        return aligned, r_ND[partners[starts[aligned]]]
    total = torch.zeros(count, r_ND.shape[1], dtype=r_ND.dtype, device=r_ND.device)
    total = total.index_add(0, rows, r_ND[partners])
    return aligned, total[aligned] / degree[aligned].unsqueeze(1).to(r_ND.dtype)


def masked_loss(
    model: Any, batch: MaskedBatch, device: torch.device, cross_weight: float = 0.0, exchange: str = "mean"
) -> Loss:
    """Masked prediction; with ``cross_weight`` (lambda) above 0, WEAM; with 0, MLM or TLM, bit for bit.

    L = L_mp + lambda L_cp, both sums over the same M masked rows with the original token as label. L_mp reads R, L_cp
    the exchanged R; a masked row without a partner is the same row in both, so its loss is computed once and counted
    twice.
    """
    r_ND = encode(model.base_model, batch.inputs, device)
    positions, labels = tensor(batch.positions, device), tensor(batch.labels, device)
    predict = head(model)
    own_M = cross_entropy(full(predict(r_ND[positions])), labels, reduction="none")
    multilingual = own_M.sum()
    count = len(labels)
    if not cross_weight:
        return Loss(multilingual, count, {"mp": multilingual.detach() / max(count, 1)})
    rows, partners = tensor(batch.partner_row, device), tensor(batch.partner_position, device)
    aligned, swapped_AD = exchanged(r_ND, rows, partners, count, exchange)
    alone = torch.ones(count, dtype=torch.bool, device=device)
    alone[aligned] = False
    cross = own_M[alone].sum()
    if len(aligned):
        cross = cross + cross_entropy(full(predict(swapped_AD)), labels[aligned], reduction="sum")
    parts = {"mp": multilingual.detach() / max(count, 1), "cp": cross.detach() / max(count, 1)}
    return Loss(multilingual + cross_weight * cross, count, parts)


def word_vectors(r_ND: Tensor, spans: Tensor, how: str) -> Tensor:
    """One vector per span (first, last): the first or last sub-word's, or the mean. [K, D]"""
    if how != "mean":
        return r_ND[spans[:, 1] if how == "last" else spans[:, 0]]
    lengths = spans[:, 1] - spans[:, 0] + 1
    owner = torch.repeat_interleave(torch.arange(len(spans), device=spans.device), lengths)
    starts = torch.cumsum(lengths, 0) - lengths
    places = spans[owner, 0] + torch.arange(len(owner), device=spans.device) - starts[owner]
    total = torch.zeros(len(spans), r_ND.shape[1], dtype=r_ND.dtype, device=r_ND.device)
    return total.index_add(0, owner, r_ND[places]) / lengths.unsqueeze(1).to(r_ND.dtype)


def word_align_loss(model: Any, frozen: Any, batch: WordBatch, device: torch.device, settings: WordAlign) -> Loss:
    """MSE(f(t), f(s)) over links + mu MSE(f(s), f_0(s)) over English words (Cao, Kitaev and Klein 2020).

    The count is 1 and the total already a mean: the two terms are over different numbers of vectors.
    """
    source_ND = encode(model.base_model, batch.source, device)
    target_ND = encode(model.base_model, batch.target, device)
    with torch.no_grad():
        initial_ND = encode(frozen, batch.source, device)
    how = settings.word_vector
    links_s, links_t = tensor(batch.source_links, device), tensor(batch.target_links, device)
    words = tensor(batch.source_words, device)
    align = full(word_vectors(target_ND, links_t, how) - word_vectors(source_ND, links_s, how)).pow(2).mean()
    stay = full(word_vectors(source_ND, words, how) - word_vectors(initial_ND, words, how)).pow(2).mean()
    loss = align + settings.regularisation * stay
    return Loss(loss, 1, {"align": align.detach(), "stay": stay.detach()})
