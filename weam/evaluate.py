"""Predict and score a fine-tuned model in all its languages in one job: loading costs more than predicting."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Literal

import torch

from weam import modeling, nli, qa
from weam.config import FAMILY, Nli, Qa
from weam.errors import UserError
from weam.io import atomic_path, read_object, write_json
from weam.metrics import nli as nli_metric
from weam.metrics import qa as qa_metric
from weam.processes import add_device_arguments, set_device
from weam.progress import Progress
from weam.readers import Release
from weam.readers import nli as nli_reader
from weam.readers import qa as qa_reader
from weam.settings import read_settings
from weam.subwords import Subwords

METRIC: dict[str, Literal["mlqa", "squad"]] = {"mlqa": "mlqa", "xquad": "squad"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, choices=FAMILY, help="task to score")
    parser.add_argument("--model", required=True, type=Path, help="fine-tuned model folder")
    parser.add_argument("--manifest", required=True, type=Path, help="manifest of the source of the test files")
    parser.add_argument("--split", required=True, choices=["test", "dev"], help="part of the source")
    parser.add_argument("--languages", required=True, nargs="+", help="languages to score")
    parser.add_argument("--settings", help="fine-tuning settings of the family: inline JSON or a file")
    parser.add_argument("--label", default="{}", help="JSON object copied into the scores (system, seeds, ...)")
    parser.add_argument("--out", required=True, type=Path, help="scores.json to make")
    parser.add_argument("--predictions", type=Path, help="folder to make: one file per cell")
    add_device_arguments(parser)


def run(args: argparse.Namespace) -> None:
    try:
        label = json.loads(args.label)
    except json.JSONDecodeError as error:
        raise UserError(f"--label: not valid JSON ({error}); give a JSON object") from None
    if not isinstance(label, dict):
        raise UserError(f"--label: holds a JSON {type(label).__name__}; give a JSON object")
    device = set_device(args.device, args.threads)
    family = FAMILY[args.task]
    require_finetuned(args.model, family)
    release = Release(args.manifest)
    subwords = Subwords(args.model)
    model = modeling.load(args.model, family, subwords).to(device).eval()
    settings = read_settings(Qa, args.settings) if family == "qa" else read_settings(Nli, args.settings)
    score_cells = _qa_cells if isinstance(settings, Qa) else _nli_cells
    cells, predictions = score_cells(args, release, model, subwords, settings, device)
    if args.predictions is not None:
        with atomic_path(args.predictions) as folder:
            folder.mkdir()
            for name, answers in predictions.items():
                write_json(folder / f"{name}.json", answers)
    write_json(args.out, {"task": args.task, "split": args.split, **label, "cells": cells})


def require_finetuned(model: Path, family: str) -> None:
    """A head that was never trained would be scored without a word: the folder must say that it was."""
    path = model / "training.json"
    training = read_object(path) if path.is_file() else {}
    if training.get("stage") != "finetune" or training.get("family") != family:
        raise UserError(f"{model}: was not fine-tuned on {family}; give a folder made by finetune --family {family}")


def _qa_cells(
    args: argparse.Namespace, release: Release, model: Any, subwords: Subwords, settings: Any, device: torch.device
) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    names = qa_reader.test_cells(release, args.split, args.languages)
    if not names:
        raise UserError(f"{args.manifest}: no {args.split} files for languages {' '.join(args.languages)}")
    cells, predictions = [], {}
    tests = {cell: qa_reader.read_test(release, args.split, *cell) for cell in names}
    with Progress(f"evaluate {args.task}", sum(map(len, tests.values())), "questions") as progress:
        for (context, question), examples in tests.items():
            answers = qa.predict(model, examples, subwords, settings, device, progress)
            scores = qa_metric.score(examples, answers, METRIC[args.task], context)
            cells.append({"context_lang": context, "question_lang": question, **scores})
            predictions[f"{args.split}-context-{context}-question-{question}"] = answers
    return cells, predictions


def _nli_cells(
    args: argparse.Namespace, release: Release, model: Any, subwords: Subwords, settings: Any, device: torch.device
) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    cells, predictions = [], {}
    tests = {language: nli_reader.read_test(release, args.split, language) for language in args.languages}
    with Progress(f"evaluate {args.task}", sum(map(len, tests.values())), "pairs") as progress:
        for language, examples in tests.items():
            answers = nli.predict(model, examples, subwords, settings, device, progress)
            accuracy = nli_metric.accuracy(
                [example.label for example in examples], [answers[example.id] for example in examples]
            )
            cells.append({"lang": language, "accuracy": accuracy, "n_examples": len(examples)})
            predictions[f"{args.split}-{language}"] = answers
    return cells, predictions
