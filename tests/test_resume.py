"""Killed at any point and started again, a run ends with the bytes of one that was never stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from forked import killed

from weam.checkpoint import Checkpoints
from weam.cli import main
from weam.errors import Preempted, UserError

SETTINGS = {"max_steps": 24, "epochs": 20, "batch_size": 8, "micro_batch": 3, "checkpoint_steps": 4}
PARTS = 3
"""micro-batches of a step"""
FILES = ("model.safetensors", "metrics.jsonl", "training.json", "README.md")
KILL_AT = Path(__file__).parent / "kill_at.py"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    tiny.make(folder)
    return folder


def command(world: Path, name: str, objective: str = "weam", **settings: object) -> list[str]:
    return [
        *("pretrain", "--objective", objective, "--model", str(world / "backbone")),
        *("--shards", str(world / "pairs" / "manifest.json"), "--settings", json.dumps(SETTINGS | settings)),
        *("--work", str(world / name / "work"), "--out", str(world / name / "model")),
    ]


def contents(world: Path, name: str) -> dict[str, bytes]:
    return {file: (world / name / "model" / file).read_bytes() for file in FILES}


@pytest.fixture(scope="module")
def whole(world: Path) -> dict[str, dict[str, bytes]]:
    """The files of runs that were never stopped, by objective."""
    for objective in ("weam", "word_align"):
        assert main(command(world, f"whole-{objective}", objective)) == 0
    return {objective: contents(world, f"whole-{objective}") for objective in ("weam", "word_align")}


@pytest.mark.parametrize(
    ("point", "count", "done"),
    [
        ("step", 1, 0),
        ("step", 7, 4),
        ("step", 24, 20),
        ("accumulation", 9 * PARTS + 2, 8),
        ("accumulation", 12 * PARTS + 3, 12),
        ("write", 1, 0),
        ("write", 3, 8),
        ("record", 1, 0),
        ("record", 2, 4),
        ("tidy", 1, 12),
        ("tidy", 2, 12),
    ],
)
def test_killed_and_started_again(
    world: Path,
    whole: dict[str, dict[str, bytes]],
    capfd: pytest.CaptureFixture[str],
    point: str,
    count: int,
    done: int,
) -> None:
    """``done`` are the steps of the last good checkpoint: what comes after is done again, and nothing before."""
    name = f"{point}-{count}"
    arguments = command(world, name)
    assert killed(point, count, arguments).returncode == -9
    capfd.readouterr()
    assert main(arguments) == 0
    said = capfd.readouterr().err
    assert (f"going on after step {done}\n" in said) if done else "going on" not in said
    assert "not used" not in said
    assert contents(world, name) == whole["weam"]
    assert not (world / name / "work").exists(), "checkpoints of a finished run are removed"


def test_killed_again_and_again(world: Path, whole: dict[str, dict[str, bytes]]) -> None:
    arguments = command(world, "often", "word_align")
    for point, count in (("step", 6), ("write", 1), ("record", 1), ("accumulation", 5), ("step", 9)):
        assert killed(point, count, arguments).returncode == -9
    assert main(arguments) == 0
    assert contents(world, "often") == whole["word_align"]


@pytest.mark.parametrize("point", ["signal", "usr1", "interrupt"])
def test_a_signal_writes_a_checkpoint(
    world: Path, whole: dict[str, dict[str, bytes]], capfd: pytest.CaptureFixture[str], point: str
) -> None:
    arguments = command(world, point)
    stopped = killed(point, 7, arguments)
    name = {"signal": "SIGTERM", "usr1": "SIGUSR1", "interrupt": "SIGINT"}[point]
    assert stopped.returncode == (130 if point == "interrupt" else Preempted.STATUS)
    assert f"stopped by {name} at step 7 of 24; the same command goes on from there" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert not (world / point / "model").exists()
    assert main(arguments) == 0
    assert "going on after step 7\n" in capfd.readouterr().err
    assert contents(world, point) == whole["weam"]


def test_two_processes_are_killed_and_go_on(world: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

    def run(name: str, point: str, count: int) -> int:
        arguments = [str(KILL_AT), point, str(count), *command(world, name)]
        done = subprocess.run([*torchrun, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 or point != "step" or count < 100, done.stderr[-3000:]
        return done.returncode

    assert run("pair-whole", "step", 1000) == 0
    assert run("pair", "step", 11) != 0
    assert run("pair", "signal", 2) != 0
    assert sorted(path.stem for path in (world / "pair" / "work").glob("*/*.json"))[-1] == "step-000000011"
    assert run("pair", "step", 1000) == 0
    assert contents(world, "pair") == contents(world, "pair-whole")


@pytest.fixture(scope="module")
def left_over(world: Path) -> Path:
    """The work folder of a run that was killed after its checkpoints of steps 8 and 12."""
    assert killed("step", 15, command(world, "left")).returncode == -9
    return world / "left" / "work"


def spoil_last(folder: Path, change: Any) -> None:
    change(max(folder.glob("*/step-*.pt")), max(folder.glob("*/step-*.json")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file, record: file.write_bytes(file.read_bytes()[:100]), "broken, it is not what was written"),
        (lambda file, record: flip(file), "broken, it is not what was written"),
        (lambda file, record: file.unlink(), "missing"),
        (lambda file, record: record.write_text("{"), "not valid JSON"),
        (lambda file, record: record.write_text(record.read_text().replace('"run": "', '"run": "0')), "of another run"),
    ],
)
def test_a_broken_or_foreign_checkpoint_is_refused_and_the_last_good_one_used(
    world: Path,
    whole: dict[str, dict[str, bytes]],
    left_over: Path,
    capfd: pytest.CaptureFixture[str],
    change: Any,
    message: str,
) -> None:
    arguments = command(world, "broken")
    shutil.rmtree(world / "broken", ignore_errors=True)
    shutil.copytree(left_over, world / "broken" / "work")
    spoil_last(world / "broken" / "work", change)
    capfd.readouterr()
    assert main(arguments) == 0
    said = capfd.readouterr().err
    assert message in said
    assert "the checkpoint is not used\n" in said
    assert "going on after step 8\n" in said
    assert contents(world, "broken") == whole["weam"]


def flip(file: Path) -> None:
    """Change one bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def test_weights_that_do_not_fit_are_refused(
    world: Path, whole: dict[str, dict[str, bytes]], left_over: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Checkpoints with a right record and, nearly all of them, the right weights: nothing of them is taken."""
    arguments = command(world, "misfit")
    shutil.copytree(left_over, world / "misfit" / "work")
    (folder,) = (path for path in (world / "misfit" / "work").iterdir() if path.is_dir())
    checkpoints = Checkpoints(world / "misfit" / "work", folder.name, world / "misfit" / "model")
    for step in (8, 12):
        state = torch.load(folder / f"step-{step:09d}.pt", weights_only=True)
        state["model"] = dict(state["model"]) | {"bert.embeddings.LayerNorm.bias": torch.zeros(1)}
        checkpoints.save(step, state)
    checkpoints.close()
    capfd.readouterr()
    assert main(arguments) == 0
    said = capfd.readouterr().err
    assert "the checkpoint of step 12 does not fit the model (other weights)" in said
    assert "the checkpoint of step 8 does not fit" in said
    assert "going on" not in said
    assert contents(world, "misfit") == whole["weam"]


def test_what_defines_a_run_decides_its_checkpoints(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, seed, data in order, temperature and code: another one never goes on from this one's checkpoint."""
    keys: list[str] = []

    class Stop(UserError):
        pass

    def note(self: Checkpoints, work: Path, key: str, out: Path) -> None:
        keys.append(key)
        raise Stop("noted")

    monkeypatch.setattr(Checkpoints, "__init__", note)
    plain = command(world, "keys")
    swapped = [*plain, "--shards", str(world / "pairs" / "manifest.json")]
    variants = [
        plain,
        command(world, "keys", learning_rate=1e-4),
        [*plain, "--seed", "2"],
        swapped,
        [*swapped, "--temperature", "2"],
        command(world, "keys", "tlm"),
        [*plain, "--threads", "2"],
    ]
    for arguments in variants:
        assert main(arguments) == 1
    assert main(command(world, "elsewhere")) == 1
    monkeypatch.setattr("weam.train.code_hash", lambda command: "edited")
    assert main(plain) == 1
    assert keys.pop(len(variants)) == keys[0], "the folders are not part of it"
    assert len(set(keys)) == len(keys) == len(variants) + 1


def test_the_model_is_part_of_what_defines_a_run(world: Path, tmp_path: Path) -> None:
    """Not its weights alone: another rate of dropout does not go on from this run's checkpoints."""
    shutil.copytree(world / "backbone", tmp_path / "backbone")
    config = json.loads((tmp_path / "backbone" / "config.json").read_text()) | {"hidden_dropout_prob": 0.5}
    assert killed("step", 9, command(world, "dropout")).returncode == -9
    (tmp_path / "backbone" / "config.json").write_text(json.dumps(config))
    arguments = command(world, "dropout")
    arguments[arguments.index("--model") + 1] = str(tmp_path / "backbone")
    assert killed("step", 1, arguments).returncode == -9
    assert len([path for path in (world / "dropout" / "work").iterdir() if path.is_dir()]) == 2


def test_a_finished_run_clears_up_after_stopped_ones(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Checkpoints of earlier runs for the same model go, those for another one and what is not ours stay."""
    work = world / "shared" / "work"
    assert killed("step", 9, command(world, "shared", learning_rate=1e-3)).returncode == -9
    other = [
        str(world / "other") if part.endswith("shared/model") else part
        for part in command(world, "shared", learning_rate=2e-3)
    ]
    assert killed("step", 9, other).returncode == -9
    (work / "notes").mkdir()
    (work / "notes" / "lock").touch()
    capfd.readouterr()
    assert main(command(world, "shared")) == 0
    assert "its checkpoints are of other settings, data, code or versions: not used" in capfd.readouterr().err
    left = {path.name: path for path in work.iterdir()}
    assert left.pop("notes")
    (kept,) = left.values()
    assert json.loads((kept / "run.json").read_text())["out"] == str(world / "other")
    assert main(other) == 0
    assert "going on after step 8" in capfd.readouterr().err


def test_how_often_checkpoints_are_written_does_not_matter(
    world: Path, whole: dict[str, dict[str, bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    assert killed("step", 11, command(world, "rarely", checkpoint_steps=5)).returncode == -9
    capfd.readouterr()
    assert main(command(world, "rarely")) == 0
    assert "going on after step 10\n" in capfd.readouterr().err
    after = contents(world, "rarely")
    for name in ("model.safetensors", "metrics.jsonl"):
        assert after[name] == whole["weam"][name]


def test_refused_checkpoints_take_no_place(world: Path, left_over: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two broken ones of late steps: those that are written anew, of earlier steps, are kept."""
    shutil.copytree(left_over, world / "refused" / "work")
    for file in (world / "refused" / "work").glob("*/step-*.pt"):
        file.write_bytes(b"")
    assert killed("step", 6, command(world, "refused")).returncode == -9
    capfd.readouterr()
    assert main(command(world, "refused")) == 0
    assert "going on after step 4\n" in capfd.readouterr().err


@pytest.mark.parametrize(("limit", "message"), [(60_000, "model"), (400_000, "step-000000004.pt: cannot be written")])
def test_a_full_disk_is_one_sentence(world: Path, limit: int, message: str) -> None:
    """Files of no more than so many bytes stand for it: the model has 150,000, a checkpoint three times as many."""
    import resource

    arguments = command(world, f"full-{limit}", checkpoint_steps=4 if limit > 100_000 else 100)
    done = subprocess.run(
        [sys.executable, "-m", "weam", *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert message in done.stderr.splitlines()[-1]
    assert "File too large" in done.stderr.splitlines()[-1]
    assert not (world / f"full-{limit}" / "model").exists()


def test_a_work_folder_that_has_gone_loses_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = Checkpoints(tmp_path / "work", "0" * 16, tmp_path / "model")
    shutil.rmtree(tmp_path / "work")
    checkpoints.finish()
    assert "cannot be cleared up" in capsys.readouterr().err


def test_a_signal_to_one_process_stops_both_at_the_same_step(world: Path) -> None:
    """The signal comes to the second process alone; the first takes ten seconds to write, and its file is whole."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [str(KILL_AT), "slow", "3", *command(world, "slow")]
    done = subprocess.run([*torchrun, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "the same command goes on from there" in done.stderr
    (record,) = (world / "slow" / "work").glob("*/step-*.json")
    assert json.loads(record.read_text())["step"] == 4, "the step after the one in which the signal came"
    assert not list((world / "slow" / "work").glob("*/.*"))
