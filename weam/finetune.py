"""Fine-tune a model on question answering or inference: in English (zero-shot) or on translations (translate-train)."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weam import modeling, nli, qa
from weam.batches import Ints
from weam.config import Nli, Qa
from weam.errors import UserError
from weam.io import sha256
from weam.objectives import Loss
from weam.readers import Release
from weam.readers import nli as nli_reader
from weam.readers import qa as qa_reader
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.train import add_training_arguments, finish, set_device, train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", required=True, choices=["qa", "nli"], help="kind of task")
    parser.add_argument("--model", required=True, type=Path, help="model folder to start from")
    parser.add_argument(
        "--manifest", required=True, type=Path, action="append", help="manifest of a source of training data (repeat)"
    )
    parser.add_argument("--language", required=True, help="language of the training data")
    parser.add_argument("--settings", help="fine-tuning settings: inline JSON or a file")
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Qa, args.settings) if args.family == "qa" else read_settings(Nli, args.settings)
    device = set_device(args)
    examples, steps = read_examples(args, settings)
    report = ", ".join(f"{step.get('rows', step.get('removed'))} {step['step']}" for step in steps)
    print(f"finetune {args.family} {args.language}: examples: {report}", file=sys.stderr)
    subwords = Subwords(args.model)
    torch.manual_seed(args.seed)
    model = modeling.load(args.model, args.family).to(device)
    if settings.max_length > modeling.max_length(model):
        raise UserError(
            f"finetune.{args.family}.max_length {settings.max_length} is more than the {modeling.max_length(model)} "
            f"positions of {args.model}; lower it"
        )
    compute: Any
    if isinstance(settings, Qa):
        features: Any = qa.featurise(examples, subwords, settings)
        compute = partial(qa.loss, model, features)
    else:
        features = nli.featurise(examples, subwords, settings)
        compute = partial(nli.loss, model, features)

    def loss_of(index: Ints, generator: np.random.Generator) -> Loss:
        result: Loss = compute(index, device)
        return result

    weights = sha256(args.model / "model.safetensors")
    releases = [[path.parent.parent.name, sha256(path)] for path in args.manifest]
    summary, metrics = train(
        name=f"finetune {args.family} {args.language}",
        model=model,
        lengths=features.lengths,
        loss_of=loss_of,
        settings=settings,
        seed=args.seed,
        work=args.work,
        identity={
            "stage": "finetune",
            "family": args.family,
            "language": args.language,
            "model": weights,
            "tokenizer": subwords.sha256,
            "data": releases,
        },
        device=device,
    )
    training: dict[str, Any] = {"stage": "finetune", "family": args.family, "language": args.language}
    training |= {"seed": args.seed, "data": {"corpus": f"{args.family}-{args.language}", "steps": steps}} | summary
    training |= {"settings": settings.model_dump(), "model": weights, "sources": releases}
    modeling.save(model, args.model, args.out, training, metrics)
    finish(args.work)


def read_examples(args: argparse.Namespace, settings: Qa | Nli) -> tuple[list[Any], list[dict[str, Any]]]:
    """The training examples of all sources, one after the other, and the counts of what was dropped and why."""
    reader: Any = qa_reader if args.family == "qa" else nli_reader
    examples: list[Any] = []
    totals: dict[str, dict[str, int]] = {"read": {}}
    for path in args.manifest:
        part, steps = reader.read_train(Release(path), args.language)
        examples += part
        for step in steps[:-1]:  # the last one is what is kept
            total = totals.setdefault(step["step"], {})
            for key, count in step.items():
                if key != "step":
                    total[key] = total.get(key, 0) + count
    if settings.max_examples is not None and len(examples) > settings.max_examples:
        totals["over max_examples"] = {"removed": len(examples) - settings.max_examples}
        examples = examples[: settings.max_examples]
    funnel: list[dict[str, Any]] = [{"step": name} | total for name, total in totals.items()]
    return examples, [*funnel, {"step": "kept", "rows": len(examples)}]
