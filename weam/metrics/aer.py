"""Alignment error rate against links marked sure or possible (Och & Ney, Computational Linguistics 29(1), 2003)."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple

Link = tuple[int, int]
Links = Set[Link]


class AlignmentScore(NamedTuple):
    """Shares between 0 and 1 over all links of all sentences."""

    aer: float
    precision: float
    recall: float


def score_links(sentences: Iterable[tuple[Links, Links, Links]]) -> AlignmentScore:
    """Score (found, sure, possible) links of each sentence.

    With A found, S sure and P possible links, S being part of P (it is added here if it is not):
    precision = |A & P| / |A|, recall = |A & S| / |S|, AER = 1 - (|A & S| + |A & P|) / (|A| + |S|).
    Without any found link the precision is 1, without any sure link the recall is 1, without both the AER is 0.
    """
    found_total = sure_total = found_sure = found_possible = 0
    for found, sure, possible in sentences:
        found_total += len(found)
        sure_total += len(sure)
        found_sure += len(found & sure)
        found_possible += len(found & (sure | possible))
    return AlignmentScore(
        aer=1 - (found_sure + found_possible) / (found_total + sure_total) if found_total + sure_total else 0.0,
        precision=found_possible / found_total if found_total else 1.0,
        recall=found_sure / sure_total if sure_total else 1.0,
    )
