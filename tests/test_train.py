"""The training loop: exact resume after a kill, schedules, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
import torch

from weam.cli import main
from weam.config import Optimisation
from weam.train import _checkpoint_path, learning_rate


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    tiny.make(folder)
    return folder


def command(world: Path, name: str, objective: str = "weam", **settings: object) -> list[str]:
    return [
        *("pretrain", "--objective", objective, "--model", str(world / "backbone")),
        *("--shards", str(world / "pairs" / "manifest.json"), "--settings", json.dumps(settings)),
        *("--work", str(world / name / "work"), "--out", str(world / name / "model")),
    ]


def test_schedule() -> None:
    linear = Optimisation(learning_rate=1.0, warmup=0.1)
    assert [round(learning_rate(linear, step, 100), 3) for step in (0, 9, 10, 55, 99)] == [0.1, 1.0, 1.0, 0.5, 0.011]
    constant = Optimisation(learning_rate=1.0, warmup=0.1, schedule="constant")
    assert [learning_rate(constant, step, 100) for step in (9, 10, 99)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("objective", ["weam", "word_align"])
def test_killed_and_restarted_ends_with_the_same_bytes(world: Path, objective: str) -> None:
    settings = {"max_steps": 60, "epochs": 20, "batch_size": 8, "checkpoint_steps": 5}
    assert main(command(world, f"{objective}-whole", objective, **settings)) == 0
    arguments = command(world, f"{objective}-killed", objective, **settings)
    work = world / f"{objective}-killed" / "work"
    process = subprocess.Popen([sys.executable, "-m", "weam", *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(work.glob("*.pt")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    assert list(work.glob("*.pt")), "no checkpoint was written before the kill"
    assert main(arguments) == 0
    for name in ("model.safetensors", "metrics.jsonl", "training.json"):
        whole, killed = (world / f"{objective}-{how}" / "model" / name for how in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes(), name
    assert not work.exists(), "checkpoints of a finished run are removed"


def test_checkpoint_of_another_run_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever defines a run gives its checkpoint another name: settings, seed, data in order, code, device."""
    settings, cpu = Optimisation(), torch.device("cpu")
    identity = {"stage": "pretrain", "data": [["a", "1"], ["b", "2"]]}
    name = _checkpoint_path(tmp_path, settings, 1, identity, cpu)
    assert name == _checkpoint_path(tmp_path, Optimisation(), 1, dict(identity), cpu)
    swapped = identity | {"data": [["b", "2"], ["a", "1"]]}
    others = [
        _checkpoint_path(tmp_path, Optimisation(batch_size=8), 1, identity, cpu),
        _checkpoint_path(tmp_path, settings, 2, identity, cpu),
        _checkpoint_path(tmp_path, settings, 1, swapped, cpu),
        _checkpoint_path(tmp_path, settings, 1, identity, torch.device("cuda")),
    ]
    monkeypatch.setattr("weam.train.code_hash", lambda command: "edited")
    others.append(_checkpoint_path(tmp_path, settings, 1, identity, cpu))
    assert len({name, *others}) == 6


def test_broken_checkpoint_is_named(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"max_steps": 40, "epochs": 20, "batch_size": 8, "checkpoint_steps": 5}
    arguments = command(world, "broken", **settings)
    work = world / "broken" / "work"
    process = subprocess.Popen([sys.executable, "-m", "weam", *arguments], stderr=subprocess.DEVNULL)
    while not list(work.glob("*.pt")) and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (checkpoint,) = work.glob("*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert main(arguments) == 1
    assert f"{checkpoint}: the checkpoint cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: (m / "config.json").unlink(), "not a model folder"),
        (lambda m: (m / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda m: (m / "model.safetensors").write_bytes(b"broken"), "delete the folder and make it again"),
        (lambda m: (m / "config.json").write_text('{"model_type": "gpt2"}'), "model type 'gpt2'"),
    ],
)
def test_wrong_model_folder(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: object, message: str
) -> None:
    import shutil

    model = tmp_path / "backbone"
    shutil.copytree(world / "backbone", model)
    spoil(model)  # type: ignore[operator]
    arguments = command(world, "wrong", max_steps=1)
    arguments[arguments.index("--model") + 1] = str(model)
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_not_finite(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(world, "nan", max_steps=30, epochs=20, learning_rate=1e30)) == 1
    assert "the gradient is not finite at step" in capsys.readouterr().err


def test_result_is_a_hugging_face_folder(world: Path) -> None:
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    assert main(command(world, "hf", max_steps=2)) == 0
    folder = world / "hf" / "model"
    AutoModel.from_pretrained(folder)
    AutoModelForMaskedLM.from_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).tokenize("Anna sleeps")
    training = json.loads((folder / "training.json").read_text())
    assert training["steps"] == 2
    assert training["settings"]["cross_weight"] == 1.0


def test_word_align_leaves_out_long_pairs(world: Path) -> None:
    assert main(command(world, "long", "word_align", max_steps=2, max_words=6)) == 0
    training = json.loads((world / "long" / "model" / "training.json").read_text())
    assert 0 < training["pairs_left_out"] < 40
    assert training["examples"] == 40, "pairs left out keep their place in the order"


def test_word_align_with_all_pairs_left_out_changes_nothing(world: Path) -> None:
    assert main(command(world, "none", "word_align", max_steps=2, max_words=1)) == 0
    weights = [(world / name / "model.safetensors").read_bytes() for name in ("backbone", "none/model")]
    assert weights[0] == weights[1]
