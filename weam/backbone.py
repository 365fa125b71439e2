"""The unmodified multilingual model: trained from scratch on running text, or a real one fetched by name.

From scratch it learns as mBERT did: by masked language modelling on single passages of all languages, never told which
of them, if any, are translations of each other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from weam import modelfolder, modeling
from weam.config import Backbone
from weam.corpus import Shards
from weam.errors import UserError
from weam.io import sha256
from weam.objectives import MaskedPrediction
from weam.processes import processes, rank
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.train import Run, add_training_arguments, train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokenizer", type=Path, help="tokenizer folder (from scratch)")
    parser.add_argument("--shards", type=Path, help="manifest of monolingual shards (from scratch)")
    parser.add_argument("--settings", help="backbone settings: inline JSON or a file")
    modelfolder.add_source_arguments(parser)
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Backbone, args.settings)
    if settings.name_or_path is not None:
        if not rank():
            fetch(settings.name_or_path, settings.revision, args.out)
        return
    if args.tokenizer is None or args.shards is None:
        raise UserError("training from scratch needs --tokenizer and --shards; or set backbone.name_or_path")
    origins = modelfolder.prepare(args, [args.tokenizer, args.shards], args.source)
    with processes(args.device, args.threads) as group:
        subwords = Subwords(args.tokenizer)
        torch.manual_seed(args.seed)
        model = modeling.from_scratch(settings, subwords).to(group.device)
        shards = Shards(args.shards, subwords.sha256, "monolingual")
        modeling.require_positions(model, int(shards.manifest["max_length"]), "shards.max_length")
        identity = {"stage": "backbone", "shards": shards.manifest, "backbone": settings.model_dump()}
        run_ = Run(args, group, identity)
        train(
            name="backbone",
            unit="passages",
            model=model,
            sources=[shards],
            objective=MaskedPrediction(model, subwords.template, settings, "mlm"),
            settings=settings,
            run=run_,
        )
        if not group.first:
            return
        training: dict[str, Any] = {"stage": "backbone", "objective": "mlm", "seed": args.seed} | run_.summary
        training |= {"settings": settings.model_dump(), "shards": sha256(args.shards)}
        modelfolder.save(model, args.tokenizer, args.out, training | origins, run_.metrics)
        run_.finish()


def fetch(name: str, revision: str | None, out: Path) -> None:
    """Copy a local model, or one of the hub, into ``out`` as a masked language model with its tokenizer."""
    import tempfile

    from transformers import AutoTokenizer

    if revision is not None and Path(name).is_dir():
        raise UserError(f"backbone.revision {revision!r}: {name} is a local folder; set revision to null")
    modelfolder.require_place(out, [Path(name)] if Path(name).exists() else [])
    where = f"backbone.name_or_path {name!r}" + (f", revision {revision!r}" if revision else "")
    model, commit = modeling.load_masked_lm(name, where, revision)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=commit or revision or "main")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{where}: no usable tokenizer ({modeling.first_line(error)}); add its files") from None
    training = {"stage": "backbone", "name_or_path": name, "revision": revision, "commit": commit}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        modeling.require_vocabulary(model, Subwords(folder), where)
        modelfolder.save(model, folder, out, training | {"sources": []})
