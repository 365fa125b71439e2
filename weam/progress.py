"""Progress on stderr: a bar with rate and ETA on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import NoReturn

from tqdm import tqdm


class Progress:
    """Counts work done; ``with Progress("text", total, "pairs") as progress: progress.step(n, loss=...)``.

    On a terminal it draws a tqdm bar; elsewhere it prints a plain line at most every ``every`` seconds, and one at the
    end, with count, rate per second and remaining seconds.
    """

    def __init__(self, name: str, total: int | None, unit: str, done: int = 0, every: float = 10.0) -> None:
        self.name, self.total, self.unit, self.done, self.every = name, total, unit, done, every
        self.initial = done
        self.note = ""
        self.start = self.last = time.monotonic()
        self.bar: tqdm[NoReturn] | None = None
        if sys.stderr.isatty():
            self.bar = tqdm(total=total, initial=done, desc=name, unit=f" {unit}", file=sys.stderr, mininterval=0.5)

    def step(self, count: int = 1, **notes: float) -> None:
        """Count ``count`` more units; ``notes`` (loss and the like) are shown behind the rate."""
        self.done += count
        if notes:
            self.note = "".join(f", {key} {value:.4g}" for key, value in notes.items())
        if self.bar is not None:
            if notes:
                self.bar.set_postfix_str(self.note[2:], refresh=False)
            self.bar.update(count)
        elif time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            self.print_line()

    def print_line(self) -> None:
        """Print the present state as one plain line."""
        seconds = max(time.monotonic() - self.start, 1e-9)
        rate = (self.done - self.initial) / seconds
        of = f"/{self.total}" if self.total is not None else ""
        left = f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate > 0 else ""
        print(f"{self.name}: {self.done}{of} {self.unit}, {rate:.1f}/s{left}{self.note}", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.bar is not None:
            self.bar.close()
        elif exc[0] is None:
            self.print_line()
