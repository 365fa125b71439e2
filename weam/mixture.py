"""Mixtures: joint systems of some languages with equally many pairs each, and an amount of training; named in full.

``weam-mix.ar_de.600.steps120`` is WEAM on 600 pairs each of Arabic and German, for 120 steps. The name is part of
paths, and all that a run needs to know: studies that ask for the same mixture share its model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, cast

from weam.config_base import Objective
from weam.config_studies import Constant
from weam.errors import UserError

PATTERN = (
    r"(?:mlm|tlm|word_align|weam)-mix[.][A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*[.][1-9][0-9]*[.](?:steps|epochs)[1-9][0-9]*"
)
"""Of a name, for paths; :func:`parse` refuses what is left of nonsense."""


class Mixture(NamedTuple):
    """What a name says; languages in alphabetical order, ``pairs`` of each."""

    objective: Objective
    languages: tuple[str, ...]
    pairs: int
    constant: Constant
    amount: int

    @property
    def name(self) -> str:
        return f"{self.objective}-mix.{'_'.join(self.languages)}.{self.pairs}.{self.constant}{self.amount}"

    @property
    def optimisation(self) -> dict[str, int | None]:
        """Settings of training, over those of the objective. An epoch has a step at least."""
        if self.constant == "epochs":
            return {"epochs": self.amount, "max_steps": None}
        return {"epochs": self.amount, "max_steps": self.amount}


def mixture(objective: Objective, languages: Sequence[str], pairs: int, constant: Constant, amount: int) -> Mixture:
    """The mixture of these languages in whatever order."""
    return Mixture(objective, tuple(sorted(languages)), pairs, constant, amount)


def is_mixture(system: str) -> bool:
    return "-mix." in system


def parse(system: str) -> Mixture:
    """What a name stands for; a name that no mixture has is a :class:`UserError`."""
    if re.fullmatch(PATTERN, system):
        start, languages, pairs, training = system.split(".")
        constant, amount = training.rstrip("0123456789"), int(training.lstrip("stepoch"))
        objective = cast(Objective, start.removesuffix("-mix"))
        found = mixture(objective, languages.split("_"), int(pairs), cast(Constant, constant), amount)
        if found.name == system and len(set(found.languages)) == len(found.languages):
            return found
    raise UserError(
        f"{system}: no name of a mixture; it is <objective>-mix.<language>_<language>.<pairs of each>.steps<number> "
        "(or epochs<number>), with languages in alphabetical order"
    )
