"""The Slurm profiles on a real Slurm: what is asked for and granted, retries, requeueing, kills, a node that dies.

A controller and two node daemons run on this machine (cluster.py); without the packages the tests are skipped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import Cluster, wait
from pipeline import copied, environment, planned
from runs import (
    CONFIG,
    MINUTES,
    MODEL,
    SHORT,
    WEIGHTS,
    checkpoints,
    finish,
    make_tree,
    running,
    start,
    start_now,
)

pytestmark = pytest.mark.slurm

OPTIONS = ("--slurm-status-command", "squeue", "--latency-wait", "20")
OPTIONS += ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "1")
PROFILE = ("--workflow-profile", "profiles/slurm", *OPTIONS)
TABLE = "results/tables/mlqa.csv"


@pytest.fixture(scope="module")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the cluster, in which fine-tuning has too little memory at first."""
    tree = make_tree(tmp_path_factory.mktemp("run"))
    profile = tree / "profiles" / "slurm" / "config.yaml"
    before, finetune, after = profile.read_text().partition("  finetune: # fine-tuning\n")
    profile.write_text(f"{before}{finetune}    mem_mb: 450 * attempt\n{after}")
    finish(tree, start(tree, cluster, TABLE, *CONFIG, *PROFILE))
    return tree


@pytest.fixture(scope="module")
def weights(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The backbone's weights of an undisturbed run without Slurm."""
    tree = copied(prepared, tmp_path_factory.mktemp("local") / "tree")
    finish(tree, start(tree, None, MODEL, *CONFIG, "-j2"))
    return (tree / WEIGHTS).read_bytes()


def test_jobs_ask_for_what_their_rules_say(finished: Path, cluster: Cluster) -> None:
    for rule, memory, limit in (
        ("align", None, "00:30:00"),
        ("backbone", "4000M", "04:00:00"),
        ("evaluate", "4000M", "02:00:00"),
    ):
        jobs = cluster.jobs_of(rule, finished)
        assert jobs, rule
        for job in jobs:
            assert job["JobState"] == "COMPLETED"
            assert memory in (None, job["MinMemoryNode"])
            assert job["TimeLimit"] == limit


def test_gpus_are_asked_for_and_granted(finished: Path, cluster: Cluster) -> None:
    for rule in ("backbone", "pretrain", "finetune", "evaluate"):
        jobs = cluster.jobs_of(rule, finished)
        assert jobs, rule
        for job in jobs:
            assert (job["TresPerJob"], job["NodeList"]) == ("gres:gpu:1", "n1"), rule
    assert not any("TresPerJob" in job for job in cluster.jobs_of("align", finished))


def test_gpus_are_asked_for_by_gres(cluster: Cluster, prepared: Path, tmp_path: Path) -> None:
    tree = copied(prepared, tmp_path / "tree")
    (tree / "small.yaml").write_text(SHORT)
    process = start(tree, cluster, MODEL, *CONFIG, "--workflow-profile", "profiles/slurm-gres", *OPTIONS)
    number = running(cluster, "backbone")["JobId"]

    def job() -> dict[str, str]:
        return next(job for job in cluster.jobs() if job["JobId"] == number)

    wait(lambda: job()["JobState"] == "COMPLETED", 120, "the job completed")
    process.kill()  # the plugin looks less and less often
    assert (job()["TresPerNode"], job()["NodeList"]) == ("gres:gpu:1", "n1")
    assert "TresPerJob" not in job()


def test_downloads_run_on_the_submitting_side(finished: Path, cluster: Cluster) -> None:
    assert list((finished / "data" / "raw").glob("*/*/manifest.json"))
    assert not cluster.jobs_of("download", finished)


def test_a_job_killed_for_memory_is_tried_again_with_more(finished: Path, cluster: Cluster) -> None:
    jobs = cluster.jobs_of("finetune", finished)
    states = {
        memory: {job["JobState"] for job in jobs if job["MinMemoryNode"] == memory} for memory in ("450M", "900M")
    }
    assert states == {"450M": {"FAILED"}, "900M": {"COMPLETED"}}


def test_a_second_run_has_nothing_to_do(finished: Path) -> None:
    assert not planned(finished, TABLE, *CONFIG, *PROFILE)


def test_the_result_is_that_of_a_run_without_slurm(finished: Path, weights: bytes) -> None:
    assert (finished / WEIGHTS).read_bytes() == weights


def test_a_preempted_job_goes_back_to_the_queue_and_on_from_its_checkpoint(
    cluster: Cluster, prepared: Path, tmp_path: Path, weights: bytes
) -> None:
    tree = copied(prepared, tmp_path / "tree")
    process = start(tree, cluster, MODEL, *CONFIG, *PROFILE)
    job = running(cluster, "backbone")["JobId"]
    wait(lambda: checkpoints(tree) >= 20, 120, "a checkpoint")
    cluster.run("scontrol", "requeue", job)
    start_now(cluster, job)
    finish(tree, process)
    assert (tree / WEIGHTS).read_bytes() == weights
    assert "going on after step" in (tree / "results/logs/backbone/backbone.log").read_text()
    assert [(j["JobState"], j["Restarts"]) for j in cluster.jobs() if j["JobId"] == job] == [("COMPLETED", "1")]


def test_snakemake_is_killed_and_started_again(
    cluster: Cluster, prepared: Path, tmp_path: Path, weights: bytes
) -> None:
    """Its jobs go on without it: they are cancelled by name first, as docs/cluster.md says."""
    tree = copied(prepared, tmp_path / "tree")
    process = start(tree, cluster, MODEL, *CONFIG, *PROFILE)
    job = running(cluster, "backbone")
    wait(lambda: checkpoints(tree) >= 20, 120, "a checkpoint")
    process.send_signal(signal.SIGKILL)
    process.wait()
    cluster.run("scancel", "--name", job["JobName"])
    wait(lambda: all(j["JobState"] != "RUNNING" for j in cluster.jobs()), 60, "the job stopped")
    finish(tree, start(tree, None, "--unlock", *CONFIG))
    finish(tree, start(tree, cluster, MODEL, *CONFIG, *PROFILE))
    assert (tree / WEIGHTS).read_bytes() == weights
    assert "going on after step" in (tree / "results/logs/backbone/backbone.log").read_text()


def test_a_node_dies(cluster: Cluster, prepared: Path, tmp_path: Path, weights: bytes) -> None:
    tree = copied(prepared, tmp_path / "tree")
    process = start(tree, cluster, MODEL, *CONFIG, *PROFILE)
    job = running(cluster, "backbone")
    wait(lambda: checkpoints(tree) >= 20, 120, "a checkpoint")
    node = job["NodeList"]
    cluster.kill_node(node)
    cluster.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=died")
    cluster.start_node(node)  # when it has told the controller that it is there, it returns to service
    state = ("sinfo", "--noheader", "--nodes", node, "--format=%T")
    wait(lambda: cluster.run(*state).strip() in ("idle", "mixed", "allocated"), 60, "the node back in service")
    start_now(cluster, job["JobId"])
    finish(tree, process)
    assert (tree / WEIGHTS).read_bytes() == weights


def test_training_on_two_nodes(finished: Path, cluster: Cluster, tmp_path: Path) -> None:
    """torchrun in a step of two tasks: the losses are those of one process."""
    settings = {"max_steps": 10, "batch_size": 16, "learning_rate": 1e-3}
    command = ["pretrain", "--objective", "weam", "--model", MODEL, "--shards", "results/shards/en-de/manifest.json"]
    command += ["--settings", json.dumps(settings), "--device", "cpu"]
    environ = environment() | cluster.environment() | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}

    def train(name: str, *launch: str) -> list[float]:
        done = [*launch, *command, "--work", str(tmp_path / f"{name}.work"), "--out", str(tmp_path / name)]
        result = subprocess.run(done, cwd=finished, env=environ, capture_output=True, text=True, timeout=5 * MINUTES)
        assert result.returncode == 0, result.stderr[-3000:]
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["loss"] for line in lines]

    one = train("one", sys.executable, "-m", "weam")
    port = 20_000 + os.getpid() % 10_000
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes=2",
        "--nproc-per-node=1",
        "--rdzv-backend=c10d",
    ]
    torchrun += [f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=1", "-m", "weam"]
    two = train("two", "srun", "--nodes=2", "--ntasks-per-node=1", "--mem=1500", *torchrun)
    assert len(one) == len(two) > 0
    assert one == pytest.approx(two, abs=1e-4)
