"""Runs of Snakemake on the Slurm of cluster.py, in copies of the source tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cluster import Cluster, wait
from pipeline import copy_tree, environment

SMALL = """\
languages: [de]
systems: [weam]
backbone: {max_steps: 800, checkpoint_steps: 20}
finetune: {qa: {settings: [zero-shot]}}
tasks: {mlqa: {languages: [de]}, xnli: null, udpos: null, tatoeba: null}
"""
SHORT = SMALL.replace("max_steps: 800", "max_steps: 4")
CONFIG = ("--configfile", "configs/smoke.yaml", "small.yaml")
MODEL = "results/models/backbone"
WEIGHTS = f"{MODEL}/model.safetensors"
MINUTES = 60
STARTED: list[subprocess.Popen[str]] = []


def make_tree(folder: Path) -> Path:
    tree = copy_tree(folder)
    (tree / "small.yaml").write_text(SMALL)
    return tree


def start(tree: Path, cluster: Cluster | None, *args: str) -> subprocess.Popen[str]:
    """Start Snakemake, on the cluster or, without one, here."""
    variables = environment() | (cluster.environment() if cluster else {})
    log = (tree / "run.log").open("a")
    command = [sys.executable, "-m", "snakemake", *args]
    process = subprocess.Popen(command, cwd=tree, env=variables, stdout=log, stderr=log, text=True)
    STARTED.append(process)
    return process


def finish(tree: Path, process: subprocess.Popen[str], status: int = 0) -> str:
    assert process.wait(15 * MINUTES) == status, (tree / "run.log").read_text()[-6000:]
    return (tree / "run.log").read_text()


def running(cluster: Cluster, rule: str) -> dict[str, str]:
    """Wait until a job of the rule runs; it comes back."""
    wait(lambda: any(job["JobState"] == "RUNNING" for job in cluster.jobs_of(rule)), 120, f"a job of {rule} running")
    return next(job for job in cluster.jobs_of(rule) if job["JobState"] == "RUNNING")


def start_now(cluster: Cluster, job: str) -> None:
    """Slurm lets a job that went back to the queue wait for two minutes."""
    queue = ("squeue", "-h", "-j", job, "-t", "PENDING", "-o", "%i")
    wait(lambda: cluster.run(*queue).split() == [job], 60, f"job {job} back in the queue")
    cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")


def checkpoints(tree: Path) -> int:
    """Step of the newest checkpoint of the backbone."""
    return max(
        (int(path.stem.rpartition("-")[2]) for path in tree.glob("results/work/backbone/*/step-*.json")), default=0
    )
