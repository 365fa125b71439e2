"""Where a model may be written, and what is known to be wrong before training begins."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny

from weam.cli import main

GOOD = {"source": "talks", "version": "v1", "languages": ["en"], "licence": "CC0", "citation": "Me"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    tiny.make(folder)
    return folder


def refused(world: Path, where: Path, capsys: pytest.CaptureFixture[str], **options: object) -> str:
    """Run pretrain with changed options; it must stop before the first step. Returns what it says."""
    given: dict[str, Any] = {"model": world / "backbone", "shards": world / "pairs" / "manifest.json"}
    given |= {"work": where / "work", "out": where / "out"} | options
    arguments = ["pretrain", "--objective", "weam"]
    arguments += ["--settings", '{"max_steps": 2}']
    for name, value in given.items():
        arguments += [f"--{name}", str(value)]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "steps" not in said
    assert "Traceback" not in said
    return said


def test_nothing_else_is_replaced(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("chapter 1")
    (tmp_path / "file").write_text("text")
    for name in ("mine", "file"):
        assert "is there already and no model" in refused(world, tmp_path, capsys, out=tmp_path / name)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "chapter 1"
    shutil.copytree(world / "backbone", tmp_path / "again")
    assert "would replace" in refused(world, tmp_path, capsys, model=tmp_path / "again", out=tmp_path / "again")
    for option in ("work", "speed", "tensorboard"):
        said = refused(world, tmp_path, capsys, out=tmp_path / "new", **{option: tmp_path / "new" / "inside"})
        assert f"would replace {tmp_path / 'new' / 'inside'}, which is in it" in said
    (world / "training.json").write_text("{}")
    assert "would replace" in refused(world, tmp_path, capsys, out=world)
    (world / "training.json").unlink()
    assert "cannot be made" in refused(world, tmp_path, capsys, out=tmp_path / "file" / "model")


def test_an_earlier_model_is_replaced(world: Path, tmp_path: Path) -> None:
    arguments = ["pretrain", "--objective", "tlm", "--model", world / "backbone"]
    arguments += ["--shards", world / "pairs" / "manifest.json", "--settings", '{"max_steps": 1}']
    arguments += ["--work", tmp_path / "work", "--out", tmp_path / "out"]
    for seed in (1, 2):
        assert main([str(part) for part in [*arguments, "--seed", seed]]) == 0
        assert json.loads((tmp_path / "out" / "training.json").read_text())["seed"] == seed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("x", "not valid JSON"),
        ("[]", "not an object"),
        ("{}", "not the manifest of a source (no source)"),
        (json.dumps(GOOD | {"licence": 3}), "not the manifest of a source (no licence)"),
    ],
)
def test_wrong_sources(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    said = refused(world, tmp_path, capsys, source=path)
    assert message in said
    assert str(path) in said


def test_records_of_other_programs_are_left_alone(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(world / "backbone", model)
    (model / "training.json").write_text('{"stage": "backbone", "final": 3}')
    assert "training.json: not as these commands write it" in refused(world, tmp_path, capsys, model=model)
    for text in ('{"epochs": 3}', "[1]", '{"stage": "other"}'):
        (model / "training.json").write_text(text)
        out = tmp_path / "out"
        arguments = ["pretrain", "--objective", "weam", "--model", model, "--out", out, "--work", tmp_path / "work"]
        arguments += ["--shards", world / "pairs" / "manifest.json", "--settings", '{"max_steps": 1}']
        assert main([str(part) for part in arguments]) == 0
        assert "base" not in json.loads((out / "training.json").read_text())


def test_files_are_readable_and_the_tokenizer_cuts(world: Path) -> None:
    from transformers import AutoTokenizer

    mask = os.umask(0)
    os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in (world / "backbone").iterdir()} == {0o666 & ~mask}
    tokenizer = AutoTokenizer.from_pretrained(world / "backbone")
    assert len(tokenizer("Anna sleeps " * 1000, truncation=True)["input_ids"]) == 512


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": None}, "not a manifest of shards (no kind)"),
        ({"rows": "x"}, "not a manifest of shards (no rows)"),
        ({"template": {}}, "another template"),
        ({"parts": [3]}, "a part without name, bytes or sha256"),
    ],
)
def test_wrong_manifests(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    shutil.copytree(world / "pairs", tmp_path / "pairs")
    path = tmp_path / "pairs" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert message in refused(world, tmp_path, capsys, shards=path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"betas": [1, 1]}', "'betas.0' is 1"),
        ('{"learning_rate": Infinity}', "'learning_rate' is inf"),
        ('{"mask_token_share": 1, "random_token_share": 1}', "are more than 1 together; lower one"),
        ('{"batch_size": 4, "batch_size": 8}', "key 'batch_size' stands twice"),
    ],
)
def test_wrong_settings(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: str, message: str
) -> None:
    assert message in refused(world, tmp_path, capsys, settings=settings)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "[1]", "not an object"),
        ("config.json", '{"model_type": "bert", "hidden_size": "x"}', "the weights cannot be loaded"),
        ("tokenizer_config.json", "[1]", "not an object"),
        ("special_tokens_map.json", '{"mask_token": 3}', "no mask_token ('3') in the vocabulary"),
    ],
)
def test_wrong_model_files(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, message: str
) -> None:
    shutil.copytree(world / "backbone", tmp_path / "model")
    if name == "special_tokens_map.json":
        (tmp_path / "model" / "tokenizer_config.json").unlink()
    (tmp_path / "model" / name).write_text(text)
    assert message in refused(world, tmp_path, capsys, model=tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"num_hidden_layers": 1}, "no place for the weights"), ({"hidden_size": 64}, "not of the sizes")],
)
def test_config_and_weights_belong_together(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, int], message: str
) -> None:
    shutil.copytree(world / "backbone", tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert message in refused(world, tmp_path, capsys, model=tmp_path / "model")


def test_a_model_that_is_not_there(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "bert-base: no such folder" in refused(world, tmp_path, capsys, model="bert-base")
