"""fast_align and atools, built once per test session, and calling them."""

from __future__ import annotations

import atexit
import functools
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from weam.cli import main

Pair = tuple[list[str], list[str]]
HEURISTICS = ("intersect", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and")
ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def tools() -> Path:
    """Folder with both programs, built through the command line as the workflow does."""
    folder = Path(tempfile.mkdtemp(prefix="weam-test-tools-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    assert main(["build_fast_align", "--source", str(ROOT / "fast_align"), "--out", str(folder)]) == 0
    return folder


def call(program: str, *options: object, text: bytes | str = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a program; ``text`` goes to its standard input."""
    command = [str(tools() / program), *map(str, options)]
    data = text.encode() if isinstance(text, str) else text
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)


def align(text: bytes | str, *options: object) -> list[str]:
    """Lines of links that fast_align writes for ``text``; it must succeed."""
    result = call("fast_align", "-i", "-", *options, text=text)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode().split("\n")[:-1]


def make_pairs(count: int = 200, seed: int = 5) -> list[Pair]:
    """Sentences of frequent and rare words, translated word by word with insertions, deletions and swaps."""
    generator = random.Random(seed)
    pairs = []
    for _ in range(count):
        source = [f"w{min(int(generator.paretovariate(0.7)), 80)}" for _ in range(generator.randint(1, 14))]
        target = []
        for word in source:
            target += ["the"] * (generator.random() < 0.15) + [word.upper()] * (generator.random() < 0.9)
        for k in range(len(target) - 1):
            if generator.random() < 0.2:
                target[k], target[k + 1] = target[k + 1], target[k]
        pairs.append((source, target or ["the"]))
    return pairs


PAIRS = make_pairs()


def as_text(pairs: list[Pair]) -> str:
    return "".join(f"{' '.join(source)} ||| {' '.join(target)}\n" for source, target in pairs)


def parse(line: str) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in (link.split("-") for link in line.split())]


def likelihoods(log: bytes) -> list[float]:
    return [float(value) for value in re.findall(rb"log_e likelihood: (\S+)", log)]


def tension(log: bytes) -> float:
    return float(re.findall(rb"final tension: (\S+)", log)[-1])
