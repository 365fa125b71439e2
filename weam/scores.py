"""Reading scores.json files and averaging them into the cells of a table."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pydantic
from pydantic import Field

from weam.config import Family, Setting, System
from weam.errors import UserError
from weam.io import read_json
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

SETTINGS: tuple[Setting, ...] = ("zero-shot", "translate-train")


class Columns(pydantic.BaseModel):
    """How the cells of a family of tasks are named in its table and in scores.json."""

    languages: tuple[str, ...]
    metrics: tuple[str, ...]
    count: str


COLUMNS: dict[Family, Columns] = {
    "qa": Columns(languages=("context_lang", "question_lang"), metrics=("f1", "em"), count="n_questions"),
    "nli": Columns(languages=("lang",), metrics=("accuracy",), count="n_examples"),
}


class _QaCell(pydantic.BaseModel):
    context_lang: str
    question_lang: str
    f1: float = Field(ge=0, le=100)
    em: float = Field(ge=0, le=100)
    n_questions: int = Field(ge=1)
    missing: int = Field(0, ge=0)


class _NliCell(pydantic.BaseModel):
    lang: str
    accuracy: float = Field(ge=0, le=100)
    n_examples: int = Field(ge=1)
    missing: int = Field(0, ge=0)


class SeedPair(pydantic.BaseModel):
    """Seeds of one run; the pre-training seed is null where nothing was pre-trained."""

    model_config = pydantic.ConfigDict(frozen=True)

    pretrain: int | None
    finetune: int


class _Scores(pydantic.BaseModel):
    task: str
    split: str
    setting: Setting
    system: System
    model_lang: str
    train_lang: str
    seeds: SeedPair


class _QaScores(_Scores):
    cells: list[_QaCell] = Field(min_length=1)


class _NliScores(_Scores):
    cells: list[_NliCell] = Field(min_length=1)


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


def read_table(task: str, family: Family, files: Iterable[str], languages: list[str]) -> Table:
    """Read the scores of ``task`` and average them; the order of ``files`` does not matter.

    A system with one model per target language may score a cell with several models: within each seed pair their
    scores are averaged first. Files of another task, mixed splits, the same run twice, cells of different size, a
    language that is not in ``languages`` and models that lack some of the seeds are a `UserError`.
    """
    columns = COLUMNS[family]
    model: type[_QaScores | _NliScores] = _QaScores if family == "qa" else _NliScores
    runs: dict[tuple[str, ...], str] = {}
    split: tuple[str, str] | None = None
    values: dict[Key, dict[tuple[SeedPair, str], tuple[float, ...]]] = defaultdict(dict)
    counts: dict[Key, tuple[int, str]] = {}
    missing: dict[Key, int] = defaultdict(int)
    for file in sorted(files):
        scores = validate(model, read_json(file), file)
        if scores.task != task:
            raise UserError(f"{file}: holds scores of {scores.task!r}, not of {task!r}; give each task its own table")
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
            spoken = tuple(getattr(cell, name) for name in columns.languages)
            key = Key(scores.system, scores.setting, scores.train_lang, spoken)
            for language in (*spoken, scores.train_lang):
                if language not in languages:
                    raise UserError(
                        f"{file}: language {language!r} is not in the configuration ({', '.join(languages)}); "
                        "add it there or leave the file out"
                    )
            count = getattr(cell, columns.count)
            first = counts.setdefault(key, (count, file))
            if first[0] != count:
                raise UserError(
                    f"{file}: cell {'-'.join(spoken)} has {count} in {columns.count}, but {first[1]} has {first[0]}; "
                    "score all models on the same test files"
                )
            here = (scores.seeds, scores.model_lang)
            if here in values[key]:
                raise UserError(f"{file}: cell {'-'.join(spoken)} stands there twice; score it once")
            values[key][here] = tuple(getattr(cell, name) for name in columns.metrics)
            missing[key] += cell.missing
    if split is None:
        raise UserError("--scores names no file; give the scores.json files of the table")
    cells = {key: _average(key, values[key], counts[key][0], missing[key]) for key in _sorted(values, languages)}
    return Table(cells=cells, split=split[0])


def _average(key: Key, values: Mapping[tuple[SeedPair, str], tuple[float, ...]], count: int, missing: int) -> Cell:
    seeds = sorted({pair for pair, _ in values}, key=lambda pair: (pair.pretrain or 0, pair.finetune))
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
