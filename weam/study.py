"""What the analyses of the studies share: reading the runs of a task with the values of their items, and intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from weam import significance, tasks
from weam.conclusions import Effect
from weam.errors import UserError
from weam.io import read_json, read_object
from weam.metrics import items as metric_items
from weam.metrics.items import Items, Values
from weam.mixture import is_mixture, parse
from weam.scores import AnyScores
from weam.statistics import ROUNDING
from weam.tasks import Task
from weam.validation import validate

Cells = dict[tuple[str, ...], list[Items]]
Runs = dict[str, dict[tuple[int, int], Cells]]
"""By system and seed pair."""


class StudyScores(AnyScores):
    """A scores.json of the backbone or of a mixture."""

    system: str


def by_task(scores: Sequence[str], items: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """The pairs of a scores.json and its items.parquet, by the task that they are of."""
    if len(scores) != len(items):
        raise UserError(f"--items names {len(items)} files, --scores {len(scores)}; give one for each")
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for file, values in zip(scores, items, strict=True):
        name = read_object(file).get("task")
        if not isinstance(name, str) or name not in tasks.names():
            raise UserError(f"{file}: is of no known task ({name!r}); give scores.json files of the evaluate command")
        found[name].append((file, values))
    return found


def read_runs(name: str, files: Sequence[tuple[str, str]], systems: Collection[str]) -> Runs:
    """Runs of one task; those of ``systems`` only, each of which has to be there, with the same languages in all."""
    task = tasks.load(name)
    runs: Runs = {}
    for file, path in files:
        found = validate(StudyScores, read_json(file), file)
        if found.task != name or found.setting != "zero-shot" or found.system not in systems:
            raise UserError(
                f"{file}: {found.setting} scores of {found.system} are not part of this study; leave it out"
            )
        if is_mixture(found.system):
            parse(found.system)
        pairs = runs.setdefault(found.system, {})
        if found.seeds.numbers in pairs:
            raise UserError(f"{file}: {found.system} with seeds {found.seeds.numbers} stands there twice; give it once")
        values = significance.read_items(path, task)
        _require_same(task, file, found, path, values)
        pairs[found.seeds.numbers] = {cell: [own] for cell, own in values.items() if len(set(cell)) == 1}
    if missing := [system for system in systems if system not in runs]:
        raise UserError(f"--scores: there are none of {missing[0]} in {name}; score it too")
    return runs


def _require_same(task: Task, file: str, scores: StudyScores, path: str, items: dict[tuple[str, ...], Items]) -> None:
    """Refuse items of another run than the scores."""
    for cell in scores.cells:
        own = items.get(cell.languages)
        if own is not None and len(own.ids) == cell.n_items:
            values = metric_items.score(task.kind, own.values)
            if np.allclose([cell.scores[metric] for metric in task.metrics], values, atol=1e-6):
                continue
        raise UserError(
            f"{path}: is not of the same run as {file} (cell {'-'.join(cell.languages)} differs); "
            "give the files in the same order, or evaluate again"
        )


def spoken(runs: Runs) -> list[str]:
    """Languages that every run was scored in."""
    cells = [set(found) for pairs in runs.values() for found in pairs.values()]
    first = next(iter(next(iter(runs.values())).values()))
    return [cell[0] for cell in first if all(cell in other for other in cells)]


def effect(values: Values, confidence: float, p: float | None = None) -> Effect:
    """Observed value (the first) and percentile interval of the resamples (the others)."""
    tail = (1 - confidence) / 2
    values = np.where(np.abs(values) < ROUNDING, 0, values)
    low, high = np.nanquantile(values[1:], [tail, 1 - tail])
    return Effect(float(values[0]), float(low), float(high), p)


def p_value(values: Values) -> float:
    """Two-sided, of no difference; see :func:`weam.statistics.bootstrap`."""
    values = np.where(np.abs(values) < ROUNDING, 0, values)[1:]
    smaller = min(int((values <= 0).sum()), int((values >= 0).sum()))
    return min(2 * (smaller + 1) / (len(values) + 1), 1.0)


def number(value: float) -> str:
    return f"{value:.4f}"


def text(found: Effect, signed: bool = False) -> str:
    """``1.2 [0.3, 2.1]``."""
    form = "{:+.1f} [{:+.1f}, {:+.1f}]" if signed else "{:.1f} [{:.1f}, {:.1f}]"
    return form.format(found.value, found.low, found.high)


def seeds_note(runs: Runs) -> str:
    """How many seed pairs the mixtures have."""
    counts = sorted({len(pairs) for system, pairs in runs.items() if is_mixture(system)})
    return f"{'–'.join(map(str, counts))} seed pair{'s' * (counts != [1])} of each mixture"


def section(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "".join(f"- {line}\n" for line in lines)
