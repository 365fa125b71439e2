"""The one training loop: every objective and every fine-tuning runs through :func:`train`.

Order of examples, masks and dropout depend on (seed, epoch, step) only, so that resuming needs the step number, the
weights and the optimiser's state. On a CPU, with the same versions and number of threads, it ends with the same bits.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weam.batches import Ints, epoch_batches, rng
from weam.codehash import code_hash
from weam.config import Optimisation
from weam.errors import UserError
from weam.io import atomic_path
from weam.objectives import Loss
from weam.progress import Progress


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (part of what fixes the last bits)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1, help="seed of order, masks, dropout and new heads")
    parser.add_argument("--work", required=True, type=Path, help="folder for checkpoints, outside of the outputs")
    parser.add_argument("--out", required=True, type=Path, help="model folder to make")
    add_device_arguments(parser)


def set_device(args: argparse.Namespace) -> torch.device:
    """Apply ``--threads`` and ``--device``."""
    torch.set_num_threads(max(1, args.threads))
    name = args.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch finds no GPU; use --device cpu or install a CUDA build of torch")
    return torch.device(name)


def learning_rate(settings: Optimisation, step: int, steps: int) -> float:
    """Learning rate of step ``step`` (from 0): linear warm-up, then constant or linear to zero."""
    warm = settings.warmup * steps
    if step < warm:
        return settings.learning_rate * (step + 1) / max(warm, 1)
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * (steps - step) / max(steps - warm, 1)


def optimiser(model: torch.nn.Module, settings: Optimisation) -> torch.optim.Optimizer:
    """AdamW; no weight decay on biases and layer norms (vectors)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    # One pass over memory instead of ten: a sixth of the time of a step of a small model.
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)


def train(
    *,
    name: str,
    model: torch.nn.Module,
    lengths: Ints,
    loss_of: Callable[[Ints, np.random.Generator], Loss],
    settings: Optimisation,
    seed: int,
    work: Path,
    identity: dict[str, Any],
    device: torch.device,
) -> tuple[dict[str, Any], str]:
    """Train ``model`` in place.

    Args:
        name: shown in the progress line.
        lengths: length of every example, for bucketing.
        loss_of: the loss of the examples with these indices; its generator depends on (seed, epoch, step) only.
        settings: hyper-parameters.
        seed: of order, masks and dropout.
        work: folder for checkpoints; a run with another identity gets a folder of its own in it.
        identity: what defines the run: its stage, checksums of what it reads, in order.
        device: where the model is.

    Returns:
        A summary for training.json, and the metrics (one JSON object per line).

    Raises:
        UserError: there are no examples, or the loss is not finite.
    """
    if not len(lengths):
        raise UserError(f"{name}: no training examples are left; see the counts of the stage before")
    per_epoch = math.ceil(len(lengths) / settings.batch_size)
    steps = per_epoch * settings.epochs
    if settings.max_steps is not None:
        steps = min(steps, settings.max_steps)
    optimizer = optimiser(model, settings)
    checkpoint = _checkpoint_path(work, settings, seed, identity, device)
    done, log = _resume(checkpoint, model, optimizer, device)
    model.train()
    batches: list[Ints] = []
    with Progress(name, steps, "steps", done) as progress:
        for step in range(done, steps):
            epoch, place = divmod(step, per_epoch)
            if place == 0 or not batches:
                batches = epoch_batches(lengths, settings.batch_size, seed, epoch)
            torch.manual_seed(_step_seed(seed, step))
            rate = learning_rate(settings, step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
                loss = loss_of(batches[place], rng(seed, epoch, place, 1))
            mean = loss.total / max(loss.count, 1)
            mean.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            if not torch.isfinite(norm):
                raise UserError(f"{name}: the gradient is not finite at step {step}; lower the learning rate")
            optimizer.step()
            optimizer.zero_grad()
            if step % 10 == 9 or step + 1 == steps or step == 0:
                entry = {"loss": mean.item(), "lr": rate, "grad_norm": norm.item()}
                entry |= {key: value.item() for key, value in loss.parts.items()}
                log.append(json.dumps({"step": step + 1} | {key: _short(value) for key, value in entry.items()}))
                progress.step(0, loss=entry["loss"])
            progress.step()
            if (step + 1) % settings.checkpoint_steps == 0 and step + 1 < steps:
                _write_checkpoint(checkpoint, model, optimizer, step + 1, log)
    model.eval()
    last = json.loads(log[-1])
    machine = {"device": device.type, "threads": torch.get_num_threads(), "torch": torch.__version__}
    return {"steps": steps, "examples": len(lengths), "final": last} | machine, "".join(line + "\n" for line in log)


def finish(work: Path) -> None:
    """Remove the checkpoints of a run whose model has been written."""
    for path in [*work.glob("*.pt"), *work.glob(".*.pt.*.tmp")]:
        path.unlink()
    if work.is_dir() and not any(work.iterdir()):
        work.rmdir()


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step, 2]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _checkpoint_path(
    work: Path, settings: Optimisation, seed: int, identity: dict[str, Any], device: torch.device
) -> Path:
    """A name that another run, other code or other arithmetic does not share."""
    stage = str(identity["stage"])
    how = [code_hash(stage), torch.__version__, device.type, torch.get_num_threads()]
    key = json.dumps([how, settings.model_dump(), seed, identity])
    return work / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.pt"


def _write_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int, log: list[str]
) -> None:
    with atomic_path(path) as temporary:
        torch.save(
            {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "log": log}, temporary
        )


def _resume(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> tuple[int, list[str]]:
    if not path.is_file():
        return 0, []
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except Exception as error:
        raise UserError(
            f"{path}: the checkpoint cannot be read ({str(error).splitlines()[0]}); delete it to start over"
        ) from None
    return int(state["step"]), list(state["log"])
