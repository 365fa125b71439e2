"""Broken and wrong inputs: one clear sentence, nothing lost, nothing done in vain."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny

from weam import io
from weam.cli import main
from weam.config import Qa
from weam.errors import UserError
from weam.io import atomic_path, read_object
from weam.settings import read_settings
from weam.tables import open_parquet


def passages(path: Path, *texts: str) -> Path:
    pq.write_table(pa.table({"id": range(len(texts)), "language": ["en"] * len(texts), "text": list(texts)}), path)
    return path


def tokenizer(text: Path, size: int, out: Path) -> int:
    settings = json.dumps({"type": "xlm-roberta", "vocab_size": size})
    return main(["tokenizer", "--text", str(text), "--settings", settings, "--out", str(out)])


def test_long_passages_are_learned_from(tmp_path: Path) -> None:
    text = passages(tmp_path / "t.parquet", "anna buys a car " * 9, "zebra quagga " * 600)
    assert tokenizer(text, 150, tmp_path / "tok") == 0
    vocab = {piece for piece, _ in json.loads((tmp_path / "tok" / "tokenizer.json").read_text())["model"]["vocab"]}
    assert {"z", "q", "g"} <= {character for piece in vocab for character in piece if not piece.startswith("<")}


def test_vocabulary_smaller_than_the_alphabet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = passages(tmp_path / "t.parquet", *(" ".join(map(chr, range(0x4E00, 0x4F00))) for _ in range(3)))
    assert tokenizer(text, 100, tmp_path / "tok") == 1
    assert "backbone.vocab_size 100 is fewer than the characters of the text" in capsys.readouterr().err


def test_parquet(tmp_path: Path) -> None:
    path = passages(tmp_path / "t.parquet", *(os.urandom(20).hex() for _ in range(5000)))
    assert sum(batch.num_rows for batch in open_parquet(path, ["text"], "passages").batches()) == 5000
    with pytest.raises(UserError, match=r"t.parquet: has no column source; give the text.parquet of pairs"):
        open_parquet(path, ["source"], "pairs")
    with pytest.raises(UserError, match=r"none.parquet: the file does not exist"):
        open_parquet(tmp_path / "none.parquet", ["text"], "passages")
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(UserError, match=r"t.parquet: not a Parquet file"):
        open_parquet(path, ["text"], "passages")
    path.write_bytes(b"PAR1" + b"\xff" * (len(data) - 2004) + data[-2000:])  # the footer is sound, the pages are not
    with pytest.raises(UserError, match=r"t.parquet: not a Parquet file"):
        list(open_parquet(path, ["text"], "passages").batches())


@pytest.mark.parametrize("command", ["tokenizer", "shards"])
def test_stages_name_the_broken_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert tokenizer(passages(tmp_path / "t.parquet", "anna buys a car"), 150, tmp_path / "tok") == 0
    (tmp_path / "b.parquet").write_bytes(b"PAR1 broken")
    arguments = [command, "--text", str(tmp_path / "b.parquet"), "--out", str(tmp_path / "out" / "x")]
    assert main([*arguments, *(["--tokenizer", str(tmp_path / "tok")] if command == "shards" else [])]) == 1
    assert "b.parquet: not a Parquet file" in capsys.readouterr().err


def test_os_errors_without_a_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Stage:
        __doc__ = ""

        @staticmethod
        def add_arguments(parser: Any) -> None: ...

        @staticmethod
        def run(args: Any) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(importlib, "import_module", lambda name: Stage)
    assert main(["text"]) == 1
    said = "weam text: error: No space left on device; make room, then give the same command again\n"
    assert capsys.readouterr().err == said


def test_json_that_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("[]")
    with pytest.raises(UserError, match=r"m.json: holds a JSON list, not an object"):
        read_object(tmp_path / "m.json")


def test_settings_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"max_length: \xff")
    with pytest.raises(UserError, match=r"s.yaml: not valid UTF-8"):
        read_settings(Qa, str(tmp_path / "s.yaml"))


def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_folder_is_never_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every step of the replacement the old or the new folder is whole somewhere, and a second try finds it."""
    final = tmp_path / "model"
    seen: list[set[str]] = []
    for content in ("old", "new"):
        with atomic_path(final) as folder:
            folder.mkdir()
            (folder / "weights").write_text(content)
            if content == "new":
                monkeypatch.setattr(io, "_remove", watched(io._remove, final, seen))
    assert seen == [{"new"}, {"new"}], "the old folder goes only when the new one is in place"
    assert (final / "weights").read_text() == "new"
    assert os.listdir(tmp_path) == ["model"]


def watched(remove: Callable[[Path], None], final: Path, seen: list[set[str]]) -> Callable[[Path], None]:
    def watch(path: Path) -> None:
        seen.append({file.read_text() for file in final.glob("weights")})
        remove(path)

    return watch


def fail(folder: Path) -> None:
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        raise ZeroDivisionError


def test_killed_between_two_renames(tmp_path: Path) -> None:
    aside = tmp_path / f".model.{dead()}.old"
    aside.mkdir()
    (aside / "weights").write_text("old")
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "model")
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


def test_temporaries_of_dead_processes_are_swept(tmp_path: Path) -> None:
    gone, alive = f".a.txt.{dead()}.tmp", f".a.txt.{os.getppid()}.tmp"
    other = gone.replace("a.txt", "b.txt")
    for name in (gone, alive, other):
        (tmp_path / name).write_text("x")
    io.write_text(tmp_path / "a.txt", "y")
    assert sorted(os.listdir(tmp_path)) == sorted([alive, other, "a.txt"])


@pytest.mark.parametrize(
    ("training", "label", "message"),
    [
        ({"stage": "finetune", "family": "qa"}, "[1]", "--label: holds a JSON list; give a JSON object"),
        (None, "{}", "was not fine-tuned on qa; give a folder made by finetune"),
        ({"stage": "pretrain"}, "{}", "was not fine-tuned on qa"),
        ({"stage": "finetune", "family": "nli"}, "{}", "was not fine-tuned on qa"),
    ],
)
def test_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str], training: Any, label: str, message: str) -> None:
    if training is not None:
        (tmp_path / "training.json").write_text(json.dumps(training))
    arguments = ["evaluate", "--task", "mlqa", "--model", str(tmp_path), "--manifest", str(tmp_path / "none.json")]
    arguments += ["--split", "dev", "--languages", "en", "--label", label, "--out", str(tmp_path / "scores.json")]
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_questions_are_counted_once(tmp_path: Path) -> None:
    import torch

    from weam import modeling
    from weam.families import qa
    from weam.progress import Progress
    from weam.readers.qa import QAExample
    from weam.subwords import Subwords

    backbone = tiny.make(tmp_path, steps=1)
    examples = [QAExample(str(i), "Is it ?", "Anna buys a red car . " * 9 * i, ()) for i in range(5)]
    model = modeling.load(backbone, "qa").eval()
    with Progress("test", None, "questions") as progress:
        settings = Qa(max_length=32, window_step=3, max_question_length=8)
        qa.predict(model, examples, Subwords(backbone), settings, torch.device("cpu"), progress)
    assert progress.done == 5
