"""Windows, character offsets, best spans, and the fine-tuning and evaluation commands on tiny real-format files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiny
import torch

from weam import modeling, qa
from weam.batches import Rows
from weam.cli import main
from weam.config import Qa
from weam.io import sha256, write_json
from weam.progress import Progress
from weam.readers.qa import QAExample
from weam.subwords import Subwords


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finetune")
    tiny.make(folder, request.param)
    return folder


CONTEXT = "Anna buys a red car. Peter buys a blue house, 今天下雨吗? Peter sleeps while Anna buys a car ."
EXAMPLE = QAExample("1", "Is Anna asleep ?", CONTEXT, (("blue house", CONTEXT.index("blue house")),))


class Cut(NamedTuple):
    """A window, its answer as text (nothing if it is in another window)."""

    question: list[int]
    offsets: list[tuple[int, int]]
    length: int
    answer: str | None


def cut(windows: qa.Windows, context: str) -> list[Cut]:
    rows = Rows(windows.table)
    layout = qa.lay_out_windows(rows, np.arange(rows.count), windows.template)
    assert layout.second is not None
    cuts = []
    for row, values in enumerate(windows.table.to_pylist()):
        offsets, place, found = windows.offsets[row], int(layout.second[row]), None
        if values["start"]:
            found = context[offsets[values["start"] - place][0] : offsets[values["end"] - place][1]].strip()
        cuts.append(Cut(values["question"], offsets, int(layout.inputs.lengths[row]), found))
    return cuts


def test_targets_are_cut_by_character_offsets(world: Path) -> None:
    subwords = Subwords(world / "backbone")
    chinese = QAExample("2", "?", CONTEXT, (("下雨", CONTEXT.index("下雨")),))
    first, second = cut(qa.featurise([EXAMPLE, chinese], subwords, Qa()), CONTEXT)
    assert first.answer == "blue house"
    assert second.answer in ("下雨", "下雨吗")  # SentencePiece may join


@pytest.mark.parametrize("step", [5, 10, 1000])
def test_windows_start_every_step_and_cover_the_context(world: Path, step: int) -> None:
    subwords = Subwords(world / "backbone")
    settings = Qa(max_length=32, window_step=step, max_question_length=8)
    windows = cut(qa.featurise([EXAMPLE], subwords, settings), CONTEXT)
    whole = subwords.encode([CONTEXT])[0]
    question = len(windows[0].question)
    room = 32 - subwords.template.pair_overhead - question
    assert question <= 8
    starts = [whole.offsets.index(window.offsets[0]) for window in windows]
    assert starts == list(range(0, starts[-1] + 1, min(step, room)))
    assert windows[-1].offsets[-1] == whole.offsets[-1]
    covered = {place for w, a in zip(windows, starts, strict=True) for place in range(a, a + len(w.offsets))}
    assert covered == set(range(len(whole.ids)))
    assert max(window.length for window in windows) <= 32
    assert {w.answer for w in windows} - {None} == {"blue house"}, "the answer must be whole in some window"


def test_best_spans_against_brute_force() -> None:
    generator = np.random.default_rng(0)
    starts, ends = generator.normal(size=(2, 30, 12))
    allowed = generator.random((30, 12)) < 0.7
    allowed[0] = False
    first, last, best = qa.best_spans(starts, ends, allowed, 4)
    assert best[0] == -np.inf
    for row in range(1, 30):
        scores = {
            (i, j): starts[row, i] + ends[row, j]
            for i in range(12)
            for j in range(i, min(i + 4, 12))
            if allowed[row, i] and allowed[row, j]
        }
        assert (first[row], last[row]) == max(scores, key=scores.__getitem__)
        assert best[row] == max(scores.values())


def test_predictions_are_substrings_and_empty_contexts_are_answered(world: Path) -> None:
    subwords = Subwords(world / "backbone")
    torch.manual_seed(0)
    model = modeling.load(world / "backbone", "qa").eval()
    examples = [EXAMPLE, QAExample("2", "?", "", ()), QAExample("3", "Is it ?", CONTEXT * 20, ())]
    settings = Qa(max_length=40, window_step=7)
    with Progress("test", None, "windows") as progress:
        answers = qa.predict(model, examples, subwords, settings, torch.device("cpu"), progress)
    assert answers["2"] == ""
    assert answers["1"]
    assert answers["1"] in CONTEXT
    assert answers["3"] in CONTEXT * 20


def release(folder: Path, name: str, form: str, languages: list[str], files: dict[str, str]) -> Path:
    """A source folder with its manifest."""
    folder = folder / name / "v1"
    entries = []
    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        entries.append({"name": file, "bytes": path.stat().st_size, "sha256": sha256(path), "url": "test"})
    manifest = {"source": name, "version": "v1", "format": form, "languages": languages}
    write_json(folder / "manifest.json", manifest | {"licence": "", "citation": "", "files": entries})
    return folder / "manifest.json"


def squad(count: int) -> str:
    paragraphs = []
    for number in range(count):
        context = f"Anna buys a {['red', 'blue'][number % 2]} {['car', 'house'][number // 2 % 2]} today ."
        word = context.split()[3]
        qas = [{"id": str(number), "question": "Is it ?", "answers": [{"text": word, "answer_start": 12}]}]
        paragraphs.append({"context": context, "qas": qas})
    return json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]})


def weam(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def test_qa_is_learned_and_scored(world: Path) -> None:
    train = release(world, "squad", "squad", ["en"], {"train-v1.1.json": squad(200)})
    test = release(world, "xquad", "xquad", ["en"], {"xquad.en.json": squad(40)})
    settings = '{"max_steps": 200, "epochs": 100, "learning_rate": 0.005, "batch_size": 16, "max_length": 48}'
    weam(
        *("finetune", "--family", "qa", "--model", world / "backbone", "--manifest", train, "--language", "en"),
        *("--settings", settings, "--work", world / "work", "--out", world / "qa"),
    )
    weam(
        *("evaluate", "--task", "xquad", "--model", world / "qa", "--manifest", test, "--split", "test"),
        *("--languages", "en", "--settings", settings, "--label", '{"system": "mbert"}'),
        *("--out", world / "scores.json", "--predictions", world / "predictions"),
    )
    scores = json.loads((world / "scores.json").read_text())
    assert scores["system"] == "mbert"
    (cell,) = scores["cells"]
    assert cell["n_questions"] == 40
    assert cell["f1"] > 90, "the answer is always the fourth word: a working loop learns it"
    (file,) = (world / "predictions").iterdir()
    assert json.loads(file.read_text())["0"] == "red"


def test_nli_is_learned_and_scored(world: Path) -> None:
    words = {"entailment": "Anna sleeps", "neutral": "Peter buys", "contradictory": "blue house"}
    rows = [f"Is it {i} ?\t{text}\t{label}" for i in range(60) for label, text in words.items()]
    text = "premise\thypo\tlabel\n" + "\n".join(rows) + "\n"
    train = release(world, "mt", "xnli-mt", ["en"], {"multinli.train.en.tsv": text})
    test_text = "".join(row.replace("contradictory", "contradiction") + "\n" for row in rows[:30])
    test = release(world, "xnli", "xnli", ["en"], {"dev-en.tsv": test_text})
    settings = '{"max_steps": 250, "epochs": 50, "learning_rate": 0.003, "batch_size": 16}'
    weam(
        *("finetune", "--family", "nli", "--model", world / "backbone", "--manifest", train, "--language", "en"),
        *("--settings", settings, "--work", world / "work", "--out", world / "nli"),
    )
    weam(
        *("evaluate", "--task", "xnli", "--model", world / "nli", "--manifest", test, "--split", "dev"),
        *("--languages", "en", "--settings", settings, "--out", world / "nli.json"),
    )
    (cell,) = json.loads((world / "nli.json").read_text())["cells"]
    assert (cell["lang"], cell["n_examples"]) == ("en", 30)
    assert cell["accuracy"] > 60, "the label follows from the hypothesis alone: chance is 33"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--settings", '{"max_length": 600}', "finetune.qa.max_length 600 is more than the 512 positions"),
        ("--settings", '{"learning_rat": 1}', "did you mean 'learning_rate'?"),
        ("--device", "cuda", "PyTorch finds no GPU"),
    ],
)
def test_bad_input(world: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, message: str) -> None:
    if option == "--device" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    train = release(world, "squad", "squad", ["en"], {"train-v1.1.json": squad(20)})
    arguments: list[Any] = ["finetune", "--family", "qa", "--model", world / "backbone", "--manifest", train]
    arguments += ["--language", "en", "--work", world / "work", "--out", world / "bad", option, value]
    assert main([str(argument) for argument in arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (world / "bad").exists()
