"""The registry of tasks: a module of this package is a task, and its ``TASK`` says how it is read and scored.

Adding a task is adding a module; one of a new kind also needs a family (weam.families). Modules are imported by name,
so that a change of one task re-runs the jobs of that task only.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from weam.errors import UserError
from weam.metrics.items import Items, Kind
from weam.readers import Release
from weam.validation import hint

Cell = tuple[str, ...]
"""Languages of one test set: (language,), or (context language, question language)."""


class Read(Protocol):
    """Reads the test sets of some languages; what is in one depends on the family, ``len`` of it is the work to do."""

    def __call__(self, release: Release, split: str, languages: Sequence[str]) -> Mapping[Cell, Sized]: ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task."""

    title: str
    """as it is called in print"""
    family: str
    """whose models it is scored with (weam.families); ``retrieval`` needs no fine-tuning"""
    formats: tuple[str, ...]
    """formats of sources that it reads"""
    languages: tuple[str, ...]
    """of the official release, for the documentation"""
    splits: tuple[str, ...]
    """that can be scored; the first one is the default"""
    axes: tuple[str, ...] = ("lang",)
    """names of a cell's languages in tables"""
    english: bool = True
    """whether there is an English test set"""
    metrics: tuple[str, ...]
    """columns of the table; the score of a task in an average over tasks is the mean of its metrics"""
    kind: Kind = "mean"
    described: str
    """the metrics in words, for the table"""
    unit: str
    """what is counted: questions, sentences"""
    read: Read
    items: Callable[[Cell, Any, Mapping[str, Any]], Items]
    """scores predictions (id to prediction) of the test set of a cell"""


@cache
def names() -> tuple[str, ...]:
    """Names of all tasks, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def load(name: str) -> Task:
    """The task called ``name``.

    Raises:
        UserError: there is none.
    """
    if name not in names():
        raise UserError(f"there is no task {name!r}; {hint(name, names(), 'tasks')}")
    task: Task = importlib.import_module(f"weam.tasks.{name}").TASK
    return task
