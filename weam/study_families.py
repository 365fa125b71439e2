"""Compare continued pre-training on one family of languages and on several, in low-resource languages held out of it.

The study is that of the configuration (studies.families; docs/studies.md). The score of a task is the mean over the
held-out languages that it has of the mean of its metrics, overall the mean over tasks. Tasks are strata of the
bootstrap: passages of each are drawn by themselves, seeds of a model alike in all tasks. Roles of the conditions follow
from data/languages.csv: several families, one family, or a control (one family, as many languages).
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from weam import conclusions, languages, report, study, tasks
from weam.conclusions import Effect
from weam.config import Config
from weam.config_studies import Families
from weam.errors import UserError
from weam.metrics import items as metric_items
from weam.metrics.items import Values
from weam.mixture import mixture
from weam.settings import read_settings
from weam.statistics import holm, resampled_scores
from weam.study import Runs

HEADER = ["level", "task", "lang", "condition", "languages", "role", "against", "value", "low", "high", "p", "p_holm"]
HEADER += ["d", "n_seeds", "conclusion"]
LEAST_FREE = 4
"""Degrees of freedom (three seeds of both conditions) from which on a deviation over seeds is worth printing."""
SEVERAL, ONE, CONTROL, NONE = "several families", "one family", "control", "not pre-trained"
BACKBONE = "mbert"
Draws = dict[tuple[str, str], dict[str, Values]]
"""By task and language ('' for all) the resampled scores [1 + B] of every condition."""
Seeded = dict[tuple[str, str, str], dict[int, float]]
"""By task, language and condition the observed score of every seed of pre-training."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument("--scores", required=True, nargs="+", action="extend", metavar="FILE", help="scores.json files")
    parser.add_argument(
        "--items", required=True, nargs="+", action="extend", metavar="FILE", help="their items.parquet, in their order"
    )
    parser.add_argument("--languages", required=True, metavar="CSV", help="table of languages with their families")
    report.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the three files of the table."""
    config = read_settings(Config, args.config, "--config")
    plan = config.studies.families
    roles = roles_of(plan, {code: language.family for code, language in languages.read(args.languages).items()})
    names = {
        condition: mixture(plan.objective, chosen, plan.pairs // len(chosen), "steps", plan.steps).name
        for condition, chosen in plan.named.items()
    } | {BACKBONE: BACKBONE}
    files = study.by_task(args.scores, args.items)
    if set(files) != set(plan.tasks):
        raise UserError(
            f"--scores: are of {', '.join(files)}; the study of the configuration has {', '.join(plan.tasks)}"
        )
    draws: Draws = {}
    seeded: Seeded = {}
    for name in plan.tasks:
        runs = study.read_runs(name, files[name], list(names.values()))
        _add_task(name, runs, names, plan, config, draws, seeded)
    draws["", ""] = {
        condition: np.mean([draws[name, ""][condition] for name in plan.tasks], axis=0) for condition in names
    }
    for condition in names:
        parts = [seeded[name, "", condition] for name in plan.tasks]
        seeded["", "", condition] = {
            s: statistics.fmean(p[s] for p in parts) for s in parts[0] if all(s in p for p in parts)
        }
    rows = [
        list(row) for key in draws for row in _rows(key, draws[key], seeded, roles, plan, config.statistics.confidence)
    ]
    sentences = _sentences(rows, roles, 1 - config.statistics.confidence)
    if caution := conclusions.caution(len(plan.seeds.pretrain)):
        sentences.append(caution)
    rows += [["conclusion", *[""] * (len(HEADER) - 2), sentence] for sentence in sentences]
    text = _markdown(plan, rows, sentences, roles)
    report.write_table(args.out, config, HEADER, rows, text, [*args.scores, *args.items, args.languages, *args.input])


def roles_of(plan: Families, families: Mapping[str, str]) -> dict[str, str]:
    """What each condition is for, by the families of its languages; the backbone too."""
    for language in (*plan.held_out, *(lang for chosen in plan.named.values() for lang in chosen)):
        if language not in families:
            raise UserError(f"data/languages.csv has no language {language!r}; add a line with its family")
    several = {name for name, chosen in plan.named.items() if len({families[lang] for lang in chosen}) > 1}
    sizes = {len(plan.named[name]) for name in several}
    roles = {
        name: SEVERAL if name in several else CONTROL if len(chosen) in sizes else ONE
        for name, chosen in plan.named.items()
    }
    return roles | {BACKBONE: NONE}


def _add_task(
    name: str, runs: Runs, names: Mapping[str, str], plan: Families, config: Config, draws: Draws, seeded: Seeded
) -> None:
    task = tasks.load(name)
    spoken = [lang for lang in plan.held_out if lang in study.spoken(runs)]
    if not spoken:
        raise UserError(f"--scores: {name} is scored in none of the held-out languages {', '.join(plan.held_out)}")
    cells = {lang: (lang,) * len(task.axes) for lang in spoken}
    groups = {"": spoken} | {lang: [lang] for lang in spoken}
    found = resampled_scores(
        runs,
        task.kind,
        averages={group: [cells[lang] for lang in langs] for group, langs in groups.items()},
        resamples=config.statistics.resamples,
        seed=config.statistics.seed,
        stream=name,
    )
    for group, langs in groups.items():
        if group and len(spoken) == 1:
            continue  # the same as the average
        draws[name, group] = {condition: found[group][system].mean(axis=1) for condition, system in names.items()}
        for condition, system in names.items():
            scores: dict[int, list[float]] = defaultdict(list)
            for (pseed, _), own in runs[system].items():
                values = [metric_items.score(task.kind, one.values) for lang in langs for one in own[cells[lang]]]
                scores[pseed].append(float(np.mean(values)))
            seeded[name, group, condition] = {seed: statistics.fmean(values) for seed, values in scores.items()}


def comparisons(roles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Conditions of several families against each of one family, then all against the backbone."""
    several = [name for name, role in roles.items() if role == SEVERAL]
    others = [name for name, role in roles.items() if role in (ONE, CONTROL)]
    return [(one, other) for one in several for other in others] + [
        (name, BACKBONE) for name in roles if name != BACKBONE
    ]


def _rows(
    key: tuple[str, str],
    scores: Mapping[str, Values],
    seeded: Seeded,
    roles: Mapping[str, str],
    plan: Families,
    confidence: float,
) -> Iterator[list[str]]:
    """Scores and differences of a task and language; Holm's correction is over those with the same kind of baseline."""
    spoken = {name: "+".join(chosen) for name, chosen in plan.named.items()}

    def line(level: str, name: str, against: str, found: Effect, tests: Sequence[str]) -> list[str]:
        seeds = str(len(seeded[*key, name]))
        numbers = map(study.number, found[:3])
        return [level, *key, name, spoken.get(name, ""), roles[name], against, *numbers, *tests, seeds, ""]

    for name, values in scores.items():
        yield line("score", name, "", study.effect(values, confidence), ["", "", ""])
    for baseline in (False, True):
        wanted = [(one, other) for one, other in comparisons(roles) if (other == BACKBONE) == baseline]
        differences = [scores[one] - scores[other] for one, other in wanted]
        p_values = [study.p_value(values) for values in differences]
        for (one, other), values, p, adjusted in zip(wanted, differences, p_values, holm(p_values), strict=True):
            size = _standardised(seeded[*key, one], seeded[*key, other])
            tests = [study.number(p), study.number(adjusted), "" if size is None else f"{size:.2f}"]
            yield line("difference", one, other, study.effect(values, confidence), tests)


def _standardised(one: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """Difference of means in standard deviations over seeds of pre-training (pooled; Cohen's d); None from few."""
    groups = [list(one.values()), list(other.values())]
    squares = sum((len(values) - 1) * statistics.variance(values) for values in groups if len(values) > 1)
    free = sum(len(values) - 1 for values in groups)
    if free < LEAST_FREE or squares <= 0:
        return None
    return (statistics.fmean(groups[0]) - statistics.fmean(groups[1])) / math.sqrt(squares / free)


def _effect(row: Sequence[str]) -> Effect:
    cells = dict(zip(HEADER, row, strict=True))
    value, low, high = (float(cells[name]) for name in ("value", "low", "high"))
    return Effect(value, low, high, float(cells["p_holm"]) if cells["p_holm"] else None)


def _sentences(rows: Sequence[Sequence[str]], roles: Mapping[str, str], level: float) -> list[str]:
    """Overall first, then per task; the single comparisons overall only."""
    said: list[str] = []
    keys = list(dict.fromkeys((row[1], row[2]) for row in rows if not row[2]))
    for task, _ in sorted(keys, key=lambda key: key[0] != ""):
        where = tasks.load(task).title if task else "All tasks"
        own = [row for row in rows if (row[0], row[1], row[2]) == ("difference", task, "")]
        for name in (name for name, role in roles.items() if role == SEVERAL):
            effects = [_effect(row) for row in own if row[3] == name and row[6] != BACKBONE]
            said.append(f"{where}: {conclusions.diversity(name, effects, level)}")
        if not task:
            said += [f"{where}: {conclusions.versus(row[3], row[6], _effect(row), level)}" for row in own]
    return said


def _markdown(plan: Families, rows: Sequence[Sequence[str]], sentences: Sequence[str], roles: Mapping[str, str]) -> str:
    def where(row: Sequence[str]) -> str:
        return ", ".join(filter(None, [tasks.load(row[1]).title if row[1] else "all tasks", row[2]]))

    parts = ["# Study: families of languages\n", study.section("Conclusions", sentences)]
    about = f"{plan.objective}, {plan.pairs} pairs in total and {plan.steps} steps in every condition"
    parts.append(f"Scored zero-shot in {', '.join(plan.held_out)}, which no condition learned from; {about}.\n")
    lines = [[name, "+".join(plan.named.get(name, [])), role] for name, role in roles.items()]
    parts += ["## Conditions\n", report.markdown_table(["condition", "languages", "role"], lines)]
    scores: dict[str, list[str]] = {}
    for row in rows:
        if row[0] == "score":
            scores.setdefault(where(row), []).append(study.text(_effect(row)))
    lines = [[name, *cells] for name, cells in scores.items()]
    parts += ["## Scores × 100\n", report.markdown_table(["scored in", *roles], lines)]
    lines = [
        [where(row), f"{row[3]} – {row[6]}", study.text(_effect(row), True), row[10], row[11], row[12] or "–"]
        for row in rows
        if row[0] == "difference"
    ]
    head = ["scored in", "difference", "points", "p", "p (Holm)", "d"]
    parts += ["## Differences\n", report.markdown_table(head, lines)]
    notes = [
        "The score of a task is the mean of its metrics over the held-out languages that it has; of all: their mean.",
        "Intervals: bootstrap over passages (of each task by itself) and seeds. Holm's correction is over comparisons "
        "of one kind. d: difference in standard deviations over seeds of pre-training; – with under three seeds each.",
    ]
    return "\n".join([*parts, study.section("Notes", notes)])
