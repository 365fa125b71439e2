"""Align the words of a parallel corpus in both directions and symmetrise the links.

Gold sentences (--gold) are appended to the corpus, so that they are aligned by the same model, and cut off again; their
alignment error rate goes to quality.json, their words and links to gold.jsonl (empty without gold).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from weam.aligners import Outputs, find_aligner
from weam.alignment import OUT, Counts, Lengths, cut, gold_lines, gold_scores, work_folder, write_corpus
from weam.config_data import Align
from weam.errors import UserError
from weam.io import atomic_path, write_json, write_text
from weam.readers import Release
from weam.readers.gold import GoldPair, read_gold
from weam.settings import read_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help=OUT)
    parser.add_argument("--quality", type=Path, required=True, help="quality.json")


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this stage and of those that train and apply a model separately."""
    parser.add_argument("--text", type=Path, required=True, help="text.parquet of pairs")
    parser.add_argument("--languages", nargs=2, required=True, metavar="LANG", help="en and the target language")
    parser.add_argument("--tools", type=Path, required=True, help="folder with fast_align and atools")
    parser.add_argument("--settings", help="the align block of the configuration (JSON or file)")
    parser.add_argument("--gold", type=Path, help="manifest.json of gold word alignments")
    parser.add_argument("--threads", type=int, default=1, help="threads of our fast_align (the result is the same)")


def run(args: argparse.Namespace) -> None:
    settings, gold = read_common(args)
    aligner = find_aligner(settings, args.tools, args.threads)
    with work_folder(args.out) as work:
        corpus = work / "corpus.txt"
        lengths = write_corpus(args.text, gold, settings.lowercase, corpus)
        counts, found = keep(aligner(corpus, work), lengths, gold, args.out, settings.method)
    head = {"pair": "-".join(args.languages), "method": settings.method}
    write_json(args.quality, head | counts.quality() | {"gold": gold_scores(gold, found) if gold else None})


def read_common(args: argparse.Namespace) -> tuple[Align, list[GoldPair]]:
    """The settings, and the gold sentences if there are any."""
    source, target = args.languages
    if source != "en" or target == "en":
        raise UserError(f"--languages {source} {target}: pairs are of en and one other language; write en LANG")
    if args.threads < 1:
        raise UserError(f"--threads {args.threads}: give at least 1")
    gold = read_gold(Release(args.gold), target) if args.gold else []
    return read_settings(Align, args.settings), gold


def keep(
    outputs: Outputs, lengths: Lengths, gold: list[GoldPair], out: Path, name: str
) -> tuple[Counts, dict[str, list[frozenset[tuple[int, int]]]]]:
    """Put the links of all lines but the gold sentences at the end into ``out`` (symmetrised) and beside it.

    The gold sentences go to gold.jsonl.

    Returns the counts of the symmetrised links, and the links of the gold sentences.
    """
    rows = lengths.count - len(gold)
    found = {}
    for direction, path in outputs.items():  # symmetrised comes last: the counts are its
        target = out if direction == "symmetrised" else out.with_name(f"{direction}.txt")
        with atomic_path(target) as temporary:
            counts, found[direction] = cut(path, lengths, rows, temporary, f"{name}, {direction} links")
    write_text(out.with_name("gold.jsonl"), gold_lines(gold, found))
    return counts, found
