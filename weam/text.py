"""Clean, filter, de-duplicate and segment corpora into words, and count what each filter removed.

Several sources are read one after the other; a row keeps the number of its line among them as its id. With
--monolingual the passages of all languages are cleaned and de-duplicated only.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from weam.config import Text
from weam.errors import UserError
from weam.io import atomic_path, write_json
from weam.progress import Progress
from weam.readers import Fault, Release
from weam.readers.monolingual import Passage, read_passages
from weam.readers.parallel import RawPair, read_pairs
from weam.settings import read_settings
from weam.words import clean, segmenter

BATCH = 10_000
"""Rows per Parquet row group."""

PAIRS = pa.schema(
    [
        ("id", pa.int64()),
        ("source", pa.string()),
        ("target", pa.string()),
        ("source_words", pa.list_(pa.string())),
        ("target_words", pa.list_(pa.string())),
    ]
)
PASSAGES = pa.schema([("id", pa.int64()), ("language", pa.string()), ("text", pa.string())])

EMPTY, SHORT, LONG, RATIO = "empty side", "too few words", "too many words", "length ratio"
DUPLICATE, BEYOND = "duplicate", "beyond max_pairs"

Row = tuple[Any, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--manifest", type=Path, action="append", required=True, help="of a source; may be repeated")
    parser.add_argument("--languages", nargs="+", required=True, metavar="LANG", help="en and the target language")
    parser.add_argument("--monolingual", action="store_true", help="write passages of all --languages, not pairs")
    parser.add_argument("--settings", help="the text block of the configuration (JSON or file)")
    parser.add_argument("--out", type=Path, required=True, help="text.parquet")
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json: rows per filter")


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Text, args.settings)
    releases = [Release(path) for path in args.manifest]
    rows: Iterator[Row | str]
    if args.monolingual:
        for language in args.languages:
            if not any(language in release.languages for release in releases):
                names = ", ".join(release.name for release in releases)
                raise UserError(f"--languages: no source has text in {language!r} ({names}); add one or drop it")
        corpus, unit, schema = "mono", "passages", PASSAGES
        filters = Funnel([EMPTY, *([DUPLICATE] if settings.deduplicate else [])])
        rows = filter_passages((p for release in releases for p in read_passages(release, args.languages)), settings)
    else:
        if len(args.languages) != 2 or args.languages[0] != "en" or args.languages[1] == "en":
            raise UserError(
                f"--languages {' '.join(args.languages)}: pairs are of en and one other language; write en LANG"
            )
        language = args.languages[1]
        corpus, unit, schema = f"en-{language}", "pairs", PAIRS
        filters = Funnel(
            [EMPTY, SHORT, LONG, RATIO]
            + ([DUPLICATE] if settings.deduplicate else [])
            + ([BEYOND] if language in settings.max_pairs else [])
        )
        pairs = (pair for release in releases for pair in read_pairs(release, language))
        rows = filter_pairs(pairs, language, settings)
    with atomic_path(args.out) as temporary:
        _write(rows, schema, temporary, filters, Progress(f"text {corpus}", None, unit))
        if not filters.kept:
            raise UserError(
                f"{corpus}: none of the {filters.read} {unit} is left ({filters.sentence()}); "
                "check the sources and the text block of the configuration"
            )
    sources = [release.name for release in releases]
    write_json(args.funnel, {"corpus": corpus, "sources": sources, "steps": filters.steps()})


class Funnel:
    """Counts of rows read, removed (per reason) and kept; the filters are listed even when they removed nothing."""

    def __init__(self, filters: list[str]) -> None:
        self.read = self.kept = 0
        self.filters = dict.fromkeys(filters, 0)
        self.faults: dict[str, int] = {}

    def remove(self, reason: str) -> None:
        """Count one removed row."""
        counts = self.filters if reason in self.filters else self.faults
        counts[reason] = counts.get(reason, 0) + 1

    def removed(self) -> dict[str, int]:
        """Faults of the files by name, then the filters in their order."""
        return dict(sorted(self.faults.items())) | self.filters

    def sentence(self) -> str:
        """The reasons that removed anything."""
        return ", ".join(f"{reason}: {count}" for reason, count in self.removed().items() if count) or "nothing read"

    def steps(self) -> list[dict[str, Any]]:
        """The steps as funnel.json has them; every row that was read is accounted for."""
        removed = self.removed()
        assert self.read == self.kept + sum(removed.values()), (self.read, self.kept, removed)
        return [
            {"step": "read", "rows": self.read},
            *({"step": reason, "removed": count} for reason, count in removed.items()),
            {"step": "kept", "rows": self.kept},
        ]


def filter_pairs(pairs: Iterable[RawPair | Fault], language: str, settings: Text) -> Iterator[Row | str]:
    """For each line, the row of text.parquet or the reason for its removal; the id is the number of the line."""
    words_of = [segmenter(name, settings.segmenter.get(name)) for name in ("en", language)]
    most = settings.max_pairs.get(language)
    kept, seen = 0, set[bytes]()
    for number, pair in enumerate(pairs):
        if isinstance(pair, Fault):
            yield pair.reason
            continue
        if most is not None and kept >= most:
            yield BEYOND
            continue
        source, target = clean(pair.english), clean(pair.other)
        if not source or not target:
            yield EMPTY
            continue
        if max(source.count(" "), target.count(" ")) >= settings.max_words:  # each piece has at least one word
            yield LONG
            continue
        source_words, target_words = words_of[0](source), words_of[1](target)
        shorter, longer = sorted((len(source_words), len(target_words)))
        if shorter < settings.min_words:
            yield SHORT
        elif longer > settings.max_words:
            yield LONG
        elif (longer + 3) / (shorter + 3) > settings.max_ratio:
            yield RATIO
        elif settings.deduplicate and _known(f"{source}\t{target}", seen):
            yield DUPLICATE
        else:
            kept += 1
            yield number, source, target, source_words, target_words


def filter_passages(passages: Iterable[Passage], settings: Text) -> Iterator[Row | str]:
    """For each passage, the row of text.parquet or the reason for its removal. Passages have no limit of length."""
    seen = set[bytes]()
    for number, (language, _, raw) in enumerate(passages):
        if isinstance(raw, Fault):
            yield raw.reason
            continue
        text = clean(raw)
        if not text:
            yield EMPTY
        elif settings.deduplicate and _known(f"{language}\t{text}", seen):
            yield DUPLICATE
        else:
            yield number, language, text


def _known(text: str, seen: set[bytes]) -> bool:
    """Whether the digest of ``text`` was seen before; 8 bytes stay in memory, not the text."""
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    if digest in seen:
        return True
    seen.add(digest)
    return False


def _write(rows: Iterable[Row | str], schema: pa.Schema, path: Path, funnel: Funnel, progress: Progress) -> None:
    batch: list[Row] = []
    with progress, pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            batch.clear()

        for row in rows:
            funnel.read += 1
            if isinstance(row, str):
                funnel.remove(row)
            else:
                funnel.kept += 1
                batch.append(row)
                if len(batch) == BATCH:
                    flush()
            progress.step()
        if batch:
            flush()
