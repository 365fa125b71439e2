"""The paper's configuration: the jobs it expands to, and its whole download stage against a local server.

The server has archives of the real names and layouts, made of the mini world, so with checksums of their own.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hub_server import Model, hub
from pipeline import ROOT, copy_tree, environment, fresh, planned, snakemake
from server import serving

from weam import tasks
from weam.config_data import Mini
from weam.configfile import read_sources
from weam.mini import write_file
from weam.readers import Release, nli, parallel, qa
from weam.validation import read_yaml

PAPER = ("--configfile", "configs/paper.yaml")
TABLES = ("results/tables/mlqa.csv", "results/tables/xnli.csv")
SOURCES = (
    "translation2019zh",
    "europarl-de",
    "europarl-es",
    "squad",
    "mlqa",
    "mlqa-translate-train",
    "xnli",
    "xnli-mt",
)
SCORED = {"udpos": "ud-27"}
"""Sources of tasks that have another name."""
SMALL = Mini(pairs=40, questions=30, test_questions=8, inferences=30, test_inferences=18)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("paper"))


@pytest.mark.parametrize("overlay", ["configs/paper.yaml", "configs/paper-xlmr.yaml"])
def test_the_jobs_of_the_paper(tree: Path, overlay: str) -> None:
    jobs = fresh(tree, *TABLES, "--configfile", overlay)
    assert collections.Counter(job.rule for job in jobs) == {
        "download": len(SOURCES),
        "hub": 1,
        "build_fast_align": 1,
        "text": 3,
        "align": 3,
        "shards": 3,
        "backbone": 1,
        "pretrain": 3 * 3,  # systems that are continued, languages
        "finetune": 2 * 5 * (1 + 3 * 3 + 3 + 3 * 3),  # families, seeds, zero-shot (mBERT once), translate-train
        "evaluate": 2 * 5 * (1 + 3 * 3 + 3 + 3 * 3),
        "significance": 2,
        "table": 2,
    }
    pretrain = [job.command for job in jobs if job.rule == "pretrain"]
    for text in ('"learning_rate": 5e-05', '"batch_size": 32'):
        assert all(text in command for command in pretrain)
    assert sum('"epochs": 2' in command and '"mask_probability": 0.3' in command for command in pretrain) == 6
    finetune = [job.command for job in jobs if job.rule == "finetune"]
    expected = {
        "qa": ('"max_length": 384, "max_question_length": 64', '"learning_rate": 3e-05'),
        "nli": ('"max_length": 128', '"learning_rate": 2e-05'),
    }
    for family, texts in expected.items():
        commands = [command for command in finetune if f"--family {family} " in command]
        assert len(commands) == len(finetune) / 2
        for text in (*texts, '"epochs": 3', '"batch_size": 32', '"max_steps": null', '"checkpoint_steps": 5000'):
            assert all(text in command for command in commands), text
    (backbone,) = [job.command for job in jobs if job.rule == "backbone"]
    assert "--shards" not in backbone


def test_the_jobs_of_xtreme_r(tree: Path) -> None:
    jobs = fresh(tree, "results/tables/xtreme_r.csv", "--configfile", "configs/xtreme-r.yaml")
    assert collections.Counter(job.rule for job in jobs) == {
        "download": 20,
        "hub": 1,
        "build_fast_align": 1,
        "text": 5,
        "align": 5,
        "shards": 5,
        "backbone": 1,
        "pretrain": 2,  # systems that are continued, each in all languages
        "finetune": 3 * 5 * 3,  # systems, families, seeds
        "evaluate": 3 * (7 * 3 + 3),  # systems, tasks of fine-tuned models with their seeds, tasks of retrieval
        "xtreme_r": 1,
    }
    found = {job.output.split("/")[2]: job.command for job in jobs if job.rule == "evaluate"}
    scored = {task: set(command.split("--languages ")[1].split(" --")[0].split()) for task, command in found.items()}
    assert scored.keys() == set(tasks.names())
    for task, languages in scored.items():
        missing = {"az", "lt", "pl", "ro", "uk"} if task == "tatoeba" else set()  # not among LASER's files
        english = {"en"} & set(read_sources(ROOT / "workflow/sources")[SCORED.get(task, task)].languages)
        english &= {"en"} if tasks.load(task).english else set()
        assert languages == set(tasks.load(task).languages) - {"en"} - missing | english, task
    copa = next(job.command for job in jobs if "--family copa" in job.command)
    assert "--manifest data/raw/siqa/" in copa
    assert "--manifest data/raw/copa/" in copa


def test_both_configurations_differ_in_the_backbone_only() -> None:
    mbert, xlmr = (read_yaml(ROOT / "configs" / name) for name in ("paper.yaml", "paper-xlmr.yaml"))
    assert mbert.pop("backbone") != xlmr.pop("backbone")
    assert mbert == xlmr


def released(folder: Path) -> dict[str, bytes]:
    """Path on the mirror to content, of all files of the paper's configuration."""
    table = read_sources(ROOT / "workflow" / "sources")
    files = {}
    for name in SOURCES:
        for file in table[name].files:
            write_file(file, SMALL, ROOT / "data" / "mini", folder / file)
            files[f"/mirror/{name}/{table[name].version}/{file}"] = (folder / file).read_bytes()
    return files


def overlay(tree: Path, files: dict[str, bytes]) -> None:
    """The sources of the paper's configuration with the checksums of ``files``."""
    table = read_sources(ROOT / "workflow" / "sources")
    entries: dict[str, Any] = {}
    for name in SOURCES:
        entry = table[name].model_dump(mode="json", exclude_none=True)
        for file in entry["files"]:
            data = files[f"/mirror/{name}/{table[name].version}/{file}"]
            entry["files"][file] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        entries[name] = entry
    (tree / "checksums.yaml").write_text(json.dumps({"sources": entries}))


def test_the_download_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = copy_tree(tmp_path / "tree")
    files = released(tmp_path)
    overlay(tree, files)
    backbone = read_yaml(ROOT / "configs" / "paper.yaml")["backbone"]
    model = Model({}, {backbone["revision"]: {"config.json": b"{}", "model.safetensors": b"weights"}})
    with serving(files) as server, hub({backbone["name_or_path"]: model}) as models:
        for name, value in {"HF_ENDPOINT": models.url, "HF_HOME": str(tmp_path / "home"), "no_proxy": "*"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        # A 503 and a cut connection: the download waits and goes on by range.
        server.faults += [503, ("drop", 100)]
        options = ("data", *PAPER, "checksums.yaml", "--config", f"mirror={server.url}/mirror")
        snakemake(tree, "-j1", *options)
        assert "bytes=100-" in [wanted for _, wanted in server.requests]
        assert len(server.requests) == len(files) + 2
        assert not planned(tree, *options)  # nothing to be done
        count = len(server.requests)
        snakemake(tree, "-j1", *options)
        assert len(server.requests) == count
    (fetched,) = (tree / "data" / "hub").rglob("model.safetensors")
    assert fetched.read_bytes() == b"weights"
    of = {name: Release(next((tree / "data" / "raw" / name).glob("*/manifest.json"))) for name in SOURCES}
    for name, language in (("translation2019zh", "zh"), ("europarl-de", "de"), ("europarl-es", "es")):
        assert sum(1 for _ in parallel.read_pairs(of[name], language)) >= SMALL.pairs
    assert len(qa.read_train(of["squad"], "en")[0]) == SMALL.questions
    for language in ("zh", "de", "es"):
        assert len(qa.read_train(of["mlqa-translate-train"], language)[0]) == SMALL.questions
        assert len(qa.read_test(of["mlqa"], "test", language, "en")) == SMALL.test_questions
        assert len(nli.read_train(of["xnli-mt"], language)[0]) == SMALL.inferences
        assert len(nli.read_test(of["xnli"], "test", language)) == SMALL.test_inferences


def test_an_upstream_file_that_is_not_the_released_one(tmp_path: Path) -> None:
    """With the real checksums: all places are asked, every one is named, and nothing is left."""
    tree = copy_tree(tmp_path / "tree")
    files = {path: data for path, data in released(tmp_path).items() if "/squad/" in path}
    with serving(files) as server:
        options = ("data/raw/squad/v1.1/manifest.json", *PAPER, "nowhere.yaml")
        options += ("--config", f"mirror={server.url}/mirror")
        (tree / "nowhere.yaml").write_text(json.dumps({"sources": {"squad": local("squad")}}))
        done = snakemake(tree, "-j1", *options, status=1)
    assert "where 30288272 are expected" in done.stdout + done.stderr
    assert "use another mirror, or correct the source's entry if the release has changed" in done.stdout + done.stderr
    assert [path.name for path in (tree / "data" / "raw").rglob("*") if path.is_file()] == []


def test_a_release_that_was_replaced(tmp_path: Path) -> None:
    """translation2019zh has no published checksum: the first download notes one, and another file is then refused."""
    tree = copy_tree(tmp_path / "tree")
    files = {path: data for path, data in released(tmp_path).items() if "/translation2019zh/" in path}
    manifest = "data/raw/translation2019zh/2019/manifest.json"
    with serving(files) as server:
        options = (manifest, *PAPER, "--config", f"mirror={server.url}/mirror", "--forcerun", "download")
        snakemake(tree, "-j1", *options)
        before = (tree / manifest).read_bytes()
        shutil.rmtree(tree / "data" / "raw")
        (path,) = files
        files[path] += b"more"
        (tree / "nowhere.yaml").write_text(json.dumps({"sources": {"translation2019zh": local("translation2019zh")}}))
        elsewhere = (manifest, *PAPER, "nowhere.yaml", *options[-4:])
        done = snakemake(tree, "-j1", *elsewhere, status=1)
        said = done.stdout + done.stderr
        assert "by data/lock/translation2019zh-2019.json; if the release was replaced on purpose, delete" in said
        files[path] = files[path].removesuffix(b"more")
        snakemake(tree, "-j1", *options)
    assert (tree / manifest).read_bytes() == before


def test_two_runs_at_once(tmp_path: Path) -> None:
    """The second one stops with a sentence, in a run of its own and in the same folder; the first is not disturbed."""
    tree = copy_tree(tmp_path / "tree")
    files = {path: data for path, data in released(tmp_path).items() if "/squad/" in path}
    overlay(tree, files | {path: b"" for path in everything() if path not in files})
    with serving(files) as server:
        server.pause = threading.Event()
        options = ("data/raw/squad/v1.1/manifest.json", *PAPER, "checksums.yaml")
        options += ("--config", f"mirror={server.url}/mirror")
        with ThreadPoolExecutor() as pool:
            first = pool.submit(snakemake, tree, "-j1", *options)
            wait_for(lambda: bool(server.requests))
            entry = json.loads((tree / "checksums.yaml").read_text())["sources"]["squad"]
            command = ["download", "--name", "squad", "--settings", json.dumps(entry)]
            command += ["--out", "data/raw/squad/v1.1/manifest.json"]
            second = weam(tree, *command)
            third = snakemake(tree, "-j1", *options, status=1)
            server.pause.set()
            first.result()
    assert second.returncode == 1
    assert "data/raw/squad/v1.1: another process downloads here (process" in second.stderr
    assert "cannot be locked" in third.stdout + third.stderr
    assert left(tree) == {"manifest.json", "train-v1.1.json"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk(tmp_path: Path) -> None:
    """One sentence; what was downloaded stays, and with space again the download goes on from there."""
    tree = copy_tree(tmp_path / "tree")
    files = {path: data for path, data in released(tmp_path).items() if "/squad/" in path or "/xnli/" in path}
    (path,) = (path for path in files if "/squad/" in path)
    files[path] = b"x" * 3_000_000
    overlay(tree, files | {path: b"" for path in everything() if path not in files})
    raw = tree / "data" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "weam", str(raw)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here ({mounted.stderr.strip()})")
    try:
        with serving(files) as server:
            options = (*PAPER, "checksums.yaml", "--config", f"mirror={server.url}/mirror")
            snakemake(tree, "-j1", "data/raw/xnli/1.0/manifest.json", *options)
            done = snakemake(tree, "-j1", "data/raw/squad/v1.1/manifest.json", *options, status=1)
            said = done.stdout + done.stderr
            assert "No space left on device" in said
            assert "Traceback" not in said
            assert "XNLI-1.0.zip" in left(tree)
            subprocess.run(["mount", "-o", "remount,size=20m", str(raw)], check=True)
            snakemake(tree, "-j1", "data/raw/squad/v1.1/manifest.json", *options)
            assert any(wanted and "squad" in where for where, wanted in server.requests)  # by range
        assert left(tree) == {"manifest.json", "train-v1.1.json", "XNLI-1.0.zip"}
    finally:
        subprocess.run(["umount", str(raw)], check=True)


def left(tree: Path) -> set[str]:
    return {path.name for path in (tree / "data" / "raw").rglob("*") if path.is_file()}


def everything() -> list[str]:
    table = read_sources(ROOT / "workflow" / "sources")
    return [f"/mirror/{name}/{table[name].version}/{file}" for name in SOURCES for file in table[name].files]


def weam(tree: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "weam", *args]
    return subprocess.run(command, cwd=tree, env=environment(), capture_output=True, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def local(name: str) -> dict[str, Any]:
    """A source with a url that no network is needed to find absent."""
    entry = read_sources(ROOT / "workflow" / "sources")[name].model_dump(mode="json", exclude_none=True)
    return entry | {"url": "/nowhere", "mirrors": []}
