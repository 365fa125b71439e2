"""The unmodified multilingual model: trained from scratch on running text, or a real one.

From scratch it learns as mBERT did: by masked language modelling on single passages of all languages, never told which
of them, if any, are translations of each other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from weam import hub, modelfolder, modeling
from weam.config import Backbone
from weam.corpus import Shards
from weam.errors import UserError
from weam.io import scratch_folder, sha256
from weam.objectives import MaskedPrediction
from weam.processes import processes, rank
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.train import Run, add_training_arguments, train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokenizer", type=Path, help="tokenizer folder (from scratch)")
    parser.add_argument("--shards", type=Path, help="manifest of monolingual shards (from scratch)")
    parser.add_argument("--hub", type=Path, help="manifest.json of the command hub, for a model of the hub")
    parser.add_argument("--settings", help="backbone settings: inline JSON or a file")
    modelfolder.add_source_arguments(parser)
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Backbone, args.settings)
    if settings.name_or_path is not None:
        if not rank():
            take(settings.name_or_path, settings.revision, args.hub, args.out)
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


def take(name: str, revision: str | None, manifest: Path | None, out: Path) -> None:
    """Copy a model from a local folder, or from beside the ``manifest`` of the command hub, into ``out``.

    ``out`` becomes a masked language model with its tokenizer; the commit and the checksums of a model of the hub are
    kept in its training.json.
    """
    from transformers import AutoTokenizer

    where = f"backbone.name_or_path {name!r}" + (f", revision {revision!r}" if revision else "")
    training: dict[str, Any] = {"stage": "backbone", "name_or_path": name, "revision": revision}
    folder = Path(name)
    if folder.is_dir():
        if revision is not None:
            raise UserError(f"backbone.revision {revision!r}: {name} is a local folder; set revision to null")
    elif manifest is None:
        place = hub.path_of(name, revision)
        raise UserError(
            f"{where}: there is no such folder; for a model of the hub give "
            f"--hub data/hub/{place}/manifest.json, which the command hub makes"
        )
    else:
        record = hub.verified(manifest, name, revision)
        folder = manifest.parent
        training |= {"commit": record["commit"], "files": record["files"]}
    modelfolder.require_place(out, [folder])
    model = modeling.load_masked_lm(folder, where)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{where}: no usable tokenizer ({modeling.first_line(error)}); add its files") from None
    with scratch_folder(out) as temporary:
        tokenizer.save_pretrained(temporary)
        modeling.require_vocabulary(model, Subwords(temporary), where)
        modelfolder.save(model, temporary, out, training | {"sources": []})
