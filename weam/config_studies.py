"""The block ``studies`` of the configuration: experiments that the workflow expands into runs (docs/studies.md)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from weam.config_base import Language, Model, Name, Objective, Seeds

Constant = Literal["steps", "epochs"]
Count = Annotated[int, Field(ge=1)]
Languages = Annotated[list[Language], Field(min_length=1)]


def _once(key: str, values: Sequence[object]) -> None:
    if len(set(values)) != len(values):
        raise ValueError(f"{key} {list(values)} names one twice; name each once")


class Scaling(Model):
    """How a task's zero-shot score grows with the pairs of continued pre-training, per language and in languages.

    Every set of languages is trained on every number of pairs, one joint model each; subsets are nested.
    """

    objective: Objective = Field("weam", description="what is learned from the pairs")
    languages: list[Languages] = Field(
        default_factory=list, description="sets of target languages, each with all of the set before it; none: no study"
    )
    pairs: list[Count] = Field(default_factory=list, description="numbers of pairs of each language of a set, rising")
    constant: Constant = Field(
        "steps", description="what all runs have alike: steps (equal compute), or epochs (compute grows with the pairs)"
    )
    amount: int = Field(1000, ge=1, description="how many steps or epochs")
    seeds: Seeds = Field(default_factory=Seeds, description="random seeds of this study")
    task: Name = Field("tydiqa", description="task that is scored zero-shot; an entry of tasks")

    @model_validator(mode="after")
    def _consistent(self) -> Scaling:
        _once("pairs", self.pairs)
        if self.pairs != sorted(self.pairs):
            raise ValueError(f"pairs {self.pairs} do not rise; give the smallest number first")
        if self.languages and not self.pairs:
            raise ValueError("pairs is empty, so the sets of languages have nothing to learn from; give some numbers")
        for chosen in self.languages:
            _once("languages", chosen)
        for small, large in itertools.pairwise(self.languages):
            if not set(small) < set(large):
                raise ValueError(
                    f"languages {large} does not have all of the set {small} before it and more; sets of languages grow"
                )
        return self


class Families(Model):
    """Whether pre-training on several families of languages transfers better to low-resource languages than on one.

    All conditions have the same number of pairs in total and the same number of steps.
    """

    objective: Objective = Field("weam", description="what is learned from the pairs")
    conditions: dict[Name, list[Language]] = Field(
        default_factory=dict,
        description="name of a condition to its target languages; none, or all of them []: no study",
    )
    pairs: int = Field(1000, ge=1, description="of a condition in total, divided evenly between its languages")
    steps: int = Field(1000, ge=1, description="of every condition")
    seeds: Seeds = Field(default_factory=Seeds, description="random seeds of this study")
    held_out: list[Language] = Field(
        default_factory=list, description="low-resource languages that no condition learns from; these are scored"
    )
    tasks: list[Name] = Field(default_factory=list, description="tasks that are scored zero-shot; entries of tasks")

    @property
    def named(self) -> dict[str, list[str]]:
        """The conditions that have languages: an overlay takes one out with []."""
        return {name: languages for name, languages in self.conditions.items() if languages}

    @model_validator(mode="after")
    def _consistent(self) -> Families:
        _once("tasks", self.tasks)
        _once("held_out", self.held_out)
        same: dict[frozenset[str], str] = {}
        for name, languages in self.named.items():
            _once(f"conditions.{name}", languages)
            if other := same.get(frozenset(languages)):
                raise ValueError(f"conditions {other} and {name} have the same languages; change one")
            same[frozenset(languages)] = name
            if self.pairs % len(languages):
                raise ValueError(
                    f"pairs {self.pairs} cannot be divided evenly between the {len(languages)} languages of condition "
                    f"{name}, so totals would differ; give a multiple of {len(languages)}"
                )
            for language in languages:
                if language in self.held_out:
                    raise ValueError(
                        f"condition {name} learns from {language}, which is held_out: its score would be no transfer; "
                        "take it out of one"
                    )
        if self.named and not (self.held_out and self.tasks):
            raise ValueError("conditions need held_out languages to be scored in and tasks; name some of both")
        return self


class Studies(Model):
    """Experiments of many runs, beside the tables of tasks; none is part of a plain ``snakemake``."""

    scaling: Scaling = Field(
        default_factory=Scaling, description="more pairs, more languages: results/tables/scaling.csv"
    )
    families: Families = Field(
        default_factory=Families, description="one family of languages or several: results/tables/families.csv"
    )
