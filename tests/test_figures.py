"""The figures: drawn from small inputs through the command line, and what is drawn is what the inputs say."""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
from docutils.core import publish_string
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from weam import figure, page
from weam.cli import main
from weam.codehash import modules
from weam.figure import KINDS
from weam.figures import alignment, curves, read, style
from weam.figures.fonts import font_of
from weam.scores import SYSTEMS

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ["en", "de", "zh"]
SYSTEM_NAMES = ["mbert", "tlm", "weam"]


# ---- inputs


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def score(system: str, context: str, question: str) -> float:
    """A number of its own for every cell."""
    return 40 + 10 * LANGUAGES.index(context) + 3 * LANGUAGES.index(question) + SYSTEM_NAMES.index(system)


def mlqa(path: Path, systems: Sequence[str] = SYSTEM_NAMES, seeds: int = 1) -> Path:
    """A table of scores; tlm and weam have one model per language."""
    header = ["system", "setting", "train_lang", "context_lang", "question_lang"]
    header += [f"{metric}_{name}" for metric in ("f1", "em") for name in ("mean", "sd", "low", "high")]
    rows: list[list[object]] = []
    for system in systems:
        for setting, train in [("zero-shot", "en"), ("translate-train", "de")]:
            for context in LANGUAGES:
                for question in LANGUAGES:
                    if system != "mbert" and len({context, question, "en"}) == 3:
                        continue
                    if setting != "zero-shot" and not {context, question} <= {"en", train}:
                        continue
                    f1 = score(system, context, question)
                    shown = context == question == train or (context == question and setting == "zero-shot")
                    rest: list[object] = ["0.50" if seeds > 1 else "", *((f1 - 1, f1 + 2) if shown else ("", ""))]
                    rows.append([system, setting, train, context, question, f1, *rest, f1 / 2, *rest, seeds, 100])
    return write_csv(path, [*header, "n_seeds", "n_items"], rows)


def significance(path: Path, seeds: int = 1) -> Path:
    header = ["setting", "system", "baseline", "context_lang", "question_lang", "metric", "difference", "low", "high"]
    rows = [
        ["zero-shot", system, "mbert", lang, lang, metric, value, value - 1, value + 1, 0.01, p, seeds, 100, 20]
        for system in ("tlm", "weam")
        for metric, value in (("f1", 2.0), ("em", 9.0))
        for lang, p in (("average", 0.2), ("en", 0.01), ("de", 0.06))
    ]
    return write_csv(path, [*header, "p", "p_holm", "n_seeds", "n_items", "n_clusters"], rows)


def xtreme_r(path: Path) -> Path:
    header = ["level", "task", "lang", "family", "system", "mean", "sd", "n_seeds"]
    rows = [
        [*what, system, value + k, "", 1]
        for *what, value in [
            ("language", "mlqa", "de", "Indo-European", 50),
            ("task", "mlqa", "", "", 50),
            ("task", "xnli", "", "", 60),
            ("family", "", "", "Indo-European", 55),
            ("overall", "", "", "", 55),
        ]
        for k, system in enumerate(["mbert", "weam"])
    ]
    return write_csv(path, header, rows)


def retrieval(folder: Path, system: str, lang: str, seed: int, accuracies: Sequence[float], words: int = 50) -> Path:
    path = folder / system / lang / f"seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [{"layer": k, "forward": a, "reverse": a, "accuracy": a} for k, a in enumerate(accuracies)]
    value = {"system": system, "lang": lang, "seeds": {"pretrain": seed}, "layers": layers}
    path.write_text(json.dumps(value | {"words": words, "sentences": 9}), encoding="utf-8")
    return path


def metrics(folder: Path, losses: Mapping[str, Sequence[float]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"step": 10 * k + 1, "loss": 1.0} | dict(zip(losses, values, strict=True)))
        for k, values in enumerate(zip(*losses.values(), strict=True))
    ]
    (folder / "metrics.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return folder / "metrics.jsonl"


def gold(path: Path, *pairs: Mapping[str, Any]) -> Path:
    empty: dict[str, Any] = {key: [] for key in ("sure", "possible", "forward", "reverse", "symmetrised")}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(empty | dict(pair), ensure_ascii=False) + "\n" for pair in pairs]
    path.write_text("".join(lines), encoding="utf-8")
    return path


CHINESE: dict[str, Any] = {
    "source": ["Norbert", "plays", "."],
    "target": ["诺伯特", "弹吉他", "。"],
    "sure": [[0, 0], [2, 2]],
    "possible": [[0, 0], [1, 1], [2, 2]],
    "forward": [[0, 0], [1, 1], [1, 2]],
    "reverse": [[0, 0], [2, 1]],
    "symmetrised": [[0, 0], [1, 1]],
}


def data(path: Path) -> Path:
    rows: list[list[object]] = [
        ["en-de", "read", 200, "", 1],
        ["en-de", "empty side", 150, 50, 0.25],
        ["en-de", "duplicate", 150, 0, 0],
        ["en-de", "kept", 150, "", 0.75],
        ["qa-en", "read", 10, "", 1],
        ["qa-en", "kept", 10, "", 1],
        ["empty", "read", 0, "", ""],
        ["empty", "kept", 0, "", ""],
    ]
    return write_csv(path, ["corpus", "step", "rows", "removed", "share"], rows)


def options(kind: str, folder: Path) -> list[str]:
    """Options of a kind, with its inputs in ``folder``."""
    models = folder / "models"
    made: dict[str, Callable[[], list[object]]] = {
        "scores": lambda: ["--table", mlqa(folder / "mlqa.csv"), "--title", "MLQA"],
        "differences": lambda: ["--table", significance(folder / "mlqa.significance.csv"), "--title", "MLQA"],
        "matrix": lambda: ["--table", mlqa(folder / "mlqa.csv"), "--title", "MLQA"],
        "xtreme_r": lambda: ["--table", xtreme_r(folder / "xtreme_r.csv"), "--name", "mlqa=MLQA"],
        "word_retrieval": lambda: [
            "--results",
            retrieval(folder, "mbert", "de", 0, [1, 2]),
            retrieval(folder, "weam", "de", 1, [3, 4]),
        ],
        "curves": lambda: [
            "--metrics",
            metrics(models / "backbone", {"mp": [3, 2, 1]}),
            metrics(models / "weam" / "de" / "seed1", {"mp": [3, 2], "cp": [4, 3]}),
        ],
        "alignment": lambda: ["--gold", gold(folder / "gold.jsonl", CHINESE), "--language", "zh"],
        "scaling": lambda: ["--table", scaling(folder / "scaling.csv"), "--title", "TyDiQA"],
        "families": lambda: ["--table", families(folder / "families.csv"), "--name", "xcopa=XCOPA"],
        "funnel": lambda: ["--table", data(folder / "data.csv")],
    }
    return list(map(str, made[kind]()))


def draw(kind: str, *given: object) -> Figure:
    """The figure itself: its parts can be looked at."""
    module = figure._module(kind)
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    drawn: Figure = module.draw(parser.parse_args(list(map(str, given))))
    drawn.draw_without_rendering()
    return drawn


def texts(drawn: Any) -> list[str]:
    return [text.get_text() for text in drawn.texts]


def title(drawn: Figure) -> str:
    return drawn.get_suptitle()


def points(panel: Any) -> dict[tuple[float, float], str]:
    """Where single marks are, and their fill."""
    return {
        (round(float(line.get_xdata()[0]), 3), float(line.get_ydata()[0])): to_hex(line.get_markerfacecolor())
        for line in panel.lines
        if line.get_marker() in {style.look(system).marker for system in SYSTEMS} and len(line.get_xdata()) == 1
    }


def scaling(path: Path) -> str:
    """A study of two sets of languages, one with a curve."""
    lines = ["level,languages,pairs,lang,metric,value,low,high,n_seeds", "score,,0,average,f1,12,9,15,1"]
    for languages, start in (("de", 12), ("de+es", 14)):
        lines += [f"score,{languages},{n},average,f1,{start + n / 100},{start},{start + 9},2" for n in (100, 200, 400)]
    lines += [f"{level},de,,average,f1,{value},1,2,2" for level, value in (("ceiling", 20), ("factor", 80))]
    path.write_text("\n".join([*lines, "exponent,de,,average,,0.5,0.4,0.6,2", ""]))
    return str(path)


def families(path: Path) -> str:
    """A study of one comparison, in one task and overall."""
    lines = ["level,task,lang,condition,against,value,low,high,p_holm,n_seeds"]
    lines += [
        f"difference,{task},,mixed,control,{value},-1,3,{p},2" for task, value, p in (("xcopa", 1, 0.2), ("", 2, 0.01))
    ]
    path.write_text("\n".join([*lines, ""]))
    return str(path)


# ---- every kind


@pytest.mark.parametrize("kind", KINDS)
def test_svg_and_png(kind: str, tmp_path: Path) -> None:
    given = options(kind, tmp_path)
    out = tmp_path / "new" / "figure.svg"
    assert main(["figure", kind, *given, "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for element in root.iter():
        assert not element.tag.endswith(("}text", "}image", "}script")), "letters are outlines: no font is needed"
        for name, value in element.attrib.items():
            if name.endswith("href"):
                assert value.startswith("#"), value
            assert not re.search(r"url\((?!#)", value), value
    assert "date" not in text.lower()
    image = Image.open(out.with_suffix(".png"))
    image.load()
    assert image.format == "PNG"
    assert min(image.size) > 200
    assert not image.info.keys() & {"Software", "Creation Time"}
    assert sorted(path.name for path in out.parent.iterdir()) == ["figure.png", "figure.svg"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_again(kind: str, tmp_path: Path) -> None:
    given = options(kind, tmp_path)
    for name in ("a", "b"):
        assert main(["figure", kind, *given, "--out", str(tmp_path / f"{name}.svg")]) == 0
    for end in (".svg", ".png"):
        assert (tmp_path / f"a{end}").read_bytes() == (tmp_path / f"b{end}").read_bytes()


@pytest.mark.parametrize("kind", ["scores", "alignment"])
def test_the_same_bytes_in_another_process_and_with_settings_of_the_user(kind: str, tmp_path: Path) -> None:
    given = options(kind, tmp_path)
    assert main(["figure", kind, *given, "--out", str(tmp_path / "a.svg")]) == 0
    (tmp_path / "matplotlibrc").write_text("font.size: 33\nsavefig.bbox: tight\n")
    command = [sys.executable, "-m", "weam", "figure", kind, *given, "--out", "b.svg"]
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT), "MPLBACKEND": "TkAgg"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    for end in (".svg", ".png"):
        assert (tmp_path / f"a{end}").read_bytes() == (tmp_path / f"b{end}").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_rule_and_a_caption_and_a_hash_of_its_own(kind: str) -> None:
    rules = "".join((ROOT / f"workflow/rules/{name}.smk").read_text() for name in ("figures", "studies"))
    (rule,) = (part for part in rules.split("\nrule ")[1:] if part.startswith(f"figure_{kind}:"))
    assert f'figure_code("{kind}")' in rule
    assert rule.count(f'caption="../report/{kind}.rst"') == rule.count("report(") == 1, "the PNG is not in the report"
    assert re.search(r'png="results/figures/[^"]+\.png",\n', rule)
    found = modules("figure").keys() | modules(f"figures.{kind}").keys()
    assert f"weam.figures.{kind}" in found
    assert "weam.figures.style" in found
    assert not found & {f"weam.figures.{other}" for other in KINDS if other != kind}


def test_every_module_that_draws_is_a_kind() -> None:
    drawing = {path.stem for path in (ROOT / "weam/figures").glob("*.py") if "\ndef draw(" in path.read_text()}
    assert drawing == set(KINDS)
    with pytest.raises(ModuleNotFoundError):
        figure._module("pie")


@pytest.mark.parametrize("path", sorted(ROOT.glob("workflow/report/*.rst")), ids=lambda path: path.stem)
def test_captions_are_sound(path: Path) -> None:
    for table, systems in [("data", ["mbert"]), ("mlqa", ["mbert", "weam"]), ("tatoeba", ["weam"])]:
        for family, settings in [("qa", ["zero-shot", "translate-train"]), ("retrieval", ["zero-shot"])]:
            text = caption(path.stem, table, systems, family, settings)
            assert len(text) > 100
            publish_string(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})


def caption(name: str, table: str, systems: Sequence[str], family: str, settings: Sequence[str]) -> str:
    """What the report says about a figure."""
    config = {"languages": ["de"], "systems": systems, "seeds": {"pretrain": [1], "finetune": [1]}}
    wildcards, params = {"table": table, "task": table}, {"family": family, "settings": settings}
    context = {"snakemake": {"wildcards": wildcards, "params": params, "config": config}}
    template = (ROOT / f"workflow/report/{name}.rst").read_text()
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template).render(context)


def test_captions_say_what_is_in_their_figure_only() -> None:
    both = caption("scores", "mlqa", ["mbert"], "qa", ["zero-shot", "translate-train"])
    assert "context and question in the same language" in both
    assert "Zero-shot: " in both
    assert "Translate-train: " in both
    tatoeba = caption("scores", "tatoeba", ["mbert"], "retrieval", ["zero-shot"])
    assert "context" not in tatoeba
    assert "ine-tuned on" not in tatoeba
    copa = caption("scores", "xcopa", ["mbert"], "copa", ["zero-shot"])
    assert "Zero-shot: " in copa
    assert "Translate-train" not in copa
    assert "differences" in caption("matrix", "mlqa", ["mbert", "weam"], "qa", [])
    assert "differences" not in caption("matrix", "mlqa", ["weam", "tlm"], "qa", [])


def test_matplotlib_is_imported_by_drawing_only() -> None:
    code = "import sys, weam.cli, weam.figure, weam.page, weam.report; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_figures_and_pages_need_no_packages_of_other_stages(tmp_path: Path) -> None:
    """Those of envs/figures.yaml are enough."""
    absent = ["torch", "transformers", "pyarrow", "pandas", "regex", "rjieba", "tokenizers", "snakemake"]
    runs = [["figure", kind, *options(kind, tmp_path), "--out", str(tmp_path / "x.svg")] for kind in KINDS]
    (tmp_path / "x.md").write_text("# x\n")
    runs.append(["page", "--markdown", str(tmp_path / "x.md"), "--out", str(tmp_path / "x.html")])
    code = f"import sys; sys.modules |= dict.fromkeys({absent}); from weam.cli import main\n"
    code += f"assert [main(run) for run in {runs}] == [0] * {len(runs)}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_systems_differ_without_colour() -> None:
    assert len({style.look(system).marker for system in SYSTEMS}) == len(SYSTEMS)
    assert len({str(style.look(system).dashes) for system in SYSTEMS}) == len(SYSTEMS)
    assert all(style.system_name(system) for system in SYSTEMS)


# ---- scores and differences


def test_scores_are_those_of_the_table(tmp_path: Path) -> None:
    drawn = draw("scores", "--table", mlqa(tmp_path / "mlqa.csv"), "--title", "MLQA")
    zero, translated = drawn.axes
    assert title(drawn).split("\n")[0] == "MLQA: F1 per language and system"
    assert "1 seed: intervals cover the test set only" in title(drawn)
    assert sorted(y for _, y in points(zero)) == sorted(
        score(system, lang, lang) for system in SYSTEM_NAMES for lang in LANGUAGES
    )
    assert {y for _, y in points(translated)} == {score(system, "de", "de") for system in SYSTEM_NAMES}
    assert texts(zero) == []
    assert texts(translated) == ["–"] * 6  # en and zh
    assert "95 % bootstrap interval" in [text.get_text() for text in drawn.legends[0].get_texts()]
    (bar,) = (c for c in zero.containers if c.lines[0].get_xdata() == pytest.approx([0]))  # tlm, the middle one, in en
    assert bar.lines[2][0].get_segments()[0][:, 1] == pytest.approx(
        [score("tlm", "en", "en") - 1, score("tlm", "en", "en") + 2]
    )


def test_scores_of_several_seeds_have_deviations(tmp_path: Path) -> None:
    drawn = draw("scores", "--table", mlqa(tmp_path / "mlqa.csv", seeds=5), "--title", "MLQA", "--confidence", "0.9")
    assert "5 seeds: 90 % bootstrap intervals" in title(drawn)
    assert "± sd over seeds" in [text.get_text() for text in drawn.legends[0].get_texts()]
    spans = [line.get_ydata() for line in drawn.axes[0].lines if line.get_linewidth() == 9]
    assert len(spans) == 9
    assert all(high - low == pytest.approx(1) for low, high in spans)


def test_scores_of_one_system_and_of_many_languages(tmp_path: Path) -> None:
    alone = draw("scores", "--table", mlqa(tmp_path / "mlqa.csv", ["weam"]), "--title", "MLQA")
    assert len(points(alone.axes[0])) == 3
    header = ["system", "setting", "train_lang", "lang", "map20_mean", "map20_sd", "map20_low", "map20_high", "n_seeds"]
    langs = [f"l{k}" for k in range(40)]
    rows = [[system, "zero-shot", "en", lang, 50, "", "", "", 1] for system in SYSTEMS for lang in langs]
    many = draw("scores", "--table", write_csv(tmp_path / "x.csv", header, rows), "--title", "X")
    (panel,) = many.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == langs
    assert panel.get_ylabel() == "mAP@20 (0 to 100)"
    boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes)), "labels overlap"


@pytest.mark.parametrize(
    ("scores", "limits"),
    [
        ([50, 50.5], (47.75, 52.75)),  # 5 points
        ([0, 1], (0, 5)),
        ([99, 100], (95, 100)),
        ([1, 99], (0, 100)),
        ([40, 60], (37.6, 62.4)),  # only the margin
    ],
)
def test_the_axis_of_scores_is_neither_too_short_nor_beyond_the_scale(
    scores: list[float], limits: tuple[float, float], tmp_path: Path
) -> None:
    header = ["system", "setting", "train_lang", "lang", "accuracy_mean", "accuracy_sd", "accuracy_low"]
    rows = [["weam", "zero-shot", "en", lang, score, "", "", "", 1] for lang, score in zip("ab", scores, strict=True)]
    path = write_csv(tmp_path / "x.csv", [*header, "accuracy_high", "n_seeds"], rows)
    (panel,) = draw("scores", "--table", path, "--title", "X").axes
    assert panel.get_ylim() == pytest.approx(limits)


def test_differences_of_the_first_metric(tmp_path: Path) -> None:
    drawn = draw("differences", "--table", significance(tmp_path / "s.csv"), "--title", "MLQA")
    (panel,) = drawn.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["en", "de", "average"]
    found = points(panel)
    assert {y for _, y in found} == {2.0}
    filled = sorted((x, face != "#ffffff") for (x, _), face in found.items())
    assert [yes for _, yes in filled] == [True, True, False, False, False, False]
    assert panel.get_title(loc="left") == "Zero-shot, compared with mBERT"
    legend = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert legend[-3:] == ["95 % bootstrap interval", "p < 0.05 (languages: Holm)", "p ≥ 0.05"]


# ---- matrix, XTREME-R


def meshes(drawn: Figure) -> dict[tuple[str, int], Any]:
    """Values by system and block (0: scores, 1: differences)."""
    found: dict[tuple[str, int], Any] = {}
    for panel in drawn.axes:
        for mesh in panel.collections:
            if isinstance(mesh, QuadMesh) and panel.get_title():
                key = panel.get_title(), int((panel.get_title(), 0) in found)
                found[key] = np.ma.filled(mesh.get_array().astype(float), np.nan).reshape(3, 3), texts(panel)
    return found


def test_matrix(tmp_path: Path) -> None:
    found = meshes(draw("matrix", "--table", mlqa(tmp_path / "mlqa.csv"), "--title", "MLQA"))
    assert list(found) == [("mBERT", 0), ("mBERT+TLM", 0), ("mBERT+WEAM", 0), ("mBERT+TLM", 1), ("mBERT+WEAM", 1)]
    values, shown = found["mBERT", 0]
    assert values.tolist() == [[score("mbert", c, q) for q in LANGUAGES] for c in LANGUAGES]
    assert shown[1] == f"{score('mbert', 'en', 'de'):.1f}"
    values, shown = found["mBERT+WEAM", 1]
    assert np.isnan(values).tolist() == [[False, False, False], [False, False, True], [False, True, False]]
    assert set(values[~np.isnan(values)]) == {2.0}
    assert sorted(shown) == ["+2.0"] * 7 + ["–"] * 2


def test_matrix_without_mbert_has_no_differences(tmp_path: Path) -> None:
    drawn = draw("matrix", "--table", mlqa(tmp_path / "mlqa.csv", ["tlm", "weam"], 3), "--title", "MLQA")
    assert list(meshes(drawn)) == [("mBERT+TLM", 0), ("mBERT+WEAM", 0)]
    assert "No mBERT in the table" in title(drawn)


def test_negative_differences_have_a_sign(tmp_path: Path) -> None:
    text = mlqa(tmp_path / "mlqa.csv", ["mbert", "weam"]).read_text()
    path = tmp_path / "x.csv"
    path.write_text(re.sub(r"(?m)^(weam,zero-shot,en,en,en),42,", r"\1,39.96,", text))
    assert meshes(draw("matrix", "--table", path, "--title", "x"))["mBERT+WEAM", 1][1][0] in ("−0.0", "+0.0")
    path.write_text(re.sub(r"(?m)^(weam,zero-shot,en,en,en),42,", r"\1,37.5,", text))
    drawn = draw("matrix", "--table", path, "--title", "x")
    assert meshes(drawn)["mBERT+WEAM", 1][1][0] == "−2.5"
    hatched = [(panel.get_title(), patch.get_xy()) for panel in drawn.axes for patch in panel.patches
               if patch.get_hatch()]  # fmt: skip
    assert hatched == [("mBERT+WEAM", (0, 0))]
    assert "Hatched: below mBERT." in title(drawn)


def test_xtreme_r(tmp_path: Path) -> None:
    drawn = draw("xtreme_r", "--table", xtreme_r(tmp_path / "x.csv"), "--name", "mlqa=MLQA", "--name", "xnli=XNLI")
    tasks, families = drawn.axes
    assert [label.get_text() for label in tasks.get_xticklabels()] == ["MLQA", "XNLI", "all\ntasks"]
    assert sorted(y for _, y in points(tasks)) == [50, 51, 55, 56, 60, 61]
    assert sorted(y for _, y in points(families)) == [55, 56]


# ---- word retrieval, curves


def test_word_retrieval_before_and_after(tmp_path: Path) -> None:
    files = [retrieval(tmp_path, "mbert", "de", 0, [10, 20, 30]), retrieval(tmp_path, "weam", "de", 1, [10, 40, 60])]
    files += [retrieval(tmp_path, "weam", "de", 2, [20, 50, 80]), retrieval(tmp_path, "weam", "zh", 1, [1, 2, 3])]
    drawn = draw("word_retrieval", "--results", *files)
    german, chinese = drawn.axes[:2]
    assert [line.get_ydata().tolist() for line in german.lines] == [[10, 20, 30], [15, 45, 70]]
    (band,) = german.collections
    assert band.get_datalim(german.transData).intervaly.tolist() == [10, 80]
    assert len(chinese.lines) == 1  # no mBERT here
    assert (german.get_title(loc="left"), german.get_ylim()) == ("English and de, 50 words", (0, 100))
    assert "Up to 2 seeds" in title(drawn)


def test_curves(tmp_path: Path) -> None:
    files = [metrics(tmp_path / "weam" / "de" / f"seed{k}", {"mp": [3, 2 * k], "cp": [4, 3]}) for k in (1, 2)]
    files += [metrics(tmp_path / "weam" / "zh" / "seed1", {"mp": [1, 1], "cp": [2, 2]})]
    files += [metrics(tmp_path / "word_align" / "de" / "seed1", {"align": [1, 1], "stay": [0, 1]})]
    files += [metrics(tmp_path / "tlm-joint" / "multi" / "seed1", {"mp": [1, 1]})]
    files += [metrics(tmp_path / "backbone", {"mp": [5, 4]})]
    drawn = draw("curves", "--metrics", *files)
    shown = {panel.get_title(loc="left").replace("\n", " "): panel for panel in drawn.axes if panel.axison}
    assert list(shown) == [
        "backbone: masked prediction",
        "word-aligned mBERT: distance of aligned words",
        "word-aligned mBERT: distance to the initial vectors",
        "mBERT+WEAM: masked prediction",
        "mBERT+WEAM: cross-lingual prediction",
        "mBERT+TLM, joint: masked prediction",
    ]
    heights = {name: panel.get_ylim() for name, panel in shown.items()}
    entropies = {ends for name, ends in heights.items() if name.endswith("prediction") and "backbone" not in name}
    assert len(entropies) == 1, "systems can be compared"
    assert heights["backbone: masked prediction"] not in entropies
    assert all(low == 0 for low, _ in heights.values())
    german, chinese = shown["mBERT+WEAM: masked prediction"].lines
    assert (german.get_ydata().tolist(), chinese.get_ydata().tolist()) == ([3, 3], [1, 1])
    assert len(shown["mBERT+WEAM: masked prediction"].collections) == 1
    assert (german.get_color(), german.get_linestyle()) != (chinese.get_color(), chinese.get_linestyle())


def test_long_runs_are_averaged_without_losing_anything(tmp_path: Path) -> None:
    count = 7 * curves.POINTS + 3
    values = np.random.default_rng(1).random(count)
    drawn = draw("curves", "--metrics", metrics(tmp_path / "backbone", {"mp": values.tolist()}))
    (line,) = drawn.axes[0].lines
    steps, means = line.get_data()
    assert len(means) <= curves.POINTS
    assert steps[-1] == 10 * (count - 1) + 1
    sizes = np.diff([0, *((steps - 1) / 10 + 1)])
    assert float((means * sizes).sum()) == pytest.approx(values.sum())


# ---- alignment


def rectangles(panel: Any) -> dict[str, set[tuple[int, int]]]:
    """Cells by how they are drawn."""
    found: dict[str, set[tuple[int, int]]] = {}
    for patch in panel.patches:
        assert isinstance(patch, Rectangle)
        x, y = patch.get_xy()
        if patch.get_fill():
            kind = {None: "both", "//////": "forward", "\\" * 6: "reverse"}[patch.get_hatch()]
        else:
            kind = "sure" if patch.get_linestyle() in ("-", "solid") else "possible"
        found.setdefault(kind, set()).add((int(x), int(y)))
    return found


def test_links_and_gold(tmp_path: Path) -> None:
    drawn = draw("alignment", "--gold", gold(tmp_path / "gold.jsonl", CHINESE), "--language", "zh")
    (panel,) = drawn.axes
    assert rectangles(panel) == {
        "both": {(0, 0)},
        "forward": {(1, 1), (1, 2)},
        "reverse": {(2, 1)},
        "sure": {(0, 0), (2, 2)},
        "possible": {(1, 1)},
    }
    circles = {(line.get_xdata()[0], line.get_ydata()[0]) for line in panel.lines if line.get_marker() == "o"}
    assert circles == {(0.5, 0.5), (1.5, 1.5)}
    assert [label.get_text() for label in panel.get_xticklabels()] == CHINESE["source"]
    assert [label.get_text() for label in panel.get_yticklabels()] == CHINESE["target"]
    assert texts(panel) == ["line 1 of gold.jsonl: AER 25 %"]  # 1 - (1 + 2) / (2 + 2)
    assert "25.0 % over all sentences" in title(drawn)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", ["诺伯特", "3月", "ABC"]),
        ("ar", ["السلام", "لا"]),
        ("ja", ["ひらがな"]),
        ("ko", ["한국어"]),
        ("ru", ["ещё"]),
    ],
)
def test_no_empty_boxes(language: str, words: list[str], tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    pair = CHINESE | {"target": [*words, "x", "y"]}
    given = ["--gold", gold(tmp_path / "gold.jsonl", pair), "--language", language, "--out", tmp_path / "x.svg"]
    assert main(["figure", "alignment", *map(str, given)]) == 0
    assert [str(warning.message) for warning in recwarn if "missing from font" in str(warning.message)] == []
    assert all(font_of(word, language) for word in words)


def test_words_without_a_font_are_numbered(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    pair = CHINESE | {"target": ["हिन्दी", "abc", "ไทย"]}
    drawn = draw("alignment", "--gold", gold(tmp_path / "gold.jsonl", pair), "--language", "hi")
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == ["(1)", "abc", "(3)"]
    assert not [warning for warning in recwarn if "missing from font" in str(warning.message)]


def test_dollars_are_no_formulas(tmp_path: Path) -> None:
    pair = CHINESE | {"source": ["$x$", "$", "\\frac"], "target": ["a\u2028b", "$_^$", "%"]}
    given = ["--gold", gold(tmp_path / "gold.jsonl", pair), "--language", "de", "--out", tmp_path / "x.svg"]
    assert main(["figure", "alignment", *map(str, given)]) == 0


def test_sentences_are_spread_from_good_to_bad(tmp_path: Path) -> None:
    def pair(wrong: int, words: int = 10) -> alignment.Pair:
        links = frozenset((k, k) for k in range(words))
        found = frozenset((k, (k + 1) % words if k < wrong else k) for k in range(words))
        side = ["w"] * words
        return alignment.Pair(
            source=side, target=side, sure=links, possible=links, forward=found, reverse=found, symmetrised=found
        )

    order = [7, 3, 5, 1, 6, 2, 4, 0]
    pairs = [pair(wrong) for wrong in order] + [pair(10, 17), pair(0, 17)]
    assert [order[place] for place in alignment.sample(pairs, 4)] == [1, 3, 5, 7]
    assert [order[place] for place in alignment.sample(pairs[:8], 100)] == sorted(order)
    long = [pair(0, 40), pair(0, 20)]
    assert alignment.sample(long, 4) == [1]  # none is short: the shortest


# ---- funnel


def test_funnel(tmp_path: Path) -> None:
    drawn = draw("funnel", "--table", data(tmp_path / "data.csv"), "--corpus", "en-de", "empty")
    panel, empty = drawn.axes
    assert panel.get_title(loc="left") == "en-de"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["read", "empty side", "duplicate", "kept"]
    assert texts(panel) == ["200", "150 (−50; 25.0 %)", "150", "150 (75.0 %)"]
    bars = [(patch.get_x(), patch.get_width()) for patch in panel.patches]
    assert bars == [(0, 100), (0, 75), (75, 25), (0, 75), (0, 75)]
    assert texts(empty)[0] == "0"
    assert len(draw("funnel", "--table", tmp_path / "data.csv").axes) >= 3


# ---- faults


def edit(path: Path, pattern: str, new: str) -> Path:
    text, count = re.subn(pattern, new, path.read_text(encoding="utf-8"), count=1)
    assert count
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "name", "pattern", "new", "message"),
    [
        ("scores", "mlqa.csv", "\ntlm,zero", "\ntml,zero", "line 15: unknown system 'tml'; did you mean 'tlm'?"),
        ("scores", "mlqa.csv", "en,en,en,40,", "en,en,en,,", "line 2: column f1_mean is empty"),
        ("scores", "mlqa.csv", "en,en,en,40,", "en,en,en,4O,", "line 2: column f1_mean is '4O', not a number"),
        ("scores", "mlqa.csv", "en,en,en,40,", "en,en,en,nan,", "line 2: column f1_mean is 'nan', not a number"),
        ("scores", "mlqa.csv", ",1,100\n", ",0,100\n", "line 2: column n_seeds is '0', not a count"),
        ("scores", "mlqa.csv", ",1,100\n", "\n", "line 2: the row is shorter than the header"),
        ("scores", "mlqa.csv", "n_seeds", "seeds", "has no column n_seeds"),
        ("scores", "mlqa.csv", "(?s)\n.*", "\n", "has no rows of scores"),
        ("matrix", "mlqa.csv", "context_lang,question_lang", "x,lang", "has no zero-shot cells of a context and a"),
        ("differences", "mlqa.significance.csv", "(?s)\n.*", "\n", "has no differences"),
        ("differences", "mlqa.significance.csv", ",mbert,", ",bert,", "unknown baseline 'bert'"),
        ("xtreme_r", "xtreme_r.csv", "(?s)\n.*", "\n", "has no averages per task"),
        ("word_retrieval", "weam/de/seed1.json", '"accuracy": 4', '"accuracy": 400', "key 'layers.1.accuracy' is 400"),
        ("word_retrieval", "weam/de/seed1.json", '"layer": 1', '"layer": 2', "the layers are not 0, 1, 2"),
        ("word_retrieval", "weam/de/seed1.json", '"words": 50', '"words": 51', "51 words of 'de', another file has 50"),
        ("curves", "models/weam/de/seed1/metrics.jsonl", "^", "{\n", "line 1: not valid JSON"),
        ("curves", "models/weam/de/seed1/metrics.jsonl", '"step"', '"stop"', "line 1: has no step"),
        ("curves", "models/weam/de/seed1/metrics.jsonl", '"cp": 3', '"cp": NaN', "line 2: the loss 'cp' is nan, not a"),
        ("curves", "models/weam/de/seed1/metrics.jsonl", ', "cp": 3', "", "line 2: the loss 'cp' is missing"),
        ("curves", "models/weam/de/seed1/metrics.jsonl", "(?s).*", "", "no line has a loss (mp, cp, align, stay)"),
        ("alignment", "gold.jsonl", "(?s).*", "", "has no sentences; run align with --gold"),
        ("alignment", "gold.jsonl", "^", "[]\n", "line 1: holds a JSON list"),
        ("alignment", "gold.jsonl", r"\[\[0, 0\]", "[[0, 3]", "line 1: link 0-3 points outside the pair"),
        ("funnel", "data.csv", "(?s)\n.*", "\n", "has no corpus"),
        ("funnel", "data.csv", ",150,", ",many,", "line 3: column rows is 'many', not a number"),
        ("funnel", "data.csv", ",150,50,", ",150.5,49.5,", "line 3: column rows is '150.5', not a count"),
        (
            "funnel",
            "data.csv",
            ",150,50,",
            ",150,49,",
            "line 3: 200 rows before 'empty side' less 49 removed are not 150",
        ),
        ("funnel", "data.csv", "kept,150", "kept,149", "line 5: 150 rows before 'kept' less 0 removed are not 149"),
        ("scores", "mlqa.csv", "\ntlm,", '\n"tl"m,', "not valid CSV"),
    ],
)
def test_faults_are_one_sentence(
    kind: str, name: str, pattern: str, new: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options(kind, tmp_path)
    path = edit(tmp_path / name, pattern, new)
    assert main(["figure", kind, *given, "--out", str(tmp_path / "x.svg")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("weam figure: error: ")
    assert error.count("\n") == 1
    assert str(path) in error
    assert message in error
    assert not (tmp_path / "x.svg").exists()


def test_other_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*command: object) -> str:
        assert main(["figure", *map(str, command)]) == 1
        return capsys.readouterr().err

    table = data(tmp_path / "data.csv")
    assert "a figure ends in .svg" in fails("funnel", "--table", table, "--out", tmp_path / "x.png")
    assert "has no corpus 'en-xx'" in fails("funnel", "--table", table, "--corpus", "en-xx", "--out", "x.svg")
    assert "does not exist" in fails("scores", "--table", tmp_path / "no", "--title", "x", "--out", "x.svg")
    assert "does not exist" in fails("alignment", "--gold", tmp_path / "no", "--language", "x", "--out", "x.svg")
    for kind, option in [
        ("funnel", "--table"),
        ("scores", "--table"),
        ("alignment", "--gold"),
        ("curves", "--metrics"),
    ]:
        path = tmp_path / "backbone" / kind
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"corpus,step\xff\n")
        rest = {"scores": ["--title", "x"], "alignment": ["--language", "de"]}.get(kind, [])
        assert f"{path}: not valid UTF-8; " in fails(kind, option, path, *rest, "--out", "x.svg")
    short = metrics(tmp_path / "weam/de/seed1", {"mp": [1.0]}), metrics(tmp_path / "weam/de/seed2", {"mp": [1.0, 1.0]})
    assert f"{short[1]}: its 2 lines are not of the same" in fails("curves", "--metrics", *short, "--out", "x.svg")
    stray = metrics(tmp_path / "somewhere", {"mp": [1.0]})
    assert "not in a folder <system>/<language>/seed<k>" in fails("curves", "--metrics", stray, "--out", "x.svg")
    with pytest.raises(SystemExit) as stop:
        main(["figure", "pie"])
    assert stop.value.code == 2


def test_only_the_paper_s_cells_are_shown(tmp_path: Path) -> None:
    cells = read.read_scores(str(mlqa(tmp_path / "mlqa.csv", ["mbert"]))).cells
    shown = [(cell.setting, cell.languages) for cell in cells if cell.shown]
    assert shown == [*(("zero-shot", (lang, lang)) for lang in LANGUAGES), ("translate-train", ("de", "de"))]


# ---- pages, report


def test_page(tmp_path: Path) -> None:
    text = "# A & B\n\n| system | en |\n|---|---:|\n| x \\| y | 1.0±0.2 |\n\n- <script>alert(1)</script>\n"
    html = page.page(text)
    assert "<title>A &amp; B</title>" in html
    assert '<td style="text-align:right">1.0±0.2</td>' in html
    assert "<td>x | y</td>" in html
    assert "<script>" not in html
    assert not re.search(r"(src|href)=", html)
    (tmp_path / "t.md").write_text(text, encoding="utf-8")
    assert main(["page", "--markdown", str(tmp_path / "t.md"), "--out", str(tmp_path / "t.html")]) == 0
    assert (tmp_path / "t.html").read_text(encoding="utf-8") == html
    (tmp_path / "latin.md").write_bytes(b"\xff")
    assert main(["page", "--markdown", str(tmp_path / "latin.md"), "--out", str(tmp_path / "t.html")]) == 1
    assert main(["page", "--markdown", str(tmp_path / "no.md"), "--out", str(tmp_path / "t.html")]) == 1


SNAKEFILE = """
report: "{root}/workflow/report/workflow.rst"
config.update(languages=["de"], systems=["mbert"], seeds=dict(pretrain=[1], finetune=[1]))
rule figure:
    output:
        svg=report("x.svg", caption="{root}/workflow/report/funnel.rst", category="Data", labels={{"format": "SVG"}}),
    shell: "cp made.svg {{output.svg}}"
rule scores:
    input: "x.svg"
    output:
        svg=report("{{task}}.svg", caption="{root}/workflow/report/scores.rst", category="Scores"),
    params: family=lambda wildcards: "qa", settings=lambda wildcards: ["zero-shot"]
    shell: "cp made.svg {{output.svg}}"
rule page:
    input: "x.svg"
    output: html=report("{{table}}.html", caption="{root}/workflow/report/table.rst", category="Tables")
    shell: "cp made.html {{output.html}}"
"""


def test_the_report_is_made_and_seen_without_a_network(tmp_path: Path) -> None:
    given = options("funnel", tmp_path)
    assert main(["figure", "funnel", *given, "--out", str(tmp_path / "made.svg")]) == 0
    (tmp_path / "made.html").write_text(page.page("# Data\n"), encoding="utf-8")
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT), encoding="utf-8")
    nowhere = dict.fromkeys(["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"], "http://127.0.0.1:9")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE_")} | nowhere
    for more in (["-j1"], ["--report", "report.html"]):
        command = [sys.executable, "-m", "snakemake", "mlqa.html", "xquad.svg", *more]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "data:image/svg+xml" in report
    assert "data:text/html" in report
    assert "how many sentence pairs each filter kept" in report
    assert "left after each filter" in report
    assert "Zero-shot: fine-tuned on English only" in report
    assert "Translate-train: " not in report
    assert not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)=", report.partition('<div id="app">')[0])
    assert not re.search(r"""<(script|link|img|iframe)\b[^>]*\b(src|href)=["']https?:""", report)
    assert not re.search(r"""@import|url\(["']?https?:""", report)
