"""Differences between conditions of pre-training in held-out languages, per task and in all: a panel a comparison."""

from __future__ import annotations

import argparse

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from weam.errors import UserError
from weam.figures.marks import interval_name
from weam.figures.read import rows
from weam.figures.style import BLACK, BLUE, GREY, grid_of, head, legend, seeds_note

COLUMNS = ["level", "task", "lang", "condition", "against", "value", "low", "high", "p_holm", "n_seeds"]
OVERALL = "all tasks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", required=True, metavar="CSV", help="results/tables/families.csv")
    parser.add_argument("--name", action="append", default=[], metavar="TASK=TITLE", help="a task's name in print")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default 0.95)")


def draw(args: argparse.Namespace) -> Figure:
    names = dict(text.partition("=")[::2] for text in args.name)
    table = [row for row in rows(args.table, COLUMNS) if row.cells["level"] == "difference" and not row.cells["lang"]]
    if not table:
        raise UserError(f"{args.table}: has no differences; make the table again")
    pairs = list(dict.fromkeys((row.cells["condition"], row.cells["against"]) for row in table))
    groups = list(dict.fromkeys(row.cells["task"] for row in table))
    figure, panels = grid_of(len(pairs), 2, (3.6, 0.32 * len(groups) + 0.9), extra=1.3)
    level = 1 - args.confidence
    for (one, other), panel in zip(pairs, panels, strict=True):
        own = [row for row in table if (row.cells["condition"], row.cells["against"]) == (one, other)]
        for row in own:
            place = len(groups) - 1 - groups.index(row.cells["task"])
            value, low, high = (row.number(name) for name in ("value", "low", "high"))
            ends = [[max(value - low, 0)], [max(high - value, 0)]]
            panel.errorbar(value, place, xerr=ends, color=BLUE, lw=1.5 if not row.cells["task"] else 1, capsize=2)
            sure = row.number("p_holm") < level
            panel.plot(value, place, "o", color=BLUE, markersize=5, markerfacecolor=BLUE if sure else "white")
        panel.axvline(0, color=BLACK, lw=1, zorder=1)
        labels = [names.get(group, group) or OVERALL for group in reversed(groups)]
        panel.set_yticks(range(len(groups)), labels)
        panel.set_ylim(-0.6, len(groups) - 0.4)
        panel.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        panel.set_title(f"{one} – {'mBERT' if other == 'mbert' else other}", loc="left")
        panel.set_xlabel("points")
    widest = max(abs(end) for panel in panels for end in panel.get_xlim())
    for panel in panels:
        panel.set_xlim(-widest, widest)
    note = f"{interval_name(args.confidence)}s over test sets and seeds."
    title = "Pre-training on one family of languages or several: differences in held-out languages"
    head(
        figure, title, seeds_note((row.count("n_seeds") for row in table), note), "Right of 0: the first one is better."
    )
    kinds = [(BLUE, f"p < {level:g} (Holm)"), ("white", f"p ≥ {level:g}")]
    legend(figure, [Line2D([], [], color=GREY, marker="o", ls="", markerfacecolor=face, label=text)
                    for face, text in kinds])  # fmt: skip
    return figure
