"""The tables of scores, alignment and data, through the command line; means and deviations are worked out by hand."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from weam import provenance
from weam.cli import main

CONFIG: dict[str, Any] = {
    "languages": ["de", "zh"],
    "data": {"parallel": {"de": ["pairs-de"], "zh": ["pairs-zh"]}},
    "sources": {
        "mlqa-x": {
            "version": "v7",
            "format": "mlqa",
            "languages": ["en", "de", "zh"],
            "url": "mini:",
            "files": {},
            "licence": "none",
            "citation": "none",
        }
    },
    "finetune": {"qa": {"train": ["squad-x"], "translate_train": {"de": ["mt-x"], "zh": ["mt-x"]}}},
    "tasks": {"mlqa": {"source": "mlqa-x", "split": "test"}},
}


def qa(context: str, question: str, f1: float, em: float, n: int = 200, missing: int = 0) -> dict[str, Any]:
    return {"languages": [context, question], "scores": {"f1": f1, "em": em}, "n_items": n, "missing": missing}


def scores(path: Path, cells: list[dict[str, Any]], **changes: Any) -> str:
    value = {
        "task": "mlqa",
        "split": "test",
        "setting": "zero-shot",
        "system": "mbert",
        "model_lang": "multi",
        "train_lang": "en",
        "seeds": {"pretrain": 1, "finetune": 1},
        "cells": cells,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value | changes, ensure_ascii=False), encoding="utf-8")
    return str(path)


def table(tmp_path: Path, files: list[str], *more: str, task: str = "mlqa", config: Any = CONFIG) -> int:
    out = str(tmp_path / "tables" / f"{task}.csv")
    return main(["table", "--task", task, "--scores", *files, "--config", json.dumps(config), "--out", out, *more])


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """mBERT and WEAM, two fine-tuning seeds: zero-shot, and translate-train to German with one seed."""
    files = []
    for seed, lift in ((1, 0.0), (2, 3.0)):
        seeds = {"pretrain": 1, "finetune": seed}
        cells = [qa("en", "en", 70 + lift, 60), qa("de", "de", 50 + lift, 40), qa("zh", "zh", 30 + 3 * lift, 20, 150)]
        cells.append(qa("en", "de", 45.456 + lift, 35))
        files.append(scores(tmp_path / f"mbert{seed}.json", cells, seeds=seeds))
        for language, english in (("de", 80.0), ("zh", 90.0 + lift)):
            cells = [qa("en", "en", english, 70), qa(language, language, 55, 41, 200 if language == "de" else 150)]
            files.append(
                scores(tmp_path / f"w{language}{seed}.json", cells, system="weam", model_lang=language, seeds=seeds)
            )
    translated = {"setting": "translate-train", "train_lang": "de"}
    files.append(scores(tmp_path / "t.json", [qa("de", "de", 66.25, 51.5, missing=2)], **translated))
    return files


def test_csv_means_and_deviations(tmp_path: Path, runs: list[str]) -> None:
    assert table(tmp_path, runs) == 0
    # mbert: seeds 70, 73: mean 71.5, sd sqrt(2 * 1.5²) = 2.12; zh 30, 39: mean 34.5, sd 6.36
    # weam en: seed 1 (80 + 90) / 2 = 85, seed 2 (80 + 93) / 2 = 86.5: mean 85.75, sd 1.5 / sqrt(2) = 1.06
    assert (tmp_path / "tables/mlqa.csv").read_bytes().decode() == (
        "system,setting,train_lang,context_lang,question_lang,f1_mean,f1_sd,f1_low,f1_high,em_mean,em_sd,em_low,"
        "em_high,n_seeds,n_items\n"
        "mbert,zero-shot,en,en,en,71.5000,2.1213,,,60.0000,0.0000,,,2,200\n"
        "mbert,zero-shot,en,en,de,46.9560,2.1213,,,35.0000,0.0000,,,2,200\n"
        "mbert,zero-shot,en,de,de,51.5000,2.1213,,,40.0000,0.0000,,,2,200\n"
        "mbert,zero-shot,en,zh,zh,34.5000,6.3640,,,20.0000,0.0000,,,2,150\n"
        "mbert,translate-train,de,de,de,66.2500,,,,51.5000,,,,1,200\n"
        "weam,zero-shot,en,en,en,85.7500,1.0607,,,70.0000,0.0000,,,2,200\n"
        "weam,zero-shot,en,de,de,55.0000,0.0000,,,41.0000,0.0000,,,2,200\n"
        "weam,zero-shot,en,zh,zh,55.0000,0.0000,,,41.0000,0.0000,,,2,150\n"
    )


def test_markdown_of_the_paper(tmp_path: Path, runs: list[str]) -> None:
    assert table(tmp_path, runs) == 0
    text = (tmp_path / "tables/mlqa.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    zero, translated = (
        lines.index("| system | en | de | zh | average of en, de, zh | average of de, zh |"),
        text.index("Translate-train:"),
    )
    # averages of mbert: (70 + 50 + 30) / 3 = 50, (73 + 53 + 39) / 3 = 55: mean 52.5, sd 3.54; without English 40, 46
    assert lines[zero + 2] == (
        "| mBERT | 71.5±2.1/60.0±0.0 | 51.5±2.1/40.0±0.0 | 34.5±6.4/20.0±0.0 | 52.5±3.5/40.0±0.0 | 43.0±4.2/30.0±0.0 |"
    )
    assert lines[zero + 3].startswith("| mBERT+WEAM | 85.8±1.1/70.0±0.0 |")
    assert "| system | de |" in text[translated:]  # zh has no translate-train scores; no average over one language
    assert "| mBERT | 66.2/51.5 |" in text[translated:]
    for note in (
        "Scored on the test split of mlqa-x v7; context and question in the same language; questions: en 200, de 200, "
        "zh 150.",
        "over n = 1 to 2 (per cell in the CSV; no ± where n = 1) seed pairs",
        "mBERT+WEAM has one model per language; its English zero-shot cell is the mean over its models (de, zh).",
        "English training data: squad-x.",
        "Translated training data, de: mt-x.",
        "2 predictions are missing over all runs",
    ):
        assert note in text
    assert "mBERT+TLM" not in text
    matrix = text[text.index("## Across languages") :]
    assert "| en | 71.5 | 47.0 | – |" in matrix
    assert "| zh | – | – | 34.5 |" in matrix
    assert "### mBERT+WEAM" not in matrix  # only its diagonal was scored


def test_one_seed_is_said(tmp_path: Path) -> None:
    file = scores(tmp_path / "a.json", [qa("en", "en", 1, 1)], system="tlm", model_lang="de")
    assert table(tmp_path, [file]) == 0
    text = (tmp_path / "tables/mlqa.md").read_text(encoding="utf-8")
    assert "n = 1 seed: intervals and tests cover the choice of the test set only, not the noise of training" in text
    assert "mBERT+TLM has no language embeddings, and positions are not reset" in text
    assert "one model per language" not in text
    assert "Translate-train" not in text
    assert rows(tmp_path / "tables/mlqa.csv")[1][5:13] == ["1.0000", "", "", ""] * 2


def test_order_of_files_does_not_matter(tmp_path: Path, runs: list[str]) -> None:
    names = [tmp_path / "tables" / name for name in ("mlqa.csv", "mlqa.md", "mlqa.provenance.json")]
    assert table(tmp_path, runs) == 0
    first = [name.read_bytes() for name in names]
    assert table(tmp_path, runs[::-1]) == 0
    assert [name.read_bytes() for name in names] == first
    assert sorted(path.name for path in names[0].parent.iterdir()) == sorted(path.name for path in names)


def test_rows_are_in_the_order_of_the_paper(tmp_path: Path) -> None:
    files = []
    for system in ("weam", "tlm", "mbert", "word_align"):
        for setting, train in (
            ("translate-train", "zh"),
            ("translate-train", "de"),
            ("translate-train", "en"),
            ("zero-shot", "en"),
        ):
            cells = [qa("zh", "zh", 1, 1), qa("de", "de", 1, 1), qa("de", "en", 1, 1)]
            path = tmp_path / f"{system}-{setting}-{train}.json"
            files.append(scores(path, cells, system=system, setting=setting, train_lang=train))
    config = CONFIG | {"languages": ["zh", "de"]}
    assert table(tmp_path, files, config=config) == 0
    found = [row[:5] for row in rows(tmp_path / "tables/mlqa.csv")[1:]]
    assert [row[0] for row in found[::12]] == ["mbert", "tlm", "word_align", "weam"]
    trained = [("zero-shot", "en"), ("translate-train", "en"), ("translate-train", "zh"), ("translate-train", "de")]
    spoken = [("zh", "zh"), ("de", "en"), ("de", "de")]
    assert [tuple(row[1:]) for row in found[:12]] == [(*train, *cell) for train in trained for cell in spoken]


def test_xnli(tmp_path: Path) -> None:
    config = CONFIG | {"tasks": {"xnli": {"source": "xnli-x", "split": "dev"}}}
    files = []
    for pretrain, accuracy in ((1, 60.0), (2, 61.0), (3, 65.0)):  # mean 62, sd sqrt((4 + 1 + 9) / 2) = 2.65
        cells = [
            {"languages": [name], "scores": {"accuracy": accuracy}, "n_items": 2490} for name in ("de", "en", "zh")
        ]
        seeds = {"pretrain": pretrain, "finetune": 1}
        label = {"task": "xnli", "split": "dev", "system": "weam", "model_lang": "multi", "seeds": seeds}
        files.append(scores(tmp_path / f"{pretrain}.json", cells, **label))
    assert table(tmp_path, files, task="xnli", config=config) == 0
    found = rows(tmp_path / "tables/xnli.csv")
    assert found[0] == [
        *("system", "setting", "train_lang", "lang"),
        *("accuracy_mean", "accuracy_sd", "accuracy_low", "accuracy_high", "n_seeds", "n_items"),
    ]
    assert found[1:] == [
        ["weam", "zero-shot", "en", name, "62.0000", "2.6458", "", "", "3", "2490"] for name in ("en", "de", "zh")
    ]
    text = (tmp_path / "tables/xnli.md").read_text(encoding="utf-8")
    assert "| mBERT+WEAM | 62.0±2.6 | 62.0±2.6 | 62.0±2.6 | 62.0±2.6 | 62.0±2.6 |" in text
    assert "dev split of xnli-x; pairs: en 2490" in text
    assert "Across languages" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"cells": [qa("en", "en", 1, 1, 199)], "seeds": {"pretrain": 1, "finetune": 2}},
            "cell en-en has 199 questions, but",
        ),
        ({"cells": [qa("en", "en", 1, 1, 199)], "system": "weam"}, "cell en-en has 199 questions, but"),
        ({}, "mbert zero-shot multi en pretrain=1 finetune=1 stands in"),
        ({"split": "dev", "system": "tlm"}, "scored on the dev split, but"),
        ({"task": "xquad", "system": "tlm"}, "holds scores of 'xquad', not of 'mlqa'"),
        ({"train_lang": "de"}, "zero-shot is training on en"),
        (
            {"cells": [qa("fr", "fr", 1, 1)], "system": "tlm"},
            "language 'fr' is not among those that mlqa is scored in (en, de, zh)",
        ),
        ({"cells": [qa("en", "en", 1, 1)] * 2, "system": "tlm"}, "cell en-en stands there twice"),
        ({"system": "bert"}, "key 'system' is 'bert'"),
        ({"cells": [qa("en", "en", 101, 1)], "system": "tlm"}, "key 'cells.0.scores.f1' is 101"),
        ({"cells": [], "system": "tlm"}, "key 'cells' is []"),
        (
            {"model_lang": "de", "seeds": {"pretrain": 1, "finetune": 2}},
            "model 'de' has no score with seeds pretrain=1 finetune=1",
        ),
    ],
)
def test_faults_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    cells = [qa("en", "en", 50, 40), qa("de", "de", 50, 40)]
    first = scores(tmp_path / "a.json", cells)
    assert table(tmp_path, [first, scores(tmp_path / "b.json", **{"cells": cells, **change})]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "tables").exists()


def test_more_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = scores(tmp_path / "a.json", [qa("en", "en", 50, 40)])
    dev = CONFIG | {"tasks": {"mlqa": {"source": "mlqa-x", "split": "dev"}}}
    assert table(tmp_path, [file], config=dev) == 1
    assert "scored on the test split, but the configuration asks for dev" in capsys.readouterr().err
    assert table(tmp_path, [str(tmp_path / "gone.json")]) == 1
    assert "gone.json: the file does not exist" in capsys.readouterr().err
    assert table(tmp_path, [file], "--input", str(tmp_path / "gone.txt")) == 1
    assert "gone.txt" in capsys.readouterr().err
    assert main(["table", "--task", "mlqa", "--scores", file, "--config", json.dumps(CONFIG), "--out", "x.tsv"]) == 1
    assert "--out x.tsv: a table ends in .csv" in capsys.readouterr().err
    assert table(tmp_path, [file], config=CONFIG | {"languges": ["de"]}) == 1
    assert "did you mean 'languages'?" in capsys.readouterr().err


def test_provenance(tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    release = {"source": "mlqa-x", "version": "v7", "files": [{"name": "a.zip", "bytes": 1, "sha256": "ab" * 32}]}
    Path("manifest.json").write_text(json.dumps(release | {"format": "mlqa"}), encoding="utf-8")
    Path("other.json").write_text('{"steps": 3}', encoding="utf-8")
    Path("config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    absolute = str(tmp_path / "other.json")
    command = ["table", "--task", "mlqa", "--scores", *runs, "--config", "config.json", "--out", "t/mlqa.csv"]
    assert main([*command, "--input", "manifest.json", "--input", absolute]) == 0
    found = json.loads(Path("t/mlqa.provenance.json").read_text(encoding="utf-8"))
    assert found["table"] == "mlqa"
    assert found["config"]["languages"] == ["de", "zh"]
    assert found["config"]["text"]["max_words"] == 100  # resolved: defaults are written out
    assert found["seeds"] == {"pretrain": [1], "finetune": [1]}
    assert found["data"] == [{"source": "mlqa-x", "version": "v7", "files": [{"name": "a.zip", "sha256": "ab" * 32}]}]
    paths = {entry["path"]: entry["sha256"] for entry in found["inputs"]}
    assert paths.keys() == {"manifest.json", "other.json", *(Path(run).name for run in runs)}
    assert paths["t.json"] == hashlib.sha256(Path("t.json").read_bytes()).hexdigest()
    assert found["packages"].keys() == {"weam", *provenance.PACKAGES}
    assert found["packages"]["pyarrow"]
    assert found["python"].startswith("3.")
    assert found["hardware"]["cpu_count"] >= 1
    assert str(tmp_path) not in json.dumps(found)


def test_code_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revision and dirty flag of the checkout the package lives in; null for a package merely installed below one."""
    here = tmp_path / "weam" / "provenance.py"
    here.parent.mkdir()
    here.write_text("x\n")
    monkeypatch.setattr(provenance, "__file__", str(here))
    assert provenance.code_revision() is None

    def git(*command: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.hooksPath=/dev/null"]
        run = subprocess.run(["git", "-C", tmp_path, *identity, *command], check=True, capture_output=True, text=True)
        return run.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "empty")
    assert provenance.code_revision() is None
    git("add", "weam/provenance.py")
    git("commit", "-q", "-m", "code")
    assert provenance.code_revision() == {"revision": git("rev-parse", "HEAD"), "dirty": False}
    here.write_text("y\n")
    assert provenance.code_revision() == {"revision": git("rev-parse", "HEAD"), "dirty": True}
    monkeypatch.setenv("PATH", "")
    assert provenance.code_revision() is None


def quality(path: Path, pair: str, gold: bool, **changes: Any) -> str:
    agreement = {"aer": 0.25, "precision": 0.8, "recall": 0.70588}
    value: dict[str, Any] = {
        "pair": pair,
        "method": "fast_align",
        "sentences": 6000,
        "links": 9,
        "links_per_word": 1.23456,
        "aligned_source": 0.9,
        "aligned_target": 1.0,
        "gold": None,
    }
    if gold:
        value["gold"] = {"sentences": 200, "forward": agreement, "reverse": agreement | {"aer": 0.3}}
        value["gold"]["symmetrised"] = agreement | {"aer": 0}
    path.write_text(json.dumps(value | changes), encoding="utf-8")
    return str(path)


def test_alignment_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zh, de = quality(tmp_path / "zh.json", "en-zh", False), quality(tmp_path / "de.json", "en-de", True)
    command = ["alignment_table", "--config", json.dumps(CONFIG), "--out", str(tmp_path / "t/alignment.csv")]
    assert main([*command, "--quality", zh, de]) == 0
    assert (tmp_path / "t/alignment.csv").read_text() == (
        "pair,method,direction,aer,precision,recall,gold_sentences,links_per_word,aligned_source_share,"
        "aligned_target_share\n"
        "en-de,fast_align,forward,0.2500,0.8000,0.7059,200,,,\n"
        "en-de,fast_align,reverse,0.3000,0.8000,0.7059,200,,,\n"
        "en-de,fast_align,symmetrised,0.0000,0.8000,0.7059,200,1.2346,0.9000,1.0000\n"
        "en-zh,fast_align,symmetrised,,,,,1.2346,0.9000,1.0000\n"
    )
    text = (tmp_path / "t/alignment.md").read_text(encoding="utf-8")
    assert "| en-de | fast_align | reverse | 0.3000 |" in text
    assert "No gold alignments: en-zh." in text
    inputs = json.loads((tmp_path / "t/alignment.provenance.json").read_text())["inputs"]
    assert {Path(entry["path"]).name for entry in inputs} == {"de.json", "zh.json"}
    capsys.readouterr()
    assert main([*command, "--quality", de, quality(tmp_path / "2.json", "en-de", True)]) == 1
    assert "pair 'en-de' by fast_align is given twice" in capsys.readouterr().err
    assert main([*command, "--quality", quality(tmp_path / "3.json", "en-fr", True)]) == 1
    assert "pair 'en-fr' is not in the configuration (en-de, en-zh)" in capsys.readouterr().err
    assert main([*command, "--quality", quality(tmp_path / "4.json", "en-de", True, aligned_source=90)]) == 1
    assert "key 'aligned_source' is 90" in capsys.readouterr().err


def test_alignment_table_of_two_methods(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [quality(tmp_path / f"{m}.json", "en-de", True, method=m) for m in ("eflomal", "fast_align")]
    command = ["alignment_table", "--out", str(tmp_path / "t/alignment.csv"), "--quality", *files, "--config"]
    assert main([*command, json.dumps(CONFIG)]) == 1
    assert "method 'eflomal' is not in the configuration (fast_align)" in capsys.readouterr().err
    assert main([*command, json.dumps(CONFIG | {"align": {"compare": ["eflomal"]}})]) == 0
    lines = (tmp_path / "t/alignment.csv").read_text().splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == ["fast_align"] * 3 + ["eflomal"] * 3
    assert "random seed" in (tmp_path / "t/alignment.md").read_text()


def steps(*pairs: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"step": step, kind: count} for step, kind, count in pairs]


def test_data_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)

    def write(name: str, value: Any) -> str:
        path = Path("results", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
        return str(path)

    good = steps(("read", "rows", 8), ("empty | blank", "removed", 1), ("too long", "removed", 2), ("kept", "rows", 5))
    corpus = write("text/en-de/funnel.json", {"corpus": "en-de", "sources": ["a"], "steps": good})
    again = write("again.json", {"corpus": "en-de", "steps": good})
    data = {"steps": steps(("read", "rows", 0), ("kept", "rows", 0))}
    model = write("finetuned/qa/seed1-1/training.json", {"seed": 1, "data": data})
    command = ["data_table", "--config", json.dumps(CONFIG), "--out", "t/data.csv", "--funnel"]
    assert main([*command, corpus, model, again]) == 0
    assert rows(Path("t/data.csv")) == [
        ["corpus", "step", "rows", "removed", "share"],
        ["en-de", "read", "8", "", "1.0000"],
        ["en-de", "empty | blank", "7", "1", "0.1250"],
        ["en-de", "too long", "5", "2", "0.2500"],
        ["en-de", "kept", "5", "", "0.6250"],
        ["finetuned/qa/seed1-1", "read", "0", "", ""],
        ["finetuned/qa/seed1-1", "kept", "0", "", ""],
    ]
    assert "| en-de | empty \\| blank | 7 | 1 | 0.1250 |" in Path("t/data.md").read_text(encoding="utf-8")
    assert len(json.loads(Path("t/data.provenance.json").read_text())["inputs"]) == 3
    capsys.readouterr()
    for bad, message in (
        (steps(("read", "rows", 8), ("kept", "rows", 7)), "8 rows read less those removed leave 8, but 7 are kept"),
        (steps(("x", "removed", 8), ("kept", "rows", 7)), "the first step 'x' removes rows"),
        (steps(("read", "rows", 8), ("x", "removed", 1)), "no step says how many rows were kept"),
        ([{"step": "read"}], "step 'read' needs either rows or removed"),
        ([], "key 'steps' is []"),
    ):
        assert main([*command, write("bad.json", {"corpus": "c", "steps": bad})]) == 1
        assert message in capsys.readouterr().err
    other = write("other.json", {"corpus": "en-de", "steps": steps(("read", "rows", 8), ("kept", "rows", 8))})
    assert main([*command, corpus, other]) == 1
    assert "corpus 'en-de' is given twice with different counts" in capsys.readouterr().err
