"""Every stage is killed (-9, Snakemake and all that it started) at five random moments of its job and started again.

What comes out must be the bytes of a run that nothing disturbed, with no other files beside them. Training writes
checkpoints every few steps here, so the later kills meet jobs that had gone on from one.
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
from collections.abc import Iterator, Mapping
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
NOTHING: Mapping[str, str] = MappingProxyType({})


def at_random_moments(
    tree: Path, stage: Stage, took: float, variables: Mapping[str, str] = NOTHING
) -> tuple[list[float], dict[str, str]]:
    """Make a stage's target with five kills, one in each fifth of the time that its job takes, in any order.

    Returns the moments (seconds after the job began) and what there is in the end.
    """
    temporary = tree / "tmp"
    temporary.mkdir()
    variables = {**variables, "TMPDIR": str(temporary)}
    command = ("-j1", stage.target, *stage.options)
    rng = random.Random()
    fifths = [EARLIEST + (1 - EARLIEST) * (k + rng.random()) / KILLS for k in range(KILLS)]
    rng.shuffle(fifths)
    moments: list[float] = []
    shorter = 1.0
    remove(tree / stage.folder)
    end = time.monotonic() + 10 * MINUTES
    while len(moments) < KILLS:
        assert time.monotonic() < end, f"only {len(moments)} kills"
        moment = took * shorter * fifths[len(moments)]
        if killed(tree, moment, *command, variables=variables):
            moments.append(round(moment, 2))
            snakemake(tree, "--unlock", *stage.options, variables=variables)
        else:  # it was done before: what it made goes, and the next kill comes earlier
            remove(tree / stage.folder)
            shorter *= 0.8
    snakemake(tree, *command, variables=variables)
    assert os.listdir(temporary) == [], moments
    for folder in ("locks", "incomplete"):
        assert not list((tree / ".snakemake").glob(f"{folder}/*")), moments
    return moments, contents(tree)


def killed(tree: Path, moment: float, *args: str, variables: Mapping[str, str]) -> bool:
    """Start Snakemake and kill all of it so long after its first job began; False if it ended before."""
    log = (tree / "run.log").open("w")
    command = [sys.executable, "-m", "snakemake", *args]
    environ = environment() | dict(variables)
    process = subprocess.Popen(command, cwd=tree, env=environ, stdout=log, stderr=log, start_new_session=True)
    root = psutil.Process(process.pid)
    while process.poll() is None and not any("-m weam " in said for said in commands(root)):
        time.sleep(0.01)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    if process.poll() is not None:
        assert process.returncode == 0, (tree / "run.log").read_text()[-3000:]
        return False
    children = root.children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    for child in children:  # those with a process group of their own
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
    psutil.wait_procs(children, timeout=10)
    return True


def commands(root: psutil.Process) -> Iterator[str]:
    """Command lines of what a process has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in root.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                yield " ".join(child.cmdline())


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.rule)
def test_a_stage(stage: Stage, trees: Trees, tmp_path: Path) -> None:
    finished = trees.of(stage)
    tree = copied(finished, tmp_path / "tree")
    moments, after = at_random_moments(tree, stage, seconds(finished, stage.rule))
    assert after == contents(finished), moments


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
                took = seconds(tree, "download")
            else:
                _, made[name] = at_random_moments(tree, stage._replace(options=(*stage.options, *mirror)), took)
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
                took = seconds(tree, "hub")
            else:
                _, made[name] = at_random_moments(tree, stage, took, variables)
    assert made["killed"] == made["undisturbed"]
