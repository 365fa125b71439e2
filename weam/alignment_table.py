"""Gather alignment quality: error rate against gold and how much was linked, a table over the language pairs.

The directions ``forward`` and ``reverse`` have rows where there is gold to judge them by; the counts of links are those
of the symmetrised alignment, which is the one that later stages use.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pydantic
from pydantic import Field

from weam import report
from weam.config import Config, validate
from weam.errors import UserError
from weam.io import read_json
from weam.settings import read_settings

HEADER = [
    *("pair", "direction", "aer", "precision", "recall", "gold_sentences"),
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
    sentences: int = Field(ge=0)
    links_per_word: float = Field(ge=0)
    aligned_source: float = Field(ge=0, le=1)
    aligned_target: float = Field(ge=0, le=1)
    gold: _Gold | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument(
        "--quality", required=True, nargs="+", action="extend", metavar="FILE", help="quality.json files, one a pair"
    )
    report.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the three files of the table."""
    config = read_settings(Config, args.config, "--config")
    order = [f"en-{language}" for language in config.languages]
    qualities: dict[str, _Quality] = {}
    for file in args.quality:
        quality = validate(_Quality, read_json(file), file)
        if quality.pair not in order:
            raise UserError(
                f"{file}: pair {quality.pair!r} is not in the configuration ({', '.join(order)}); "
                "add its language there or leave the file out"
            )
        if quality.pair in qualities:
            raise UserError(f"{file}: pair {quality.pair!r} is given twice; give each pair once")
        qualities[quality.pair] = quality
    found = [qualities[pair] for pair in order if pair in qualities]
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
            rows.append([quality.pair, direction, *scores, *counts])
    return rows


def _number(value: float) -> str:
    return f"{value:.4f}"


def _markdown(qualities: Sequence[_Quality], rows: Sequence[Sequence[str]]) -> str:
    header = ["pair", "direction", "AER", "precision", "recall", "gold sentences"]
    header += ["links per word", "aligned source words", "aligned target words"]
    notes = [
        "AER, alignment error rate: lower is better; precision and recall of links; all against gold alignments.",
        "Links per word and shares of words with at least one link: of the symmetrised links of the whole corpus ("
        + ", ".join(f"{quality.pair} {quality.sentences} sentence pairs" for quality in qualities)
        + ").",
    ]
    without = [quality.pair for quality in qualities if quality.gold is None]
    if without:
        notes.append(f"No gold alignments: {', '.join(without)}.")
    listed = "".join(f"- {note}\n" for note in notes)
    return f"# Word alignment\n\n{report.markdown_table(header, rows)}\n{listed}"
