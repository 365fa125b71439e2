"""Running Snakemake on copies of the source tree, and reading what a dry run would do."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from weam.figure import KINDS

ROOT = Path(__file__).resolve().parent.parent
SMOKE = ("--configfile", "configs/smoke.yaml")
MINUTES = 60
STUDIES = {"subset", "study_scaling", "study_families", "figure_scaling", "figure_families"}
"""Rules of the studies, which are in no run that does not name them."""
FIGURES = {f"figure_{kind}" for kind in KINDS} - STUDIES
"""Rules of the command figure."""


class Job(NamedTuple):
    """A job of a dry run."""

    rule: str
    output: str
    reason: str
    command: str


def copy_tree(target: Path) -> Path:
    """Copy the source tree: the files that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode == 0:
        for name in filter(None, listing.stdout.split("\0")):
            if (ROOT / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target / name)
    else:  # an unpacked archive
        leave = shutil.ignore_patterns(".*", "results", "raw", "hub", "lock", "__pycache__", "*.egg-info")
        shutil.copytree(ROOT, target, ignore=leave, dirs_exist_ok=True)
    return target


def copied(tree: Path, target: Path) -> Path:
    """Copy a tree in which something has run, with the times of its files."""
    shutil.copytree(tree, target, symlinks=True)
    return target


def environment() -> dict[str, str]:
    leave = ("WEAM_", "SNAKEMAKE_", "PYTHONPATH", "PYTEST_", "OMP_")
    return {name: value for name, value in os.environ.items() if not name.startswith(leave)}


def snakemake(
    where: Path, *args: str, status: int = 0, variables: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a tree, with some variables set; fail unless it exits with ``status``."""
    command = [sys.executable, "-m", "snakemake", *args]
    environ = environment() | dict(variables)
    done = subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, timeout=15 * MINUTES)
    assert done.returncode == status, f"{' '.join(args)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


def planned(where: Path, *args: str) -> list[Job]:
    """What a dry run would do, without the final target."""
    done = snakemake(where, *args, "-n")
    text = done.stdout + done.stderr
    jobs = []
    for block in re.split(r"\n(?=\[|(?:local)?rule )", text):
        if match := re.match(r"(?:local)?rule (\w+):", block):
            fields = dict(re.findall(r"^    (\w+): (.*)$", block, re.MULTILINE))
            command = block.partition("Shell command:")[2]
            jobs.append(Job(match[1], fields.get("output", ""), fields.get("reason", ""), " ".join(command.split())))
    if not jobs:
        assert "Nothing to be done" in text, text
    return [job for job in jobs if job.output]


@functools.cache
def fresh(tree: Path, *args: str) -> list[Job]:
    """What a run in a tree would do where nothing has run."""
    return planned(tree, *args)


def rules(jobs: list[Job]) -> set[str]:
    return {job.rule for job in jobs}


def causes(jobs: list[Job]) -> list[Job]:
    """Of planned jobs, those that run for a reason of their own, not because of another job."""
    return [job for job in jobs if not job.reason.startswith("Input files updated by another job")]


def overlay(where: Path, text: str) -> tuple[str, ...]:
    """Arguments for the smoke configuration with some settings changed."""
    path = where / "overlay.yaml"
    path.write_text(text)
    return (*SMOKE, path.name)
