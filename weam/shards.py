"""Write Parquet shards: sub-words of both sides and the links between them, so that training needs no tokenizer.

Each sentence is tokenised as it stands (not word by word: SentencePiece would see spaces that are not there) and every
sub-word is given to the word that its first character belongs to.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from weam.batches import Ints, spread
from weam.checksums import sealed
from weam.config_data import Shards
from weam.errors import UserError
from weam.io import atomic_path, sha256, write_json
from weam.pieces import Pieces
from weam.progress import Progress
from weam.projection import (
    MAX_WORDS,
    Links,
    Side,
    one_to_one_links,
    project_links,
    side,
    take_links,
    truncated,
    whole_at_start,
)
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.tables import Table, open_parquet

SCHEMA_VERSION = 3
IDS, PLACES = pa.list_(pa.int32()), pa.list_(pa.uint16())
PAIR_SCHEMA = pa.schema(
    [("id", pa.int64()), ("source_ids", IDS), ("target_ids", IDS)]
    + [
        (name, PLACES)
        for name in ("source_word", "target_word", "link_source", "link_target", "one_source", "one_target")
    ]
    + [(name, pa.int32()) for name in ("source_words", "target_words", "source_whole", "target_whole")]
)
MONOLINGUAL_SCHEMA = pa.schema([("id", pa.int64()), ("language", pa.string()), ("ids", IDS)])
ROW_GROUP = 1000
"""Rows that are read together; training shuffles row groups, then the rows of many of them."""

BATCH = 8000
"""Rows that are worked on together."""
NO_SUBWORDS = "pairs without sub-words on a side"

LinkFiles = tuple[Path, Path, Path]
"""Symmetrised, forward and reverse links."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", required=True, type=Path, help="text.parquet of a pair or of passages")
    parser.add_argument("--links", type=Path, help="symmetrised Pharaoh links of the pairs; without: passages")
    parser.add_argument("--forward", type=Path, help="forward links (for the one-to-one links of word_align)")
    parser.add_argument("--reverse", type=Path, help="reverse links")
    parser.add_argument("--tokenizer", required=True, type=Path, help="tokenizer or model folder")
    parser.add_argument("--settings", help="shard settings: inline JSON or a file")
    parser.add_argument("--out", required=True, type=Path, help="manifest.json to make; the parts go beside it")


def run(args: argparse.Namespace) -> None:
    os.environ.setdefault("RAYON_NUM_THREADS", "1")  # of the tokenizer: the rule has one
    settings = read_settings(Shards, args.settings)
    subwords = Subwords(args.tokenizer)
    template = subwords.template
    counts: Counter[str] = Counter()
    if args.links is None:
        kind, schema = "monolingual", MONOLINGUAL_SCHEMA
        text = open_parquet(args.text, ["id", "language", "text"], "passages")
    else:
        if args.forward is None or args.reverse is None:
            raise UserError("--links needs --forward and --reverse too; all three are made by the align command")
        kind, schema = "pairs", PAIR_SCHEMA
        text = open_parquet(args.text, ["id", "source", "target", "source_words", "target_words"], "pairs")
    about = {"schema": SCHEMA_VERSION, "kind": kind, "tokenizer": subwords.sha256}
    with Progress("shards", text.rows, "rows") as progress:
        pieces = Pieces(subwords)
        if args.links is None:
            room = settings.max_length - len(template.prefix) - len(template.suffix)
            tables = passage_rows(text, pieces, room, counts, progress)
        else:
            files = (args.links, args.forward, args.reverse)
            tables = pair_rows(text, files, pieces, settings.max_length - template.pair_overhead, counts, progress)
        noted = schema.with_metadata({f"weam.{key}": str(value) for key, value in about.items()})
        parts = write_parts(tables, noted, args.out, settings.rows_per_shard)
    manifest = about | {
        "template": template._asdict(),
        "max_length": settings.max_length,
        "rows": sum(int(part["rows"]) for part in parts),
        "counts": dict(sorted(counts.items())),
        "parts": parts,
    }
    write_json(args.out, sealed(manifest))


def write_parts(tables: Iterable[Any], schema: pa.Schema, out: Path, rows_per_shard: int) -> list[dict[str, Any]]:
    """Write rows to part-*.parquet beside ``out`` and say what is in them.

    An earlier result goes when the first rows are there: by then the inputs can be read.
    """
    folder, parts = out.parent, list[dict[str, Any]]()
    groups = row_groups(tables, schema, rows_per_shard)
    group = next(groups, None)
    while group is not None or not parts:
        path, rows = folder / f"part-{len(parts):05d}.parquet", 0
        with atomic_path(path) as temporary:
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                while group is not None:
                    writer.write_table(group)
                    rows += group.num_rows
                    group = next(groups, None)
                    if rows == rows_per_shard:
                        break
            if not parts:
                out.unlink(missing_ok=True)
                for stale in folder.glob("part-*.parquet"):
                    stale.unlink()
        parts.append({"name": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": sha256(path)})
    return parts


def row_groups(tables: Iterable[Any], schema: pa.Schema, rows_per_shard: int) -> Iterator[Any]:
    """The rows in tables of :data:`ROW_GROUP` rows, fewer at the end of a part."""
    waiting, done = schema.empty_table(), 0
    for table in itertools.chain(tables, [None]):
        if table is not None:
            waiting = pa.concat_tables([waiting, table])
        while waiting.num_rows:
            size = min(ROW_GROUP, rows_per_shard - done % rows_per_shard)
            if table is not None and waiting.num_rows < size:
                break
            group = waiting.slice(0, size).combine_chunks()
            waiting = waiting.slice(size)
            done += group.num_rows
            yield group


def passage_rows(text: Table, pieces: Pieces, room: int, counts: Counter[str], progress: Progress) -> Iterator[Any]:
    """Tables of MONOLINGUAL_SCHEMA; passages of more than ``room`` sub-words are cut into pieces."""
    for batch in text.batches(BATCH):
        found = pieces.encode(batch.column("text"))
        for language in batch.column("language").unique().to_pylist():
            mask = batch.column("language").to_numpy(zero_copy_only=False) == language
            counts[f"sub-words {language}"] += int(found.lengths[mask].sum())
        if empty := int((found.lengths == 0).sum()):
            counts["passages without sub-words"] += empty
        cuts = -(-found.lengths // room)  # pieces of each passage
        rows = np.repeat(np.arange(len(cuts)), cuts)
        sizes = np.minimum(room, found.lengths[rows] - spread(np.zeros(len(cuts), np.int64), cuts) * room)
        columns = [batch.column(name).take(pa.array(rows)) for name in ("id", "language")]
        yield pa.table([*columns, lists(found.ids, sizes, IDS)], schema=MONOLINGUAL_SCHEMA)
        progress.step(batch.num_rows)


def pair_rows(
    text: Table, files: LinkFiles, pieces: Pieces, room: int, counts: Counter[str], progress: Progress
) -> Iterator[Any]:
    """Tables of PAIR_SCHEMA; of ``room`` sub-words at most in each pair."""
    with contextlib.ExitStack() as stack:
        streams = [(path, stack.enter_context(open(path, "rb"))) for path in files]
        line = 0
        for batch in text.batches(BATCH):
            source, target = (side(batch, name, pieces, text.path) for name in ("source", "target"))
            links, forward, reverse = (
                take_links(stream, path, line, source.counts, target.counts) for path, stream in streams
            )
            line += batch.num_rows
            yield pairs(batch, source, target, links, (forward, reverse), room, counts)
            progress.step(batch.num_rows)
        for path, stream in streams:
            if stream.readline():
                raise UserError(f"{path}: more lines than the {line} rows of {text.path}; run the align stage again")


def pairs(
    batch: Any, source: Side, target: Side, links: Links, both: tuple[Links, Links], room: int, counts: Counter[str]
) -> Any:
    """The rows of PAIR_SCHEMA of a batch; those that cannot be used are left out and counted."""
    keep_s, keep_t = truncated(source.lengths, target.lengths, room)
    wordy = np.maximum(source.counts, target.counts) > MAX_WORDS
    empty = ~wordy & ((keep_s == 0) | (keep_t == 0))
    for reason, rows in ((f"pairs over {MAX_WORDS} words on a side", wordy), (NO_SUBWORDS, empty)):
        if rows.any():
            counts[reason] += int(rows.sum())
    good = ~(wordy | empty)
    keep_s, keep_t = keep_s * good, keep_t * good
    projected, found = project_links(links.where(good[links.rows]), source, target, keep_s, keep_t)
    ones = one_to_one_links(*both, source, target, keep_s, keep_t)
    counts["pairs truncated"] += int((good & ((keep_s < source.lengths) | (keep_t < target.lengths))).sum())
    counts["sub-word links"] += len(projected.rows)
    counts["sub-word links lost to truncation"] += found - len(projected.rows)
    counts["sub-words source"] += int(keep_s.sum())
    counts["sub-words target"] += int(keep_t.sum())
    kept_s = source.places() < np.repeat(keep_s, source.lengths)
    kept_t = target.places() < np.repeat(keep_t, target.lengths)
    linked, single = (np.bincount(some.rows, minlength=len(good))[good] for some in (projected, ones))
    columns = [
        batch.column("id").filter(pa.array(good)),
        lists(source.ids[kept_s], keep_s[good], IDS),
        lists(target.ids[kept_t], keep_t[good], IDS),
        lists(source.words[kept_s], keep_s[good], PLACES),
        lists(target.words[kept_t], keep_t[good], PLACES),
        lists(projected.source, linked, PLACES),
        lists(projected.target, linked, PLACES),
        lists(ones.source, single, PLACES),
        lists(ones.target, single, PLACES),
        *(
            pa.array(values[good], pa.int32())
            for values in (
                *(source.counts, target.counts),
                *(whole_at_start(source, keep_s), whole_at_start(target, keep_t)),
            )
        ),
    ]
    return pa.table(columns, schema=PAIR_SCHEMA)


def lists(values: Ints, lengths: Ints, kind: Any) -> Any:
    """A column of lists of these lengths."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, kind.value_type), type=kind)
