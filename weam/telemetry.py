"""What a training run tells: metrics that repeat bit for bit, and speed, which does not."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import torch

from weam.errors import UserError
from weam.objectives import Work
from weam.processes import Processes
from weam.progress import Progress

LOG_STEPS = 10
"""Steps per line; a line's losses are means over them."""
WORK = Work._fields


class Telemetry:
    """Sums losses and work between log lines; writes the lines, the progress and, if asked to, TensorBoard's files.

    The lines (``metrics.jsonl``) hold only what depends on data, settings and seed. Rates go to ``speed``, a file of
    JSON lines.
    """

    def __init__(
        self,
        name: str,
        unit: str,
        steps: int,
        processes: Processes,
        peak: float,
        speed: Path | None = None,
        tensorboard: Path | None = None,
    ) -> None:
        self.name, self.unit, self.steps, self.processes, self.peak = name, unit, steps, processes, peak
        self.lines: list[str] = []
        self.sums: dict[str, torch.Tensor] = {}
        self.work = dict.fromkeys(WORK, 0.0)
        self.totals = dict.fromkeys(WORK, 0.0)
        self.waited = 0.0
        self._speed_path, self._board_path = speed, tensorboard
        self._speed: IO[str] | None = None
        self._board: Any = None
        self._progress: Progress | None = None
        self._begin = self._since = 0.0
        self._since_step = 0

    def state(self) -> dict[str, Any]:
        """For a checkpoint; call :meth:`gather` before."""
        sums = {key: value.cpu() for key, value in self.sums.items()}
        return {"lines": self.lines, "sums": sums, "work": self.work, "totals": self.totals}

    def restore(self, state: dict[str, Any]) -> None:
        self.lines, self.totals = list(state["lines"]), dict(state["totals"])
        if self.processes.first:
            self.sums = {key: value.to(self.processes.device) for key, value in state["sums"].items()}
            self.work = dict(state["work"])

    def start(self, done: int) -> None:
        self._begin = self._since = time.perf_counter()
        self._since_step = done
        if not self.processes.first:
            return
        self._progress = Progress(self.name, self.steps, "steps", done)
        self._progress.__enter__()
        if self._speed_path is not None:
            self._speed_path.parent.mkdir(parents=True, exist_ok=True)
            self._speed = open(self._speed_path, "a" if done else "w", encoding="utf-8")  # noqa: SIM115
        if self._board_path is not None:
            self._board = _tensorboard(self._board_path, done + 1)

    def stop(self, *failure: Any) -> None:
        if self._progress is not None:
            self._progress.__exit__(*failure)
        for writer in (self._speed, self._board):
            if writer is not None:
                writer.close()

    def add(self, losses: dict[str, torch.Tensor], work: Work) -> None:
        """Add a part of a batch: shares of the batch's losses, and its work. Nothing here waits for a GPU."""
        for key, value in losses.items():
            before = self.sums.get(key)
            self.sums[key] = value.double() if before is None else before + value
        for key, count in zip(WORK, work, strict=True):
            self.work[key] += count

    def gather(self, keys: Sequence[str]) -> None:
        """Sums over all processes, in the first one; the others start again from 0. ``keys`` are the losses of all."""
        if self.processes.world == 1:
            return
        zero = torch.zeros((), dtype=torch.float64, device=self.processes.device)
        work = torch.tensor(list(self.work.values()), dtype=torch.float64, device=zero.device)
        values = self.processes.add(torch.cat([torch.stack([self.sums.get(key, zero) for key in keys]), work]))
        self._clear()
        if self.processes.first:
            self.sums = dict(zip(keys, values[: len(keys)].unbind(), strict=True))
            self.work = dict(zip(WORK, values[len(keys) :].tolist(), strict=True))

    def _clear(self) -> None:
        self.sums, self.work = {}, dict.fromkeys(WORK, 0.0)

    def logs(self, step: int) -> bool:
        """Whether step ``step`` (from 1) has a line."""
        return step % LOG_STEPS == 0 or step in (1, self.steps)

    def step(self, step: int, keys: Sequence[str], **now: float | torch.Tensor) -> None:
        """Step ``step`` (from 1) is done; ``now`` are values of this step that every process has."""
        if self.logs(step):
            self.gather(keys)
            if self.processes.first:
                self._log(step, keys, {key: float(value) for key, value in now.items()})
            self._clear()
        if self._progress is not None:
            self._progress.step()

    def _log(self, step: int, keys: Sequence[str], now: dict[str, float]) -> None:
        sums = {key: self.sums[key].item() if key in self.sums else 0.0 for key in keys}
        last = json.loads(self.lines[-1])["step"] if self.lines else 0
        work = self.work
        for key, value in work.items():
            self.totals[key] += value
        losses = {key: value / (step - last) for key, value in sums.items()}
        entry = losses | now | {key: self.totals[key] for key in WORK}
        self.lines.append(json.dumps({"step": step} | {key: _short(value) for key, value in entry.items()}))
        seconds = max(time.perf_counter() - self._since, 1e-9)
        share = (step - self._since_step) / max(step - last, 1)  # of the line, what this process did after a resume
        rates = {
            f"{self.unit}_per_s": work["examples"] * share / seconds,
            "tokens_per_s": work["tokens"] * share / seconds,
        }
        rates["utilisation"] = work["flops"] * share / seconds / self.peak / self.processes.world
        if self._progress is not None:
            shown = {"loss": losses.get("loss", 0.0), f"{self.unit}/s": rates[f"{self.unit}_per_s"]}
            self._progress.step(0, **shown, **{"tokens/s": rates["tokens_per_s"], "of peak": rates["utilisation"]})
        if self._speed is not None:
            rates["waiting"] = self.waited / seconds
            print(
                json.dumps({"step": step, "seconds": round(time.perf_counter() - self._begin, 3)} | _rounded(rates)),
                file=self._speed,
                flush=True,
            )
        if self._board is not None:
            for key, value in {**entry, **rates}.items():
                self._board.add_scalar(key, value, step)
        self._since, self._since_step, self.waited = time.perf_counter(), step, 0.0


def _tensorboard(folder: Path, first: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard needs the package tensorboard; install it: pip install tensorboard") from None
    return SummaryWriter(str(folder), purge_step=first)


def _short(value: float) -> float:
    """Six digits of a measure; counts in full."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.6g}")


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: float(f"{value:.4g}") for key, value in values.items()}
