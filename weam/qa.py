"""Question answering: windows over long contexts, training targets, and answers cut by character offsets.

A window is ``prefix question middle context[a:b] suffix``. Windows start every ``window_step`` sub-words of the context
(a step, not an overlap). Answers are cut from the context by character offsets, never joined from tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from weam.batches import Ints, length_batches
from weam.config import Qa
from weam.errors import UserError
from weam.objectives import Loss, full, tensor
from weam.pairs import Sequences, join
from weam.progress import Progress
from weam.readers.qa import QAExample
from weam.subwords import Subwords, Template


class Window(NamedTuple):
    """One piece of a context together with its question."""

    example: int
    question: list[int]
    context: list[int]
    offsets: list[tuple[int, int]]
    """characters of the full context that each sub-word of the piece covers"""
    start: int
    """position in the sequence of the answer's first sub-word; 0 if the answer is not in this window"""
    end: int


class Features(NamedTuple):
    """Windows of many examples."""

    windows: list[Window]
    template: Template

    @property
    def lengths(self) -> Ints:
        return np.array([len(w.question) + len(w.context) for w in self.windows], dtype=np.int64)

    def context_start(self, window: Window) -> int:
        """Position of the first context sub-word in the sequence."""
        return len(self.template.prefix) + len(window.question) + len(self.template.middle)

    def inputs(self, index: Ints) -> Sequences:
        chosen = [self.windows[i] for i in index]
        return join([w.question for w in chosen], [w.context for w in chosen], self.template)


def featurise(examples: Sequence[QAExample], subwords: Subwords, settings: Qa) -> Features:
    """Cut examples into windows; the target is the first gold answer."""
    template = subwords.template
    windows = []
    contexts = list(dict.fromkeys(example.context for example in examples))
    encoded = dict(zip(contexts, subwords.encode(contexts), strict=True))
    questions = subwords.encode([example.question for example in examples])
    for number, (example, question_encoding) in enumerate(zip(examples, questions, strict=True)):
        question = question_encoding.ids[: settings.max_question_length]
        encoding = encoded[example.context]
        room = settings.max_length - template.pair_overhead - len(question)
        if room < 1:
            raise UserError(
                f"finetune.qa.max_length {settings.max_length} leaves no room beside a question of {len(question)} "
                "sub-words; raise it or lower max_question_length"
            )
        first, last = _answer_tokens(example, encoding.offsets)
        step = min(settings.window_step, room)
        base = len(template.prefix) + len(question) + len(template.middle)
        for a in range(0, max(len(encoding.ids), 1), step):
            b = min(a + room, len(encoding.ids))
            inside = first >= a and last < b and first >= 0
            windows.append(
                Window(
                    number,
                    question,
                    encoding.ids[a:b],
                    encoding.offsets[a:b],
                    base + first - a if inside else 0,
                    base + last - a if inside else 0,
                )
            )
            if b == len(encoding.ids):
                break
    return Features(windows, template)


def _answer_tokens(example: QAExample, offsets: list[tuple[int, int]]) -> tuple[int, int]:
    """First and last sub-word that share a character with the first gold answer; (-1, -1) if there are none."""
    if not example.answers:
        return -1, -1
    text, start = example.answers[0]
    end = start + len(text)
    touched = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
    return (touched[0], touched[-1]) if touched else (-1, -1)


def loss(model: Any, features: Features, index: Ints, device: torch.device) -> Loss:
    """Mean of the cross-entropies of start and end, summed over windows."""
    starts, ends = _logits(model, features.inputs(index), device)
    chosen = [features.windows[i] for i in index]
    start = tensor(np.array([w.start for w in chosen]), device)
    end = tensor(np.array([w.end for w in chosen]), device)
    total = (cross_entropy(starts, start, reduction="sum") + cross_entropy(ends, end, reduction="sum")) / 2
    return Loss(total, len(chosen), {})


def _logits(model: Any, inputs: Sequences, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    arguments = {"input_ids": tensor(inputs.ids, device), "attention_mask": tensor(inputs.attention, device)}
    if inputs.segments is not None:
        arguments["token_type_ids"] = tensor(inputs.segments, device)
    output = model(**arguments)
    padding = arguments["attention_mask"] == 0
    return (
        full(output.start_logits).masked_fill(padding, -1e9),
        full(output.end_logits).masked_fill(padding, -1e9),
    )


def best_spans(starts: Any, ends: Any, allowed: Any, longest: int) -> tuple[Any, Any, Any]:
    """The best span of at most ``longest`` sub-words in every row.

    Args:
        starts, ends: [B, L] logits.
        allowed: [B, L] bool, positions that may be part of an answer.
        longest: most sub-words of an answer.

    Returns:
        First position [B], last position [B] and score [B]; score -inf if nothing is allowed. Ties: the shorter span,
        then the earlier one.
    """
    starts = np.where(allowed, starts, -np.inf)
    ends = np.where(allowed, ends, -np.inf)
    rows = np.arange(len(starts))
    best = np.full(len(starts), -np.inf)
    first, last = np.zeros(len(starts), dtype=np.int64), np.zeros(len(starts), dtype=np.int64)
    for extra in range(min(longest, starts.shape[1])):
        scores = starts[:, : starts.shape[1] - extra] + ends[:, extra:]
        place = scores.argmax(axis=1)
        better = scores[rows, place] > best
        best = np.where(better, scores[rows, place], best)
        first, last = np.where(better, place, first), np.where(better, place + extra, last)
    return first, last, best


def predict(
    model: Any,
    examples: Sequence[QAExample],
    subwords: Subwords,
    settings: Qa,
    device: torch.device,
    progress: Progress,
) -> dict[str, str]:
    """Answer every example; the best-scored span over its windows. Returns id to answer text."""
    features = featurise(examples, subwords, settings)
    scores = np.full(len(examples), -np.inf)
    answers = [""] * len(examples)
    left = np.bincount([window.example for window in features.windows], minlength=len(examples))
    for index in length_batches(features.lengths, 64):
        inputs = features.inputs(index)
        with torch.inference_mode():
            start, end = _logits(model, inputs, device)
        allowed = np.zeros(inputs.ids.shape, dtype=bool)
        for row, i in enumerate(index):
            place = features.context_start(features.windows[i])
            allowed[row, place : place + len(features.windows[i].context)] = True
        first, last, best = best_spans(start.cpu().numpy(), end.cpu().numpy(), allowed, settings.max_answer_length)
        for row, i in enumerate(index):
            window = features.windows[i]
            if best[row] > scores[window.example]:
                scores[window.example] = best[row]
                place = features.context_start(window)
                a, b = window.offsets[first[row] - place][0], window.offsets[last[row] - place][1]
                answers[window.example] = examples[window.example].context[a:b].strip()
        before = np.count_nonzero(left)
        np.subtract.at(left, [features.windows[i].example for i in index], 1)
        progress.step(int(before - np.count_nonzero(left)))  # questions whose last window is done
    return {example.id: answer for example, answer in zip(examples, answers, strict=True)}
