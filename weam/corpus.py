"""Parquet shards as a source of examples; rows are read when their turn comes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from weam import nested
from weam.batches import Ints
from weam.checksums import require_sealed, require_sum
from weam.errors import UserError
from weam.io import read_object
from weam.shards import SCHEMA_VERSION
from weam.subwords import Template

TEXTS = {"pairs": ("source_ids", "target_ids"), "monolingual": ("ids",)}


KEYS: dict[str, type] = {"kind": str, "tokenizer": str, "template": dict, "max_length": int, "rows": int, "parts": list}
SUBSET = {"of": 0, "seed": 0, "threshold": 0}
"""What the manifest of a subset says beside (weam.subset): rows of the whole, and which of them belong to it."""


def _check(path: Path, manifest: dict[str, Any]) -> None:
    """Refuse a manifest that is not as the shards command writes it."""
    for key, kind in KEYS.items():
        if not isinstance(manifest.get(key), kind):
            raise UserError(f"{path}: not a manifest of shards (no {key}); make it again")
    if set(manifest["template"]) != set(Template._fields):
        raise UserError(f"{path}: not a manifest of shards (another template); make it again")
    for part in manifest["parts"]:
        if not isinstance(part, dict) or not {"name", "bytes", "sha256"} <= part.keys():
            raise UserError(f"{path}: not a manifest of shards (a part without name, bytes or sha256); make it again")
    subset = manifest.get("subset", SUBSET)
    if (
        not isinstance(subset, dict)
        or subset.keys() != SUBSET.keys()
        or any(type(n) is not int for n in subset.values())
    ):
        raise UserError(f"{path}: not a manifest of a subset (no of, seed or threshold); make it again")


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest of shards or of a subset of them; another schema or a changed file is a :class:`UserError`."""
    manifest = read_object(path)
    if manifest.get("schema") != SCHEMA_VERSION:
        raise UserError(
            f"{path}: made with schema {manifest.get('schema')} of shards, this version reads "
            f"{SCHEMA_VERSION}; make it again"
        )
    _check(Path(path), manifest)
    require_sealed(Path(path), manifest, "delete it to make it again")
    return manifest


class Shards:
    """The shards of a manifest (a :class:`weam.batches.Source`); only ``columns`` are read.

    Raises:
        UserError: another schema, kind or tokenizer than the caller's, or a part that is missing or was changed.
    """

    def __init__(self, manifest: str | Path, tokenizer: str, *kinds: str, columns: Sequence[str] = ()) -> None:
        self.path = Path(manifest)
        self.manifest = read_manifest(manifest)
        cure = f"delete {manifest} to make it again"
        self.kind = str(self.manifest["kind"])
        if self.kind not in kinds:
            raise UserError(f"{manifest}: holds {self.kind}, but {' or '.join(kinds)} are needed")
        if self.manifest["tokenizer"] != tokenizer:
            theirs, ours = str(self.manifest["tokenizer"])[:12], tokenizer[:12]
            raise UserError(
                f"{manifest}: made with another tokenizer (tokenizer.json has the SHA-256 {theirs}…) than the model's "
                f"({ours}…); make the shards again with the model"
            )
        self.template = Template(**self.manifest["template"])
        self.texts = TEXTS[self.kind]
        self.columns = list(dict.fromkeys([*self.texts, *columns]))
        self.rows = int(self.manifest["rows"])
        if not self.rows:
            raise UserError(f"{manifest}: has no rows; see the corpus's funnel.json for what the filters removed")
        sizes: list[int] = []
        self._places: list[tuple[Path, int, int]] = []
        self._first: dict[Path, int] = {}
        row = 0
        for part in self.manifest["parts"]:
            path = self.path.parent / part["name"]
            if not path.is_file() or path.stat().st_size != part["bytes"]:
                raise UserError(
                    f"{path}: missing or of another size than in {manifest}; delete {manifest} to make it again"
                )
            require_sum(path, part["sha256"], self.path, cure)
            try:
                footer = pq.read_metadata(path)
            except (pa.ArrowException, OSError) as error:
                raise self._broken(path, error) from None
            lacking = [name for name in self.columns if name not in footer.schema.to_arrow_schema().names]
            if lacking:
                raise UserError(f"{path}: has no column {lacking[0]}; delete {manifest} to make it again")
            self._first[path] = row
            for group in range(footer.num_row_groups):
                sizes.append(footer.row_group(group).num_rows)
                self._places.append((path, group, row))
                row += sizes[-1]
        self.blocks: Ints = np.array(sizes, dtype=np.int64)
        self.subset: dict[str, int] | None = self.manifest.get("subset")
        if self.subset is not None:
            self._take_subset(self.subset)

    def _take_subset(self, subset: dict[str, int]) -> None:
        """Blocks are then the members of row groups; row groups without members are left out."""
        starts: Ints = np.array([start for _, _, start in self._places], dtype=np.int64)
        members = nested.counts(starts, self.blocks, subset["seed"], subset["threshold"])
        if int(self.blocks.sum()) != subset["of"] or int(members.sum()) != self.rows:
            raise UserError(f"{self.path}: not of these parts, which have other rows; delete it to make it again")
        there = np.flatnonzero(members)
        self._places = [self._places[number] for number in there]
        self.blocks = members[there]

    def _members(self, table: pa.Table, start: int) -> pa.Table:
        """Of the rows from row ``start`` on, those of the subset; all where there is none."""
        if self.subset is None:
            return table
        chosen = nested.members(start, table.num_rows, self.subset["seed"], self.subset["threshold"])
        return table.filter(pa.array(chosen))

    @staticmethod
    def kind_of(manifest: Path) -> str:
        """What a manifest says that its shards hold."""
        found = read_object(manifest)
        _check(manifest, found)
        return str(found["kind"])

    def read(self, blocks: Ints) -> pa.Table:
        """Rows of these row groups (ascending), one after the other."""
        groups: dict[Path, dict[int, int]] = {}
        for block in blocks:
            path, group, start = self._places[block]
            groups.setdefault(path, {})[group] = start
        tables = []
        for path, starts in groups.items():
            try:
                with pq.ParquetFile(path) as file:
                    if self.subset is None:
                        tables.append(file.read_row_groups(list(starts), columns=self.columns, use_threads=False))
                        continue
                    for group, start in starts.items():
                        table = file.read_row_group(group, columns=self.columns, use_threads=False)
                        tables.append(self._members(table, start))
            except (pa.ArrowException, OSError) as error:
                raise self._broken(path, error) from None
        table = pa.concat_tables(tables).combine_chunks()
        for name in self.texts:
            highest = pc.max(pc.list_flatten(table.column(name))).as_py()
            if highest is not None and highest >= self.template.vocab_size:
                raise UserError(
                    f"{self.path}: its parts have the sub-word {highest}, the tokenizer {self.template.vocab_size}; "
                    "delete it to make it again"
                )
        return table

    def longer_than(self, words: int) -> int:
        """Number of pairs with more than ``words`` words on a side."""
        count = 0
        for path, start in self._first.items():
            table = pq.read_table(path, columns=["source_words", "target_words"], use_threads=False)
            table = self._members(table, start)
            longest = pc.max_element_wise(table.column("source_words"), table.column("target_words"))
            count += pc.sum(pc.greater(longest, words)).as_py() or 0
        return count

    def _broken(self, path: Path, error: Exception) -> UserError:
        return UserError(f"{path}: broken ({str(error).splitlines()[0]}); delete {self.path} to make it again")
