"""Show what a model learned: tokens, links and the top predictions of both WEAM tasks for a few sentence pairs.

Sub-words are masked as in training, but always by the mask token. The multilingual task predicts a masked sub-word from
its own vector, the cross-lingual one from the vectors of its aligned partners.

PAIRS is the manifest.json of pair shards made with the model's tokenizer, or a text file of "source ||| target" lines,
words separated by spaces, whose links --links holds (i-j, source-target, from 0). Such lines are tokenised with their
spaces and cut as shards are by default. Where a language writes no spaces (Chinese) and the model is of XLM-R's kind,
only shards show exactly what it was trained on.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from weam import config_data, head, modeling
from weam.batches import MASKS, Ragged, rng
from weam.collate import MaskedBatch, lay_out, mask, masked_part, pair_edges
from weam.config import Weam
from weam.corpus import Shards
from weam.errors import UserError
from weam.links import Link, project, read_links, truncated_lengths, words_of_subwords
from weam.objectives import encode, exchanged, tensor
from weam.processes import add_device_arguments, set_device
from weam.readers import decode_lines
from weam.subwords import Subwords, Template

WIDTH = 100
"""Columns that lists of tokens and links are wrapped to."""
LEGEND = "* masked   = the original token   same: no partner, predicted from its own vector in both tasks"


class Pair(NamedTuple):
    """Sub-words of both sides, and links between their places."""

    name: str
    source: list[int]
    target: list[int]
    links: list[Link]


class Best(NamedTuple):
    """The K best predictions of M masked sub-words, in the multilingual and the cross-lingual task: [2, M, K]."""

    ids: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="folder of a masked language model")
    parser.add_argument("pairs", metavar="PAIRS", type=Path, help="manifest.json of pair shards, or a text file")
    parser.add_argument("--links", type=Path, help="Pharaoh links of a text file, line by line")
    parser.add_argument("--count", type=int, default=3, help="pairs to show (3)")
    parser.add_argument("--skip", type=int, default=0, help="pairs to pass over first (0)")
    parser.add_argument("--top", type=int, default=3, help="predictions per masked sub-word and task (3)")
    parser.add_argument("--mask-probability", type=float, default=0.3, help="share of sub-words to mask (0.3)")
    parser.add_argument(
        "--exchange", choices=["mean", "first"], default="mean", help="mean of all partners, or the first one (mean)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the masks (1)")
    add_device_arguments(parser)


def run(args: argparse.Namespace) -> None:
    for option, least in {"count": 1, "skip": 0, "top": 1, "seed": 0}.items():
        if getattr(args, option) < least:
            raise UserError(f"--{option} {getattr(args, option)}: give {least} or more")
    if not 0 < args.mask_probability < 1:
        raise UserError(f"--mask-probability {args.mask_probability}: give a number between 0 and 1")
    settings = Weam(
        mask_probability=args.mask_probability, mask_token_share=1.0, random_token_share=0.0, exchange=args.exchange
    )
    device = set_device(args.device, args.threads)
    subwords = Subwords(args.model)
    pairs = shard_pairs(args, subwords) if args.pairs.suffix == ".json" else text_pairs(args, subwords)
    if not pairs:
        raise UserError(f"{args.pairs}: has no pair {args.skip + 1}; lower --skip or give a longer file")
    model = modeling.load(args.model, "masked_lm", subwords).to(device).eval()
    longest = max(len(pair.source) + len(pair.target) for pair in pairs) + subwords.template.pair_overhead
    modeling.require_positions(model, longest, f"{args.pairs}: the length of a pair, in sub-words,")
    if isinstance(sys.stdout, io.TextIOWrapper):  # a log that is not in UTF-8 gets question marks, not a traceback
        sys.stdout.reconfigure(errors="replace")
    print(LEGEND)
    hits: list[npt.NDArray[np.bool_]] = []
    for number, pair in enumerate(pairs):
        generator = rng(MASKS, args.seed, args.skip + number)
        ids, batch = masked(pair, subwords.template, settings, generator)
        best = predict(model, batch, args.top, device)
        print(f"\npair {number + 1} of {len(pairs)}, {pair.name}")
        print("\n".join(described(pair, ids, batch, best, subwords)), flush=True)
        linked = np.isin(np.arange(len(batch.labels)), batch.edges.aligned)
        hits.append(np.stack([linked, *(best.ids[:, :, 0] == batch.labels)]))
    print(f"\n{summary(np.concatenate(hits, axis=1))}")


def shard_pairs(args: argparse.Namespace, subwords: Subwords) -> list[Pair]:
    """The chosen rows of pair shards; only the row groups that hold them are read."""
    if args.links is not None:
        raise UserError(f"--links {args.links}: the shards {args.pairs} hold their links; leave --links out")
    shards = Shards(args.pairs, subwords.sha256, "pairs", columns=("id", "link_source", "link_target"))
    ends = np.cumsum(shards.blocks)
    if args.skip >= ends[-1]:
        return []
    first, last = np.searchsorted(ends, [args.skip, min(args.skip + args.count, ends[-1]) - 1], side="right")
    table = shards.read(np.arange(first, last + 1))
    pairs = []
    for row in table.slice(args.skip - int(ends[first] - shards.blocks[first]), args.count).to_pylist():
        links = list(zip(row["link_source"], row["link_target"], strict=True))
        pairs.append(Pair(f"id {row['id']}", row["source_ids"], row["target_ids"], links))
    return pairs


def text_pairs(args: argparse.Namespace, subwords: Subwords) -> list[Pair]:
    """The chosen lines of a text file, as the shards stage would make them."""
    room = config_data.Shards().max_length - subwords.template.pair_overhead
    pairs = []
    with contextlib.ExitStack() as stack:
        lines = decode_lines(stack.enter_context(args.pairs.open("rb")))
        pharaoh: Iterable[str] | None = None
        if args.links is not None:
            file = stack.enter_context(args.links.open(encoding="utf-8", errors="replace"))
            pharaoh = islice(file, args.skip, None)
        for number, line in enumerate(islice(lines, args.skip, args.skip + args.count), start=args.skip + 1):
            where = f"{args.pairs}, line {number}"
            words = [word for word in (line or "").replace("\t", " ").split(" ") if word]  # not at no-break spaces
            if words.count("|||") != 1:
                found = "not valid UTF-8" if line is None else f"{words.count('|||')} times ||| between spaces"
                raise UserError(f"{where}: {found}; give source ||| target lines or the manifest.json of pair shards")
            middle = words.index("|||")
            sides = words[:middle], words[middle + 1 :]
            bounds = len(sides[0]), len(sides[1])
            links = [] if pharaoh is None else read_links(pharaoh, args.links, number, bounds)
            codes = subwords.encode([" ".join(side) for side in sides])
            owners = [words_of_subwords(" ".join(sides[i]), sides[i], codes[i].offsets) for i in (0, 1)]
            keep_s, keep_t = truncated_lengths(len(owners[0]), len(owners[1]), room)
            if not keep_s or not keep_t:
                raise UserError(f"{where}: a side has no sub-words; take the line out or pass over it with --skip")
            links = project(links, owners[0][:keep_s], owners[1][:keep_t])
            pairs.append(Pair(f"line {number}", codes[0].ids[:keep_s], codes[1].ids[:keep_t], links))
    return pairs


def masked(
    pair: Pair, template: Template, settings: Weam, generator: np.random.Generator
) -> tuple[list[int], MaskedBatch]:
    """The original sequence, and it masked as in training, but with at least one masked sub-word."""

    def ragged(values: Sequence[int]) -> Ragged:
        return Ragged(np.array(values, dtype=np.int64), np.array([len(values)]))

    layout, rows = lay_out(ragged(pair.source), ragged(pair.target), template), np.array([0])
    masks = mask(layout, template, settings, generator)
    if not masks.chosen.any():
        place = generator.choice(np.flatnonzero(layout.plain))
        masks.chosen[0, place], masks.inputs.ids[0, place] = True, template.mask
    batch = masked_part(masks, rows)
    links = ragged([i for i, _ in pair.links]), ragged([j for _, j in pair.links])
    return masks.labels[0].tolist(), batch._replace(edges=pair_edges(layout, links, batch, rows, settings.exchange))


@torch.inference_mode()
def predict(model: Any, batch: MaskedBatch, top: int, device: torch.device) -> Best:
    """Both tasks; a masked sub-word without partners keeps its own vector in the cross-lingual one."""
    r_ND = encode(model.base_model, batch.inputs, device)
    own_MD = r_ND[tensor(batch.positions, device)]
    cross_MD = own_MD.index_copy(0, tensor(batch.edges.aligned, device), exchanged(r_ND, batch, device))
    transform, decoder = head.parts(model)
    logits = decoder(transform(torch.stack([own_MD, cross_MD]))).float()
    best = logits.softmax(-1).topk(min(top, logits.shape[-1]))
    return Best(best.indices.cpu().numpy(), best.values.cpu().numpy())


def described(pair: Pair, ids: list[int], batch: MaskedBatch, best: Best, subwords: Subwords) -> list[str]:
    """Lines of text: both sides, the links, and a table of the predictions."""

    def text(number: int) -> str:
        return subwords.tokenizer.id_to_token(number) or f"<id {number}>"  # where the vocabulary was padded

    tokens = [("*" if at in batch.positions else "") + text(number) for at, number in enumerate(ids)]
    first = len(subwords.template.prefix)
    second = first + len(pair.source) + len(subwords.template.middle)
    lines = []
    for label, start, side in (("source", first, pair.source), ("target", second, pair.target)):
        lines += wrapped(label, [f"{at} {tokens[at]}" for at in range(start, start + len(side))])
    links = [(first + i, second + j) for i, j in pair.links]
    lines += wrapped("links", [f"{tokens[i]}–{tokens[j]} ({i}–{j})" for i, j in links] or ["none"])
    tops = range(best.ids.shape[2])
    blank = [""] * (len(tops) - 1)
    table = [["position", "token", "partners", "multilingual", *blank, "cross-lingual", *blank]]
    owners = batch.edges.aligned[batch.edges.row]  # edges count aligned rows only
    for row, label in enumerate(batch.labels):
        marks = np.where(best.ids[:, row] == label, "=", " ")
        cells = [
            [f"{best.probabilities[t, row, k]:.2f} {marks[t, k]}{text(int(best.ids[t, row, k]))}" for k in tops]
            for t in (0, 1)
        ]
        partners = [tokens[at] for at in batch.edges.position[owners == row]]
        if not partners:
            cells[1] = ["same" if links else "the pair has no links"]
        table.append([str(batch.positions[row]), text(int(label)), " ".join(partners) or "–", *cells[0], *cells[1]])
    return lines + aligned_columns(table)


def summary(hits: npt.NDArray[np.bool_]) -> str:
    """How often the top predictions are right; hits [3, M]: has partners, multilingual, cross-lingual."""

    def shares(of: npt.NDArray[np.bool_]) -> str:
        return f"multilingual {of[1].mean():.1%}, cross-lingual {of[2].mean():.1%}"

    linked = hits[:, hits[0]]
    rest = f"; of the {linked.shape[1]} with partners: {shares(linked)}" if linked.size else " (none has a partner)"
    return f"{hits.shape[1]} masked sub-words, top prediction right: {shares(hits)}{rest}"


def columns(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining and format marks none."""
    wide, none = ("W", "F"), ("Mn", "Me", "Cf")
    return sum((unicodedata.category(c) not in none) + (unicodedata.east_asian_width(c) in wide) for c in text)


def wrapped(label: str, pieces: Iterable[str]) -> list[str]:
    """A list behind a label, broken between its pieces at :data:`WIDTH`."""
    lines = [label.ljust(6)]
    for piece in pieces:
        if columns(lines[-1]) + 2 + columns(piece) > WIDTH:
            lines.append(" " * 6)
        lines[-1] += f"  {piece}"
    return lines


def aligned_columns(rows: list[list[str]]) -> list[str]:
    """Rows of cells (a row may lack its last ones) as lines, every column as wide as its widest cell."""
    widths = [max(columns(row[place]) for row in rows if place < len(row)) for place in range(len(rows[0]))]
    return ["  ".join(cell + " " * (widths[i] - columns(cell)) for i, cell in enumerate(row)).rstrip() for row in rows]
