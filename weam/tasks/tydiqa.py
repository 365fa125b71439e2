"""TyDiQA-GoldP (Clark et al. 2020, arXiv 2003.05002): questions asked in the language itself, on one passage.

Published averages differ: the official one leaves English out, XTREME's takes it in. The tables print both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weam.metrics import qa
from weam.metrics.items import Items
from weam.readers.qa import QAExample, read_diagonal
from weam.tasks import Cell, Task


def _items(cell: Cell, examples: Sequence[QAExample], predictions: Mapping[str, str]) -> Items:
    found = qa.items(examples, predictions, "squad", cell[0])
    return found._replace(ids=[f"{cell[0]} {name}" for name in found.ids])  # not parallel: no question has translations


TASK = Task(
    title="TyDiQA-GoldP",
    family="qa",
    formats=("tydiqa",),
    languages=("en", "ar", "bn", "fi", "id", "ko", "ru", "sw", "te"),
    splits=("test", "held-out"),
    metrics=("f1", "em"),
    described="F1/exact match of the SQuAD v1.1 metric (English normalisation in all languages)",
    unit="questions",
    read=read_diagonal,
    items=_items,
)
