"""Cross-entropy behind a large output layer, a few rows at a time: the logits of all rows never exist at once.

Shapes: R rows, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_LOGITS = {"cpu": 1 << 24, "cuda": 1 << 29}
"""Logits that are in memory at the same time."""
ALIGN = 64
"""Matrix units want sizes that are multiples of this; the vocabulary is padded inside."""


def parts(model: Any) -> tuple[Any, Any]:
    """Transform ([M, D] to [M, D]) and output layer of a BERT- or XLM-R-like masked language model."""
    if hasattr(model, "cls"):
        return model.cls.predictions.transform, model.cls.predictions.decoder
    head = model.lm_head

    def transform(r_MD: Tensor) -> Tensor:
        transformed: Tensor = head.layer_norm(torch.nn.functional.gelu(head.dense(r_MD)))
        return transformed

    return transform, head.decoder


def linear_cross_entropy(
    h_RD: Tensor, w_VD: Tensor, bias_V: Tensor, targets_R: Tensor, weights_R: Tensor, rows: int | None = None
) -> tuple[Tensor, Tensor]:
    """``sum_r weights_r * cross_entropy(h_r W^T + bias, target_r)``, and the losses of the rows without gradient.

    Gradients are computed in the forward pass, ``rows`` rows at a time (default: by :data:`CHUNK_LOGITS`). Under
    autocast the products are in its type; the softmax and the sums are at least in float32.
    """
    if rows is None:
        rows = max(1, CHUNK_LOGITS.get(h_RD.device.type, 1 << 24) // len(w_VD))
    result: tuple[Tensor, Tensor] = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        h_RD, w_VD, bias_V, targets_R, weights_R, rows
    )
    return result


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, h_RD: Tensor, w_VD: Tensor, bias_V: Tensor, targets_R: Tensor, weights_R: Tensor, rows: int
    ) -> tuple[Tensor, Tensor]:
        kind = h_RD.device.type
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else h_RD.dtype
        full = torch.promote_types(w_VD.dtype, torch.float32)
        wanted = any(ctx.needs_input_grad[:3])
        size = len(w_VD)
        with torch.autocast(kind, enabled=False), torch.no_grad():
            h, w, bias = _padded(h_RD.to(low), w_VD, bias_V, low)
            losses = torch.empty(len(h), dtype=full, device=h.device)
            grad_h = torch.empty_like(h) if wanted else None
            grad_w = torch.zeros_like(w, dtype=full) if wanted else None
            grad_b = torch.zeros_like(bias, dtype=full) if wanted else None
            for start in range(0, len(h), rows):
                part, target = h[start : start + rows], targets_R[start : start + rows].unsqueeze(1)
                logits = torch.addmm(bias, part, w.T).to(full)
                norm = torch.logsumexp(logits, 1, keepdim=True)
                losses[start : start + rows] = (norm - logits.gather(1, target)).squeeze(1)
                if grad_h is None or grad_w is None or grad_b is None:
                    continue
                weight = weights_R[start : start + rows].to(full).unsqueeze(1)
                slope = logits.sub_(norm).exp_().mul_(weight).scatter_add_(1, target, -weight)
                grad_b += slope.sum(0)
                slope = slope.to(low)
                torch.mm(slope, w, out=grad_h[start : start + rows])
                if low == full:
                    grad_w.addmm_(slope.T, part)
                else:
                    grad_w += slope.T @ part
        if grad_h is not None and grad_w is not None and grad_b is not None:
            ctx.gradients = (grad_h.to(h_RD.dtype), grad_w[:size], grad_b[:size])
        total = (losses * weights_R.to(full)).sum()
        ctx.mark_non_differentiable(losses)
        return total, losses

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        slope = slopes[0]
        if ctx.gradients is None:
            raise RuntimeError("the gradients of linear_cross_entropy can be taken only once")
        grads = ctx.gradients
        ctx.gradients = None
        return (*(grad.mul_(slope.to(grad.dtype)) for grad in grads), None, None, None)


def _padded(h: Tensor, w: Tensor, bias: Tensor, low: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Half-precision copies on a GPU get a vocabulary of a size that its matrix units like; no word of it is likely."""
    if low == w.dtype:
        return h, w, bias
    extra = -len(w) % ALIGN if h.device.type == "cuda" else 0
    padding = (0, 0, 0, extra)
    return (
        h,
        torch.nn.functional.pad(w.to(low), padding),
        torch.nn.functional.pad(bias.to(low), (0, extra), value=-30000.0),
    )
