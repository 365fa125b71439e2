"""Choose a random subset of shards without copying a row: a manifest that says which rows of the whole belong to it.

Subsets of one seed are nested: a larger one contains every smaller one (weam.nested).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from weam import corpus, nested
from weam.checksums import KEY, sealed
from weam.errors import UserError
from weam.io import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shards", required=True, type=Path, help="manifest of all rows")
    parser.add_argument("--rows", required=True, type=int, help="how many of them to take")
    parser.add_argument("--seed", type=int, default=1, help="of the order in which subsets grow (default 1)")
    parser.add_argument("--out", required=True, type=Path, help="manifest.json to make")


def run(args: argparse.Namespace) -> None:
    if not 0 <= args.seed < 1 << 64:
        raise UserError(f"--seed {args.seed}: give a number from 0 to 2**64 - 1")
    whole = corpus.read_manifest(args.shards)
    rows = int(whole["rows"])
    if "subset" in whole:
        raise UserError(f"{args.shards}: is a subset itself; give the manifest of all rows")
    if args.rows < 1:
        raise UserError(f"--rows {args.rows}: a subset has at least one row")
    if args.rows > rows:
        raise UserError(f"{args.shards}: has {rows} rows, but a subset of {args.rows} is asked for; ask for fewer")
    above = Path(os.path.relpath(args.shards.parent, args.out.parent))
    subset = {"of": rows, "seed": args.seed, "threshold": nested.threshold(rows, args.rows, args.seed)}
    parts = [part | {"name": (above / part["name"]).as_posix()} for part in whole["parts"]]
    kept = {key: value for key, value in whole.items() if key not in ("counts", KEY)}
    write_json(args.out, sealed(kept | {"rows": args.rows, "subset": subset, "parts": parts}))
