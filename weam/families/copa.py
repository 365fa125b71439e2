"""Choosing the more plausible of some sentences: a cause or an effect of a premise (XCOPA), an answer (Social IQa).

Each choice is one sequence ``prefix premise question middle choice suffix`` with one score, as in XTREME-R (Ruder et
al. 2021, arXiv 2104.07412). The releases of COPA and XCOPA only name the question (cause, effect): it is asked in
English in all languages, again as in XTREME-R, so that what was learned of it in English holds for every language.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn.functional import cross_entropy

from weam.batches import InMemory, Ints, Ragged, Rows, length_batches
from weam.collate import Sequences, lay_out
from weam.config import Copa
from weam.families.supervised import Batch, Supervised
from weam.links import truncated_lengths
from weam.modeling import Head
from weam.objectives import Loss, full, model_inputs, tensor
from weam.progress import Progress
from weam.readers.copa import ChoiceExample, read_train
from weam.subwords import Subwords, Template

__all__ = ["HEAD", "LABELS", "SETTINGS", "UNIT", "featurise", "objective", "predict", "read_train"]

SETTINGS = Copa
HEAD: Head = "choice"
LABELS: tuple[str, ...] = ()
UNIT = "examples"
QUESTIONS = {"cause": "What was the cause?", "effect": "What was the effect?"}
"""What the names of COPA's questions stand for; any other text is the question itself."""
TEXTS = ("first", "choices")
SCHEMA = pa.schema([(name, pa.list_(pa.int32())) for name in (*TEXTS, "lengths")] + [("label", pa.int32())])


def featurise(examples: Sequence[ChoiceExample], subwords: Subwords, settings: Copa) -> InMemory:
    """Tokenised examples: premise and question, and the choices one after the other with their lengths.

    All choices of an example go with the same premise. It, or the longest choices, are cut until all sequences fit; of
    the question, what is more than half of a sequence.
    """
    overhead = subwords.template.pair_overhead
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    premises = subwords.encode([example.premise for example in examples])
    asked = [QUESTIONS.get(example.question, example.question) for example in examples]
    known = list(dict.fromkeys(asked))
    questions = dict(zip(known, subwords.encode(known), strict=True))
    choices = iter(subwords.encode([choice for example in examples for choice in example.choices]))
    for example, premise, question in zip(examples, premises, asked, strict=True):
        ids = [next(choices).ids for _ in example.choices]
        tail = questions[question].ids[: (settings.max_length - overhead) // 2]
        room = settings.max_length - overhead - len(tail)
        keep_p, keep_c = truncated_lengths(len(premise.ids), max(map(len, ids)), room)
        columns["first"].append(premise.ids[:keep_p] + tail)
        columns["choices"].append([i for choice in ids for i in choice[:keep_c]])
        columns["lengths"].append([min(len(choice), keep_c) for choice in ids])
        columns["label"].append(example.label)
    return InMemory(pa.table(columns, schema=SCHEMA), TEXTS)


class Choice(Supervised):
    """The objective of fine-tuning: cross-entropy of the right one of an example's choices."""

    def inputs(self, rows: Rows, index: Ints) -> Sequences:
        return _inputs(rows, index, self.template)

    def targets(self, rows: Rows, index: Ints) -> tuple[Ints, ...]:
        return rows.integers("label", index), rows.ragged("lengths", index).lengths

    def loss(self, batch: Batch, device: torch.device) -> Loss:
        label, counts = batch.targets
        scores = _scores(self.model, batch.inputs, counts, device)
        return Loss(cross_entropy(scores, tensor(label, device), reduction="sum") / batch.size)


objective = Choice


def _inputs(rows: Rows, index: Ints, template: Template) -> Sequences:
    """[S, L] the sequences of all choices, example by example."""
    lengths = rows.ragged("lengths", index)
    choices = Ragged(rows.ragged("choices", index).values, lengths.values)
    return lay_out(rows.ragged("first", np.repeat(index, lengths.lengths)), choices, template).inputs


def _scores(model: Any, inputs: Sequences, counts: Ints, device: torch.device) -> torch.Tensor:
    """[B, C] scores of the choices; -inf where an example has fewer (``counts`` [B]) than others.

    The model's own forward pass wants the same number of choices of all examples.
    """
    pooled = model.base_model(**model_inputs(inputs, device)).pooler_output
    scores_S = full(model.classifier(model.dropout(pooled))).squeeze(1)
    there = np.arange(counts.max(initial=0)) < counts[:, None]
    scores_BC = torch.full((there.size,), -torch.inf, dtype=scores_S.dtype, device=device)
    return scores_BC.index_copy(0, tensor(np.flatnonzero(there), device), scores_S).view(there.shape)


def predict(
    model: Any,
    examples: Sequence[ChoiceExample],
    subwords: Subwords,
    settings: Copa,
    device: torch.device,
    progress: Progress,
) -> dict[str, int]:
    """The index of the best choice of every example, by id."""
    rows = Rows(featurise(examples, subwords, settings).table)
    best = np.zeros(len(examples), dtype=np.int64)
    for index in length_batches(rows.lengths("first") + rows.lengths("choices"), 32):
        counts = rows.ragged("lengths", index).lengths
        with torch.inference_mode():
            scores = _scores(model, _inputs(rows, index, subwords.template), counts, device)
        best[index] = scores.argmax(dim=1).cpu().numpy()
        progress.step(len(index))
    return {example.id: int(choice) for example, choice in zip(examples, best, strict=True)}
