"""Run a weam command in this process and kill it (-9) at a chosen point: ``kill_at.py POINT COUNT arguments...``.

Points: ``step`` (before the COUNT-th optimiser step), ``accumulation`` (before the COUNT-th backward pass),
``write`` (in the middle of the COUNT-th checkpoint's file), ``record`` (between it and its record), ``tidy`` (before
the COUNT-th removal of a file of an old one), ``signal`` (SIGTERM to itself before the COUNT-th optimiser step),
``usr1`` and ``interrupt`` (the same with SIGUSR1, SIGINT),
``slow`` (the same in the second process alone, while checkpoints take 10 seconds).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from weam import checkpoint, cli


def main() -> int:
    point, count = sys.argv[1], int(sys.argv[2])
    seen = 0

    def at(
        function: Callable[..., Any], action: Callable[..., None], wanted: Callable[..., bool] = lambda *args: True
    ) -> Callable[..., Any]:
        """The function, with an action before its COUNT-th wanted call."""

        def wrapped(*args: Any, **options: Any) -> Any:
            nonlocal seen
            seen += wanted(*args)
            if seen == count and wanted(*args):
                action(*args)
            return function(*args, **options)

        return wrapped

    def kill(*args: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half(state: Any, file: Any) -> None:
        file.write(b"PK" + b"\0" * 1000)
        file.flush()
        kill()

    step = torch.optim.AdamW.step
    if point == "step":
        torch.optim.AdamW.step = at(step, kill)  # type: ignore[method-assign]
    elif point in ("signal", "usr1", "interrupt"):
        number = {"signal": signal.SIGTERM, "usr1": signal.SIGUSR1, "interrupt": signal.SIGINT}[point]
        torch.optim.AdamW.step = at(step, lambda *args: os.kill(os.getpid(), number))  # type: ignore[method-assign]
    elif point == "slow":
        if os.environ["RANK"] == "1":
            action = lambda *args: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
            torch.optim.AdamW.step = at(step, action)  # type: ignore[method-assign]
        save = torch.save
        torch.save = lambda *args: (time.sleep(10), save(*args))
    elif point == "accumulation":
        torch.Tensor.backward = at(torch.Tensor.backward, kill)  # type: ignore[method-assign]
    elif point == "write":
        torch.save = at(torch.save, half)
    elif point == "record":
        checkpoint.write_json = at(checkpoint.write_json, kill, lambda path, value: path.name != "run.json")  # type: ignore[attr-defined]
    elif point == "tidy":
        Path.unlink = at(Path.unlink, kill, lambda path: path.name.startswith("step-"))  # type: ignore[method-assign]
    else:
        raise SystemExit(f"unknown point {point}")
    return cli.main(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
