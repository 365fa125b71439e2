"""Two runs in one folder: the second one stops, the first is not harmed and makes what it would have made alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline import MINUTES, SMOKE, copy_tree, environment, snakemake

MODEL = "results/models/backbone"
WAITS = """
import os, time, torch
step = torch.optim.AdamW.step
def waiting(*args, **options):
    while not os.path.exists("go"):
        time.sleep(0.1)
    return step(*args, **options)
torch.optim.AdamW.step = waiting
"""
"""A module with this text trains when there is a file go."""


def wait_for(condition: Callable[[], bool], first: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 5 * MINUTES
    while not condition():
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)


def begin(tree: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snakemake", "-j1", *args]
    return subprocess.Popen(
        command, cwd=tree, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with all that the backbone is made from."""
    tree = copy_tree(tmp_path_factory.mktemp("two"))
    snakemake(tree, "-j2", "results/shards/mono/manifest.json", *SMOKE)
    return tree


def test_two_runs_of_snakemake_while_a_model_trains(ready: Path) -> None:
    """The second stops by Snakemake's lock; with --nolock its training stops by the lock of the work folder."""
    snakemake(ready, "-j1", MODEL, *SMOKE)
    alone = {path.name: path.read_bytes() for path in (ready / MODEL).iterdir() if path.is_file()}
    train = ready / "weam/backbone.py"
    source = train.read_bytes()
    train.write_bytes(source + WAITS.encode())
    try:
        first = begin(ready, MODEL, *SMOKE, "--forcerun", "backbone")
        wait_for(lambda: bool(list((ready / "results/work").rglob("lock"))), first)
        second = snakemake(ready, "-j1", MODEL, *SMOKE, status=1)
        arguments = ("--nolock", "--forcerun", "backbone")
        third = snakemake(ready, "-j1", MODEL, *SMOKE, *arguments, status=1)
        assert first.poll() is None
        (ready / "go").touch()
        said = first.communicate()[0]
    finally:
        train.write_bytes(source)
    assert first.returncode == 0, said[-3000:]
    assert "Directory cannot be locked" in second.stdout + second.stderr
    assert "another process trains here (process" in third.stdout + third.stderr
    assert "Traceback" not in third.stdout + third.stderr
    found = {path.name: path.read_bytes() for path in (ready / MODEL).iterdir() if path.is_file()}
    assert found == alone
