"""The model of fast_align once more, slowly: plain sums and dictionaries, written from the formulas alone."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import NamedTuple

NULL = None


class Result(NamedTuple):
    likelihoods: list[float]  # natural logarithm, one per iteration
    tension: float
    links: list[list[tuple[int, int]]]  # (source, target), 0-based, in the order of the target
    ties: int  # target words whose two best source words are equally probable up to rounding
    table: dict[object, dict[str, float]]  # translation probabilities after the last M-step; NULL is None


def digamma(x: float) -> float:
    result = 0.0
    while x < 1000:
        result -= 1 / x
        x += 1
    return result + math.log(x) - 1 / (2 * x) - 1 / (12 * x * x)


def feature(i: float, j: float, n: int, m: int) -> float:
    return -abs(i / n - j / m)


def weights(j: int, n: int, m: int, tension: float, last: int) -> list[float]:
    return [math.exp(tension * feature(i, j, n, m)) for i in range(1, last + 1)]


def expected_feature(j: int, n: int, m: int, tension: float) -> float:
    """Gradient of the log of the normaliser, divided by the normaliser of the swapped lengths (reference program)."""
    upper = sum(weight * feature(i, j, n, m) for i, weight in enumerate(weights(j, n, m, tension, n), start=1))
    diagonal = j * m // n
    last = m if diagonal <= m else diagonal + int(60 * m / tension)  # beyond the end the series never ends
    return upper / sum(weights(j, m, n, tension, last))


def run(
    pairs: list[tuple[list[str], list[str]]],
    iterations: int = 5,
    diagonal: bool = True,
    optimize: bool = True,
    variational: bool = True,
    alpha: float = 0.01,
    p0: float = 0.08,
    tension: float = 4.0,
    null: bool = True,
) -> Result:
    probability: dict[object, dict[str, float]] = {}
    likelihoods, links, ties = [], [], 0
    target_words = sum(len(target) for _, target in pairs)
    sizes = Counter((len(source), len(target)) for source, target in pairs)
    for iteration in range(iterations):
        final = iteration == iterations - 1
        counts: dict[object, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        likelihood = observed = 0.0
        for source, target in pairs:
            n, m = len(source), len(target)
            line: list[tuple[int, int]] = []
            for j, word in enumerate(target, start=1):
                if diagonal:
                    row = weights(j, n, m, tension, n)
                    prior = [p0] + [(1 - p0) * weight / sum(row) for weight in row]
                else:
                    prior = [1 / (n + null)] * (n + 1)
                joint = [
                    share * (probability.get(given, {}).get(word, 1e-9))
                    for share, given in zip(prior, [NULL, *source], strict=True)
                ]
                if not null:
                    joint[0] = 0.0
                likelihood += math.log(sum(joint))
                if final:
                    ranked = sorted(joint, reverse=True)
                    ties += len(ranked) > 1 and ranked[0] - ranked[1] < 1e-9 * ranked[0]
                    best = joint.index(max(joint))
                    if best > 0:
                        line.append((best - 1, j - 1))
                for i, given in enumerate([NULL, *source]):
                    if i > 0 or null:
                        posterior = joint[i] / sum(joint)
                        counts[given][word] += posterior
                        observed += posterior * feature(i, j - 1, n, m) if i > 0 else 0.0
            links.append(line)
        likelihoods.append(likelihood)
        if final:
            break
        links.clear()
        if diagonal and optimize and iteration > 0:
            for _ in range(8):
                expected = sum(
                    pairs_of_size * expected_feature(j, n, m, tension)
                    for (n, m), pairs_of_size in sizes.items()
                    for j in range(1, m + 1)
                )
                tension += 20 * (observed - expected) / target_words
                tension = min(max(tension, 0.1), 14.0)
        probability = {}
        for given, row_counts in counts.items():
            if variational:
                total = digamma(sum(row_counts.values()) + alpha * len(row_counts))
                probability[given] = {w: math.exp(digamma(c + alpha) - total) for w, c in row_counts.items()}
            else:
                total = sum(row_counts.values())
                probability[given] = {w: c / total for w, c in row_counts.items()}
    return Result(likelihoods, tension, links, ties, probability)


STEPS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
Links = set[tuple[int, int]]


def symmetrise(forward: Links, reverse: Links, heuristic: str, size: int) -> Links:
    """Koehn et al. 2005, figure 1, word by word over a square of ``size`` positions."""
    if heuristic == "union":
        return forward | reverse
    grown = forward & reverse
    if heuristic == "intersect":
        return grown

    def free(link: tuple[int, int]) -> tuple[bool, bool]:
        return all(i != link[0] for i, _ in grown), all(j != link[1] for _, j in grown)

    before = None
    while before != len(grown):
        before = len(grown)
        for i in range(size):
            for j in range(size):
                if (i, j) in grown:
                    for step in STEPS:
                        link = (i + step[0], j + step[1])
                        if any(free(link)) and link in forward | reverse:
                            grown.add(link)
    if heuristic != "grow-diag":
        accept = all if heuristic == "grow-diag-final-and" else any
        for direction in (forward, reverse):
            for link in sorted(direction):
                if accept(free(link)):
                    grown.add(link)
    return grown
