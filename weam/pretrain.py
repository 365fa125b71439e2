"""Continue pre-training a masked language model on word-aligned pairs: tlm, weam or word_align.

For one seed all objectives see the same pairs in the same order (batch size and epochs being equal), tlm and weam also
the same masks; weam with cross_weight 0 is tlm.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weam import modeling
from weam.batches import Ints
from weam.config import Optimisation, Tlm, Weam, WordAlign
from weam.errors import UserError
from weam.io import sha256
from weam.objectives import Loss, masked_loss, word_align_loss
from weam.pairs import Shards, pair_batch, word_batch
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.train import add_training_arguments, finish, set_device, train

SETTINGS: dict[str, type[Optimisation]] = {"tlm": Tlm, "weam": Weam, "word_align": WordAlign}

LossOf = Callable[[Ints, np.random.Generator], Loss]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--objective", required=True, choices=SETTINGS, help="what is learned")
    parser.add_argument("--model", required=True, type=Path, help="model folder to start from")
    parser.add_argument("--shards", required=True, type=Path, help="manifest of pair shards made with its tokenizer")
    parser.add_argument("--settings", help="settings of the objective: inline JSON or a file")
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    settings = read_settings(SETTINGS[args.objective], args.settings)
    device = set_device(args)
    subwords = Subwords(args.model)
    shards = Shards(args.shards, "pairs", subwords.sha256)
    torch.manual_seed(args.seed)
    model = modeling.load(args.model, "masked_lm").to(device)
    if int(shards.manifest["max_length"]) > modeling.max_length(model):
        raise UserError(
            f"{args.shards}: pairs of up to {shards.manifest['max_length']} sub-words, but {args.model} takes at most "
            f"{modeling.max_length(model)}; lower shards.max_length"
        )
    left_out = 0
    loss_of: LossOf
    if isinstance(settings, WordAlign):
        short = np.maximum(shards.word_counts("source"), shards.word_counts("target")) <= settings.max_words
        left_out = int((~short).sum())
        loss_of = _word_align(model, shards, short, settings, device)
    else:
        assert isinstance(settings, Tlm)
        loss_of = _masked(model, shards, settings, device)
    summary, metrics = train(
        name=f"pretrain {args.objective}",
        model=model,
        lengths=shards.lengths("source_ids") + shards.lengths("target_ids"),
        loss_of=loss_of,
        settings=settings,
        seed=args.seed,
        work=args.work,
        identity={
            "stage": "pretrain",
            "objective": args.objective,
            "shards": shards.manifest,
            "model": _weights(args.model),
        },
        device=device,
    )
    training: dict[str, Any] = {"stage": "pretrain", "objective": args.objective, "seed": args.seed} | summary
    training["pairs_left_out"] = left_out
    training |= {"settings": settings.model_dump(), "model": _weights(args.model), "shards": sha256(args.shards)}
    modeling.save(model, args.model, args.out, training, metrics)
    finish(args.work)


def _weights(model: Path) -> str:
    return sha256(model / "model.safetensors")


def _masked(model: Any, shards: Shards, settings: Tlm, device: torch.device) -> LossOf:
    weight = settings.cross_weight if isinstance(settings, Weam) else 0.0
    exchange = settings.exchange if isinstance(settings, Weam) else "mean"

    def loss_of(index: Ints, generator: np.random.Generator) -> Loss:
        return masked_loss(model, pair_batch(shards, index, settings, generator), device, weight, exchange)

    return loss_of


def _word_align(
    model: Any, shards: Shards, short: npt.NDArray[np.bool_], settings: WordAlign, device: torch.device
) -> LossOf:
    """Pairs that are not ``short`` stay in the order, so that it is that of the other objectives, but are not used."""
    frozen = copy.deepcopy(model.base_model).eval().requires_grad_(False)

    def loss_of(index: Ints, generator: np.random.Generator) -> Loss:
        kept = index[short[index]]
        if not len(kept):
            return Loss(sum((p.sum() for p in model.parameters()), torch.zeros((), device=device)) * 0, 1, {})
        return word_align_loss(model, frozen, word_batch(shards, kept), device, settings)

    return loss_of
