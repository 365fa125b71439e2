"""The training loop: schedules, division of the work, what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file

from weam.cli import main
from weam.config import Optimisation
from weam.processes import Processes
from weam.train import division, learning_rate

SETTINGS = {"max_steps": 30, "epochs": 20, "batch_size": 8}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    tiny.make(folder)
    still = folder / "still"  # without dropout, whose masks depend on how a batch is cut
    shutil.copytree(folder / "backbone", still)
    config = json.loads((still / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (still / "config.json").write_text(json.dumps(config))
    return folder


def command(world: Path, name: str, objective: str = "weam", model: str = "backbone", **settings: object) -> list[str]:
    return [
        *("pretrain", "--objective", objective, "--model", str(world / model)),
        *("--shards", str(world / "pairs" / "manifest.json"), "--settings", json.dumps(SETTINGS | settings)),
        *("--work", str(world / name / "work"), "--out", str(world / name / "model"), "--peak-tflops", "0.1"),
    ]


def metrics(world: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world / name / "model" / "metrics.jsonl").read_text().splitlines()]


def weights(world: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(world / name / "model" / "model.safetensors")


def shrink(model: Path) -> None:
    """Fewer embeddings than sub-words."""
    from transformers import AutoModelForMaskedLM

    other = AutoModelForMaskedLM.from_pretrained(model)
    other.resize_token_embeddings(100)
    other.save_pretrained(model)


def test_schedule() -> None:
    linear = Optimisation(learning_rate=1.0, warmup=0.1)
    assert [round(learning_rate(linear, step, 100), 3) for step in (0, 9, 10, 55, 99)] == [0.1, 1.0, 1.0, 0.5, 0.011]
    for steps in range(1, 200):
        for warmup in (0.0, 0.1, 0.33, 1.0):
            rates = [learning_rate(Optimisation(learning_rate=1.0, warmup=warmup), s, steps) for s in range(steps)]
            assert 0 < min(rates) <= max(rates) <= 1
    constant = Optimisation(learning_rate=1.0, warmup=0.1, schedule="constant")
    assert [learning_rate(constant, step, 100) for step in (9, 10, 99)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("count", "micro", "world_size"), [(10, None, 1), (10, 3, 1), (10, 2, 3), (2, None, 3)])
def test_every_example_is_in_one_part_of_one_process(count: int, micro: int | None, world_size: int) -> None:
    cpu = torch.device("cpu")
    parts = [part for rank in range(world_size) for part in division(count, micro, Processes(cpu, rank, world_size))]
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    assert all(0 < len(part) <= (micro or count) for part in parts)


@pytest.mark.parametrize("objective", ["weam", "word_align"])
def test_gradient_accumulation_changes_nothing(world: Path, objective: str) -> None:
    for name, micro in (("whole", None), ("parts", 3)):
        assert main(command(world, f"{name}-{objective}", objective, "still", micro_batch=micro)) == 0
    whole, parts = metrics(world, f"whole-{objective}"), metrics(world, f"parts-{objective}")
    for one, other in zip(whole, parts, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    one, other = weights(world, f"whole-{objective}"), weights(world, f"parts-{objective}")
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def distributed(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in two processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "weam"]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    return subprocess.run([*torchrun, *arguments], env=environment, capture_output=True, text=True, timeout=300)


def test_a_process_without_examples(world: Path) -> None:
    """Batches of one pair, and all pairs of some left out."""
    options = {"batch_size": 1, "max_words": 6}
    assert main(command(world, "alone", "word_align", "still", **options)) == 0
    done = distributed(command(world, "idle", "word_align", "still", **options))
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = metrics(world, "alone"), metrics(world, "idle")
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


@pytest.mark.parametrize("objective", ["weam", "tlm", "word_align"])
def test_two_processes_have_the_loss_curve_of_one(world: Path, objective: str) -> None:
    name = f"one-{objective}"
    assert main(command(world, name, objective, "still", micro_batch=4)) == 0
    done = distributed(command(world, f"two-{objective}", objective, "still", micro_batch=4))
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = metrics(world, name), metrics(world, f"two-{objective}")
    assert len(one) == len(two) == 4
    for a, b in zip(one, two, strict=True):
        assert {key: a[key] for key in ("step", "examples", "tokens", "rows")} == {
            key: b[key] for key in ("step", "examples", "tokens", "rows")
        }
        assert a == pytest.approx(b, rel=1e-5, abs=1e-7)
    training = json.loads((world / f"two-{objective}" / "model" / "training.json").read_text())
    assert training["processes"] == 2
    assert not (world / f"two-{objective}" / "work").exists()


def test_bf16_trains_with_fp32_weights(world: Path) -> None:
    for precision in ("fp32", "bf16"):
        assert main(command(world, precision, "weam", "still", precision=precision, learning_rate=1e-3)) == 0
    losses = [[line["loss"] for line in metrics(world, name)] for name in ("fp32", "bf16")]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert {tensor.dtype for tensor in weights(world, "bf16").values()} == {torch.float32}


def test_metrics_and_speed(world: Path) -> None:
    speed = world / "speed.jsonl"
    assert main([*command(world, "log"), "--speed", str(speed)]) == 0
    lines = metrics(world, "log")
    assert [line["step"] for line in lines] == [1, 10, 20, 30]
    for line in lines:
        assert line["loss"] == pytest.approx(line["mp"] + line["cp"], rel=1e-5)
        assert line["examples"] == 8 * line["step"]
        assert line["rows"] > 0.3 * line["tokens"] * 0.5
        assert line["lr"] > 0
        assert line["grad_norm"] > 0
    rates = [json.loads(line) for line in speed.read_text().splitlines()]
    assert [line["step"] for line in rates] == [1, 10, 20, 30]
    for line in rates:
        assert 0 < line["pairs_per_s"] < line["tokens_per_s"]
        assert line["utilisation"] > 0
        assert 0 <= line["waiting"] < 1
    final = (lines[-1]["flops"] - lines[-2]["flops"]) / 0.1e12
    assert rates[-1]["utilisation"] == pytest.approx(final / (rates[-1]["seconds"] - rates[-2]["seconds"]), rel=0.05)


def test_a_mixture_of_two_corpora(world: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(world / "pairs", other)
    arguments = command(world, "mixture", batch_size=40, epochs=1)
    arguments += ["--shards", str(other / "manifest.json"), "--temperature", "5"]
    assert main(arguments) == 0
    assert metrics(world, "mixture")[-1]["examples"] == 80, "an epoch has as many examples as all corpora"
    training = json.loads((world / "mixture" / "model" / "training.json").read_text())
    assert training["examples"] == 80
    assert training["temperature"] == 5
    assert len(training["shards"]) == 2


def test_mlm_takes_passages_too(world: Path) -> None:
    arguments = command(world, "mlm", "mlm", max_steps=4)
    assert main(arguments) == 0
    arguments = command(world, "passages", "mlm", max_steps=4)
    arguments[arguments.index("--shards") + 1] = str(world / "mono" / "manifest.json")
    assert main(arguments) == 0
    assert [metrics(world, name)[-1]["examples"] for name in ("mlm", "passages")] == [32, 32]


def test_tensorboard(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("WEAM_TENSORBOARD", str(tmp_path))
    assert main(command(world, "board", max_steps=10)) == 0
    (file,) = tmp_path.rglob("events.out.*")
    events = loading.EventAccumulator(str(file.parent))
    events.Reload()
    assert {"loss", "mp", "cp", "lr", "pairs_per_s", "utilisation"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss")] == [1, 10]


def test_tensorboard_is_optional(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main([*command(world, "board2", max_steps=2), "--tensorboard", str(world / "b")]) == 1
    assert "pip install tensorboard" in capsys.readouterr().err


@pytest.mark.parametrize("type", ["bert", "xlm-roberta"])
def test_compile_gives_the_same_loss(world: Path, tmp_path: Path, type: str) -> None:
    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler")
    model = tiny.make(tmp_path, type) if type != "bert" else world / "still"
    found = []
    for name, compile in (("eager", False), ("compiled", True)):
        arguments = command(tmp_path if type != "bert" else world, f"{name}-{type}", max_steps=3, compile=compile)
        arguments[arguments.index("--model") + 1] = str(model)
        assert main(arguments) == 0
        found.append((tmp_path if type != "bert" else world) / f"{name}-{type}" / "model")
    one, other = (json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1]) for folder in found)
    if type == "bert":
        assert one == pytest.approx(other, rel=1e-4)
    names = [set(load_file(folder / "model.safetensors")) for folder in found]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: (m / "config.json").unlink(), "not a model folder"),
        (lambda m: (m / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda m: (m / "model.safetensors").write_bytes(b"broken"), "make or fetch it again"),
        (lambda m: (m / "config.json").write_text('{"model_type": "gpt2"}'), "model type 'gpt2'"),
        (lambda m: drop(m, "cls.predictions.transform.dense.weight"), "the weights lack cls.predictions.transform"),
        (lambda m: drop(m, "bert.encoder.layer.1.output.dense.bias"), "the weights lack bert.encoder.layer.1"),
        (shrink, "they do not belong together"),
    ],
)
def test_wrong_model_folder(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, message: str
) -> None:
    model = tmp_path / "backbone"
    shutil.copytree(world / "backbone", model)
    (model / "training.json").unlink()  # with it, the checksum would be found wrong first
    spoil(model)
    arguments = command(world, "wrong", max_steps=1)
    arguments[arguments.index("--model") + 1] = str(model)
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def drop(model: Path, name: str) -> None:
    from safetensors.torch import save_file

    tensors = load_file(model / "model.safetensors")
    del tensors[name]
    save_file(tensors, model / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--temperature", "0.5"], "--temperature 0.5: give 1"),
        (["--shards", "MONO"], "a mixture of monolingual and pairs"),
        (["--settings", '{"mask_unit": "wrd"}'], "'mask_unit' is 'wrd'"),
    ],
)
def test_bad_arguments(world: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str) -> None:
    change = [str(world / "mono" / "manifest.json") if part == "MONO" else part for part in change]
    assert main([*command(world, "bad"), *change]) == 1
    assert message in capsys.readouterr().err
    assert not (world / "bad" / "model").exists()


def test_whole_words_need_pairs(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command(world, "bad", "mlm", mask_unit="word")
    arguments[arguments.index("--shards") + 1] = str(world / "mono" / "manifest.json")
    assert main(arguments) == 1
    assert "mask_unit word needs shards of pairs" in capsys.readouterr().err


def test_not_finite(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(world, "nan", learning_rate=1e30)) == 1
    assert "the gradient is not finite at step" in capsys.readouterr().err


def test_more_processes_than_gpus(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert main([*command(world, "gpus"), "--device", "cuda"]) == 1
    assert "process 2 of this machine finds 1 GPUs" in capsys.readouterr().err


def test_result_is_a_hugging_face_folder(world: Path) -> None:
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    manifest = world / "source" / "manifest.json"
    manifest.parent.mkdir()
    entry = {"source": "talks", "version": "v1", "languages": ["en", "zh"], "licence": "CC BY 4.0", "citation": "Me"}
    manifest.write_text(json.dumps(entry))
    assert main([*command(world, "hf", max_steps=2), "--source", str(manifest)]) == 0
    folder = world / "hf" / "model"
    AutoModel.from_pretrained(folder)
    model, report = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert type(model).__name__ == "BertForMaskedLM"
    assert AutoTokenizer.from_pretrained(folder).tokenize("Anna sleeps")
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("README.md", "training.json", "metrics.jsonl"),
    }
    training = json.loads((folder / "training.json").read_text())
    assert training["steps"] == 2
    assert training["settings"]["cross_weight"] == 1.0
    assert training["base"]["stage"] == "backbone"
    assert training["final"]["flops"] > 0
    card = (folder / "README.md").read_text()
    for words in ("| talks | v1 | CC BY 4.0 | Me |", "arXiv 2106.01732", "seed 1", "- en", "Not evaluated yet"):
        assert words in card
    scores = world / "scores.json"
    cell = {"languages": ["de", "de"], "scores": {"f1": 51.23, "em": 40.0}, "n_items": 7}
    scores.write_text(json.dumps({"task": "mlqa", "split": "test", "setting": "zero-shot", "cells": [cell]}))
    assert main(["card", str(folder), "--scores", str(scores)]) == 0
    assert "| mlqa (test) | zero-shot | de-de | f1 51.2, em 40.0 | 7 |" in (folder / "README.md").read_text()


def test_word_align_leaves_out_long_pairs(world: Path) -> None:
    assert main(command(world, "long", "word_align", max_steps=2, max_words=6)) == 0
    training = json.loads((world / "long" / "model" / "training.json").read_text())
    assert 0 < training["pairs_left_out"] < 40
    assert training["examples"] == 40, "pairs left out keep their place in the order"


def test_word_align_with_all_pairs_left_out_changes_nothing(world: Path) -> None:
    assert main(command(world, "none", "word_align", max_steps=2, max_words=1)) == 0
    weights = [(world / name / "model.safetensors").read_bytes() for name in ("backbone", "none/model")]
    assert weights[0] == weights[1]


def hold(work: Path) -> Any:
    """Lock a work folder as another process would."""
    import fcntl

    work.mkdir(parents=True, exist_ok=True)
    other = open(work / "lock", "w")  # noqa: SIM115
    fcntl.flock(other, fcntl.LOCK_EX)
    other.write("process 1 on elsewhere")
    other.flush()
    return other


def test_a_work_folder_in_use_is_left_alone(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = hold(world / "locked" / "work")
    assert main(command(world, "locked")) == 1
    said = capsys.readouterr().err
    assert "locked/work: another process trains here (process 1 on elsewhere)" in said
    other.close()
    assert main(command(world, "locked")) == 0


def test_a_fault_of_the_first_process_is_said_once(world: Path) -> None:
    other = hold(world / "both" / "work")
    done = distributed(command(world, "both"))
    other.close()
    assert done.returncode != 0
    assert done.stderr.count("another process trains here") == 1
    assert "from_first" not in done.stderr


def test_half_precision_weights_are_trained_in_full(world: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    shutil.copytree(world / "still", tmp_path / "half")
    (tmp_path / "half" / "training.json").unlink()
    AutoModelForMaskedLM.from_pretrained(world / "still").to(torch.bfloat16).save_pretrained(tmp_path / "half")
    arguments = command(world, "half", max_steps=2)
    arguments[arguments.index("--model") + 1] = str(tmp_path / "half")
    assert main(arguments) == 0
    assert {tensor.dtype for tensor in weights(world, "half").values()} == {torch.float32}


@pytest.mark.parametrize(("option", "value"), [("--seed", "-1"), ("--peak-tflops", "0"), ("--peak-tflops", "x")])
def test_wrong_numbers(world: Path, capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*command(world, "numbers"), f"{option}={value}"])
    assert f"argument {option}: '{value}' is not a" in capsys.readouterr().err
