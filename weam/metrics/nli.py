"""Accuracy of natural language inference (XNLI: Conneau et al. 2018, arXiv 1809.05053)."""

from __future__ import annotations

from collections.abc import Sequence

from weam.errors import UserError


def accuracy(golds: Sequence[str], predictions: Sequence[str]) -> float:
    """Share of ``predictions`` equal to ``golds`` × 100, compared by label name, example by example.

    No examples, and gold labels that are all the same (a test set with hidden labels), are a `UserError`.
    """
    if len(golds) != len(predictions):
        raise ValueError(f"{len(golds)} gold labels but {len(predictions)} predictions")
    if not golds:
        raise UserError("there are no examples to score; check the test files and the languages")
    if len(set(golds)) == 1:
        raise UserError(
            f"all {len(golds)} gold labels are {golds[0]!r}, as in a test set with hidden labels; "
            "score a release with labels"
        )
    return 100 * sum(gold == prediction for gold, prediction in zip(golds, predictions, strict=True)) / len(golds)
