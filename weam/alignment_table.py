"""Gather alignment quality: error rate against gold and how much was linked, a table over language pairs and methods.

The directions ``forward`` and ``reverse`` have rows where there is gold to judge them by; the counts of links are those
of the symmetrised alignment, which is the one that later stages use.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

import pydantic
from pydantic import Field

from weam import report
from weam.config import Config
from weam.config_data import Aligner
from weam.errors import UserError
from weam.io import read_json
from weam.settings import read_settings
from weam.validation import validate

HEADER = [
    *("pair", "method", "direction", "aer", "precision", "recall", "gold_sentences"),
    *("links_per_word", "aligned_source_share", "aligned_target_share"),
]


class _Agreement(pydantic.BaseModel):
    aer: float = Field(ge=0, le=1)
    precision: float = Field(ge=0, le=1)
    recall: float = Field(ge=0, le=1)


class _Gold(pydantic.BaseModel):
    sentences: int = Field(ge=1)
    forward: _Agreement
    reverse: _Agreement
    symmetrised: _Agreement


class _Quality(pydantic.BaseModel):
    pair: str
    method: Aligner
    sentences: int = Field(ge=0)
    links_per_word: float = Field(ge=0)
    aligned_source: float = Field(ge=0, le=1)
    aligned_target: float = Field(ge=0, le=1)
    gold: _Gold | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument(
        "--quality",
        required=True,
        nargs="+",
        action="extend",
        metavar="FILE",
        help="quality.json files, one for each pair and method",
    )
    report.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the three files of the table."""
    config = read_settings(Config, args.config, "--config")
    order = [f"en-{language}" for language in config.languages]
    methods = list(dict.fromkeys([config.align.method, *config.align.compare]))
    qualities: dict[tuple[str, str], _Quality] = {}
    for file in args.quality:
        quality = validate(_Quality, read_json(file), file)
        if quality.pair not in order:
            raise UserError(
                f"{file}: pair {quality.pair!r} is not in the configuration ({', '.join(order)}); "
                "add its language there or leave the file out"
            )
        if quality.method not in methods:
            raise UserError(
                f"{file}: method {quality.method!r} is not in the configuration ({', '.join(methods)}); "
                "add it to align.compare or leave the file out"
            )
        key = quality.pair, quality.method
        if key in qualities:
            raise UserError(f"{file}: pair {quality.pair!r} by {quality.method} is given twice; give each once")
        qualities[key] = quality
    found = [qualities[key] for key in itertools.product(order, methods) if key in qualities]
    rows = [row for quality in found for row in _rows(quality)]
    report.write_table(args.out, config, HEADER, rows, _markdown(found, rows), [*args.quality, *args.input])


def _rows(quality: _Quality) -> list[list[str]]:
    rows = []
    for direction in ("forward", "reverse", "symmetrised"):
        scores, counts = [""] * 4, [""] * 3
        if quality.gold is not None:
            agreement: _Agreement = getattr(quality.gold, direction)
            scores = [_number(value) for value in (agreement.aer, agreement.precision, agreement.recall)]
            scores.append(str(quality.gold.sentences))
        if direction == "symmetrised":
            counts = [_number(quality.links_per_word), _number(quality.aligned_source), _number(quality.aligned_target)]
        if any(scores + counts):
            rows.append([quality.pair, quality.method, direction, *scores, *counts])
    return rows


def _number(value: float) -> str:
    return f"{value:.4f}"


def _markdown(qualities: Sequence[_Quality], rows: Sequence[Sequence[str]]) -> str:
    header = ["pair", "method", "direction", "AER", "precision", "recall", "gold sentences"]
    header += ["links per word", "aligned source words", "aligned target words"]
    sizes = {quality.pair: quality.sentences for quality in qualities}
    notes = [
        "AER, alignment error rate: lower is better; precision and recall of links; all against gold alignments.",
        "Links per word and shares of words with at least one link: of the symmetrised links of the whole corpus ("
        + ", ".join(f"{pair} {count} sentence pairs" for pair, count in sizes.items())
        + ").",
    ]
    if any(quality.method == "eflomal" for quality in qualities):
        notes.append("eflomal draws its random seed from the system: its rows change a little from run to run.")
    without = list(dict.fromkeys(quality.pair for quality in qualities if quality.gold is None))
    if without:
        notes.append(f"No gold alignments: {', '.join(without)}.")
    listed = "".join(f"- {note}\n" for note in notes)
    return f"# Word alignment\n\n{report.markdown_table(header, rows)}\n{listed}"
