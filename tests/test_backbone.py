"""A real backbone from a local folder, and wrong ones; tests/test_hub.py has those of the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from safetensors.torch import load_file, save_file

from weam.cli import main


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


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tmp_path, name_or_path="lab/none", revision="v1")) == 1
    said = capsys.readouterr().err
    assert "'lab/none', revision 'v1': there is no such folder; for a model of the hub give --hub data" in said
    assert main(command(tmp_path, name_or_path="./none")) == 1
    assert "'./none': there is no such folder, and it is no id of a model" in capsys.readouterr().err
