"""Gather the zero-shot scores of all tasks as XTREME-R does: per task and language, averages per task, family, overall.

XTREME-R: Ruder et al. 2021, arXiv 2104.07412. The score of a cell is the mean of its metrics (of F1 and exact match).
An average over languages takes in English where the task has it; the average of a family of languages leaves it out:
it is the source language. Averages of families are over the tasks with such languages, each task the mean over them;
the overall average is the mean over tasks. A system that lacks a cell that another one has gets no average over it.
Held-out languages and tasks with an English test set only are in no average.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from weam import languages, report, tasks
from weam.config import Config, System
from weam.errors import UserError
from weam.io import read_object
from weam.scores import SYSTEMS, SeedPair, held_out, read_table, spread, task_languages
from weam.settings import read_settings

HEADER = ["level", "task", "lang", "family", "system", "mean", "sd", "n_seeds"]
BySeed = Mapping[SeedPair, float]
"""A score per seed pair."""
Cells = dict[tuple[str, str], dict[System, BySeed]]
"""By task and language."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument(
        "--scores", required=True, nargs="+", action="extend", metavar="FILE", help="scores.json files of all tasks"
    )
    parser.add_argument("--languages", required=True, metavar="CSV", help="table of languages with their families")
    report.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the three files of the table."""
    config = read_settings(Config, args.config, "--config")
    families = {code: language.family for code, language in languages.read(args.languages).items()}
    files: dict[str, list[str]] = defaultdict(list)
    for file in args.scores:
        name = read_object(file).get("task")
        files[name if isinstance(name, str) else ""].append(file)
    cells: Cells = {}
    for name in [
        *(name for name in config.tasks if name in files),
        *(name for name in files if name not in config.tasks),
    ]:
        cells |= _read(name, files[name], config)
    for _, language in cells:
        if language not in families:
            raise UserError(f"{args.languages}: has no language {language!r}; add a line with its family")
    rows: list[tuple[str, str, str, str, dict[System, BySeed]]] = [
        ("language", task, language, families[language], found) for (task, language), found in cells.items()
    ]
    if not cells:
        raise UserError("--scores: there are no zero-shot scores in these files; give some")
    compared = {key: found for key, found in cells.items() if key[1] not in held_out(config, key[0])}
    transfer = [task for task, language in compared if language != "en"]
    by_task = {
        task: _mean((task, found) for (other, _), found in compared.items() if other == task)
        for task, _ in compared
        if task in transfer
    }
    rows += [("task", task, "", "", found) for task, found in by_task.items()]
    for family in sorted({families[language] for _, language in compared if language != "en"}):
        parts: dict[str, list[dict[System, BySeed]]] = defaultdict(list)
        for (task, language), found in compared.items():
            if language != "en" and families[language] == family:
                parts[task].append(found)
        means = [(task, _mean((task, one) for one in found)) for task, found in parts.items()]
        rows.append(("family", "", "", family, _mean(means)))
    rows.append(("overall", "", "", "", _mean(by_task.items())))
    report.write_table(
        args.out,
        config,
        HEADER,
        [[*what, system, *_numbers(found[system])] for *what, found in rows for system in SYSTEMS if system in found],
        _markdown(rows),
        [*args.scores, args.languages, *args.input],
    )


def _read(name: str, files: Sequence[str], config: Config) -> Cells:
    """Zero-shot scores of one task, context and question in one language."""
    task = tasks.load(name)
    cells: Cells = {}
    for key, cell in read_table(name, task, files, task_languages(config, name)).cells.items():
        if key.setting == "zero-shot" and len(set(key.languages)) == 1:
            scores = {pair: statistics.fmean(values) for pair, values in cell.by_seed.items()}
            cells.setdefault((name, key.languages[0]), {})[key.system] = scores
    return cells


def _mean(parts: Iterable[tuple[str, dict[System, BySeed]]]) -> dict[System, BySeed]:
    """Mean over cells (task and scores) within each seed pair, of the systems that have all cells.

    A score without fine-tuning (its seed is 0) goes with every fine-tuning seed of its model.
    """
    given = [(tasks.load(task).family != "retrieval", found) for task, found in parts]
    result: dict[System, BySeed] = {}
    for system in SYSTEMS:
        if not given or not all(system in found for _, found in given):
            continue
        scores = [(tuned, found[system]) for tuned, found in given]
        pairs = next((set(one) for tuned, one in scores if tuned), set(scores[0][1]))
        mixed = any(tuned for tuned, _ in scores)
        for tuned, one in scores:
            if set(one) != (pairs if tuned or not mixed else set(map(_untuned, pairs))):
                raise UserError(f"{system}: the tasks were scored with different seeds; score all with the same ones")
        result[system] = {
            pair: statistics.fmean(one[pair if tuned or not mixed else _untuned(pair)] for tuned, one in scores)
            for pair in sorted(pairs, key=lambda pair: pair.numbers)
        }
    return result


def _untuned(pair: SeedPair) -> SeedPair:
    return pair.model_copy(update={"finetune": 0})


def _numbers(scores: BySeed) -> list[str]:
    sd = spread(list(scores.values()))
    return [f"{statistics.fmean(scores.values()):.4f}", "" if sd is None else f"{sd:.4f}", str(len(scores))]


def _text(scores: BySeed | None) -> str:
    if scores is None:
        return "–"
    mean, sd, _ = _numbers(scores)
    return f"{float(mean):.1f}" + (f"±{float(sd):.1f}" if sd else "")


def _markdown(rows: Sequence[tuple[str, str, str, str, dict[System, BySeed]]]) -> str:
    systems = [system for system in SYSTEMS if any(system in found for *_, found in rows)]
    names = {task: tasks.load(task).title for _, task, *_ in rows if task}
    parts = ["# XTREME-R\n", "Zero-shot; the score of a cell is the mean of its task's metrics, × 100.\n"]

    def table(title: str, column: str, lines: Iterable[tuple[str, dict[System, BySeed]]]) -> None:
        cells = [[name, *(_text(found.get(system)) for system in systems)] for name, found in lines]
        parts.extend([f"## {title}\n", report.markdown_table([column, *(SYSTEMS[s] for s in systems)], cells)])

    overall = [("all tasks", found) for level, *_, found in rows if level == "overall"]
    table("Tasks", "task", [*((names[t], found) for level, t, _, _, found in rows if level == "task"), *overall])
    table("Families of languages", "family", [(f, found) for level, _, _, f, found in rows if level == "family"])
    for task, name in names.items():
        table(
            name, "language", [(lang, found) for level, t, lang, _, found in rows if level == "language" and t == task]
        )
    seeds = sorted({len(scores) for *_, found in rows for scores in found.values()})
    notes = [
        "Averages over a task's languages take in English where the task has it; those of families leave it out. They "
        "are means over tasks of means over languages; – where a system lacks a cell that another one has. Languages "
        "that are held out of pre-training, and tasks with English only, are in no average.",
        "Retrieval tasks (Tatoeba, LAReQA, Mewsli-X) take the vectors of the encoder as it is: they have no seeds of "
        "fine-tuning, and in averages their score goes with every one of the other tasks.",
    ]
    if seeds and seeds[-1] > 1:
        notes.append(f"± sample standard deviation over up to {seeds[-1]} seed pairs; no ± where there is one.")
    if seeds and seeds[0] == 1:
        notes.append("One seed (no ±): differences may be noise of training.")
    return "\n".join([*parts, "## Notes\n", "".join(f"- {note}\n" for note in notes)])
