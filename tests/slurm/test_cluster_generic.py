"""profiles/cluster-generic on a real Slurm without accounting: what it asks for, failed and cancelled jobs, Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest
from cluster import Cluster, wait
from pipeline import ROOT, copied
from runs import CONFIG, MODEL, SHORT, finish, start

PLUGIN = "snakemake-executor-plugin-cluster-generic"
PROFILE = ("--workflow-profile", "profiles/cluster-generic", "--latency-wait", "20")
PROFILE += ("--seconds-between-status-checks", "1")
TEXT = "results/text/en-de/text.parquet"

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not importlib.util.find_spec(PLUGIN.replace("-", "_")), reason=f"needs: pip install {PLUGIN}"),
]


def newest(cluster: Cluster, rule: str) -> dict[str, str]:
    return max(cluster.jobs_of(rule), key=lambda job: int(job["JobId"]))


def status(cluster: Cluster, job: str) -> str:
    return cluster.run(str(ROOT / "profiles/cluster-generic/status.sh"), job).strip()


def submitted(cluster: Cluster, tree: Path) -> str:
    """Wait until Snakemake has submitted the job that trains the backbone, and knows its number, which comes back."""
    said = r"Submitted job 0 with external jobid '(\d+)'"
    wait(lambda: bool(re.search(said, (tree / "run.log").read_text())), 60, "a job submitted")
    return re.findall(said, (tree / "run.log").read_text())[-1]


def test_jobs_run_with_what_they_ask_for(cluster: Cluster, prepared: Path, tmp_path: Path) -> None:
    tree = copied(prepared, tmp_path / "tree")
    (tree / "small.yaml").write_text(SHORT)
    finish(tree, start(tree, cluster, MODEL, TEXT, *CONFIG, *PROFILE))
    training, text = newest(cluster, "backbone"), newest(cluster, "text")
    assert (tree / MODEL / "config.json").exists()
    assert (tree / TEXT).exists()
    assert [job["JobState"] for job in (training, text)] == ["COMPLETED", "COMPLETED"]
    assert [job["TimeLimit"] for job in (training, text)] == ["04:00:00", "02:00:00"]
    assert [job["MinMemoryNode"] for job in (training, text)] == ["4000M", "2000M"]
    assert [job["CPUs/Task"] for job in (training, text)] == ["4", "1"]
    assert (training["TresPerNode"], training["NodeList"]) == ("gres:gpu:1", "n1")
    assert text.get("TresPerNode", "gres:gpu:0") == "gres:gpu:0"
    assert training["JobName"] == text["JobName"] == "weam"
    assert not cluster.jobs_of("download")
    assert status(cluster, text["JobId"]) == "success"


def test_a_failed_job_is_seen(cluster: Cluster, prepared: Path, tmp_path: Path) -> None:
    tree = copied(prepared, tmp_path / "tree")
    finish(tree, start(tree, None, "data", *CONFIG, "-j2"))
    for path in tree.glob("data/raw/mini-en-de/*/*.zip"):
        times = path.stat().st_atime, path.stat().st_mtime
        path.write_bytes(path.read_bytes()[:-100])
        os.utime(path, times)
    log = finish(tree, start(tree, cluster, TEXT, *CONFIG, *PROFILE, "--retries", "0"), status=1)
    assert "Error in rule text" in log
    assert newest(cluster, "text")["JobState"] == "FAILED"
    assert status(cluster, newest(cluster, "text")["JobId"]) == "failed"


def test_a_cancelled_job_is_seen(cluster: Cluster, prepared: Path, tmp_path: Path) -> None:
    tree = copied(prepared, tmp_path / "tree")
    process = start(tree, cluster, MODEL, *CONFIG, *PROFILE, "--retries", "0")
    job = submitted(cluster, tree)
    assert status(cluster, job) == "running"
    cluster.run("scancel", job)
    assert "Error in rule backbone" in finish(tree, process, status=1)
    assert status(cluster, job) == "failed"


def test_the_status_of_a_job_that_nobody_knows(cluster: Cluster, tmp_path: Path) -> None:
    """Without accounting a job that the controller has forgotten has failed; one that cannot be asked about runs."""
    assert status(cluster, "999999") == "failed"
    text = Path(cluster.environment()["SLURM_CONF"]).read_text()
    (tmp_path / "slurm.conf").write_text(re.sub("SlurmctldPort=.*", "SlurmctldPort=1\nMessageTimeout=1", text))
    nowhere = os.environ | cluster.environment() | {"SLURM_CONF": str(tmp_path / "slurm.conf")}
    command = [str(ROOT / "profiles/cluster-generic/status.sh"), "1"]
    done = subprocess.run(command, env=nowhere, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("running\n", 0)
