"""Gather what every filter kept and removed: corpora (funnel.json) and training examples (training.json).

``rows`` is what is left after a step, ``share`` the part of the rows read that a step removed or kept. A file whose
steps do not add up has lost rows silently: that is an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import PurePath

import pydantic
from pydantic import Field, model_validator

from weam import report
from weam.config import Config
from weam.errors import UserError
from weam.io import read_json
from weam.settings import read_settings
from weam.validation import validate

HEADER = ["corpus", "step", "rows", "removed", "share"]


class _Step(pydantic.BaseModel):
    step: str
    rows: int | None = Field(None, ge=0)
    removed: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _one(self) -> _Step:
        if (self.rows is None) == (self.removed is None):
            raise ValueError(f"step {self.step!r} needs either rows or removed")
        return self


class _Funnel(pydantic.BaseModel):
    corpus: str | None = None
    steps: list[_Step] = Field(min_length=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the stage."""
    parser.add_argument(
        "--funnel",
        required=True,
        nargs="+",
        action="extend",
        metavar="FILE",
        help="funnel.json of corpora and training.json of models, in the order of the table",
    )
    report.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write the three files of the table."""
    config = read_settings(Config, args.config, "--config")
    corpora: dict[str, list[_Step]] = {}
    rows: list[list[str]] = []
    for file in args.funnel:
        name, steps = _read(file)
        if name in corpora:
            if corpora[name] != steps:
                raise UserError(f"{file}: corpus {name!r} is given twice with different counts; name them apart")
            continue  # one corpus, several models trained on it
        corpora[name] = steps
        rows += _rows(file, name, steps)
    report.write_table(args.out, config, HEADER, rows, _markdown(rows), [*args.funnel, *args.input])


def _read(file: str) -> tuple[str, list[_Step]]:
    """Name of the corpus and its steps; a training.json without a name is called after its folder."""
    value = read_json(file)
    if isinstance(value, dict) and isinstance(value.get("data"), dict):
        value = value["data"]
    funnel = validate(_Funnel, value, file)
    folders = [part for part in PurePath(file).parent.parts if part not in ("/", "..", "results")]
    return funnel.corpus or "/".join(folders), funnel.steps


def _rows(file: str, name: str, steps: Sequence[_Step]) -> list[list[str]]:
    """CSV rows of one corpus. A step with rows starts the count anew, except ``kept``, which closes it."""
    if steps[0].rows is None:
        raise UserError(f"{file}: the first step {steps[0].step!r} removes rows; a funnel starts with the rows read")
    if not any(step.step == "kept" for step in steps):
        raise UserError(f"{file}: no step says how many rows were kept; a funnel ends with the rows kept")
    read = left = steps[0].rows
    rows = []
    for step in steps:
        if step.removed is not None:
            left -= step.removed
            rows.append([name, step.step, str(left), str(step.removed), _share(step.removed, read)])
        elif step.rows is not None:
            if step.step == "kept":
                if step.rows != left:
                    raise UserError(
                        f"{file}: {read} rows read less those removed leave {left}, but {step.rows} are kept; "
                        "a filter lost rows without counting them"
                    )
            else:
                read = left = step.rows
            rows.append([name, step.step, str(left), "", _share(left, read)])
    return rows


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else ""


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    header = ["corpus", "step", "rows left", "removed", "share of rows read"]
    note = "Every row that was read is either kept or counted under the step that removed it."
    return f"# Data\n\n{report.markdown_table(header, rows)}\n{note}\n"
