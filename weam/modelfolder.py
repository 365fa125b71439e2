"""The folder that training makes: what may stand in its place before, what it says of its origins, and writing it."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weam import modeling
from weam.card import model_card
from weam.checksums import sealed
from weam.errors import UserError
from weam.io import atomic_path, read_json, read_object, sha256, system_errors, write_json, write_text

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
STAGES = ("backbone", "pretrain", "finetune")
SOURCE = {"source": str, "version": str, "languages": list, "licence": str, "citation": str}


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        type=Path,
        action="append",
        default=[],
        help="manifest of a source of the data, for licence and citation in the model card (repeat)",
    )


def prepare(
    args: argparse.Namespace, inputs: Iterable[Path], sources: Iterable[Path], base: Path | None = None
) -> dict[str, Any]:
    """Before training: whether ``args.out`` can be written, and what the model card will say of the model's origins.

    Args:
        args: ``out``, and ``work``, ``speed`` and ``tensorboard``, which must be outside of it.
        inputs: what the command reads.
        sources: manifests of the data.
        base: folder of the model that training starts from.

    Raises:
        UserError: the folder would replace something else, cannot be made, or a manifest is none.
    """
    others = [args.work, args.speed, args.tensorboard, *inputs, Path.cwd()]
    require_place(args.out, [path for path in others if path is not None])
    origins: dict[str, Any] = {"sources": [_source(path) for path in sources]}
    record = None if base is None else base / "training.json"
    if record is not None and record.is_file():
        found = read_json(record)
        if isinstance(found, dict) and found.get("stage") in STAGES and isinstance(found.get("sources", []), list):
            origins["base"] = found
    try:
        model_card(origins)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{record}: not as these commands write it; remove it, or make the model again") from None
    return origins


def require_place(out: Path, others: Iterable[Path] = ()) -> None:
    """Refuse an output in whose place there is something else than an earlier one, or that would contain ``others``."""
    if out.exists() and not (out / "training.json").is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"--out {out}: is there already and no model of an earlier run; give a new folder")
    place = out.resolve()
    for other in others:
        if place == other.resolve() or place in other.resolve().parents:
            raise UserError(f"--out {out}: would replace {other}, which is in it; give another folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(out.parent, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise UserError(f"--out {out}: cannot be made ({error.strerror}); give another folder") from None


def require_finetuned(model: Path, family: str) -> None:
    """A head that was never trained would be scored without a word: the folder must say that it was."""
    path = model / "training.json"
    training = read_object(path) if path.is_file() else {}
    if training.get("stage") != "finetune" or training.get("family") != family:
        raise UserError(f"{model}: was not fine-tuned on {family}; give a folder made by finetune --family {family}")


def _source(manifest: Path) -> dict[str, Any]:
    found = read_object(manifest)
    for key, kind in SOURCE.items():
        if not isinstance(found.get(key), kind):
            raise UserError(f"{manifest}: not the manifest of a source (no {key}); give one that download made")
    return {key: found[key] for key in SOURCE} | {"sha256": sha256(manifest)}


def save(model: Any, tokenizer: str | Path, out: str | Path, training: dict[str, Any], metrics: str = "") -> None:
    """Write a Hugging Face model folder with its tokenizer, model card, ``training.json`` and ``metrics.jsonl``.

    The folder appears only when it is complete.
    """
    modeling.quiet()
    with atomic_path(out) as folder, system_errors():
        model.save_pretrained(folder)
        for name in TOKENIZER_FILES:
            if (Path(tokenizer) / name).is_file():
                shutil.copyfile(Path(tokenizer) / name, folder / name)
        _limit_length(folder / "tokenizer_config.json", modeling.positions(model))
        sums = {name: sha256(folder / name) for name in modeling.CHECKED}
        write_json(folder / "training.json", sealed(training | {"sha256": sums}))
        write_text(folder / "metrics.jsonl", metrics)
        write_text(folder / "README.md", model_card(training))
        mask = os.umask(0)
        os.umask(mask)
        for path in folder.iterdir():  # safetensors leaves its file to the owner alone
            path.chmod(0o666 & ~mask)


def _limit_length(config: Path, longest: int) -> None:
    """Let the tokenizer cut at the model's positions, if it knows no limit."""
    if config.is_file():
        values = read_object(config)
        if not 0 < values.get("model_max_length", 10**30) <= 10**9:
            write_json(config, values | {"model_max_length": longest})
