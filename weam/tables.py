"""Opening Parquet files that other stages made, with one clear sentence when one is missing, broken or another kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from weam.errors import UserError

FILES = {"text": "text.parquet", "evaluate": "items.parquet"}
"""Stage to the name of the files that it makes."""


class Table:
    """An open Parquet file; see :func:`open_parquet`."""

    def __init__(self, path: Path, file: Any, columns: Sequence[str], stage: str) -> None:
        self.path, self.file, self.columns, self.stage = path, file, list(columns), stage
        self.rows: int = file.metadata.num_rows

    def batches(self, size: int = 65536) -> Iterator[Any]:
        """Record batches of the columns; damage found on the way is a :class:`UserError`."""
        batches = self.file.iter_batches(batch_size=size, columns=self.columns)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise _broken(self.path, error, self.stage) from None
            if batch is None:
                return
            yield batch


def open_parquet(path: Path, columns: Sequence[str], what: str, stage: str = "text") -> Table:
    """Open ``path``, which must have ``columns``.

    ``what`` (pairs, passages) says in errors what it should hold, ``stage`` what makes it.
    """
    try:
        # buffered beforehand, what was read would stay in memory until the end
        file = pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
    except FileNotFoundError:
        raise UserError(f"{path}: the file does not exist; run the {stage} stage") from None
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error, stage) from None
    if missing := [name for name in columns if name not in file.schema_arrow.names]:
        raise UserError(f"{path}: has no column {missing[0]}; give the {FILES[stage]} of {what}")
    return Table(path, file, columns, stage)


def _broken(path: Path, error: Exception, stage: str) -> UserError:
    return UserError(f"{path}: not a Parquet file, or a broken one ({error}); delete it to run the {stage} stage again")
