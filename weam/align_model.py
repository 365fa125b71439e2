"""Train our fast_align on evenly spread pairs of a corpus and save the model of both directions.

For corpora whose model would not fit into memory (docs/fast_align.md); it is then applied to all pairs, in parts.
Gold sentences are appended as in the align stage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from weam.align import add_common_arguments, read_common
from weam.aligners import call, fast_align_options, find_our_fast_align
from weam.alignment import Rows, work_folder, write_corpus
from weam.errors import UserError
from weam.io import atomic_path
from weam.tables import open_parquet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="the model")


def run(args: argparse.Namespace) -> None:
    settings, gold = read_common(args)
    if settings.train_pairs is None:
        raise UserError("align.train_pairs is null: nothing is to be trained separately; give a number or use align")
    program = find_our_fast_align(args.tools)
    total = open_parquet(args.text, ["source_words", "target_words"], "pairs").rows
    rows = Rows(total, min(settings.train_pairs, total))
    with work_folder(args.out) as work, atomic_path(args.out) as model:
        corpus = work / "corpus.txt"
        write_corpus(args.text, gold, settings.lowercase, corpus, rows)
        options = [*fast_align_options(settings, corpus), "--threads", str(args.threads)]
        both = ["--both", str(work / "links"), "--save-model", str(model)]
        call([str(program), *options, *both], work / "stdout", "training")
