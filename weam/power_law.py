"""Curves of scores over numbers of pairs: score = c - a * n ** -b, with bounds, fitted to many resamples at once.

The form is that of learning curves with a floor (Hestness et al. 2017, arXiv 1712.00409; Rosenfeld et al. 2020,
arXiv 1909.12673), turned from errors to scores. For a given exponent, c and a follow by least squares; the exponent is
searched on a grid between :data:`EXPONENTS`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weam.metrics.items import Values

EXPONENTS = (0.02, 3.0)
"""Bounds of b. Near the lower one the curve is that of a logarithm, near the upper one a step after the first size."""
GRID = 80
HIGHEST = 100.0
"""Bound of c: no score is better."""
LEAST_SIZES = 4
"""A curve of three parameters goes through any three points."""
UNSURE = 0.1
"""Share of resamples with the exponent at a bound, or without any gain, from which on the fit is not identifiable."""


class Fit(NamedTuple):
    """Parameters of each of B curves, [B]; ``bound``: the exponent is at a bound, or a is 0."""

    c: Values
    a: Values
    b: Values
    bound: Values

    def at(self, pairs: float) -> Values:
        return self.c - self.a * pairs**-self.b


def fit(pairs: Values, scores_BK: Values) -> Fit:
    """The curves nearest to K scores each, with 0 <= a and c <= :data:`HIGHEST`. ``pairs`` [K] are the sizes."""
    grid = np.geomspace(*EXPONENTS, GRID)
    scale = pairs[0]  # keeps n ** -b near 1
    best = np.full(len(scores_BK), np.inf)
    c, a, b = (np.zeros(len(scores_BK)) for _ in range(3))
    for exponent in grid:
        x = (pairs / scale) ** -exponent
        own_c, own_a = _line(x, scores_BK)
        error = ((own_c[:, None] - own_a[:, None] * x - scores_BK) ** 2).sum(axis=1)
        better = error < best - 1e-12
        best = np.where(better, error, best)
        c, a, b = (np.where(better, new, old) for new, old in ((own_c, c), (own_a * scale**exponent, a), (exponent, b)))
    bound = (b <= grid[0]) | (b >= grid[-1]) | (a <= 1e-9)
    return Fit(c, a, b, bound)


def _line(x: Values, scores_BK: Values) -> tuple[Values, Values]:
    """c and a of scores = c - a * x within the bounds, by least squares."""
    deviation = x - x.mean()
    a = np.maximum(-(scores_BK * deviation).sum(axis=1) / max((deviation**2).sum(), 1e-300), 0)
    c = scores_BK.mean(axis=1) + a * x.mean()
    over = c > HIGHEST
    through = np.maximum(((HIGHEST - scores_BK) * x).sum(axis=1) / (x**2).sum(), 0)
    return np.where(over, HIGHEST, c), np.where(over, through, a)


def identifiable(sizes: int, found: Fit) -> bool:
    """Whether data and resamples (the first row: as observed) determine the curve; see the constants above."""
    return sizes >= LEAST_SIZES and not bool(found.bound[0]) and float(found.bound[1:].mean()) <= UNSURE


def per_doubling(pairs: Values, scores_BK: Values) -> Values:
    """Mean gain per doubling of the pairs, [B]: the slope of a straight line over the logarithm."""
    logs = np.log2(pairs)
    deviation = logs - logs.mean()
    slopes: Values = (scores_BK * deviation).sum(axis=1) / (deviation**2).sum()
    return slopes
