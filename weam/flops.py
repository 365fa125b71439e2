"""Floating-point operations that a model needs for real tokens and predicted rows (a multiply-add is two).

Padding, and whatever else an implementation does beyond that, does not count.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from weam.batches import Ints

TRAINING = 3
"""Forward and backward together, in units of forward: the gradients of inputs and of weights cost a forward each."""


class Flops:
    """Forward cost of a BERT-like model of this configuration."""

    def __init__(self, config: Any) -> None:
        self.layers, self.width = int(config.num_hidden_layers), int(config.hidden_size)
        self.inner, self.vocabulary = int(config.intermediate_size), int(config.vocab_size)

    def encoder(self, lengths: Ints | Sequence[float]) -> float:
        """Of sequences of these lengths: four projections, two feed-forward layers, two attention products."""
        tokens, squares = float(np.sum(lengths)), float(np.sum(np.square(lengths, dtype=np.float64)))
        dense = 2 * (4 * self.width**2 + 2 * self.width * self.inner)
        return self.layers * (dense * tokens + 4 * self.width * squares)

    def head(self, rows: int) -> float:
        """Of the prediction of this many tokens: the transform and the vocabulary."""
        return 2.0 * rows * self.width * (self.width + self.vocabulary)


def parameters(config: Any) -> int:
    """Parameters of a BERT-like model with its prediction head, whose output layer is that of the embeddings."""
    width, inner = int(config.hidden_size), int(config.intermediate_size)
    layer = 4 * (width**2 + width) + 2 * width * inner + inner + width + 4 * width
    rows = int(config.vocab_size) + int(config.max_position_embeddings) + 2
    return (
        rows * width + 2 * width + int(config.num_hidden_layers) * layer + width**2 + 3 * width + int(config.vocab_size)
    )


def measured_peak(device: torch.device, precision: str) -> float:
    """FLOP/s of a large matrix product on ``device`` (about 0.1 s; no random numbers are used up)."""
    size = 8192 if device.type == "cuda" else 768
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(5):
        _wait(device)
        start = time.perf_counter()
        torch.mm(a, a)
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
