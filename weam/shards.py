"""Write Parquet shards: sub-words of both sides and the links between them, so that training needs no tokenizer.

Each sentence is tokenised as it stands (not word by word: SentencePiece would see spaces that are not there) and every
sub-word is given to the word that its first character belongs to.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from weam.config import Shards
from weam.errors import UserError
from weam.io import atomic_path, sha256, write_json
from weam.progress import Progress
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.tables import Table, open_parquet

SCHEMA_VERSION = 2
IDS, PLACES = pa.list_(pa.int32()), pa.list_(pa.int16())
PAIR_SCHEMA = pa.schema(
    [("id", pa.int64()), ("source_ids", IDS), ("target_ids", IDS)]
    + [
        (name, PLACES)
        for name in ("source_word", "target_word", "link_source", "link_target", "one_source", "one_target")
    ]
    + [(name, pa.int32()) for name in ("source_words", "target_words", "source_whole", "target_whole")]
)
MONOLINGUAL_SCHEMA = pa.schema([("id", pa.int64()), ("language", pa.string()), ("ids", IDS)])
MAX_WORDS = 32767
ROW_GROUP = 1000
"""Rows that are read together; training shuffles row groups, then the rows of many of them."""

Link = tuple[int, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", required=True, type=Path, help="text.parquet of a pair or of passages")
    parser.add_argument("--links", type=Path, help="symmetrised Pharaoh links of the pairs; without: passages")
    parser.add_argument("--forward", type=Path, help="forward links (for the one-to-one links of word_align)")
    parser.add_argument("--reverse", type=Path, help="reverse links")
    parser.add_argument("--tokenizer", required=True, type=Path, help="tokenizer or model folder")
    parser.add_argument("--settings", help="shard settings: inline JSON or a file")
    parser.add_argument("--out", required=True, type=Path, help="manifest.json to make; the parts go beside it")


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Shards, args.settings)
    subwords = Subwords(args.tokenizer)
    counts: Counter[str] = Counter()
    rows: Iterator[dict[str, Any]]
    if args.links is None:
        kind, schema = "monolingual", MONOLINGUAL_SCHEMA
        text = open_parquet(args.text, ["id", "language", "text"], "passages")
        rows = passage_rows(text, subwords, settings, counts)
    else:
        if args.forward is None or args.reverse is None:
            raise UserError("--links needs --forward and --reverse too; all three are made by the align command")
        kind, schema = "pairs", PAIR_SCHEMA
        columns = ["id", "source", "target", "source_words", "target_words"]
        text = open_parquet(args.text, columns, "pairs")
        rows = pair_rows(text, args, subwords, settings, counts)
    folder = args.out.parent
    parts = []
    with Progress("shards", text.rows, "rows") as progress:
        for number in itertools.count():
            part = list(itertools.islice(rows, settings.rows_per_shard))
            if not part and number:
                break
            name = f"part-{number:05d}.parquet"
            with atomic_path(folder / name) as path:
                pq.write_table(
                    pa.Table.from_pylist(part, schema=schema), path, compression="zstd", row_group_size=ROW_GROUP
                )
                if not number:  # the inputs can be read: only now does the earlier result go
                    args.out.unlink(missing_ok=True)
                    for stale in folder.glob("part-*.parquet"):
                        stale.unlink()
            parts.append(
                {
                    "name": name,
                    "rows": len(part),
                    "bytes": (folder / name).stat().st_size,
                    "sha256": sha256(folder / name),
                }
            )
            progress.step(len(part))
            if len(part) < settings.rows_per_shard:
                break
    manifest = {
        "schema": SCHEMA_VERSION,
        "kind": kind,
        "tokenizer": subwords.sha256,
        "template": subwords.template._asdict(),
        "max_length": settings.max_length,
        "rows": sum(int(part["rows"]) for part in parts),
        "counts": dict(sorted(counts.items())),
        "parts": parts,
    }
    write_json(args.out, manifest)


def passage_rows(text: Table, subwords: Subwords, settings: Shards, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """Rows of MONOLINGUAL_SCHEMA; long passages are cut into pieces of at most the maximum length."""
    room = settings.max_length - len(subwords.template.prefix) - len(subwords.template.suffix)
    for batch in text.batches(2000):
        texts = batch.column("text").to_pylist()
        keys = zip(batch.column("id").to_pylist(), batch.column("language").to_pylist(), strict=True)
        for (number, language), encoding in zip(keys, subwords.encode(texts), strict=True):
            counts[f"sub-words {language}"] += len(encoding.ids)
            if not encoding.ids:
                counts["passages without sub-words"] += 1
            for start in range(0, len(encoding.ids), room):
                yield {"id": number, "language": language, "ids": encoding.ids[start : start + room]}


def pair_rows(
    text: Table, args: argparse.Namespace, subwords: Subwords, settings: Shards, counts: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Rows of PAIR_SCHEMA."""
    room = settings.max_length - subwords.template.pair_overhead
    with contextlib.ExitStack() as stack:
        files = [
            (path, stack.enter_context(open(path, encoding="utf-8", errors="replace")))
            for path in (args.links, args.forward, args.reverse)
        ]
        line = 0
        for batch in text.batches(2000):
            rows = batch.to_pylist()
            sources = subwords.encode([row["source"] for row in rows])
            targets = subwords.encode([row["target"] for row in rows])
            for row, source, target in zip(rows, sources, targets, strict=True):
                line += 1
                bounds = (len(row["source_words"]), len(row["target_words"]))
                links, forward, reverse = (read_links(file, path, line, bounds) for path, file in files)
                source_word = words_of_subwords(row["source"], row["source_words"], source.offsets)
                target_word = words_of_subwords(row["target"], row["target_words"], target.offsets)
                keep_s, keep_t = truncated_lengths(len(source.ids), len(target.ids), room)
                if max(bounds) > MAX_WORDS:
                    counts[f"pairs over {MAX_WORDS} words on a side"] += 1
                    continue
                if not keep_s or not keep_t:
                    counts["pairs without sub-words on a side"] += 1
                    continue
                projected = project(links, source_word, target_word)
                kept = [(i, j) for i, j in projected if i < keep_s and j < keep_t]
                counts["pairs truncated"] += (keep_s, keep_t) != (len(source.ids), len(target.ids))
                counts["sub-word links"] += len(kept)
                counts["sub-word links lost to truncation"] += len(projected) - len(kept)
                counts["sub-words source"] += keep_s
                counts["sub-words target"] += keep_t
                ones = [
                    (i, j)
                    for i, j in one_to_one(forward, reverse)
                    if whole(i, source_word, keep_s) and whole(j, target_word, keep_t)
                ]
                yield {
                    "id": row["id"],
                    "source_ids": source.ids[:keep_s],
                    "target_ids": target.ids[:keep_t],
                    "source_word": source_word[:keep_s],
                    "target_word": target_word[:keep_t],
                    "link_source": [i for i, _ in kept],
                    "link_target": [j for _, j in kept],
                    "one_source": [i for i, _ in ones],
                    "one_target": [j for _, j in ones],
                    "source_words": bounds[0],
                    "target_words": bounds[1],
                    "source_whole": whole_words(source_word, keep_s, bounds[0]),
                    "target_whole": whole_words(target_word, keep_t, bounds[1]),
                }
        for path, file in files:
            if file.readline():
                raise UserError(f"{path}: more lines than the {line} rows of {args.text}; run the align stage again")


def read_links(file: Iterable[str], path: Path, line: int, bounds: Link) -> list[Link]:
    """One line of Pharaoh links, checked against the numbers of words of both sides."""
    text = next(iter(file), None)
    if text is None:
        raise UserError(f"{path}: ends before line {line}; run the align stage again")
    links = []
    for item in text.split():
        try:
            i, j = map(int, item.split("-"))
        except ValueError:
            raise UserError(f"{path}, line {line}: {item!r} is not a link i-j; run the align stage again") from None
        if not (0 <= i < bounds[0] and 0 <= j < bounds[1]):
            raise UserError(f"{path}, line {line}: link {item} lies outside of {bounds[0]} x {bounds[1]} words")
        links.append((i, j))
    return links


def words_of_subwords(sentence: str, words: list[str], offsets: list[tuple[int, int]]) -> list[int]:
    """The index of the word that each sub-word's first character belongs to.

    Words are found one after the other in the sentence. A sub-word that starts between words (a lone SentencePiece
    space mark) goes to the next word.
    """
    ends, place = [], 0
    for word in words:
        place = sentence.find(word, place)
        if place < 0:
            raise UserError(
                f"the word {word!r} is not found in order in the sentence {sentence[:80]!r}; run text again"
            )
        place += len(word)
        ends.append(place)
    return [min(bisect_right(ends, start), len(words) - 1) for start, _ in offsets]


def truncated_lengths(source: int, target: int, room: int) -> Link:
    """Lengths after cutting the longer side until both fit into ``room``."""
    if source + target <= room:
        return source, target
    half = room // 2
    if source <= half:
        return source, room - source
    if target <= half:
        return room - target, target
    return room - half, half


def project(links: list[Link], source_word: list[int], target_word: list[int]) -> list[Link]:
    """Word links as links between all sub-words of the one word and all sub-words of the other, sorted."""
    places_s: dict[int, list[int]] = {}
    places_t: dict[int, list[int]] = {}
    for places, words in ((places_s, source_word), (places_t, target_word)):
        for place, word in enumerate(words):
            places.setdefault(word, []).append(place)
    return sorted((a, b) for i, j in set(links) for a in places_s.get(i, ()) for b in places_t.get(j, ()))


def one_to_one(forward: list[Link], reverse: list[Link]) -> list[Link]:
    """Links in both directions whose two words have no other such link (Cao, Kitaev and Klein 2020)."""
    both = sorted(set(forward) & set(reverse))
    left, right = Counter(i for i, _ in both), Counter(j for _, j in both)
    return [(i, j) for i, j in both if left[i] == right[j] == 1]


def whole_words(words: list[int], keep: int, count: int) -> int:
    """How many of ``count`` words come before the first one that truncation to ``keep`` sub-words cut or removed."""
    return words[keep] if keep < len(words) else count


def whole(word: int, words: list[int], keep: int) -> bool:
    """Whether a word has sub-words and truncation to ``keep`` sub-words left all of them."""
    last = bisect_right(words, word)  # words never decrease
    return 0 < last <= keep and words[last - 1] == word
