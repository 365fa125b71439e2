"""Intervals of the scores of a task, and tests of every system against the baselines: paired bootstrap by passages.

Two tables: ``<task>.intervals.csv`` and ``<task>.significance.csv``. Cells are those of the paper's tables, context and
question in one language; what they mean and how they are made is in weam.statistics and docs/evaluation.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from weam import report, tasks
from weam.config import Statistics, System
from weam.errors import UserError
from weam.metrics import items as metric_items
from weam.metrics.items import COLUMNS, Items
from weam.scores import SETTINGS, SYSTEMS, Scores, averages_of, diagonal, read_scores
from weam.settings import read_settings
from weam.statistics import Resampled, bootstrap, holm
from weam.tables import open_parquet
from weam.tasks import Cell, Task

Results = dict[Cell | str, Resampled[System]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument("--task", required=True, choices=tasks.names(), help="the task whose scores these are")
    parser.add_argument(
        "--scores", required=True, nargs="+", action="extend", metavar="FILE", help="scores.json files of the task"
    )
    parser.add_argument(
        "--items", required=True, nargs="+", action="extend", metavar="FILE", help="their items.parquet, in their order"
    )
    parser.add_argument("--languages", required=True, nargs="+", help="languages of the task, in their order")
    parser.add_argument("--held-out", nargs="*", default=[], help="further languages, which averages leave out")
    parser.add_argument("--settings", help="the block statistics of the configuration: inline JSON or a file")
    parser.add_argument("--intervals", required=True, metavar="CSV", help="table of scores with intervals to make")
    parser.add_argument("--out", required=True, metavar="CSV", help="table of differences to make")


def run(args: argparse.Namespace) -> None:
    """Write both tables."""
    settings = read_settings(Statistics, args.settings)
    if len(args.items) != len(args.scores):
        raise UserError(f"--items names {len(args.items)} files, --scores {len(args.scores)}; give one for each")
    task = tasks.load(args.task)
    beside = dict(zip(args.scores, args.items, strict=True))
    languages = [*args.languages, *args.held_out]
    runs: dict[str, dict[System, dict[tuple[int, int], dict[Cell, list[Items]]]]] = {name: {} for name in SETTINGS}
    for file, scores in read_scores(args.task, task, args.scores, languages).items():
        seeds = runs[scores.setting].setdefault(scores.system, {})
        cells = seeds.setdefault(scores.seeds.numbers, defaultdict(list))
        items = read_items(beside[file], task)
        _require_same(task, file, scores, beside[file], items)
        for cell, found in items.items():
            if diagonal(scores.setting, scores.train_lang, cell):
                cells[cell].append(found)
    intervals: list[list[str]] = []
    differences: list[list[str]] = []
    for setting, systems in runs.items():
        scored = {cell[0] for seeds in systems.values() for cells in seeds.values() for cell in cells}
        spoken = [lang for lang in languages if lang in scored]
        if not spoken:
            continue
        pairs = [(system, base) for base in settings.baselines for system in systems if system != base]
        averages = averages_of([lang for lang in spoken if lang not in args.held_out])
        results: Results = bootstrap(
            systems,
            task.kind,
            averages={name: [(lang,) * len(task.axes) for lang in langs] for name, langs in averages.items()},
            comparisons=pairs,
            resamples=settings.resamples,
            seed=settings.seed,
            confidence=settings.confidence,
        )
        seeds_of = {system: len(found) for system, found in systems.items()}
        keys: list[Cell | str] = [*((lang,) * len(task.axes) for lang in spoken), *averages]
        intervals += _intervals(task, setting, results, keys, seeds_of)
        differences += _differences(task, setting, results, keys, seeds_of, pairs)
    counts = ["n_seeds", "n_items", "n_clusters"]
    head = ["setting", "system"]
    report.write_csv(args.intervals, [*head, *task.axes, "metric", "score", "low", "high", *counts], intervals)
    report.write_csv(
        args.out,
        [*head, "baseline", *task.axes, "metric", "difference", "low", "high", "p", "p_holm", *counts],
        differences,
    )


def _require_same(task: Task, file: str, scores: Scores, path: str, items: Mapping[Cell, Items]) -> None:
    """Refuse items of another run than the scores."""
    for cell in scores.cells:
        found = items.get(cell.languages)
        if found is not None and len(found.ids) == cell.n_items:
            values = metric_items.score(task.kind, found.values)
            if np.allclose([cell.scores[metric] for metric in task.metrics], values, atol=1e-6):
                continue
        raise UserError(
            f"{path}: is not of the same run as {file} (cell {'-'.join(cell.languages)} differs); "
            "give the files in the same order, or evaluate again"
        )


def read_items(path: str, task: Task) -> dict[Cell, Items]:
    """The items of all cells, as evaluate wrote them."""
    columns = COLUMNS[task.kind] or task.metrics
    names: dict[Cell, tuple[list[str], list[str], list[list[float]]]] = {}
    for batch in open_parquet(Path(path), ["cell", "id", "group", *columns], "items", "evaluate").batches():
        rows = [batch.column(name).to_pylist() for name in ("cell", "id", "group", *columns)]
        for cell, item, group, *values in zip(*rows, strict=True):
            ids, groups, found = names.setdefault(tuple(cell.split(" ")), ([], [], []))
            ids.append(item)
            groups.append(group)
            found.append(values)
    return {cell: Items(ids, groups, np.array(values)) for cell, (ids, groups, values) in names.items()}


def _intervals(
    task: Task, setting: str, results: Results, keys: Sequence[Cell | str], seeds: Mapping[System, int]
) -> Iterator[list[str]]:
    for system in SYSTEMS:
        for key in keys:
            found = results.get(key)
            if found is None or system not in found.scores:
                continue
            for metric, (score, low, high) in zip(task.metrics, found.scores[system], strict=True):
                counts = (seeds[system], found.items, found.clusters)
                numbers = (f"{value:.4f}" for value in (score, low, high))
                yield [setting, system, *_languages(task, key), metric, *numbers, *map(str, counts)]


def _differences(
    task: Task,
    setting: str,
    results: Results,
    keys: Sequence[Cell | str],
    seeds: Mapping[System, int],
    pairs: Sequence[tuple[System, System]],
) -> Iterator[list[str]]:
    """Holm's correction is over the languages of a setting, system, baseline and metric; averages are a test each."""
    baselines = list(dict.fromkeys(base for _, base in pairs))
    for pair in sorted(pairs, key=lambda pair: (baselines.index(pair[1]), list(SYSTEMS).index(pair[0]))):
        there = [key for key in keys if key in results and pair in results[key].differences]
        for number, metric in enumerate(task.metrics):
            found = {key: results[key].differences[pair][number] for key in there}
            cells = [key for key in there if not isinstance(key, str)]
            adjusted: dict[Cell | str, float] = dict(zip(cells, holm([found[key].p for key in cells]), strict=True))
            for key, (difference, low, high, p) in found.items():
                counts = (min(seeds[system] for system in pair), results[key].items, results[key].clusters)
                numbers = [f"{value:.4f}" for value in (difference, low, high)]
                numbers += [f"{value:.4f}" for value in (p, adjusted.get(key, p))]
                yield [setting, *pair, *_languages(task, key), metric, *numbers, *map(str, counts)]


def _languages(task: Task, key: Cell | str) -> Sequence[str]:
    return [key] * len(task.axes) if isinstance(key, str) else key
