"""Every stage killed with SIGKILL at random moments, and the whole workflow too: the same bytes in the end.

The moments are drawn with a seed that each test prints; WEAM_FAULT_SEED repeats them.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipeline import MINUTES, SMOKE, Job, copy_tree, environment, planned, snakemake

MOMENTS = 5
SEED = int(os.environ.get("WEAM_FAULT_SEED", time.time_ns() % 10**6))
VOLATILE = ("results/logs/", "results/benchmarks/", "results/.", ".snakemake/", "data/lock/")
"""What two good runs do not have in common."""

Tree = dict[str, str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which the smoke configuration has run undisturbed."""
    where = copy_tree(tmp_path_factory.mktemp("finished"))
    snakemake(where, "-j2", *SMOKE)
    return where


@pytest.fixture(scope="module")
def jobs(finished: Path) -> dict[str, Job]:
    """One job of each rule."""
    found: dict[str, Job] = {}
    for job in planned(finished, "--forceall", *SMOKE):
        if job.command:
            found.setdefault(job.rule, job)
    return found


RULES = (
    *("download", "text", "build_fast_align", "align", "tokenizer", "shards", "backbone", "pretrain", "finetune"),
    *("evaluate", "word_retrieval", "significance", "table", "xtreme_r", "alignment_table", "data_table", "page"),
    *("figure_scores", "figure_differences", "figure_matrix", "figure_xtreme_r", "figure_word_retrieval"),
    *("figure_alignment", "figure_curves", "figure_funnel"),
)


def listing(where: Path) -> Tree:
    """Files that a run makes, with their checksums; temporary ones too."""
    tree: Tree = {}
    for top in ("results", "data/raw"):
        for path in sorted((where / top).rglob("*")):
            name = str(path.relative_to(where))
            if path.is_file() and not name.startswith(VOLATILE) and path.name != ".snakemake_timestamp":
                tree[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return tree


def start(where: Path, command: str) -> subprocess.Popen[bytes]:
    """A job's command as Snakemake starts it, in a process group of its own."""
    return subprocess.Popen(
        ["bash", "-c", f"set -euo pipefail; {command}"],
        cwd=where,
        env=environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(where: Path, job: Job) -> float:
    """Run a job's command to its end; returns seconds."""
    begin = time.monotonic()
    process = start(where, job.command)
    _, err = process.communicate(timeout=5 * MINUTES)
    log = "".join(path.read_text() for path in where.glob(f"results/logs/{job.rule.split('_')[0]}*/**/*.log"))
    assert process.returncode == 0, f"{job.command}\n{err.decode()[-2000:]}\n{log[-2000:]}"
    return time.monotonic() - begin


def remove_outputs(where: Path, job: Job) -> None:
    for name in job.output.split(", "):
        path = where / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def test_all_rules_are_here(jobs: dict[str, Job]) -> None:
    assert set(RULES) == set(jobs), "a rule of the smoke configuration is missing above, or is no more"


@pytest.mark.parametrize("rule", RULES)
def test_a_stage(finished: Path, jobs: dict[str, Job], tmp_path: Path, rule: str) -> None:
    """From an empty place, killed five times, once each at a random moment: then it makes the same bytes."""
    job = jobs[rule]
    where = tmp_path / "tree"
    shutil.copytree(finished, where, symlinks=True, ignore=shutil.ignore_patterns(".snakemake"))
    before = listing(where)
    remove_outputs(where, job)
    seconds = finish(where, job)
    assert listing(where) == before, "an undisturbed run alone makes something else"
    draw = random.Random(f"{SEED} {rule}")
    print(f"WEAM_FAULT_SEED={SEED} {rule}: {seconds:.2f} s")
    for _ in range(MOMENTS):
        remove_outputs(where, job)
        process = start(where, job.command)
        moment = draw.random() * seconds
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        finish(where, job)
        assert listing(where) == before, f"killed after {moment:.3f} s"


def test_the_workflow(finished: Path, tmp_path: Path) -> None:
    """Snakemake and all its jobs killed five times on the way: unlocked and started again, the same bytes."""
    where = copy_tree(tmp_path / "tree")
    draw = random.Random(SEED)
    print(f"WEAM_FAULT_SEED={SEED}")
    command = [sys.executable, "-m", "snakemake", "-j2", "--rerun-incomplete", *SMOKE]
    kills = 0
    while kills < MOMENTS:
        process = subprocess.Popen(
            command,
            cwd=where,
            env=environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(draw.uniform(5, 35))
        assert process.poll() is None, "the run ended before it was killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        snakemake(where, "--unlock", *SMOKE)
    snakemake(where, "-j2", "--rerun-incomplete", *SMOKE)
    assert listing(where) == listing(finished)
    assert "Nothing to be done" in snakemake(where, "-j1", *SMOKE).stderr
