"""Scores over the pairs of pre-training, a colour per set of languages, with the curves that the data determine."""

from __future__ import annotations

import argparse

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from weam.errors import UserError
from weam.figures.marks import interval_name
from weam.figures.read import METRICS, Row, rows
from weam.figures.style import BLACK, COLOURS, DASHES, MARKERS, grid_of, head, legend, seeds_note

COLUMNS = ["level", "languages", "pairs", "lang", "metric", "value", "low", "high", "n_seeds"]
SHIFT = 1.02
"""Factor between the pairs of one set and of the next, so that intervals stand side by side."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", required=True, metavar="CSV", help="results/tables/scaling.csv")
    parser.add_argument("--title", required=True, help="name of the task in print")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default 0.95)")


def draw(args: argparse.Namespace) -> Figure:
    table = [row for row in rows(args.table, COLUMNS) if row.cells["level"] != "conclusion"]
    scores = [row for row in table if row.cells["level"] == "score"]
    groups = [g for g in dict.fromkeys(row.cells["lang"] for row in scores) if g.startswith("average")]
    sets = [name for name in dict.fromkeys(row.cells["languages"] for row in scores) if name]
    if not groups or not sets:
        raise UserError(f"{args.table}: has no average scores of mixtures; make the table again")
    metric = METRICS.get(scores[0].cells["metric"], scores[0].cells["metric"])
    figure, panels = grid_of(len(groups), 2, (4.2, 3.2), extra=1.3)
    for group, panel in zip(groups, panels, strict=True):
        here = [row for row in scores if row.cells["lang"] == group]
        for base in (row for row in here if not row.cells["languages"]):
            panel.axhline(base.number("value"), color=BLACK, linestyle=DASHES[1], lw=1)
        for place, name in enumerate(sets):
            own = [row for row in here if row.cells["languages"] == name]
            colour, marker = COLOURS[1 + place % (len(COLOURS) - 1)], MARKERS[place % len(MARKERS)]
            x = [row.count("pairs") * SHIFT ** (place - (len(sets) - 1) / 2) for row in own]
            y = [row.number("value") for row in own]
            ends = [[max(row.number("value") - row.number("low"), 0) for row in own],
                    [max(row.number("high") - row.number("value"), 0) for row in own]]  # fmt: skip
            panel.errorbar(x, y, ends, color=colour, marker=marker, linestyle="", lw=1, capsize=2, markersize=5)
            if curve := _curve(table, name, group):
                ceiling, factor, exponent = curve
                sizes = np.geomspace(own[0].count("pairs"), own[-1].count("pairs"), 100)
                panel.plot(sizes, ceiling - factor * sizes**-exponent, color=colour)
        sizes_there = sorted({row.count("pairs") for row in here if row.cells["languages"]})
        panel.set_xscale("log", base=2)
        panel.set_xticks(sizes_there, [f"{size:,}" for size in sizes_there])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        panel.set_title({"average": "all languages but English"}.get(group, "languages in no set"), loc="left")
        panel.set_xlabel("pairs per language")
        panel.set_ylabel(f"{metric} (0 to 100)")
    note = f"{interval_name(args.confidence)}s over test set and seeds."
    counts = (row.count("n_seeds") for row in scores if row.cells["languages"])
    title = f"{args.title}: zero-shot {metric} by pairs and languages of pre-training"
    head(figure, title, seeds_note(counts, note), "A line: the fitted curve, where it is identifiable.")
    marks = [
        Line2D([], [], color=COLOURS[1 + i % (len(COLOURS) - 1)], marker=MARKERS[i % len(MARKERS)], ls="", label=name)
        for i, name in enumerate(sets)
    ]
    legend(figure, [*marks, Line2D([], [], color=BLACK, linestyle=DASHES[1], lw=1, label="mBERT, no pairs")])
    return figure


def _curve(table: list[Row], languages: str, group: str) -> tuple[float, float, float] | None:
    """Ceiling, factor and exponent, if the table has them."""
    own = {
        row.cells["level"]: row for row in table if (row.cells["languages"], row.cells["lang"]) == (languages, group)
    }
    if not {"ceiling", "factor", "exponent"} <= own.keys():
        return None
    ceiling, factor, exponent = (own[name].number("value") for name in ("ceiling", "factor", "exponent"))
    return ceiling, factor, exponent
