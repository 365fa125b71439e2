"""Natural language inference: premise and hypothesis as one sequence, three labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn.functional import cross_entropy

from weam.batches import InMemory, Ints, Rows, length_batches
from weam.collate import Sequences, lay_out
from weam.config import Nli
from weam.families.supervised import Batch, Supervised
from weam.links import truncated_lengths
from weam.modeling import Head
from weam.objectives import Loss, full, model_inputs, tensor
from weam.progress import Progress
from weam.readers.nli import LABELS, NLIExample, read_train
from weam.subwords import Subwords, Template

__all__ = ["HEAD", "LABELS", "SETTINGS", "UNIT", "featurise", "objective", "predict", "read_train"]

SETTINGS = Nli
HEAD: Head = "sequence"
UNIT = "pairs"
TEXTS = ("premise", "hypothesis")
SCHEMA = pa.schema([(name, pa.list_(pa.int32())) for name in TEXTS] + [("label", pa.int32())])


def featurise(examples: Sequence[NLIExample], subwords: Subwords, settings: Nli) -> InMemory:
    """Tokenised examples; the longer side is cut to fit."""
    room = settings.max_length - subwords.template.pair_overhead
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    encoded = zip(
        subwords.encode([example.premise for example in examples]),
        subwords.encode([example.hypothesis for example in examples]),
        strict=True,
    )
    for premise, hypothesis in encoded:
        keep_p, keep_h = truncated_lengths(len(premise.ids), len(hypothesis.ids), room)
        columns["premise"].append(premise.ids[:keep_p])
        columns["hypothesis"].append(hypothesis.ids[:keep_h])
    columns["label"] = [LABELS.index(example.label) for example in examples]
    return InMemory(pa.table(columns, schema=SCHEMA), TEXTS)


class Inference(Supervised):
    """The objective of fine-tuning: cross-entropy of the label."""

    def inputs(self, rows: Rows, index: Ints) -> Sequences:
        return _inputs(rows, index, self.template)

    def targets(self, rows: Rows, index: Ints) -> tuple[Ints, ...]:
        return (rows.integers("label", index),)

    def loss(self, batch: Batch, device: torch.device) -> Loss:
        scores = _logits(self.model, batch.inputs, device)
        return Loss(cross_entropy(scores, tensor(batch.targets[0], device), reduction="sum") / batch.size)


objective = Inference


def _inputs(rows: Rows, index: Ints, template: Template) -> Sequences:
    return lay_out(rows.ragged("premise", index), rows.ragged("hypothesis", index), template).inputs


def _logits(model: Any, inputs: Sequences, device: torch.device) -> torch.Tensor:
    """[B, 3] scores in the order of LABELS."""
    scores: torch.Tensor = full(model(**model_inputs(inputs, device)).logits)
    return scores


def predict(
    model: Any,
    examples: Sequence[NLIExample],
    subwords: Subwords,
    settings: Nli,
    device: torch.device,
    progress: Progress,
) -> dict[str, str]:
    """The most probable label of every example, by id."""
    rows = Rows(featurise(examples, subwords, settings).table)
    choice = np.zeros(len(examples), dtype=np.int64)
    for index in length_batches(rows.lengths("premise") + rows.lengths("hypothesis"), 64):
        with torch.inference_mode():
            scores = _logits(model, _inputs(rows, index, subwords.template), device)
        choice[index] = scores.argmax(dim=1).cpu().numpy()
        progress.step(len(index))
    return {example.id: LABELS[choice[i]] for i, example in enumerate(examples)}
