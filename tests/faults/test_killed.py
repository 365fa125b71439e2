"""Every stage is killed (-9, Snakemake and all that it started) at five random moments of its job and started again.

What comes out must be the bytes of a run that nothing disturbed, with no other files beside them. Training writes
checkpoints every few steps here, so the later kills meet jobs that had gone on from one. Stages of which none needs
another's output run, and are killed, together.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest
from hub_server import Model, hub
from pipeline import MINUTES, ROOT, copied, copy_tree, environment, snakemake
from server import serving
from stages import STAGES, Stage, Trees, contents, remove, seconds

from weam.configfile import read_sources

KILLS = 5
EARLIEST = 0.1
"""Part of a job's time in which no kill falls: Python starts and nothing has been done."""
CORES = 2
"""At which the finished trees were made, so that their benchmarks say how long a job takes on half of the machine."""
TOGETHER = [
    ["download", "build_fast_align"],
    ["text"],
    ["align", "tokenizer"],
    ["align_model"],
    ["align_part"],
    ["align_join"],
    ["shards", "backbone"],
    ["pretrain", "alignment_table", "figure_alignment"],
    ["finetune", "word_retrieval", "data_table"],
    ["evaluate", "figure_word_retrieval", "figure_curves", "figure_funnel"],
    ["significance", "xtreme_r", "subset"],
    ["table", "figure_xtreme_r", "study_scaling", "study_families"],
    ["page", "figure_scores", "figure_differences", "figure_matrix"],
    ["figure_scaling", "figure_families"],
]
NOTHING: Mapping[str, str] = MappingProxyType({})


def at_random_moments(
    tree: Path, stages: Sequence[Stage], took: Mapping[str, float], variables: Mapping[str, str] = NOTHING
) -> dict[str, list[float]]:
    """Make the targets of some stages, each job killed at least five times, once in each fifth of the time it takes.

    Args:
        tree: In which all that they need has been made.
        stages: With the same options.
        took: Seconds of an undisturbed job by rule.
        variables: Of the environment.

    Returns:
        For each rule the moments of the kills that it was aimed at, in seconds after the job began.
    """
    temporary = tree / "tmp"
    temporary.mkdir()
    variables = {**variables, "TMPDIR": str(temporary)}
    command = (f"-j{len(stages)}", *(stage.target for stage in stages), *stages[0].options)
    rng = random.Random()
    fifths = {stage: [EARLIEST + (1 - EARLIEST) * (k + rng.random()) / KILLS for k in range(KILLS)] for stage in stages}
    moments: dict[str, list[float]] = {stage.rule: [] for stage in stages}
    scale = dict.fromkeys(stages, max(1.0, len(stages) / CORES))
    end = time.monotonic() + 15 * MINUTES
    while open_ := [stage for stage in stages if fifths[stage]]:
        assert time.monotonic() < end, moments
        for stage in open_:  # what was done meanwhile
            remove(tree / stage.folder)
        stage = rng.choice(open_)
        fifth = rng.choice(fifths[stage])
        moment = took[stage.rule] * scale[stage] * fifth
        if killed(tree, stage, moment, *command, variables=variables):
            moments[stage.rule].append(round(moment, 2))
            fifths[stage].remove(fifth)
            snakemake(tree, "--unlock", *stages[0].options, variables=variables)
        else:  # it was done before
            scale[stage] *= 0.8
    snakemake(tree, *command, variables=variables)
    files = [path.relative_to(temporary) for path in temporary.rglob("*") if not path.is_dir()]
    left = [str(path) for path in files if not path.parts[0].startswith("snakemake")]  # of Snakemake's own scripts
    assert left == [], moments
    for folder in ("locks", "incomplete"):
        assert not list((tree / ".snakemake").glob(f"{folder}/*")), moments
    return moments


def killed(tree: Path, stage: Stage, moment: float, *args: str, variables: Mapping[str, str]) -> bool:
    """Start Snakemake and kill all of it so long after a stage's job began; False if that ended before."""
    log = (tree / "run.log").open("w")
    command = [sys.executable, "-m", "snakemake", *args]
    environ = environment() | dict(variables)
    process = subprocess.Popen(command, cwd=tree, env=environ, stdout=log, stderr=log, start_new_session=True)
    root = psutil.Process(process.pid)
    job = None
    while job is None and process.poll() is None:
        time.sleep(0.01)
        job = job_of(root, stage)
    if job is not None:
        with contextlib.suppress(psutil.TimeoutExpired):
            job.wait(moment)
    alive = job is not None and job.is_running() and job.status() != psutil.STATUS_ZOMBIE
    children = root.children(recursive=True) if process.poll() is None else []
    if process.poll() is None and not alive:
        process.wait(5 * MINUTES)
    if not alive:
        assert process.returncode == 0, (tree / "run.log").read_text()[-3000:]
        return False
    os.killpg(process.pid, signal.SIGKILL)
    for child in children:  # those with a process group of their own
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
    psutil.wait_procs(children, timeout=10)
    return True


def job_of(root: psutil.Process, stage: Stage) -> psutil.Process | None:
    """The process of a stage's command, if it has begun."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in root.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                said = child.cmdline()
                if said[1:3] == ["-m", "weam"] and any(stage.target in word for word in said):
                    return child
    return None


def test_all_stages_are_killed() -> None:
    assert sorted(rule for rules in TOGETHER for rule in rules) == sorted(stage.rule for stage in STAGES)


@pytest.mark.parametrize("rules", TOGETHER, ids="-".join)
def test_stages(rules: list[str], trees: Trees, tmp_path: Path) -> None:
    stages = [stage for stage in STAGES if stage.rule in rules]
    finished = trees.of(stages[0])
    tree = copied(finished, tmp_path / "tree")
    took = {stage.rule: seconds(finished, stage.rule) for stage in stages}
    moments = at_random_moments(tree, stages, took)
    assert contents(tree) == contents(finished), moments


def test_the_download_from_a_server(tmp_path: Path) -> None:
    """Goes on by range where the killed one had stopped."""
    data = random.Random(1).randbytes(3_000_000)
    entry = read_sources(ROOT / "workflow" / "sources")["squad"].model_dump(mode="json", exclude_none=True)
    entry["files"] = {"train-v1.1.json": {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}}
    files = {"/mirror/squad/v1.1/train-v1.1.json": data}
    paper = ("--configfile", "configs/paper.yaml", "big.yaml")
    stage = Stage("download", "data/raw/squad/v1.1/manifest.json", paper)
    made = {}
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        tree = copy_tree(tmp_path / name)
        (tree / "big.yaml").write_text(json.dumps({"sources": {"squad": entry}}))
        with serving(files) as server:
            server.rate = 3_000_000
            mirror = ("--config", f"mirror={server.url}/mirror")
            if name == "undisturbed":
                snakemake(tree, "-j1", stage.target, *stage.options, *mirror)
                made[name] = contents(tree)
                took = {"download": seconds(tree, "download")}
            else:
                killed_stage = stage._replace(options=(*stage.options, *mirror))
                at_random_moments(tree, [killed_stage], took)
                made[name] = contents(tree)
                assert any(wanted for _, wanted in server.requests)  # by range
    assert made["killed"] == made["undisturbed"]


def test_a_model_of_the_hub(tmp_path: Path) -> None:
    revision = hashlib.sha1(b"a commit").hexdigest()
    weights = random.Random(2).randbytes(3_000_000)
    model = Model({}, {revision: {"config.json": b"{}", "model.safetensors": weights}})
    made = {}
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        tree = copy_tree(tmp_path / name)
        backbone = {"name_or_path": "someone/model", "revision": revision}
        (tree / "hub.yaml").write_text(json.dumps({"backbone": backbone}))
        stage = Stage("hub", f"data/hub/someone--model/{revision}/manifest.json", ("--configfile", "hub.yaml"))
        with hub({"someone/model": model}) as models:
            variables = {"HF_ENDPOINT": models.url, "HF_HOME": str(tree / "home"), "no_proxy": "*"}
            variables["HF_HUB_OFFLINE"] = "0"
            if name == "undisturbed":
                snakemake(tree, "-j1", stage.target, *stage.options, variables=variables)
                made[name] = contents(tree)
                took = {"hub": seconds(tree, "hub")}
            else:
                at_random_moments(tree, [stage], took, variables)
                made[name] = contents(tree)
    assert made["killed"] == made["undisturbed"]
