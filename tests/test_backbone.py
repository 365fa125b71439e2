"""A real backbone: from a local folder, from the hub by revision (its cache, offline), and wrong ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from safetensors.torch import load_file, save_file

from weam.cli import main
from weam.io import sha256


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    tiny.make(folder, request.param)
    return folder


def command(out: Path, **settings: object) -> list[str]:
    return ["backbone", "--settings", json.dumps(settings), "--work", str(out / "work"), "--out", str(out / "model")]


def test_local_folder(world: Path, tmp_path: Path) -> None:
    assert main(command(tmp_path, name_or_path=str(world / "backbone"))) == 0
    before, after = (load_file(folder / "model.safetensors") for folder in (world / "backbone", tmp_path / "model"))
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
    training = json.loads((tmp_path / "model" / "training.json").read_text())
    assert training["name_or_path"] == str(world / "backbone")
    assert "Backbone: backbone" in (tmp_path / "model" / "README.md").read_text()
    shards = ["shards", "--text", world / "pairs.parquet", "--tokenizer", tmp_path / "model"]
    for name in ("links", "forward", "reverse"):
        shards += [f"--{name}", world / f"{name}.txt"]
    assert main([str(part) for part in [*shards, "--out", tmp_path / "pairs" / "manifest.json"]]) == 0
    arguments: list[Any] = ["pretrain", "--objective", "weam", "--model", tmp_path / "model", "--shards"]
    arguments += [tmp_path / "pairs" / "manifest.json", "--settings", '{"max_steps": 2}']
    arguments += ["--work", tmp_path / "work", "--out", tmp_path / "weam"]
    assert main([str(part) for part in arguments]) == 0


def hub(cache: Path, model: Path) -> dict[str, str]:
    """A cache of the hub with two revisions of a model; returns the sha256 of their weights."""
    folder, found = cache / "models--lab--model", {}
    for revision, commit in (("main", "a" * 40), ("v1", "b" * 40)):
        shutil.copytree(model, folder / "snapshots" / commit)
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / revision).write_text(commit)
        weights = folder / "snapshots" / commit / "model.safetensors"
        if revision == "v1":
            save_file({name: tensor * 0.5 for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
        found[revision] = sha256(weights)
    return found


@pytest.mark.parametrize("revision", [None, "v1", "b" * 40])
def test_hub_id_with_revision(world: Path, tmp_path: Path, revision: str | None) -> None:
    hub(tmp_path / "cache", world / "backbone")
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    arguments = command(tmp_path, name_or_path="lab/model", revision=revision)
    done = subprocess.run([sys.executable, "-m", "weam", *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    training = json.loads((tmp_path / "model" / "training.json").read_text())
    commit = "a" * 40 if revision is None else "b" * 40
    assert (training["revision"], training["commit"]) == (revision, commit)
    expected = load_file(tmp_path / "cache" / "models--lab--model" / "snapshots" / commit / "model.safetensors")
    assert all(load_file(tmp_path / "model" / "model.safetensors")[name].equal(expected[name]) for name in expected)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "base_model: lab/model" in card
    assert commit in card


def drop(folder: Path, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({key: value for key, value in tensors.items() if name not in key}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "settings", "message"),
    [
        (lambda f: (f / "config.json").write_text('{"model_type": "gpt2"}'), {}, "model type 'gpt2'"),
        (lambda f: (f / "config.json").unlink(), {}, "cannot be loaded"),
        (lambda f: (f / "model.safetensors").unlink(), {}, "the weights cannot be loaded"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), {}, "is broken"),
        (lambda f: drop(f, "layer.0"), {}, "the weights lack"),
        (lambda f: [(f / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")], {}, "tokenizer"),
        (lambda f: None, {"revision": "v1"}, "is a local folder; set revision to null"),
    ],
)
def test_wrong_folders(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, settings: dict[str, str], message: str
) -> None:
    folder = tmp_path / "given"
    shutil.copytree(world / "backbone", folder)
    spoil(folder)
    assert main(command(tmp_path, name_or_path=str(folder), **settings)) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "model").exists()


def test_unknown_hub_id(tmp_path: Path) -> None:
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    arguments = command(tmp_path, name_or_path="lab/none")
    done = subprocess.run([sys.executable, "-m", "weam", *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "backbone.name_or_path 'lab/none': cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr
