"""Natural language inference: premise and hypothesis as one sequence, three labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from weam.batches import Ints, length_batches
from weam.config import Nli
from weam.modeling import NLI_LABELS
from weam.objectives import Loss, full, tensor
from weam.pairs import join
from weam.progress import Progress
from weam.readers.nli import NLIExample
from weam.shards import truncated_lengths
from weam.subwords import Subwords, Template


class Features(NamedTuple):
    """Tokenised pairs; the longer side is cut to fit."""

    premises: list[list[int]]
    hypotheses: list[list[int]]
    labels: Ints
    template: Template

    @property
    def lengths(self) -> Ints:
        return np.array([len(p) + len(h) for p, h in zip(self.premises, self.hypotheses, strict=True)], dtype=np.int64)


def featurise(examples: Sequence[NLIExample], subwords: Subwords, settings: Nli) -> Features:
    """Tokenise examples."""
    room = settings.max_length - subwords.template.pair_overhead
    premises, hypotheses = [], []
    encoded = zip(
        subwords.encode([example.premise for example in examples]),
        subwords.encode([example.hypothesis for example in examples]),
        strict=True,
    )
    for premise, hypothesis in encoded:
        keep_p, keep_h = truncated_lengths(len(premise.ids), len(hypothesis.ids), room)
        premises.append(premise.ids[:keep_p])
        hypotheses.append(hypothesis.ids[:keep_h])
    labels = np.array([NLI_LABELS.index(example.label) for example in examples], dtype=np.int64)
    return Features(premises, hypotheses, labels, subwords.template)


def logits(model: Any, features: Features, index: Ints, device: torch.device) -> torch.Tensor:
    """[B, 3] scores in the order of NLI_LABELS."""
    inputs = join([features.premises[i] for i in index], [features.hypotheses[i] for i in index], features.template)
    arguments = {"input_ids": tensor(inputs.ids, device), "attention_mask": tensor(inputs.attention, device)}
    if inputs.segments is not None:
        arguments["token_type_ids"] = tensor(inputs.segments, device)
    scores: torch.Tensor = full(model(**arguments).logits)
    return scores


def loss(model: Any, features: Features, index: Ints, device: torch.device) -> Loss:
    """Cross-entropy summed over examples."""
    total = cross_entropy(
        logits(model, features, index, device), tensor(features.labels[index], device), reduction="sum"
    )
    return Loss(total, len(index), {})


def predict(
    model: Any,
    examples: Sequence[NLIExample],
    subwords: Subwords,
    settings: Nli,
    device: torch.device,
    progress: Progress,
) -> dict[str, str]:
    """The most probable label of every example, by id."""
    features = featurise(examples, subwords, settings)
    choice = np.zeros(len(examples), dtype=np.int64)
    for index in length_batches(features.lengths, 64):
        with torch.inference_mode():
            choice[index] = logits(model, features, index, device).argmax(dim=1).cpu().numpy()
        progress.step(len(index))
    return {example.id: NLI_LABELS[choice[i]] for i, example in enumerate(examples)}
