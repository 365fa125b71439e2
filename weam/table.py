"""Gather the scores of one task: CSV with every cell, Markdown in the layout of the paper, provenance.

A cell is the mean over all seed pairs (pre-training seed, fine-tuning seed) with its sample standard deviation, which
is empty for a single pair. Where several models of a system score the same cell, as the per-language models all do on
English, their scores are averaged within each seed pair first.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Iterator
from typing import Literal

from weam import report
from weam.config import FAMILY, Config, Setting, System
from weam.errors import UserError
from weam.scores import COLUMNS, SETTINGS, SYSTEMS, Cell, Columns, Key, Table, read_table, spread
from weam.settings import read_settings

TaskName = Literal["mlqa", "xquad", "xnli"]

NAMES = {"mlqa": "MLQA", "xquad": "XQuAD", "xnli": "XNLI"}

METRICS = {
    "mlqa": "F1/exact match of the MLQA metric (version 1; normalisation of the context's language)",
    "xquad": "F1/exact match of the SQuAD v1.1 metric (English normalisation in all languages)",
    "xnli": "accuracy",
}

TITLES = {
    "zero-shot": "Zero-shot: fine-tuned on English only",
    "translate-train": "Translate-train: fine-tuned on training data translated into the column's language",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument("--task", required=True, choices=FAMILY, help="the task whose scores these are")
    parser.add_argument(
        "--scores", required=True, nargs="+", action="extend", metavar="FILE", help="scores.json files of the task"
    )
    report.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the three files of the table."""
    config = read_settings(Config, args.config, "--config")
    family = FAMILY[args.task]
    columns = COLUMNS[family]
    table = read_table(args.task, family, args.scores, ["en", *config.languages])
    task = config.tasks.get(args.task)
    if task is not None and task.split != table.split:
        raise UserError(
            f"{args.scores[0]}: scored on the {table.split} split, but the configuration asks for {task.split}; "
            "evaluate again"
        )
    statistics_of = [f"{metric}_{name}" for metric in columns.metrics for name in ("mean", "sd")]
    report.write_table(
        args.out,
        config,
        ["system", "setting", "train_lang", *columns.languages, *statistics_of, "n_seeds", columns.count],
        _csv_rows(table, columns),
        _markdown(args.task, config, table),
        [*args.scores, *args.input],
    )


def _csv_rows(table: Table, columns: Columns) -> Iterator[list[str]]:
    for key, cell in table.cells.items():
        numbers = [value for metric in range(len(columns.metrics)) for value in (cell.mean(metric), cell.sd(metric))]
        yield [
            *(key.system, key.setting, key.train_lang, *key.languages),
            *("" if value is None else f"{value:.2f}" for value in numbers),
            *(str(len(cell.by_seed)), str(cell.count)),
        ]


def _markdown(task: TaskName, config: Config, table: Table) -> str:
    columns = COLUMNS[FAMILY[task]]
    parts = [f"# {NAMES[task]}\n", f"Each cell: {METRICS[task]}, × 100.\n"]
    for setting in SETTINGS:
        if any(key.setting == setting for key in table.cells):
            parts += [f"## {TITLES[setting]}\n", _block(table, setting, config.languages, columns)]
    parts += ["## Notes\n", "".join(f"- {note}\n" for note in _notes(task, config, table, columns))]
    if len(columns.languages) == 2:
        parts += _matrices(table, ["en", *config.languages])
    return "\n".join(parts)


def _block(table: Table, setting: Setting, targets: list[str], columns: Columns) -> str:
    """Systems as rows, languages and their average as columns; question language = context language."""
    averaged = ["en", *targets] if setting == "zero-shot" else targets
    rows = []
    for system, name in SYSTEMS.items():
        row = [_diagonal(table, system, setting, language, columns) for language in averaged]
        if not any(row):
            continue
        cells = ["–" if cell is None else _cell(cell.by_seed.values()) for cell in row]
        blank = [] if setting == "zero-shot" else [""]
        rows.append([name, *blank, *cells, _average(row)])
    return report.markdown_table(["system", "en", *targets, f"average of {', '.join(averaged)}"], rows)


def _diagonal(table: Table, system: System, setting: Setting, language: str, columns: Columns) -> Cell | None:
    train_lang = "en" if setting == "zero-shot" else language
    return table.cells.get(Key(system, setting, train_lang, (language,) * len(columns.languages)))


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


def _notes(task: TaskName, config: Config, table: Table, columns: Columns) -> Iterator[str]:
    unit = columns.count.removeprefix("n_")
    yield _source_note(task, config, table, unit)
    yield _seeds_note(table)
    several = {key.system: cell for key, cell in table.cells.items() if key.setting == "zero-shot" and _english(key)}
    for system, cell in several.items():
        if len(cell.models) > 1:
            yield (
                f"{SYSTEMS[system]} has one model per language; its English zero-shot cell is the mean over its models "
                f"({', '.join(_in_order(cell.models, config.languages))})."
            )
    family = config.finetune.qa if FAMILY[task] == "qa" else config.finetune.nli
    if family.train:
        yield f"English training data: {_releases(config, family.train)}."
    if any(key.setting == "translate-train" for key in table.cells):
        yield (
            "Translate-train: the model of each cell was fine-tuned on training data translated into the language of "
            "the column (of a system with one model per language, that language's model); English has no translated "
            "data, so its column is empty."
        )
        for language in config.languages:
            if sources := family.translate_train.get(language):
                yield f"Translated training data, {language}: {_releases(config, sources)}."
    if any(key.system == "tlm" for key in table.cells):
        yield "mBERT+TLM has no language embeddings, and positions are not reset at the start of the translation."
    missing = sum(cell.missing for cell in table.cells.values())
    if missing:
        yield f"{missing} predictions are missing over all runs; each scores 0."


def _source_note(task: TaskName, config: Config, table: Table, unit: str) -> str:
    entry = config.tasks.get(task)
    source = f" of {_releases(config, [entry.source])}" if entry else ""
    counts: dict[str, int] = {}
    for key, cell in table.cells.items():
        if len(set(key.languages)) == 1:
            counts[key.languages[0]] = cell.count
    sizes = ", ".join(f"{name} {counts[name]}" for name in _in_order(counts, ["en", *config.languages]))
    same = "; context and question in the same language" if len(COLUMNS[FAMILY[task]].languages) == 2 else ""
    return f"Scored on the {table.split} split{source}{same}; {unit}: {sizes}."


def _seeds_note(table: Table) -> str:
    seeds = sorted({len(cell.by_seed) for cell in table.cells.values()})
    if seeds == [1]:
        return "n = 1 seed: differences between systems cannot be told from noise."
    numbers = (
        f"n = {seeds[0]}"
        if len(seeds) == 1
        else f"n = {seeds[0]} to {seeds[-1]} (per cell in the CSV; no ± where n = 1)"
    )
    return (
        f"Mean ± sample standard deviation over {numbers} seed pairs (pre-training, fine-tuning); that of the average "
        "is over the averages of each seed pair."
    )


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
