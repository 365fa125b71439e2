"""Predict and score a model in its languages in one job: loading costs more than predicting.

Beside the scores it writes the values of every item, which the intervals and tests of the tables are made from.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from weam import families, modelfolder, modeling, tasks
from weam.families import Predictions
from weam.io import atomic_path, write_json
from weam.metrics.items import COLUMNS, Items, score
from weam.processes import add_device_arguments, set_device
from weam.progress import Progress
from weam.readers import Release
from weam.settings import read_label, read_settings
from weam.subwords import Subwords
from weam.tasks import Cell, Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, choices=tasks.names(), help="task to score")
    parser.add_argument(
        "--model", required=True, type=Path, help="fine-tuned model folder; of a retrieval task, any model folder"
    )
    parser.add_argument("--manifest", required=True, type=Path, help="manifest of the source of the test files")
    parser.add_argument("--split", required=True, choices=["test", "dev", "held-out"], help="part of the source")
    parser.add_argument("--languages", required=True, nargs="+", help="languages to score")
    parser.add_argument("--settings", help="settings of the task's family: inline JSON or a file")
    parser.add_argument("--label", default="{}", help="JSON object copied into the scores (system, seeds, ...)")
    parser.add_argument("--out", required=True, type=Path, help="scores.json to make")
    parser.add_argument("--items", type=Path, help="Parquet file to make: the values of every item")
    parser.add_argument("--predictions", type=Path, help="folder to make: one file per cell")
    add_device_arguments(parser)


def run(args: argparse.Namespace) -> None:
    label = read_label(args.label)
    task = tasks.load(args.task)
    family = families.load(task.family)
    settings = read_settings(family.SETTINGS, args.settings)
    device = set_device(args.device, args.threads)
    if task.family != "retrieval":
        modelfolder.require_finetuned(args.model, task.family)
    subwords = Subwords(args.model)
    tests = task.read(Release(args.manifest), args.split, args.languages)
    model = modeling.load(args.model, family.HEAD, subwords, family.LABELS).to(device).eval()
    key = "retrieval" if task.family == "retrieval" else f"finetune.{task.family}"
    modeling.require_positions(model, settings.max_length, f"{key}.max_length")
    predictions: dict[Cell, Predictions] = {}
    with Progress(f"evaluate {args.task}", sum(map(len, tests.values())), task.unit) as progress:
        for cell, test in tests.items():
            predictions[cell] = family.predict(model, test, subwords, settings, device, progress)
    items = {cell: task.items(cell, test, predictions[cell]) for cell, test in tests.items()}
    if args.predictions is not None:
        with atomic_path(args.predictions) as folder:
            folder.mkdir()
            for cell, answers in predictions.items():
                write_json(folder / f"{args.split}-{_name(task, cell)}.json", answers)
    if args.items is not None:
        write_items(args.items, task, items)
    cells = [_scores(task, cell, found) | _counts(predictions[cell]) for cell, found in items.items()]
    write_json(args.out, {"task": args.task, "split": args.split, **label, "cells": cells})


def _name(task: Task, cell: Cell) -> str:
    """As MLQA names its files: ``context-en-question-de``; of one language just ``de``."""
    if len(cell) == 1:
        return cell[0]
    return "-".join(f"{axis.removesuffix('_lang')}-{lang}" for axis, lang in zip(task.axes, cell, strict=True))


def _scores(task: Task, cell: Cell, items: Items) -> dict[str, Any]:
    scores = dict(zip(task.metrics, score(task.kind, items.values), strict=True))
    return {"languages": list(cell), "scores": scores, "n_items": len(items.ids), "missing": items.missing}


def _counts(predictions: Predictions) -> dict[str, Any]:
    """What a family counted while it predicted: cut questions, windows and the like; not all count something."""
    counts = getattr(predictions, "counts", None)
    return {"counts": counts} if counts else {}


def write_items(path: Path, task: Task, items: Mapping[Cell, Items]) -> None:
    """Write the items of all cells: columns ``cell`` (languages joined by blanks), ``id``, ``group`` and the values."""
    names = COLUMNS[task.kind] or task.metrics
    batches = [
        pa.table(
            {
                "cell": pa.array([" ".join(cell)] * len(found.ids)).dictionary_encode(),
                "id": found.ids,
                "group": found.groups,
                **{name: found.values[:, column] for column, name in enumerate(names)},
            }
        )
        for cell, found in items.items()
    ]
    with atomic_path(path) as temporary:
        pq.write_table(
            pa.concat_tables(batches).unify_dictionaries(), temporary, compression="zstd", write_page_checksum=True
        )
