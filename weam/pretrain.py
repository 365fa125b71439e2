"""Continue pre-training a masked language model on word-aligned pairs: mlm, tlm, weam or word_align.

For one seed all objectives see the same pairs in the same order (batch size and epochs being equal), tlm and weam also
the same masks; weam with cross_weight 0 is tlm. With several shard manifests, one model learns from a mixture of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from weam import modelfolder, modeling
from weam.config import Masking, Mlm, Optimisation, Tlm, Weam, WordAlign
from weam.corpus import Shards
from weam.errors import UserError
from weam.io import sha256
from weam.objectives import MaskedPrediction, Objective, WordAlignment
from weam.processes import processes
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.train import Run, add_training_arguments, train

SETTINGS: dict[str, type[Optimisation]] = {"mlm": Mlm, "tlm": Tlm, "weam": Weam, "word_align": WordAlign}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--objective", required=True, choices=SETTINGS, help="what is learned")
    parser.add_argument("--model", required=True, type=Path, help="model folder to start from")
    parser.add_argument(
        "--shards",
        required=True,
        type=Path,
        action="append",
        help="manifest of shards made with its tokenizer: pairs, for mlm also running text (repeat for a mixture)",
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="of the mixture: 1 is in proportion to sizes")
    parser.add_argument("--settings", help="settings of the objective: inline JSON or a file")
    modelfolder.add_source_arguments(parser)
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    settings = read_settings(SETTINGS[args.objective], args.settings)
    if not args.temperature >= 1:
        raise UserError(f"--temperature {args.temperature}: give 1 (in proportion to the sizes) or more (more evenly)")
    kinds = {Shards.kind_of(path) for path in args.shards}
    if len(kinds) > 1:
        raise UserError(f"--shards: a mixture of {' and '.join(sorted(kinds))}; give one kind")
    if isinstance(settings, Mlm) and settings.mask_unit == "word" and kinds != {"pairs"}:
        raise UserError("mask_unit word needs shards of pairs: those of running text do not say where words begin")
    origins = modelfolder.prepare(args, [args.model, *args.shards], args.source, args.model)
    with processes(args.device, args.threads) as group:
        subwords = Subwords(args.model)
        torch.manual_seed(args.seed)
        model = modeling.load(args.model, "masked_lm", subwords).to(group.device)
        objective: Any = make_objective(args.objective, model, subwords, settings)
        columns = objective.columns if kinds == {"pairs"} else ()
        allowed = ("pairs", "monolingual") if args.objective == "mlm" else ("pairs",)
        sources = [Shards(path, subwords.sha256, *allowed, columns=columns) for path in args.shards]
        for source in sources:
            modeling.require_positions(model, int(source.manifest["max_length"]), f"{source.path}: shards.max_length")
        identity = {"stage": "pretrain", "objective": args.objective, "temperature": args.temperature}
        identity |= {"shards": [source.manifest for source in sources], "model": modeling.weights_hash(args.model)}
        run_ = Run(args, group, identity)
        train(
            name=f"pretrain {args.objective}",
            unit="pairs" if kinds == {"pairs"} else "passages",
            model=model,
            sources=sources,
            objective=objective,
            settings=settings,
            run=run_,
            temperature=args.temperature,
        )
        if not group.first:
            return
        training: dict[str, Any] = {"stage": "pretrain", "objective": args.objective, "seed": args.seed} | run_.summary
        left_out = sum(s.longer_than(settings.max_words) for s in sources) if isinstance(settings, WordAlign) else 0
        training |= {"pairs_left_out": left_out, "settings": settings.model_dump(), "temperature": args.temperature}
        training |= {"model": modeling.weights_hash(args.model), "shards": [sha256(path) for path in args.shards]}
        modelfolder.save(model, args.model, args.out, training | origins, run_.metrics)
        run_.finish()


def make_objective(name: str, model: Any, subwords: Subwords, settings: Optimisation) -> Objective:
    """The objective of this name, on this model."""
    if isinstance(settings, WordAlign):
        return WordAlignment(model, subwords.template, settings)
    assert isinstance(settings, Masking)
    return MaskedPrediction(model, subwords.template, settings, name)
