"""How a zero-shot score grows with the pairs and languages of continued pre-training: curve, gain per doubling, trade.

The study is that of the configuration (studies.scaling; docs/studies.md). All quantities are of the average over the
task's languages other than English, and are computed within each resample of passages and seeds (weam.statistics);
the curve is that of weam.power_law, the words are those of weam.conclusions.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from weam import conclusions, power_law, report, study, tasks
from weam.conclusions import Effect
from weam.config import Config
from weam.config_studies import Scaling
from weam.errors import UserError
from weam.figures.read import METRICS
from weam.metrics.items import Values
from weam.mixture import mixture
from weam.settings import read_settings
from weam.statistics import resampled_scores

HEADER = ["level", "languages", "n_languages", "pairs", "total_pairs", "lang", "metric", "value", "low", "high"]
HEADER += ["n_seeds", "conclusion"]
AVERAGE, UNSEEN = "average", "average unseen"
"""Over all languages but English, and over those that no set of the study learns from."""
Points = dict[tuple[int, int], Values]
"""Resampled scores [1 + B] by set of languages and number of pairs, in the numbering of the study."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument("--scores", required=True, nargs="+", action="extend", metavar="FILE", help="scores.json files")
    parser.add_argument(
        "--items", required=True, nargs="+", action="extend", metavar="FILE", help="their items.parquet, in their order"
    )
    report.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the three files of the table."""
    config = read_settings(Config, args.config, "--config")
    plan = config.studies.scaling
    names = {
        (i, k): mixture(plan.objective, languages, pairs, plan.constant, plan.amount).name
        for i, languages in enumerate(plan.languages)
        for k, pairs in enumerate(plan.pairs)
    }
    files = study.by_task(args.scores, args.items)
    if set(files) != {plan.task} or not names:
        raise UserError(f"--scores: are of {', '.join(files)}; the study of the configuration scores {plan.task} only")
    runs = study.read_runs(plan.task, files[plan.task], ["mbert", *names.values()])
    task = tasks.load(plan.task)
    languages = study.spoken(runs)
    targets = [lang for lang in languages if lang != "en"]
    if not targets:
        raise UserError("--scores: there is no language but English in these files; transfer needs another one")
    unseen = [lang for lang in targets if lang not in plan.languages[-1]]
    groups = {**{lang: [lang] for lang in languages}, AVERAGE: targets} | ({UNSEEN: unseen} if unseen else {})
    drawn = resampled_scores(
        runs,
        task.kind,
        averages={name: [(lang,) * len(task.axes) for lang in langs] for name, langs in groups.items()},
        resamples=config.statistics.resamples,
        seed=config.statistics.seed,
    )
    confidence, metric = config.statistics.confidence, task.metrics[0]
    rows: list[list[str]] = []
    for lang in groups:
        for system in ("mbert", *names.values()):
            place = next((key for key, name in names.items() if name == system), None)
            found = study.effect(drawn[lang][system][:, 0], confidence)
            rows.append(_row("score", plan, place, lang, metric, found, len(runs[system])))
    points = {key: drawn[AVERAGE][name][:, 0] for key, name in names.items()}
    away = {key: drawn[UNSEEN][name][:, 0] for key, name in names.items()} if unseen else points
    seeds = min(len(pairs) for system, pairs in runs.items() if system != "mbert")
    trained = min(len({seed for seed, _ in pairs}) for system, pairs in runs.items() if system != "mbert")
    sentences: list[str] = []
    for part in (
        _growth(plan, points, AVERAGE, METRICS.get(metric, metric), confidence, seeds, sentences),
        _growth(plan, away, UNSEEN, METRICS.get(metric, metric), confidence, seeds, []) if unseen else (),
        _curves(plan, points, confidence, seeds, sentences),
        _trades(plan, points, confidence, seeds, sentences),
    ):
        rows += [[*cells[:6], metric if cells[0] != "exponent" else "", *cells[7:]] for cells in part]
    if caution := conclusions.caution(trained):
        sentences.append(caution)
    rows += [["conclusion", *[""] * (len(HEADER) - 2), sentence] for sentence in sentences]
    text = _markdown(
        plan, task.title, METRICS.get(metric, metric), rows, sentences, list(groups), study.seeds_note(runs)
    )
    report.write_table(args.out, config, HEADER, rows, text, [*args.scores, *args.items, *args.input])


def _set(languages: Sequence[str]) -> str:
    return "+".join(languages)


def _row(
    level: str, plan: Scaling, place: tuple[int, int | None] | None, lang: str, metric: str, found: Effect, seeds: int
) -> list[str]:
    """A row; without a place it is of the backbone, without a size of all sizes."""
    chosen = plan.languages[place[0]] if place else []
    pairs = "" if place and place[1] is None else str(plan.pairs[place[1] or 0]) if place else "0"
    total = str(int(pairs) * len(chosen)) if pairs else ""
    numbers = map(study.number, found[:3])
    return [level, _set(chosen), str(len(chosen)), pairs, total, lang, metric, *numbers, str(seeds), ""]


def _sizes(plan: Scaling) -> Values:
    return np.array(plan.pairs, dtype=np.float64)


def _scores(plan: Scaling, points: Points, number: int) -> Values:
    """Of one set of languages, [1 + B, sizes]."""
    return np.stack([points[number, k] for k in range(len(plan.pairs))], axis=1)


def _growth(
    plan: Scaling, points: Points, lang: str, metric: str, confidence: float, seeds: int, said: list[str]
) -> Iterator[list[str]]:
    for number, chosen in enumerate(plan.languages):
        if len(plan.pairs) > 1:
            gains = power_law.per_doubling(_sizes(plan), _scores(plan, points, number))
            found = study.effect(gains, confidence)
            yield _row("doubling", plan, (number, None), lang, metric, found, seeds)
            said.append(conclusions.growth(_set(chosen), metric, found))


def _curves(plan: Scaling, points: Points, confidence: float, seeds: int, said: list[str]) -> Iterator[list[str]]:
    """Parameters of the curves that the data determine."""
    for number, chosen in enumerate(plan.languages):
        found = power_law.fit(_sizes(plan), _scores(plan, points, number))
        known = power_law.identifiable(len(plan.pairs), found)
        ceiling, factor, exponent = (study.effect(values, confidence) for values in found[:3])
        said.append(conclusions.curve(_set(chosen), known, ceiling, exponent))
        if known:
            for level, own in (("ceiling", ceiling), ("factor", factor), ("exponent", exponent)):
                yield _row(level, plan, (number, None), AVERAGE, "", own, seeds)
            last = float(plan.pairs[-1])
            further = study.effect(found.at(2 * last) - found.at(last), confidence)
            yield _row("next doubling", plan, (number, None), AVERAGE, "", further, seeds)


def _trades(plan: Scaling, points: Points, confidence: float, seeds: int, said: list[str]) -> Iterator[list[str]]:
    """A larger set against the one before it with as many pairs in total; between measured sizes, on straight lines
    over the logarithm."""
    logs = np.log2(_sizes(plan))
    for number, (small, large) in enumerate(itertools.pairwise(plan.languages)):
        effects: list[tuple[int, Effect]] = []
        scores = _scores(plan, points, number)
        for k, pairs in enumerate(plan.pairs):
            place = float(np.log2(pairs * len(large) / len(small)))
            if place > logs[-1] + 1e-9:
                continue
            right = min(max(int(np.searchsorted(logs, place - 1e-9)), 1), len(logs) - 1)
            share = (place - logs[right - 1]) / (logs[right] - logs[right - 1])
            other = (1 - share) * scores[:, right - 1] + share * scores[:, right]
            found = study.effect(points[number + 1, k] - other, confidence)
            effects.append((pairs, found))
            row = _row("trade", plan, (number + 1, k), AVERAGE, "", found, seeds)
            yield [row[0], f"{_set(small)} > {_set(large)}", *row[2:]]
        said.append(conclusions.trade(_set(small), _set(large), effects))


def _markdown(
    plan: Scaling,
    title: str,
    metric: str,
    rows: Sequence[Sequence[str]],
    sentences: Sequence[str],
    groups: Sequence[str],
    seeds: str,
) -> str:
    table: dict[str, list[Mapping[str, str]]] = {}
    for cells in rows:
        table.setdefault(cells[0], []).append(dict(zip(HEADER, cells, strict=True)))

    def value(row: Mapping[str, str], signed: bool = False) -> str:
        return study.text(Effect(*(float(row[name]) for name in ("value", "low", "high"))), signed)

    parts = [f"# Study: scaling, {title}\n", study.section("Conclusions", sentences)]
    what = f"zero-shot {metric} × 100, with intervals; {plan.objective}, {plan.amount} {plan.constant} each; {seeds}"
    parts.append(f"## Scores\n\nColumns: pairs per language; {what}.\n")
    for lang in groups:
        own = [row for row in table["score"] if row["lang"] == lang]
        lines = [["none (mBERT)", value(own[0]), *[""] * len(plan.pairs)]]
        for chosen in plan.languages:
            line = [value(row) for row in own if row["languages"] == _set(chosen)]
            lines.append([_set(chosen), "", *line])
        parts += [f"### {lang}\n", report.markdown_table(["languages", "0", *map(str, plan.pairs)], lines)]
    if "doubling" in table:
        lines = [[row["languages"], row["lang"], value(row, True)] for row in table["doubling"]]
        parts += ["## Mean gain per doubling of the pairs\n"]
        parts += [report.markdown_table(["languages", "scored in", "points"], lines)]
    if "trade" in table:
        lines = [[row["languages"], row["pairs"], row["total_pairs"], value(row, True)] for row in table["trade"]]
        head = ["sets", "pairs per language of the larger", "pairs in total", "larger set minus smaller"]
        parts += ["## More languages or more pairs, with as many pairs in total\n", report.markdown_table(head, lines)]
    notes = [
        "The subsets of the pairs are nested, and the same in all seeds. Averages are over the languages of the task "
        "other than English; 'unseen' are those that no set learns from.",
        "Intervals are percentiles of a bootstrap over passages and seeds; docs/studies.md says how to read them.",
    ]
    return "\n".join([*parts, study.section("Notes", notes)])
