"""Analysis of the studies on data whose truth is known: curves, intervals, trades, comparisons, and what is said."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from weam import conclusions, power_law, study_families
from weam.cli import main
from weam.conclusions import Effect
from weam.config_studies import Families
from weam.metrics.items import Items
from weam.statistics import bootstrap, resampled_scores
from weam.validation import read_yaml

SIZES = np.array([100.0, 200, 400, 800, 1600])
NONE, UP, DOWN = Effect(0.1, -1, 1), Effect(2, 1, 3), Effect(-2, -3, -1)


# The curve


def test_a_power_law_is_recovered() -> None:
    found = power_law.fit(SIZES, (70 - 200 * SIZES**-0.5)[None])
    assert found.c[0] == pytest.approx(70, abs=0.3)
    assert found.b[0] == pytest.approx(0.5, rel=0.04)
    assert found.at(3200)[0] == pytest.approx(70 - 200 * 3200**-0.5, abs=0.1)
    assert not found.bound[0]


def test_bounds_of_the_curve() -> None:
    falling = power_law.fit(SIZES, np.array([[50.0, 49, 48, 47, 46]]))
    assert (falling.a[0], falling.c[0]) == (0, pytest.approx(48))
    assert falling.bound[0]
    steep = power_law.fit(SIZES, np.array([[60.0, 70, 80, 90, 100]]))
    assert steep.c[0] <= 100
    assert steep.at(SIZES[-1])[0] <= 100


def noisy(rng: np.random.Generator, noise: float, resamples: int = 400) -> power_law.Fit:
    truth = 70 - 200 * SIZES**-0.5
    observed = truth + rng.normal(0, noise, len(SIZES))
    return power_law.fit(SIZES, np.vstack([observed, observed + rng.normal(0, noise, (resamples, len(SIZES)))]))


def test_intervals_of_the_ceiling_cover_it() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(100):
        low, high = np.quantile(noisy(rng, 0.1).c[1:], [0.025, 0.975])
        inside += low <= 70 <= high
    assert 85 <= inside <= 100


def test_what_is_identifiable() -> None:
    rng = np.random.default_rng(2)
    assert power_law.identifiable(5, noisy(rng, 0.05))
    assert not power_law.identifiable(5, noisy(rng, 10.0))
    assert not power_law.identifiable(3, noisy(rng, 0.05))


def test_gain_per_doubling() -> None:
    gains = power_law.per_doubling(SIZES, np.array([[10.0, 12, 14, 16, 18], [5, 5, 5, 5, 5]]))
    assert gains == pytest.approx([2, 0])


# The resamples


def test_resamples_are_those_of_the_bootstrap() -> None:
    rng = np.random.default_rng(3)
    names = [str(i) for i in range(60)]
    runs = {
        system: {(s, 1): {("sw",): [Items(names, [n[0] for n in names], rng.random((60, 2)))]} for s in (1, 2)}
        for system in ("a", "b")
    }
    drawn = resampled_scores(runs, "mean", averages={"all": [("sw",)]}, resamples=2000, seed=1)["all"]
    other = bootstrap(runs, "mean", averages={}, comparisons=[("a", "b")], resamples=2000, seed=1)[("sw",)]
    low, high = np.quantile(drawn["a"][1:, 0], [0.025, 0.975])
    assert drawn["a"][0, 0] == pytest.approx(other.scores["a"][0].score)
    assert (low, high) == pytest.approx(other.scores["a"][0][1:], abs=1.0)
    again = resampled_scores(runs, "mean", averages={"all": [("sw",)]}, resamples=2000, seed=1, stream="x")["all"]
    assert again["a"][0, 0] == drawn["a"][0, 0]
    assert not np.array_equal(again["a"], drawn["a"])


# The words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (conclusions.growth("de", "F1", UP), "de: F1 rises with the pairs, +2.0 points, interval [+1.0, +3.0] per"),
        (conclusions.growth("de", "F1", DOWN), "de: F1 falls with"),
        (conclusions.growth("de", "F1", NONE), "no difference detectable: interval [-1.0, +1.0]"),
        (conclusions.curve("de", False, UP, UP), "is not identifiable"),
        (conclusions.curve("de", True, Effect(70, 69, 71), Effect(0.5, 0.4, 0.6)), "ceiling 70.0 [69.0, 71.0] and"),
        (conclusions.trade("de", "de+es", []), "no two measured runs have as many pairs in total"),
        (conclusions.trade("de", "de+es", [(100, DOWN), (200, NONE), (400, UP), (800, UP)]), "better from 400 pairs"),
        (conclusions.trade("de", "de+es", [(100, UP), (200, UP)]), "better from 100 pairs"),
        (conclusions.trade("de", "de+es", [(100, DOWN), (200, DOWN)]), "adding pairs is better at every measured size"),
        (conclusions.trade("de", "de+es", [(100, NONE), (200, NONE)]), "no difference detectable: intervals within"),
        (conclusions.trade("de", "de+es", [(100, UP), (200, NONE)]), "no point from which on one of the two is better"),
        (conclusions.versus("a", "b", UP), "a is better than b: +2.0 points"),
        (conclusions.versus("a", "b", DOWN), "a is worse than b"),
        (conclusions.versus("a", "b", Effect(2, 1, 3, 0.06)), "a against b: no difference detectable: interval ["),
        (conclusions.versus("a", "b", Effect(2, 1, 3, 0.04)), "a is better than b"),
        (conclusions.diversity("m", []), "there is no condition of a single family"),
        (conclusions.diversity("m", [UP, UP]), "m is better than every condition of a single family"),
        (conclusions.diversity("m", [DOWN, DOWN]), "m is worse than every condition"),
        (conclusions.diversity("m", [NONE, NONE]), "no difference detectable: intervals within [-1.0, +1.0]"),
        (conclusions.diversity("m", [UP, NONE, DOWN]), "1 better, 1 worse, 1 undecided"),
    ],
)  # fmt: skip
def test_words_follow_from_the_numbers(text: str, words: str) -> None:
    assert words in text


# The tables


def config(where: Path, **studies: Any) -> str:
    """The default configuration with settings of the studies, as a file."""
    value = read_yaml("config.yaml")
    for name, changes in studies.items():
        value["studies"][name] |= changes
    value["statistics"]["resamples"] = 500
    path = where / "config.json"
    path.write_text(json.dumps(value))
    return str(path)


def score(
    where: Path, task: str, system: str, seeds: tuple[int, int], languages: list[str], metrics: list[str],
    truth: Callable[[str], float],
) -> Path:  # fmt: skip
    """A scores.json and an items.parquet of 200 items per language; their values are drawn around ``truth``."""
    folder = where / task / system / f"{seeds}"
    folder.mkdir(parents=True)
    rows, cells = [], []
    for language in languages:
        rng = np.random.default_rng([len(task), ord(language[0]), ord(language[1])])  # the same items for all systems
        values = np.clip(truth(language) / 100 + rng.normal(0, 0.05, 200), 0, 1)
        rows += [
            {"cell": language, "id": f"{i}", "group": f"{i // 2}"} | dict.fromkeys(metrics, float(value))
            for i, value in enumerate(values)
        ]
        cells.append(
            {"languages": [language], "scores": dict.fromkeys(metrics, 100 * float(values.mean())), "n_items": 200}
        )
    pq.write_table(pa.Table.from_pylist(rows), folder / "items.parquet")
    about: dict[str, Any] = {
        "task": task,
        "split": "test",
        "setting": "zero-shot",
        "system": system,
        "model_lang": "multi",
    }
    about |= {"train_lang": "en", "seeds": {"pretrain": seeds[0], "finetune": seeds[1]}, "cells": cells}
    (folder / "scores.json").write_text(json.dumps(about))
    return folder


def command(name: str, folders: list[Path], settings: str, out: Path, *more: str) -> list[str]:
    line = [f"study_{name}", "--scores", *(str(folder / "scores.json") for folder in folders)]
    line += ["--items", *(str(folder / "items.parquet") for folder in folders)]
    return [*line, *more, "--config", settings, "--out", str(out)]


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def scaling(where: Path, truth: Callable[[int, int, str], float]) -> list[dict[str, str]]:
    """The table of runs whose scores are ``truth`` (languages, pairs, tested language) and a little noise per seed."""
    settings = config(where, scaling={"languages": [["de"], ["de", "es"]], "pairs": [100, 200, 400, 800]})
    folders = [
        score(where, "tydiqa", "mbert", (0, 1), ["en", "ar", "sw"], ["f1", "em"], lambda lang: truth(0, 0, lang))
    ]
    for name, count in (("de", 1), ("de_es", 2)):
        for pairs in (100, 200, 400, 800):
            for seed in (1, 2):
                system = f"weam-mix.{name}.{pairs}.steps120"
                noise = 0.05 * (-1) ** seed
                folders.append(score(where, "tydiqa", system, (seed, 1), ["en", "ar", "sw"], ["f1", "em"],
                                     lambda lang, n=count, p=pairs, e=noise: truth(n, p, lang) + e))  # fmt: skip
    out = where / "scaling.csv"
    assert main(command("scaling", folders, settings, out)) == 0
    assert (where / "scaling.md").read_text().startswith("# Study: scaling, TyDiQA")
    assert (where / "scaling.provenance.json").is_file()
    return read(out)


def test_scaling_finds_the_truth(tmp_path: Path) -> None:
    """A power law for one set; the other one is 3 points better at each size, and 1 at as many pairs in total."""
    rows = scaling(tmp_path, lambda n, p, lang: 20 if not n else 60 - 150 * (n * p) ** -0.5 + (n - 1) + (lang == "sw"))
    by_level: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_level.setdefault(row["level"], []).append(row)
    ceiling, other = (float(row["value"]) for row in by_level["ceiling"])
    assert ceiling == pytest.approx(60.5, abs=1.5)
    assert other == pytest.approx(61.5, abs=1.5)
    trades = by_level["trade"]
    assert [(row["languages"], row["pairs"], row["total_pairs"]) for row in trades] == [
        ("de > de+es", pairs, total) for pairs, total in (("100", "200"), ("200", "400"), ("400", "800"))
    ]
    assert [float(row["value"]) for row in trades] == pytest.approx([1, 1, 1], abs=0.1)
    said = [row["conclusion"] for row in by_level["conclusion"]]
    assert any(text.startswith("de: F1 rises with the pairs, ") for text in said)
    assert any("adding languages is better from 100 pairs per language on" in text for text in said)
    averages = [row for row in by_level["score"] if row["lang"] == "average"]
    assert (averages[0]["languages"], averages[0]["pairs"], averages[0]["n_seeds"]) == ("", "0", "1")
    assert {row["lang"] for row in by_level["score"]} == {"en", "ar", "sw", "average", "average unseen"}
    assert main(["figure", "scaling", "--table", str(tmp_path / "scaling.csv"), "--title", "TyDiQA",
                 "--out", str(tmp_path / "scaling.svg")]) == 0  # fmt: skip
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_scaling_without_any_effect(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    said = [row["conclusion"] for row in scaling(tmp_path, lambda n, p, lang: 40 + float(rng.normal(0, 1)))]
    assert any(
        text.startswith("de: F1 per doubling of the pairs: no difference detectable: interval [-") for text in said
    )
    assert any(text.startswith("de: the curve c - a * n^-b is not identifiable") for text in said)
    assert not any("better" in text for text in said if "no point" not in text)


def families(where: Path, truth: Callable[[str], float], noise: float = 0.0, draw: int = 5) -> list[dict[str, str]]:
    settings = config(where, families={"tasks": ["tydiqa", "xcopa"], "seeds": {"pretrain": [1, 2, 3]}})
    names = {"de.1200": "indo-european", "ar.1200": "afro-asiatic", "ar_de.600": "mixed", "de_es.600": "control",
             "ar_he.600": "control-afro-asiatic"}  # fmt: skip
    rng = np.random.default_rng(draw)
    folders = []
    for task, metrics in (("tydiqa", ["f1", "em"]), ("xcopa", ["accuracy"])):
        folders.append(score(where, task, "mbert", (0, 1), ["sw"], metrics, lambda lang: 30))
        for name, condition in names.items():
            for seed in (1, 2, 3):
                level = truth(condition) + float(rng.normal(0, noise))
                folders.append(score(where, task, f"weam-mix.{name}.steps120", (seed, 1), ["sw"], metrics,
                                     lambda lang, value=level: value))  # fmt: skip
    out = where / "families.csv"
    assert main(command("families", folders, settings, out, "--languages", "data/languages.csv")) == 0
    return read(out)


def test_families_find_the_truth(tmp_path: Path) -> None:
    rows = families(
        tmp_path, lambda name: {"mixed": 50, "control": 45, "control-afro-asiatic": 45}.get(name, 40), noise=0.3
    )
    found = {(r["task"], r["condition"], r["against"]): float(r["value"]) for r in rows if r["level"] == "difference"}
    assert len(found) == 3 * (4 + 5)
    assert found["", "mixed", "indo-european"] == pytest.approx(10, abs=0.7)
    assert found["", "mixed", "control"] == pytest.approx(5, abs=0.7)
    said = [row["conclusion"] for row in rows if row["level"] == "conclusion"]
    assert said[0] == "All tasks: mixed is better than every condition of a single family."
    roles = {row["condition"]: row["role"] for row in rows if row["level"] == "score"}
    assert roles == {"indo-european": "one family", "afro-asiatic": "one family", "mixed": "several families",
                     "control": "control", "control-afro-asiatic": "control", "mbert": "not pre-trained"}  # fmt: skip
    (row,) = (r for r in rows if (r["task"], r["condition"], r["against"]) == ("", "mixed", "control"))
    assert float(row["low"]) <= 5.3
    assert float(row["d"]) > 5
    assert main(["figure", "families", "--table", str(tmp_path / "families.csv"), "--name", "tydiqa=TyDiQA",
                 "--out", str(tmp_path / "families.svg")]) == 0  # fmt: skip
    assert (tmp_path / "families.png").stat().st_size > 10_000


def test_identical_conditions_do_not_differ(tmp_path: Path) -> None:
    rows = families(tmp_path, lambda name: 40)
    said = [row["conclusion"] for row in rows if row["level"] == "conclusion"]
    assert said[0] == (
        "All tasks: mixed against the conditions of a single family: no difference detectable: intervals within "
        "[+0.0, +0.0]."
    )
    assert all(float(r["p_holm"]) == 1 for r in rows if r["level"] == "difference" and r["against"] != "mbert")


def test_noise_of_seeds_alone_is_no_clear_difference(tmp_path: Path) -> None:
    """Three seeds make intervals too narrow, as the table itself says; about as many as it says err."""
    said, undue = [], []
    for draw in range(12):
        (tmp_path / str(draw)).mkdir()
        rows = families(tmp_path / str(draw), lambda name: 40, noise=2, draw=draw)
        said += [row["conclusion"] for row in rows if row["level"] == "conclusion"]
        undue += [
            float(row["low"]) > 0 or float(row["high"]) < 0
            for row in rows
            if row["level"] == "difference" and not row["task"] and row["against"] != "mbert"
        ]
    assert len(undue) == 12 * 4
    assert 0.05 < sum(undue) / len(undue) < 0.35
    assert sum("up to 18 of 100 intervals of 95 % leave out 0" in text for text in said) == 12


@pytest.mark.parametrize(
    ("seeds", "words"), [(1, "There is one seed"), (2, "2 seeds make"), (4, "up to 18"), (9, "to 12")]
)
def test_caution_about_few_seeds(seeds: int, words: str) -> None:
    assert words in str(conclusions.caution(seeds))
    assert conclusions.caution(10) is None


def test_roles_follow_from_the_families_of_languages() -> None:
    plan = Families(conditions={"a": ["de"], "b": ["de", "ar"], "c": ["es", "de"]}, held_out=["sw"], tasks=["tydiqa"])
    table = {"de": "Indo-European", "es": "Indo-European", "ar": "Afro-Asiatic", "sw": "Niger-Congo"}
    assert study_families.roles_of(plan, table) == {
        "a": "one family", "b": "several families", "c": "control", "mbert": "not pre-trained",
    }  # fmt: skip
    assert study_families.comparisons(study_families.roles_of(plan, table))[:2] == [("b", "a"), ("b", "c")]


def test_faults_of_the_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config(tmp_path)
    mbert = score(tmp_path, "tydiqa", "mbert", (0, 1), ["sw"], ["f1", "em"], lambda lang: 30)
    stray = score(tmp_path, "tydiqa", "weam", (1, 1), ["sw"], ["f1", "em"], lambda lang: 30)
    out = tmp_path / "scaling.csv"
    for folders, words in (
        ([mbert], "there are none of weam-mix.de.150.steps120"),
        ([mbert, stray], "are not part of this"),
    ):
        assert main(command("scaling", folders, settings, out)) == 1
        assert words in capsys.readouterr().err
    values = stray / "items.parquet"
    other = score(tmp_path, "tydiqa", "tlm", (1, 1), ["sw"], ["f1", "em"], lambda lang: 31)
    values.write_bytes((other / "items.parquet").read_bytes())
    line = command("scaling", [mbert], settings, out)
    line[line.index("--items") + 1] = str(values)
    assert main(line) == 1
    assert "is not of the same run as" in capsys.readouterr().err
    assert not out.exists()
