"""Gather the scores of one task: CSV with every cell, Markdown in the layout of the paper, provenance.

A cell is the mean over all seed pairs (pre-training seed, fine-tuning seed) with its sample standard deviation, which
is empty for a single pair. Where several models of a system score the same cell, as the per-language models all do on
English, their scores are averaged within each seed pair first. Intervals and differences come from ``significance``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from weam import report, tasks
from weam.config import Config, Finetune, Setting, System
from weam.errors import UserError
from weam.scores import (
    AVERAGE,
    SETTINGS,
    SYSTEMS,
    WITHOUT_ENGLISH,
    Cell,
    Key,
    Table,
    averages_of,
    diagonal,
    held_out,
    read_table,
    spread,
    task_languages,
)
from weam.settings import read_settings
from weam.tasks import Task

TITLES = {
    "zero-shot": "Zero-shot: fine-tuned on English only",
    "translate-train": "Translate-train: fine-tuned on training data translated into the column's language",
}
ENCODER = "Zero-shot: by the vectors of the encoder, without fine-tuning"
SIGNIFICANT = 0.05


class Estimates(NamedTuple):
    """What the stage significance found: rows by what they are about."""

    intervals: Mapping[tuple[str, ...], dict[str, str]]
    """keys are (setting, system, first language or average, metric)"""
    differences: Mapping[tuple[str, ...], dict[str, str]]
    """keys are (setting, system, baseline, first language or average, metric)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument("--task", required=True, choices=tasks.names(), help="the task whose scores these are")
    parser.add_argument(
        "--scores", required=True, nargs="+", action="extend", metavar="FILE", help="scores.json files of the task"
    )
    parser.add_argument("--intervals", metavar="CSV", help="intervals.csv that significance made of the same scores")
    parser.add_argument("--significance", metavar="CSV", help="significance.csv that it made")
    report.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the three files of the table."""
    config = read_settings(Config, args.config, "--config")
    task = tasks.load(args.task)
    languages = task_languages(config, args.task)
    table = read_table(args.task, task, args.scores, languages)
    entry = config.tasks.get(args.task)
    if entry is not None and entry.split != table.split:
        raise UserError(
            f"{args.scores[0]}: scored on the {table.split} split, but the configuration asks for {entry.split}; "
            "evaluate again"
        )
    found = _estimates(args, task)
    statistics_of = [f"{metric}_{name}" for metric in task.metrics for name in ("mean", "sd", "low", "high")]
    report.write_table(
        args.out,
        config,
        ["system", "setting", "train_lang", *task.axes, *statistics_of, "n_seeds", "n_items"],
        _csv_rows(table, task, found),
        _markdown(args.task, task, config, table, languages, found),
        [*args.scores, *filter(None, [args.intervals, args.significance]), *args.input],
    )


def _estimates(args: argparse.Namespace, task: Task) -> Estimates:
    axis = task.axes[0]
    found: list[dict[tuple[str, ...], dict[str, str]]] = []
    for path, keys in (
        (args.intervals, ("setting", "system", axis, "metric")),
        (args.significance, ("setting", "system", "baseline", axis, "metric")),
    ):
        values = ("low", "high") if path == args.intervals else ("difference", "low", "high", "p_holm")
        rows = [] if path is None else report.read_csv(path, [*keys, *values])
        found.append({tuple(row[key] for key in keys): row for row in rows})
    return Estimates(*found)


def _csv_rows(table: Table, task: Task, found: Estimates) -> Iterator[list[str]]:
    for key, cell in table.cells.items():
        numbers: list[str] = []
        for place, metric in enumerate(task.metrics):
            numbers += ["" if value is None else f"{value:.4f}" for value in (cell.mean(place), cell.sd(place))]
            shown = diagonal(key.setting, key.train_lang, key.languages)
            row = found.intervals.get((key.setting, key.system, key.languages[0], metric), {}) if shown else {}
            numbers += [row.get("low", ""), row.get("high", "")]
        yield [
            *(key.system, key.setting, key.train_lang, *key.languages),
            *numbers,
            *(str(len(cell.by_seed)), str(cell.count)),
        ]


def _markdown(name: str, task: Task, config: Config, table: Table, languages: list[str], found: Estimates) -> str:
    left_out = held_out(config, name)
    parts = [f"# {task.title}\n", f"Each cell: {task.described}, × 100.\n"]
    for setting in SETTINGS:
        if any(key.setting == setting for key in table.cells):
            title = ENCODER if task.family == "retrieval" else TITLES[setting]
            parts += [f"## {title}\n", _block(table, setting, languages, task, left_out)]
            for baseline in config.statistics.baselines:
                parts += _tested(found, setting, baseline, languages, task)
    parts += ["## Notes\n", "".join(f"- {note}\n" for note in _notes(name, task, config, table, languages, found))]
    if len(task.axes) == 2:
        parts += _matrices(table, languages)
    return "\n".join(parts)


def _columns(table: Table, setting: Setting, languages: list[str]) -> list[str]:
    """Languages that some system was scored in, in a setting."""
    there = {
        key.languages[0]
        for key in table.cells
        if key.setting == setting and len(set(key.languages)) == 1 and key.train_lang in ("en", key.languages[0])
    }
    return [language for language in languages if language in there and (setting == "zero-shot" or language != "en")]


def _block(table: Table, setting: Setting, languages: list[str], task: Task, left_out: Collection[str]) -> str:
    """Systems as rows, languages and their averages as columns; question language = context language."""
    spoken = _columns(table, setting, languages)
    averages = averages_of([language for language in spoken if language not in left_out]).values()
    rows = []
    for system, name in SYSTEMS.items():
        row = {language: _diagonal(table, system, setting, language, task) for language in spoken}
        if not any(row.values()):
            continue
        cells = ["–" if cell is None else _cell(cell.by_seed.values()) for cell in row.values()]
        rows.append([name, *cells, *(_average([row[language] for language in chosen]) for chosen in averages)])
    heads = [f"average of {', '.join(chosen)}" for chosen in averages]
    return report.markdown_table(["system", *spoken, *heads], rows)


def _tested(found: Estimates, setting: Setting, baseline: System, languages: list[str], task: Task) -> Iterator[str]:
    """Differences to a baseline by the first metric, with intervals; * where p is below 0.05 after the correction."""
    metric = task.metrics[0]
    rows: dict[str, dict[str, str]] = {}
    for (where, system, base, language, of), row in found.differences.items():
        if (where, base, of) == (setting, baseline, metric):
            star = "*" if float(row["p_holm"]) < SIGNIFICANT else ""
            text = f"{float(row['difference']):+.1f}{star} [{float(row['low']):+.1f}, {float(row['high']):+.1f}]"
            rows.setdefault(system, {})[language] = text
    columns = [c for c in (*languages, AVERAGE, WITHOUT_ENGLISH) if any(c in row for row in rows.values())]
    if rows:
        lines = [[name, *(rows[s].get(c, "–") for c in columns)] for s, name in SYSTEMS.items() if s in rows]
        yield f"Difference to {SYSTEMS[baseline]} in {metric}, with interval:\n"
        yield report.markdown_table(["system", *columns], lines)


def _diagonal(table: Table, system: System, setting: Setting, language: str, task: Task) -> Cell | None:
    train_lang = "en" if setting == "zero-shot" else language
    return table.cells.get(Key(system, setting, train_lang, (language,) * len(task.axes)))


def _average(row: list[Cell | None]) -> str:
    """Average over the languages within each seed pair; a dash where a language or a seed pair is missing."""
    cells = [cell for cell in row if cell is not None]
    if len(cells) < len(row) or any(cell.by_seed.keys() != cells[0].by_seed.keys() for cell in cells):
        return "–"
    metrics = range(len(next(iter(cells[0].by_seed.values()))))
    return _cell(
        [
            tuple(statistics.fmean(cell.by_seed[pair][metric] for cell in cells) for metric in metrics)
            for pair in cells[0].by_seed
        ]
    )


def _cell(values: Iterable[tuple[float, ...]]) -> str:
    """``57.9/44.3`` for one seed pair, ``57.9±0.4/44.3±0.6`` for more."""
    texts = []
    for metric in zip(*values, strict=True):
        sd = spread(list(metric))
        texts.append(f"{statistics.fmean(metric):.1f}" + ("" if sd is None else f"±{sd:.1f}"))
    return "/".join(texts)


def _notes(
    name: str, task: Task, config: Config, table: Table, languages: list[str], found: Estimates
) -> Iterator[str]:
    yield _source_note(name, task, config, table, languages)
    yield _seeds_note(table)
    if found.intervals:
        yield (
            f"Intervals: {100 * config.statistics.confidence:g} %, {config.statistics.resamples} bootstrap resamples "
            "of passages (for averages, of passages with their translations) and of seed pairs; * p < 0.05 of the "
            "paired bootstrap test, Holm-corrected over the languages (an average is a test of its own)."
        )
        run = {key.system for key in table.cells}
        for system in config.statistics.baselines:
            if system not in run:
                yield f"{SYSTEMS[system]} was not run: there is no comparison with it."
    several = {key.system: cell for key, cell in table.cells.items() if key.setting == "zero-shot" and _english(key)}
    for system, cell in several.items():
        if len(cell.models) > 1:
            yield (
                f"{SYSTEMS[system]} has one model per language; its English zero-shot cell is the mean over its models "
                f"({', '.join(_in_order(cell.models, config.languages))})."
            )
    family: Finetune | None = getattr(config.finetune, task.family, None)
    if family is not None and family.train:
        yield f"English training data: {_releases(config, family.train)}."
    if family is not None and any(key.setting == "translate-train" for key in table.cells):
        yield (
            "Translate-train: the model of each cell was fine-tuned on training data translated into the language of "
            "the column (of a system with one model per language, that language's model)."
        )
        for language in _columns(table, "translate-train", languages):
            if sources := family.translate_train.get(language):
                yield f"Translated training data, {language}: {_releases(config, sources)}."
    if any(key.system == "tlm" for key in table.cells):
        yield "mBERT+TLM has no language embeddings, and positions are not reset at the start of the translation."
    missing = sum(cell.missing for cell in table.cells.values())
    if missing:
        yield f"{missing} predictions are missing over all runs; each scores 0."


def _source_note(name: str, task: Task, config: Config, table: Table, languages: list[str]) -> str:
    entry = config.tasks.get(name)
    source = f" of {_releases(config, [entry.source])}" if entry else ""
    counts: dict[str, int] = {}
    for key, cell in table.cells.items():
        if len(set(key.languages)) == 1:
            counts[key.languages[0]] = cell.count
    sizes = ", ".join(f"{language} {counts[language]}" for language in _in_order(counts, languages))
    same = "; context and question in the same language" if len(task.axes) == 2 else ""
    kept = ", passages of the training files that no model was trained on" if table.split == "held-out" else ""
    return f"Scored on the {table.split} split{source}{kept}{same}; {task.unit}: {sizes}."


def _seeds_note(table: Table) -> str:
    seeds = sorted({len(cell.by_seed) for cell in table.cells.values()})
    one = (
        "intervals and tests cover the choice of the test set only, not the noise of training; another seed may turn a "
        "difference around."
    )
    if seeds == [1]:
        return f"n = 1 seed: {one}"
    shown = next(cell.by_seed for cell in table.cells.values() if len(cell.by_seed) == seeds[-1])
    first, second = len({pair.pretrain for pair in shown}), len({pair.finetune for pair in shown})
    numbers = (
        f"n = {seeds[0]}"
        if len(seeds) == 1
        else f"n = {seeds[0]} to {seeds[-1]} (per cell in the CSV; no ± where n = 1)"
    )
    note = (
        f"Mean ± sample standard deviation over {numbers} seed pairs (up to {first} of pre-training × {second} of "
        "fine-tuning); that of the average is over the averages of each seed pair."
    )
    return note + (f" Where n = 1, {one}" if seeds[0] == 1 else "")


def _english(key: Key) -> bool:
    return set(key.languages) == {"en"}


def _in_order(names: Iterable[str], order: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def _releases(config: Config, sources: list[str]) -> str:
    known = config.sources
    return ", ".join(f"{name} {known[name].version}" if name in known else name for name in sources)


def _matrices(table: Table, languages: list[str]) -> list[str]:
    """Cross-language transfer: F1 by context × question language, a matrix per system, zero-shot."""
    parts: list[str] = []
    for system, name in SYSTEMS.items():
        cells = [[_f1(table, system, context, question) for question in languages] for context in languages]
        if all(cell == "–" for i, row in enumerate(cells) for j, cell in enumerate(row) if i != j):
            continue
        rows = [[language, *row] for language, row in zip(languages, cells, strict=True)]
        parts += [f"### {name}\n", report.markdown_table(["context \\ question", *languages], rows)]
    if parts:
        parts.insert(0, "## Across languages, zero-shot: F1 by context (row) and question (column)\n")
    return parts


def _f1(table: Table, system: System, context: str, question: str) -> str:
    cell = table.cells.get(Key(system, "zero-shot", "en", (context, question)))
    return "–" if cell is None else f"{cell.mean(0):.1f}"
