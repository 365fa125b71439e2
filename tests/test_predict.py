"""The predict command: answers of a file of questions are those that evaluate scores."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from releases import make_release

from weam import modeling
from weam.cli import main
from weam.config import Qa
from weam.families import qa
from weam.predict import read_questions
from weam.progress import Progress
from weam.readers.qa import QAExample
from weam.subwords import Subwords

SETTINGS = {"max_steps": 3, "learning_rate": 0.005, "batch_size": 8, "max_length": 48, "window_step": 9}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the backbone and a model fine-tuned on questions."""
    folder = tmp_path_factory.mktemp("predict")
    tiny.make(folder, "bert", 1)
    train = make_release(folder / "squad", "squad", ["en"], {"train-v1.1.json": squad(40)})
    weam(
        *("finetune", "--family", "qa", "--model", folder / "backbone", "--manifest", train, "--language", "en"),
        *("--settings", json.dumps(SETTINGS), "--work", folder / "work", "--out", folder / "qa"),
    )
    return folder


def squad(count: int, answers: bool = True) -> str:
    paragraphs = []
    for number in range(count):
        context = f"{'Peter sleeps . ' * (number % 20)}Anna buys a {['red', 'blue'][number % 2]} car today ."
        qa: dict[str, Any] = {"id": f"q{number}", "question": "Is it raining ?"}
        if answers:
            text = context.split()[-4]
            qa["answers"] = [{"text": text, "answer_start": context.index(text)}]
        paragraphs.append({"context": context, "qas": [qa]})
    return json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]})


def weam(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def test_predict(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hidden.json.gz").write_bytes(gzip.compress(squad(30, answers=False).encode()))
    (tmp_path / "open.json").write_text(squad(30))
    ask = ("predict", "--model", model / "qa", "--questions")
    weam(*ask, tmp_path / "hidden.json.gz", "--out", tmp_path / "a.json", "--nbest", tmp_path / "n.json")
    said = capsys.readouterr().err
    assert "predict: questions 30, windows " in said
    assert "without answer 30" in said
    predictions = json.loads((tmp_path / "a.json").read_text())
    assert list(predictions) == [f"q{number}" for number in range(30)]
    examples = read_questions(tmp_path / "open.json")
    assert all(predictions[e.id] and predictions[e.id] in e.context for e in examples)
    found = json.loads((tmp_path / "n.json").read_text())
    for example in examples:
        assert len(found[example.id]) == 20
        assert found[example.id][0]["text"] == predictions[example.id]
        for answer in found[example.id]:
            assert list(answer) == ["text", "score", "probability", "start", "end"]
            assert example.context[answer["start"] : answer["end"]] == answer["text"]
    weam(*ask, tmp_path / "open.json", "--out", tmp_path / "b.json", "--settings", json.dumps(SETTINGS))
    assert "without answer 0" in capsys.readouterr().err
    assert json.loads((tmp_path / "b.json").read_text()) == predictions, (
        "the model's own settings; golds change nothing"
    )
    weam(*ask, tmp_path / "open.json", "--out", tmp_path / "c.json", "--settings", '{"max_answer_length": 1}')
    assert all(len(text.split()) == 1 for text in json.loads((tmp_path / "c.json").read_text()).values())


def test_predictions_are_those_that_evaluate_scores(model: Path, tmp_path: Path) -> None:
    test = make_release(tmp_path / "xquad", "xquad", ["en"], {"xquad.en.json": squad(30)})
    weam(
        *("evaluate", "--task", "xquad", "--model", model / "qa", "--manifest", test, "--split", "test"),
        *("--languages", "en", "--settings", json.dumps(SETTINGS), "--out", tmp_path / "scores.json"),
        *("--predictions", tmp_path / "predictions"),
    )
    questions = ("--questions", test.parent / "xquad.en.json")
    weam("predict", "--model", model / "qa", *questions, "--out", tmp_path / "p.json")
    (file,) = (tmp_path / "predictions").iterdir()
    assert json.loads(file.read_text()) == json.loads((tmp_path / "p.json").read_text())


def test_batches_change_no_answer_of_a_real_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subwords, settings = Subwords(model / "qa"), Qa.model_validate(SETTINGS)
    network = modeling.load(model / "qa", "qa", subwords).eval()
    data = json.loads(squad(30))["data"][0]["paragraphs"]
    examples = [QAExample(p["qas"][0]["id"], "Is it ?", p["context"], ()) for p in data]
    found = []
    for tokens in (1, 500, 10**6):
        monkeypatch.setitem(qa.BATCH_TOKENS, "cpu", tokens)
        with Progress("test", None, "questions") as progress:
            found.append(qa.predict(network, examples, subwords, settings, torch.device("cpu"), progress, 3))
    for other in found[1:]:
        for name, answers in found[0].nbest.items():
            scores = [answer.score for answer in other.nbest[name]]
            assert scores == pytest.approx([answer.score for answer in answers], abs=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            squad(3).replace('"q2"', '"q1"').replace('"q0"', '"q1"'),
            "1 ids stand there more than once, the first is 'q1'",
        ),
        ('{"data": []}', "has no questions"),
        ('{"data": [{"title": "t"}]}', "not SQuAD v1.1 JSON"),
        ("{", "not valid JSON"),
        (squad(3).replace("Is it", "\\ud800"), "question 'q0' has a lone surrogate"),
    ],
)
def test_bad_questions(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    (tmp_path / "q.json").write_text(content)
    ask = ["predict", "--model", str(model / "qa"), "--questions", str(tmp_path / "q.json")]
    assert main([*ask, "--out", str(tmp_path / "p.json")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "p.json").exists()


def test_bad_arguments(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "q.json").write_text(squad(3))
    (tmp_path / "q.json.gz").write_bytes(gzip.compress(squad(3).encode())[:-20])

    def refused(*changes: object, model_folder: Path = model / "qa") -> str:
        ask = ["predict", "--model", model_folder, "--questions", tmp_path / "q.json", "--out", tmp_path / "p.json"]
        assert main([str(argument) for argument in (*ask, *changes)]) == 1
        assert not (tmp_path / "p.json").exists()
        return capsys.readouterr().err

    assert "was not fine-tuned on qa" in refused(model_folder=model / "backbone")
    assert "none.json: the file does not exist" in refused("--questions", tmp_path / "none.json")
    assert "q.json.gz: truncated or damaged" in refused("--questions", tmp_path / "q.json.gz")
    assert "two of them are the same file" in refused("--nbest", tmp_path / "p.json")
    assert "two of them are the same file" in refused("--out", tmp_path / "q.json")
    assert "did you mean 'window_step'" in refused("--settings", '{"window_stride": 4}')
    assert "max_length 600 is more than the 512 positions" in refused("--settings", '{"max_length": 600}')
    with pytest.raises(SystemExit):
        refused("--nbest-size", "0")
