"""Reading scores.json files and averaging them into the cells of a table."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import pydantic
from pydantic import Field

from weam.config import Config, Setting, System
from weam.errors import UserError
from weam.io import read_json
from weam.tasks import Task
from weam.validation import validate

SYSTEMS: dict[System, str] = {
    "mbert": "mBERT",
    "mlm": "mBERT+MLM",
    "tlm": "mBERT+TLM",
    "word_align": "word-aligned mBERT",
    "weam": "mBERT+WEAM",
    "mlm-joint": "mBERT+MLM, joint",
    "tlm-joint": "mBERT+TLM, joint",
    "word_align-joint": "word-aligned mBERT, joint",
    "weam-joint": "mBERT+WEAM, joint",
}
"""Systems in the order of the rows, and how they are called in print."""

AVERAGE, WITHOUT_ENGLISH = "average", "average without en"
"""What stands for a language in the rows of averages."""

SETTINGS: tuple[Setting, ...] = ("zero-shot", "translate-train")


class _Cell(pydantic.BaseModel):
    languages: tuple[str, ...] = Field(min_length=1)
    scores: dict[str, Annotated[float, Field(ge=0, le=100)]]
    n_items: int = Field(ge=1)
    missing: int = Field(0, ge=0)


class SeedPair(pydantic.BaseModel):
    """Seeds of one run; a seed is null (or 0) where there was no such training."""

    model_config = pydantic.ConfigDict(frozen=True)

    pretrain: int | None
    finetune: int | None

    @property
    def numbers(self) -> tuple[int, int]:
        """Both seeds, 0 for none: seed pairs are in the order of these."""
        return self.pretrain or 0, self.finetune or 0


class AnyScores(pydantic.BaseModel):
    """A scores.json, of a system of the tables or of another one: what one model reached in all its languages."""

    task: str
    split: str
    setting: Setting
    model_lang: str
    train_lang: str
    seeds: SeedPair
    cells: list[_Cell] = Field(min_length=1)


class Scores(AnyScores):
    """A scores.json of a system of the tables."""

    system: System


@dataclass(frozen=True)
class Key:
    """What one row of the table is about; ``languages`` are (context, question) or (language,)."""

    system: System
    setting: Setting
    train_lang: str
    languages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The scores of one row: for each seed pair one value per metric, already averaged over the models."""

    by_seed: Mapping[SeedPair, tuple[float, ...]]
    models: tuple[str, ...]
    count: int
    missing: int

    def mean(self, metric: int) -> float:
        """Mean over the seed pairs."""
        return statistics.fmean(values[metric] for values in self.by_seed.values())

    def sd(self, metric: int) -> float | None:
        """Sample standard deviation over the seed pairs; None for a single one."""
        return spread([values[metric] for values in self.by_seed.values()])


def spread(values: list[float]) -> float | None:
    """Sample standard deviation (n - 1 below the line); None for a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Table:
    """All cells of one task and the split they were scored on."""

    cells: Mapping[Key, Cell]
    split: str


def read_scores(name: str, task: Task, files: Iterable[str], languages: list[str]) -> dict[str, Scores]:
    """Read the scores of the task called ``name``, by file in the order of their names.

    Files of another task, mixed splits, the same run twice, other metrics or axes than the task's, and a language that
    is not in ``languages`` are a `UserError`.
    """
    runs: dict[tuple[str, ...], str] = {}
    split: tuple[str, str] | None = None
    found: dict[str, Scores] = {}
    for file in sorted(files):
        scores = validate(Scores, read_json(file), file)
        if scores.task != name:
            raise UserError(f"{file}: holds scores of {scores.task!r}, not of {name!r}; give each task its own table")
        split = split or (scores.split, file)
        if scores.split != split[0]:
            raise UserError(
                f"{file}: scored on the {scores.split} split, but {split[1]} on {split[0]}; a table shows one split"
            )
        if scores.setting == "zero-shot" and scores.train_lang != "en":
            raise UserError(f"{file}: zero-shot, yet trained on {scores.train_lang!r}; zero-shot is training on en")
        run = (scores.system, scores.setting, scores.model_lang, scores.train_lang, str(scores.seeds))
        if run in runs:
            raise UserError(f"{file}: {' '.join(run)} stands in {runs[run]} already; give each run once")
        runs[run] = file
        for cell in scores.cells:
            if len(cell.languages) != len(task.axes) or set(cell.scores) != set(task.metrics):
                raise UserError(
                    f"{file}: cell {'-'.join(cell.languages)} has {', '.join(cell.scores)}; a cell of {name} has "
                    f"{', '.join(task.axes)} and {', '.join(task.metrics)}: evaluate again"
                )
            for language in (*cell.languages, scores.train_lang):
                if language not in languages:
                    raise UserError(
                        f"{file}: language {language!r} is not among those that {name} is scored in "
                        f"({', '.join(languages)}); add it in the configuration or leave the file out"
                    )
        found[file] = scores
    if not found:
        raise UserError("--scores names no file; give the scores.json files of the table")
    return found


def read_table(name: str, task: Task, files: Iterable[str], languages: list[str]) -> Table:
    """Read the scores of a task (see :func:`read_scores`) and average them; the order of ``files`` does not matter.

    A system with one model per target language may score a cell with several models: within each seed pair their
    scores are averaged first. Cells of different size and models that lack some of the seeds are a `UserError`.
    """
    values: dict[Key, dict[tuple[SeedPair, str], tuple[float, ...]]] = defaultdict(dict)
    counts: dict[tuple[str, ...], tuple[int, str]] = {}
    missing: dict[Key, int] = defaultdict(int)
    found = read_scores(name, task, files, languages)
    for file, scores in found.items():
        for cell in scores.cells:
            key = Key(scores.system, scores.setting, scores.train_lang, cell.languages)
            first = counts.setdefault(cell.languages, (cell.n_items, file))
            if first[0] != cell.n_items:
                raise UserError(
                    f"{file}: cell {'-'.join(cell.languages)} has {cell.n_items} {task.unit}, but {first[1]} has "
                    f"{first[0]}; score all models on the same test files"
                )
            here = (scores.seeds, scores.model_lang)
            if here in values[key]:
                raise UserError(f"{file}: cell {'-'.join(cell.languages)} stands there twice; score it once")
            values[key][here] = tuple(cell.scores[metric] for metric in task.metrics)
            missing[key] += cell.missing
    cells = {
        key: _average(key, values[key], counts[key.languages][0], missing[key]) for key in _sorted(values, languages)
    }
    return Table(cells=cells, split=next(iter(found.values())).split)


def diagonal(setting: str, train_lang: str, languages: Sequence[str]) -> bool:
    """Whether the paper's tables show a cell: context and question in one language, that of translated training."""
    return len(set(languages)) == 1 and (setting == "zero-shot" or train_lang == languages[0])


def averages_of(languages: Sequence[str]) -> dict[str, Sequence[str]]:
    """The averages over languages that are shown: over all, and without English; none over a single language."""
    averages = {AVERAGE: languages, WITHOUT_ENGLISH: [lang for lang in languages if lang != "en"]}
    if "en" not in languages:
        del averages[WITHOUT_ENGLISH]
    return {name: chosen for name, chosen in averages.items() if len(chosen) > 1}


def held_out(config: Config, name: str) -> list[str]:
    """Languages of a task that are in no average."""
    return config.tasks[name].held_out if name in config.tasks else []


def task_languages(config: Config, name: str) -> list[str]:
    """English and the languages that a task is scored in, in the order of tables."""
    entry = config.tasks.get(name)
    if entry is None:
        return ["en", *config.languages]
    return ["en", *(config.languages if entry.languages is None else entry.languages), *entry.held_out]


def _average(key: Key, values: Mapping[tuple[SeedPair, str], tuple[float, ...]], count: int, missing: int) -> Cell:
    seeds = sorted({pair for pair, _ in values}, key=lambda pair: pair.numbers)
    models = tuple(sorted({name for _, name in values}))
    for pair in seeds:
        for name in models:
            if (pair, name) not in values:
                raise UserError(
                    f"{key.system}, {key.setting}, cell {'-'.join(key.languages)}: model {name!r} has no score with "
                    f"seeds {pair}, another model has; score all models with the same seeds"
                )
    by_seed = {
        pair: tuple(statistics.fmean(parts) for parts in zip(*(values[pair, name] for name in models), strict=True))
        for pair in seeds
    }
    return Cell(by_seed=by_seed, models=models, count=count, missing=missing)


def _sorted(keys: Iterable[Key], languages: list[str]) -> list[Key]:
    """Systems and settings in their usual order, languages in that of ``languages``."""

    def order(key: Key) -> tuple[int, ...]:
        spoken = (key.train_lang, *key.languages)
        return list(SYSTEMS).index(key.system), SETTINGS.index(key.setting), *map(languages.index, spoken)

    return sorted(keys, key=order)
