"""Conclusions of the studies in words, from the numbers by fixed rules; nothing in them is written by hand.

An effect is there if its interval leaves out 0 (where several comparisons are made: if its p-value with Holm's
correction is below the level as well). An effect that is not there is called undetectable, with its interval: it is
not called absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ENOUGH = 10
"""Seeds whose intervals are about as wide as they say."""


class Effect(NamedTuple):
    """A difference or slope in points with its interval; ``p`` after Holm's correction, or None without a test."""

    value: float
    low: float
    high: float
    p: float | None = None

    def sign(self, level: float = 0.05) -> int:
        """1 better, -1 worse, 0 no difference detectable."""
        if (self.p is not None and self.p >= level) or self.low <= 0 <= self.high:
            return 0
        return 1 if self.value > 0 else -1

    def __str__(self) -> str:
        return f"{self.value:+.1f} points, interval [{self.low:+.1f}, {self.high:+.1f}]"


UNDUE = {2: 31, 3: 18, 5: 12}
"""Seeds of each run to the share (%) of "95 %" intervals of a difference that leave out 0 although there is none."""


def caution(seeds: int) -> str | None:
    """What few seeds do to intervals; None for many."""
    if seeds == 1:
        return (
            "There is one seed of pre-training: intervals leave out its noise, and another seed may turn this around."
        )
    if known := [undue for fewest, undue in UNDUE.items() if fewest <= seeds < ENOUGH]:
        return (
            f"{seeds} seeds make intervals too narrow: where trainings differ by chance alone, up to {known[-1]} of "
            "100 intervals of 95 % leave out 0 although there is no difference."
        )
    return None


def none_detectable(effect: Effect) -> str:
    return f"no difference detectable: interval [{effect.low:+.1f}, {effect.high:+.1f}]"


def growth(languages: str, metric: str, effect: Effect) -> str:
    """About the mean gain per doubling of the pairs, for one set of languages."""
    words = {1: "rises", -1: "falls"}
    if sign := effect.sign():
        return f"{languages}: {metric} {words[sign]} with the pairs, {effect} per doubling."
    return f"{languages}: {metric} per doubling of the pairs: {none_detectable(effect)}."


def curve(languages: str, identifiable: bool, ceiling: Effect, exponent: Effect) -> str:
    """About the fitted curve of one set of languages."""
    if not identifiable:
        return f"{languages}: the curve c - a * n^-b is not identifiable from these sizes, so nothing is extrapolated."
    return (
        f"{languages}: fitted curve with ceiling {ceiling.value:.1f} [{ceiling.low:.1f}, {ceiling.high:.1f}] and "
        f"exponent {exponent.value:.2f} [{exponent.low:.2f}, {exponent.high:.2f}]."
    )


def trade(small: str, large: str, effects: Sequence[tuple[int, Effect]]) -> str:
    """Where the larger set of languages beats more pairs of the smaller set with as many pairs in total.

    ``effects`` are by pairs per language of the larger set, rising. The point is the smallest number from which on all
    larger measured ones show the larger set ahead.
    """
    start = f"From {small} to {large}, against more pairs in the same total"
    if not effects:
        return f"{start}: no two measured runs have as many pairs in total."
    signs = [effect.sign() for _, effect in effects]
    ahead = len(signs)
    while ahead and signs[ahead - 1] == 1:
        ahead -= 1
    if ahead < len(signs):
        return f"{start}: adding languages is better from {effects[ahead][0]} pairs per language on."
    if all(sign == -1 for sign in signs):
        return f"{start}: adding pairs is better at every measured size."
    low, high = min(effect.low for _, effect in effects), max(effect.high for _, effect in effects)
    if not any(signs):
        return f"{start}: no difference detectable: intervals within [{low:+.1f}, {high:+.1f}]."
    return f"{start}: no point from which on one of the two is better; intervals within [{low:+.1f}, {high:+.1f}]."


def versus(one: str, other: str, effect: Effect, level: float = 0.05) -> str:
    """About one condition against another one."""
    words = {1: "better", -1: "worse"}
    if sign := effect.sign(level):
        return f"{one} is {words[sign]} than {other}: {effect}."
    return f"{one} against {other}: {none_detectable(effect)}."


def diversity(one: str, effects: Sequence[Effect], level: float = 0.05) -> str:
    """About a condition of several families against all conditions of a single one."""
    if not effects:
        return f"{one}: there is no condition of a single family to compare with."
    signs = [effect.sign(level) for effect in effects]
    low, high = min(effect.low for effect in effects), max(effect.high for effect in effects)
    if all(sign == 1 for sign in signs):
        return f"{one} is better than every condition of a single family."
    if all(sign == -1 for sign in signs):
        return f"{one} is worse than every condition of a single family."
    if not any(signs):
        return (
            f"{one} against the conditions of a single family: no difference detectable: intervals within "
            f"[{low:+.1f}, {high:+.1f}]."
        )
    counts = [f"{signs.count(sign)} {word}" for sign, word in ((1, "better"), (-1, "worse"), (0, "undecided"))]
    return f"{one} against the {len(signs)} conditions of a single family: {', '.join(counts)}; neither clearly."
