"""A clock that jumps, between runs and during them: same bytes, no crash, no rate or time below zero.

Only what processes are told changes (libfaketime, Debian package faketime), as when the system's clock is set: the
monotonic clock goes on, and files have the times that they have.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from pipeline import SMOKE, copy_tree, environment, planned, snakemake

SETTINGS = {"max_steps": 24, "epochs": 20, "batch_size": 8, "micro_batch": 3, "checkpoint_steps": 4}
FILES = ("model.safetensors", "metrics.jsonl", "training.json", "README.md")
KILL_AT = Path(__file__).parent.parent / "kill_at.py"
MONTH = 30 * 86400


@pytest.fixture(scope="session")
def library() -> Path:
    """libfaketime, tried on this Python."""
    for path in sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
        command = [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"]
        done = subprocess.run(command, env=environment() | shifted(path, "-30d"), capture_output=True, text=True)
        if done.returncode == 0:
            wall, monotonic = map(float, done.stdout.split())
            if abs(time.time() - MONTH - wall) < 3600 and abs(time.monotonic() - monotonic) < 3600:
                return path
    pytest.skip("no libfaketime that works here (Debian: apt-get install faketime)")


def shifted(library: Path, offset: str | Path) -> dict[str, str]:
    """Variables for a process with another time; a file's offset is read at every look at the clock."""
    fixed = {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    if isinstance(offset, Path):
        return fixed | {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1"}
    return fixed | {"FAKETIME": offset}


@contextlib.contextmanager
def jumping(file: Path) -> Iterator[Path]:
    """A clock that is set forward and back, by seconds and by a month, ten times a second."""
    file.write_text("+0s")
    stop = threading.Event()

    def jump() -> None:
        for turn in range(10**6):
            if stop.wait(0.1):
                return
            new = file.with_suffix(".new")
            new.write_text(("+30d", "-10s", "-30d", "+10s")[turn % 4])
            new.replace(file)

    thread = threading.Thread(target=jump)
    thread.start()
    try:
        yield file
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clock")
    tiny.make(folder)
    return folder


def pretrain(world: Path, name: str, point: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Train, stopped at the 10th step for ``point`` step (kill -9) and signal, else to the end."""
    count = "1000" if point == "end" else "10"
    command = [
        *(sys.executable, str(KILL_AT), "step" if point == "end" else point, count),
        *("pretrain", "--objective", "weam", "--model", str(world / "backbone")),
        *("--shards", str(world / "pairs" / "manifest.json"), "--settings", json.dumps(SETTINGS)),
        *("--speed", str(world / name / "speed.jsonl")),
        *("--work", str(world / name / "work"), "--out", str(world / name / "model")),
    ]
    return subprocess.run(command, env=environment() | variables, capture_output=True, text=True, timeout=300)


def contents(world: Path, name: str) -> dict[str, bytes]:
    return {file: (world / name / "model" / file).read_bytes() for file in FILES}


@pytest.fixture(scope="module")
def whole(world: Path) -> dict[str, bytes]:
    done = pretrain(world, "whole", "end", {})
    assert done.returncode == 0, done.stderr
    return contents(world, "whole")


@pytest.mark.parametrize(("first", "then"), [("+30d", "-30d"), ("-30d", "+30d"), ("jumping", "jumping")])
@pytest.mark.parametrize("point", ["step", "signal"])
def test_training_that_is_stopped_and_goes_on(
    library: Path, world: Path, whole: dict[str, bytes], first: str, then: str, point: str
) -> None:
    name = f"{first}-{point}"
    with jumping(world / f"{name}.offset") as clock:
        times = [shifted(library, clock if offset == "jumping" else offset) for offset in (first, then)]
        stopped = pretrain(world, name, point, times[0])
        assert stopped.returncode == (-9 if point == "step" else 75), stopped.stderr
        done = pretrain(world, name, "end", times[1])
    assert done.returncode == 0, done.stderr
    assert f"going on after step {8 if point == 'step' else 10}\n" in done.stderr
    assert "another process" not in done.stderr
    assert contents(world, name) == whole
    assert not re.search(r"[ /]-\d|nan|inf", done.stderr + stopped.stderr)
    for line in (world / name / "speed.jsonl").read_text().splitlines():
        assert all(value >= 0 for value in json.loads(line).values()), line


TARGETS = ("results/shards/en-de/manifest.json", *SMOKE)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = copy_tree(tmp_path_factory.mktemp("undisturbed"))
    snakemake(tree, "-j2", *TARGETS)
    return tree


def test_files_of_the_future(undisturbed: Path) -> None:
    """A file dated ahead: Snakemake compares a small one by content, and what a bigger one feeds is planned again."""
    text = undisturbed / "results/text/en-de/text.parquet"
    by_date = (*TARGETS, "--max-checksum-file-size", "0")  # every file counts as a big one
    assert planned(undisturbed, *TARGETS) == []
    os.utime(text, (time.time() + MONTH,) * 2)
    assert planned(undisturbed, *TARGETS) == []
    jobs = planned(undisturbed, *by_date)
    assert {job.rule for job in jobs} == {"align", "shards"}
    assert all(str(text.relative_to(undisturbed)) in job.reason for job in jobs if "Updated input" in job.reason)
