"""The unmodified multilingual model: trained from scratch on running text, or a real one fetched by name.

From scratch it learns as mBERT did: by masked language modelling on single passages of all languages, never told which
of them, if any, are translations of each other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weam import modeling
from weam.batches import Ints
from weam.config import Backbone
from weam.errors import UserError
from weam.io import sha256
from weam.objectives import Loss, masked_loss
from weam.pairs import Shards, passage_batch
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.train import add_training_arguments, finish, set_device, train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokenizer", type=Path, help="tokenizer folder (from scratch)")
    parser.add_argument("--shards", type=Path, help="manifest of monolingual shards (from scratch)")
    parser.add_argument("--settings", help="backbone settings: inline JSON or a file")
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Backbone, args.settings)
    if settings.name_or_path is not None:
        fetch(settings.name_or_path, args.out)
        return
    if args.tokenizer is None or args.shards is None:
        raise UserError("training from scratch needs --tokenizer and --shards; or set backbone.name_or_path")
    device = set_device(args)
    subwords = Subwords(args.tokenizer)
    torch.manual_seed(args.seed)
    model = modeling.from_scratch(settings, subwords).to(device)
    shards = Shards(args.shards, "monolingual", subwords.sha256)
    if int(shards.manifest["max_length"]) > modeling.max_length(model):
        raise UserError(
            f"shards.max_length {shards.manifest['max_length']} is more than backbone.max_positions "
            f"{settings.max_positions}; change one"
        )

    def loss_of(index: Ints, generator: np.random.Generator) -> Loss:
        return masked_loss(model, passage_batch(shards, index, settings, generator), device)

    identity = {"stage": "backbone", "shards": shards.manifest, "backbone": settings.model_dump()}
    summary, metrics = train(
        name="backbone",
        model=model,
        lengths=shards.lengths("ids"),
        loss_of=loss_of,
        settings=settings,
        seed=args.seed,
        work=args.work,
        identity=identity,
        device=device,
    )
    training: dict[str, Any] = {"stage": "backbone", "objective": "mlm", "seed": args.seed} | summary
    training |= {"settings": settings.model_dump(), "shards": sha256(args.shards)}
    modeling.save(model, args.tokenizer, args.out, training, metrics)
    finish(args.work)


def fetch(name: str, out: Path) -> None:
    """Copy a local model, or one of the hub, into ``out`` as a masked language model with its tokenizer."""
    import tempfile

    from transformers import AutoModelForMaskedLM, AutoTokenizer

    try:
        model = AutoModelForMaskedLM.from_pretrained(name, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(
            f"backbone.name_or_path {name!r}: cannot be loaded ({first}); check the name or the folder"
        ) from None
    if model.config.model_type not in ("bert", "xlm-roberta"):
        raise UserError(
            f"backbone.name_or_path {name!r}: model type {model.config.model_type!r}; use bert or xlm-roberta"
        )
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        modeling.save(model, folder, out, {"stage": "backbone", "name_or_path": name})
