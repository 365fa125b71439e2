"""Intervals and tests of a task's scores, through the command line; and the table over all tasks."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weam import tasks
from weam.cli import main
from weam.evaluate import write_items
from weam.metrics.items import Items, score

CONFIG: dict[str, Any] = {
    "languages": ["de", "zh", "ar"],
    "data": {"parallel": {"de": ["a"], "zh": ["b"], "ar": ["c"]}},
    "tasks": {
        "mlqa": {"source": "mlqa-x", "languages": ["de", "zh"]},
        "xnli": {"source": "xnli-x", "languages": ["de", "ar"]},
        "tatoeba": {"source": "tatoeba-x", "languages": ["de"]},
    },
    "statistics": {"resamples": 500, "baselines": ["mbert", "tlm"]},
}
LANGUAGES = str(Path(__file__).parents[1] / "data" / "languages.csv")


def run(
    folder: Path, task: str, system: str, values: dict[str, np.ndarray], groups: int = 2, **changes: Any
) -> tuple[str, str]:
    """scores.json and items.parquet of one run; ``values`` by language: [N, metrics]."""
    entry = tasks.load(task)
    items = {}
    for language, found in values.items():
        names = [f"q{i}" for i in range(len(found))]
        items[(language,) * len(entry.axes)] = Items(names, [f"p{i // groups}" for i in range(len(found))], found)
    label = {"setting": "zero-shot", "system": system, "model_lang": "multi", "train_lang": "en"}
    label |= {"seeds": {"pretrain": 1, "finetune": 1}} | changes
    folder = folder / task / "-".join(str(value) for value in label.values()).replace(" ", "")
    folder.mkdir(parents=True)
    cells = [
        {
            "languages": list(cell),
            "scores": dict(zip(entry.metrics, score(entry.kind, found.values), strict=True)),
            "n_items": len(found.ids),
        }
        for cell, found in items.items()
    ]
    text = {"task": task, "split": "test", **label, "cells": cells}
    (folder / "scores.json").write_text(json.dumps(text), encoding="utf-8")
    write_items(folder / "items.parquet", entry, items)
    return str(folder / "scores.json"), str(folder / "items.parquet")


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


SETTINGS = ("--languages", "en", "de", "zh", "--settings", json.dumps(CONFIG["statistics"]))


def significance(tmp_path: Path, task: str, runs: list[tuple[str, str]], *more: str) -> int:
    scores, items = zip(*runs, strict=True)
    out = ("--intervals", str(tmp_path / "i.csv"), "--out", str(tmp_path / "s.csv"))
    return main(["significance", "--task", task, "--scores", *scores, "--items", *items, *SETTINGS, *out, *more])


@pytest.fixture
def mlqa(tmp_path: Path) -> list[tuple[str, str]]:
    """WEAM is better than mBERT by 20 points in German, on every passage, and the same in the other languages."""
    rng = np.random.default_rng(1)
    base = {language: rng.integers(0, 2, (60, 2)) * 0.5 for language in ("en", "de", "zh")}
    better = base | {"de": base["de"] + 0.2}
    return [
        run(tmp_path, "mlqa", "mbert", base),
        run(tmp_path, "mlqa", "weam", {name: better[name] for name in ("en", "de")}, model_lang="de"),
        run(tmp_path, "mlqa", "weam", {name: better[name] for name in ("en", "zh")}, model_lang="zh"),
        run(tmp_path, "mlqa", "mbert", {"de": better["de"]}, setting="translate-train", train_lang="de"),
        run(tmp_path, "mlqa", "mbert", {"zh": better["zh"]}, setting="translate-train", train_lang="zh"),
    ]


def test_differences_and_intervals(tmp_path: Path, mlqa: list[tuple[str, str]]) -> None:
    assert significance(tmp_path, "mlqa", mlqa) == 0
    found = {(row["context_lang"], row["metric"]): row for row in rows(tmp_path / "s.csv")}
    assert {key[0] for key in found} == {"en", "de", "zh", "average", "average without en"}
    assert {(row["setting"], row["system"], row["baseline"]) for row in found.values()} == {
        ("zero-shot", "weam", "mbert")
    }
    german = found["de", "f1"]
    assert [german[name] for name in ("difference", "low", "high")] == ["20.0000", "20.0000", "20.0000"]
    assert float(german["p"]) == pytest.approx(2 / 501, abs=1e-4)
    assert float(german["p_holm"]) == pytest.approx(3 * 2 / 501, abs=2e-4)  # of three languages
    assert [found["zh", "f1"][name] for name in ("difference", "low", "high", "p", "p_holm")] == [
        *("0.0000", "0.0000", "0.0000", "1.0000", "1.0000")
    ]
    assert found["average", "em"]["difference"] == "6.6667"
    assert found["average without en", "em"]["difference"] == "10.0000"
    assert (german["n_seeds"], german["n_items"], german["n_clusters"]) == ("1", "60", "30")
    scores = {(row["setting"], row["system"], row["context_lang"]): row for row in rows(tmp_path / "i.csv")}
    assert ("translate-train", "mbert", "average") in scores
    assert ("translate-train", "mbert", "en") not in scores
    row = scores["zero-shot", "mbert", "de"]
    assert 0 < float(row["low"]) < float(row["score"]) < float(row["high"]) < 100


def test_order_does_not_matter(tmp_path: Path, mlqa: list[tuple[str, str]]) -> None:
    assert significance(tmp_path, "mlqa", mlqa) == 0
    first = [(tmp_path / name).read_bytes() for name in ("i.csv", "s.csv")]
    assert significance(tmp_path, "mlqa", mlqa[::-1]) == 0
    assert [(tmp_path / name).read_bytes() for name in ("i.csv", "s.csv")] == first


def test_the_table_shows_them(tmp_path: Path, mlqa: list[tuple[str, str]]) -> None:
    assert significance(tmp_path, "mlqa", mlqa) == 0
    command = ["table", "--task", "mlqa", "--scores", *(file for file, _ in mlqa), "--config", json.dumps(CONFIG)]
    command += ["--intervals", str(tmp_path / "i.csv"), "--significance", str(tmp_path / "s.csv")]
    assert main([*command, "--out", str(tmp_path / "mlqa.csv")]) == 0
    first = [row for row in rows(tmp_path / "i.csv") if (row["setting"], row["metric"]) == ("zero-shot", "f1")]
    interval = {(row["system"], row["context_lang"]): row for row in first}
    for row in rows(tmp_path / "mlqa.csv"):
        if row["setting"] == "zero-shot":
            there = interval[row["system"], row["context_lang"]]
            assert (row["f1_mean"], row["f1_low"], row["f1_high"]) == (there["score"], there["low"], there["high"])
    text = (tmp_path / "mlqa.md").read_text(encoding="utf-8")
    assert "Difference to mBERT in f1, with interval:" in text
    assert "| mBERT+WEAM | +0.0 [+0.0, +0.0] | +20.0* [+20.0, +20.0] | +0.0 [+0.0, +0.0] | +6.7*" in text
    assert "Difference to mBERT+TLM" not in text
    assert "500 bootstrap resamples" in text


def test_faults(tmp_path: Path, mlqa: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert significance(tmp_path, "mlqa", [mlqa[0], (mlqa[1][0], mlqa[0][0])]) == 1
    assert "not a Parquet file, or a broken one" in capsys.readouterr().err
    assert significance(tmp_path, "mlqa", [mlqa[0], (mlqa[1][0], str(tmp_path / "gone.parquet"))]) == 1
    assert "gone.parquet: the file does not exist; run the evaluate stage" in capsys.readouterr().err
    swapped = [(mlqa[0][0], mlqa[1][1]), (mlqa[1][0], mlqa[0][1])]
    assert significance(tmp_path, "mlqa", swapped) == 1
    assert "items.parquet: is not of the same run as" in capsys.readouterr().err
    other = run(tmp_path, "mlqa", "tlm", {"de": np.zeros((59, 2))})
    assert significance(tmp_path, "mlqa", [*mlqa, other]) == 1
    assert "de-de" in capsys.readouterr().err
    out = ("--intervals", "i.csv", "--out", "o.csv", *SETTINGS)
    assert (
        main(["significance", "--task", "mlqa", "--scores", mlqa[0][0], mlqa[1][0], "--items", mlqa[0][1], *out]) == 1
    )
    assert "--items names 1 files, --scores 2" in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()


def constant(value: float, count: int = 4, columns: int = 1) -> np.ndarray:
    return np.full((count, columns), value)


@pytest.fixture
def all_tasks(tmp_path: Path) -> list[str]:
    files = []
    for system, lift, seeds in (("mbert", 0.0, (1, 2)), ("weam", 0.1, (1, 2))):
        for seed in seeds:
            pair = {"seeds": {"pretrain": 1, "finetune": seed}}
            noise = 0.02 * (seed - 1)
            qa = {name: constant(v + lift + noise, columns=2) for name, v in (("en", 0.8), ("de", 0.4), ("zh", 0.2))}
            nli = {name: constant(v + lift + noise) for name, v in (("en", 0.7), ("de", 0.6), ("ar", 0.5))}
            files += [run(tmp_path, "mlqa", system, qa, **pair)[0], run(tmp_path, "xnli", system, nli, **pair)[0]]
        seedless = {"seeds": {"pretrain": 1, "finetune": 0}}
        files.append(run(tmp_path, "tatoeba", system, {"de": constant(0.3 + lift)}, **seedless)[0])
    return files


def xtreme(tmp_path: Path, files: list[str]) -> int:
    command = ["xtreme_r", "--scores", *files, "--languages", LANGUAGES, "--config", json.dumps(CONFIG)]
    return main([*command, "--out", str(tmp_path / "xtreme_r.csv")])


def test_all_tasks(tmp_path: Path, all_tasks: list[str]) -> None:
    assert xtreme(tmp_path, all_tasks) == 0
    found = {
        tuple(row[name] for name in ("level", "task", "lang", "family", "system")): (row["mean"], row["sd"])
        for row in rows(tmp_path / "xtreme_r.csv")
    }
    assert found["language", "mlqa", "de", "Indo-European", "mbert"] == ("41.0000", "1.4142")
    assert found["language", "tatoeba", "de", "Indo-European", "mbert"] == ("30.0000", "")
    assert found["task", "mlqa", "", "", "mbert"][0] == "47.6667"  # (81 + 41 + 21) / 3
    assert found["task", "xnli", "", "", "mbert"][0] == "61.0000"
    # English is left out: MLQA de 41, XNLI de 61, Tatoeba de 30
    assert found["family", "", "", "Indo-European", "mbert"][0] == "44.0000"
    assert found["family", "", "", "Afro-Asiatic", "mbert"] == ("51.0000", "1.4142")
    assert found["family", "", "", "Sino-Tibetan", "weam"] == ("31.0000", "1.4142")
    # seeds (47 + 2/3 - 1) ... : seed 1 (46.67 + 60 + 30) / 3, seed 2 (48.67 + 62 + 30) / 3
    assert found["overall", "", "", "", "mbert"] == ("46.2222", "0.9428")
    assert found["overall", "", "", "", "weam"] == ("56.2222", "0.9428")
    text = (tmp_path / "xtreme_r.md").read_text(encoding="utf-8")
    assert "| all tasks | 46.2±0.9 | 56.2±0.9 |" in text
    assert "| Afro-Asiatic | 51.0±1.4 | 61.0±1.4 |" in text
    assert "± sample standard deviation over up to 2 seed pairs; no ± where there is one." in text
    assert "One seed (no ±): differences may be noise of training." in text


def test_the_order_of_tasks_and_seed_zero_change_nothing(tmp_path: Path) -> None:
    """Fine-tuning seed 0 is a seed like others; that retrieval has none is known from the task."""
    for order in (["tatoeba", "xnli"], ["xnli", "tatoeba"]):
        folder = tmp_path / order[0]
        config = CONFIG | {"tasks": {name: CONFIG["tasks"][name] for name in order}}
        files = [run(folder, "tatoeba", "mbert", {"de": constant(0.5)}, seeds={"pretrain": 0, "finetune": 0})[0]]
        for seed, value in ((0, 0.1), (1, 0.3)):
            pair = {"pretrain": 0, "finetune": seed}
            files.append(run(folder, "xnli", "mbert", {"de": constant(value)}, seeds=pair)[0])
        command = ["xtreme_r", "--scores", *files, "--languages", LANGUAGES, "--config", json.dumps(config)]
        assert main([*command, "--out", str(folder / "x.csv")]) == 0
        (overall,) = (row for row in rows(folder / "x.csv") if row["level"] == "overall")
        assert (overall["mean"], overall["n_seeds"]) == ("35.0000", "2")


def test_held_out_languages_and_english_alone_are_in_no_average(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks_ = {
        "mlqa": {"source": "m", "languages": ["de"], "held_out": ["sw"]},
        "xnli": {"source": "x", "languages": []},
    }
    config = CONFIG | {"tasks": tasks_}
    qa = {name: constant(value, columns=2) for name, value in (("en", 0.8), ("de", 0.4), ("sw", 0.1))}
    pairs = [
        run(tmp_path, "mlqa", "mbert", qa),
        run(tmp_path, "mlqa", "weam", {name: qa[name] for name in ("en", "de")}, model_lang="de"),
    ]
    files = [file for file, _ in pairs]
    files += [run(tmp_path, "xnli", system, {"en": constant(0.7)})[0] for system in ("mbert", "weam")]
    command = ["xtreme_r", "--scores", *files, "--languages", LANGUAGES, "--config", json.dumps(config)]
    assert main([*command, "--out", str(tmp_path / "x.csv")]) == 0
    found = {
        (row["level"], row["task"] or row["family"], row["system"]): row["mean"] for row in rows(tmp_path / "x.csv")
    }
    assert found["overall", "", "weam"] == found["overall", "", "mbert"] == found["task", "mlqa", "weam"] == "60.0000"
    assert ("task", "xnli", "mbert") not in found
    assert ("family", "Niger-Congo", "mbert") not in found
    assert found["language", "mlqa", "mbert"] == "10.0000"  # the last one: Swahili
    assert significance(tmp_path, "mlqa", pairs, "--languages", "en", "de", "--held-out", "sw") == 0
    assert [row["context_lang"] for row in rows(tmp_path / "s.csv") if row["metric"] == "f1"] == ["en", "de", "average"]
    only = [run(tmp_path / "tt", "xnli", "mbert", {"de": constant(0.7)}, setting="translate-train", train_lang="de")[0]]
    capsys.readouterr()
    assert xtreme(tmp_path, only) == 1
    assert "there are no zero-shot scores in these files" in capsys.readouterr().err


def test_a_system_that_lacks_a_cell_has_no_average_over_it(tmp_path: Path, all_tasks: list[str]) -> None:
    for seed in (1, 2):
        lone = {"seeds": {"pretrain": 1, "finetune": seed}}
        all_tasks.append(run(tmp_path, "xnli", "tlm", {"en": constant(0.5), "de": constant(0.5)}, **lone)[0])
    assert xtreme(tmp_path, all_tasks) == 0
    levels = [row["level"] for row in rows(tmp_path / "xtreme_r.csv") if row["system"] == "tlm"]
    assert levels == ["language", "language"]
    assert "| all tasks | 46.2±0.9 | – | 56.2±0.9 |" in (tmp_path / "xtreme_r.md").read_text(encoding="utf-8")


def test_faults_of_the_table_of_all_tasks(
    tmp_path: Path, all_tasks: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    one_seed = [file for file in all_tasks if "/xnli/" not in file or "'finetune':2" not in file]
    assert xtreme(tmp_path, one_seed) == 1
    assert "mbert: the tasks were scored with different seeds" in capsys.readouterr().err
    (tmp_path / "few.csv").write_text(
        "code,name,family,genus,script,level\nen,English,Indo-European,Germanic,Latin,5\n"
    )
    command = ["xtreme_r", "--scores", *all_tasks, "--config", json.dumps(CONFIG), "--out", str(tmp_path / "x.csv")]
    assert main([*command, "--languages", str(tmp_path / "few.csv")]) == 1
    assert "few.csv: has no language 'de'; add a line with its family" in capsys.readouterr().err
    assert main([*command, "--languages", all_tasks[0]]) == 1
    assert "has no column" in capsys.readouterr().err
