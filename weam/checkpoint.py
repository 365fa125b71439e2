"""Checkpoints of a training run: a kill at any moment leaves a good one, and only the run that wrote it uses it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from weam.errors import UserError
from weam.io import atomic_path, read_object, sha256, write_json
from weam.locks import lock

KEEP = 2
"""Checkpoints that are kept: if the last one is broken, there is one more."""


class Checkpoints:
    """Folder ``work/<key>`` with ``step-*.pt`` and, written after it, the record ``step-*.json`` that makes it valid.

    ``key`` is a hash of what defines the run, ``out`` the model that it makes. The work folder is locked as long as the
    process lives.

    Raises:
        UserError: another process has the lock, or a checkpoint cannot be written.
    """

    def __init__(self, work: Path, key: str, out: Path) -> None:
        self.work, self.key, self.folder, self.out = work, key, work / key, str(out.resolve())
        self._lock = lock(work, LOCK, "trains")
        self.folder.mkdir(exist_ok=True)
        write_json(self.folder / RUN, {"out": self.out})
        if not self._records() and any(folder.glob("step-*.json") for folder in self._earlier()):
            print(f"{work}: its checkpoints are of other settings, data, code or versions: not used", file=sys.stderr)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after ``step`` steps; then remove all but the last :data:`KEEP`."""
        path = self.folder / f"step-{step:09d}.pt"
        with atomic_path(path) as temporary:
            with open(temporary, "wb") as stream:
                file = _Hashing(stream)
                try:
                    torch.save(state, file)  # type: ignore[arg-type]
                except (OSError, RuntimeError) as error:  # what torch makes of a full disk
                    raise UserError(
                        f"{path}: cannot be written ({file.error or str(error).splitlines()[0]}); make room, then "
                        "the same command goes on from the checkpoint before"
                    ) from None
                stream.flush()
                os.fsync(stream.fileno())
            record = {"run": self.key, "step": step, "bytes": temporary.stat().st_size, "sha256": file.hexdigest()}
        write_json(path.with_suffix(".json"), record)
        for old in self._records()[KEEP:]:
            old.unlink()
            old.with_suffix(".pt").unlink(missing_ok=True)
        for orphan in set(self.folder.glob("step-*.pt")) - {r.with_suffix(".pt") for r in self._records()}:
            orphan.unlink()

    def load(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Good checkpoints, newest first; a broken or foreign one is named on stderr and put aside."""
        for record in self._records():
            try:
                yield self._read(record)
            except UserError as error:
                self.refuse(record, str(error))
            except OSError as error:
                self.refuse(record, f"{record}: cannot be read ({error.strerror})")

    def refuse(self, record: Path | int, reason: str) -> None:
        """Put a checkpoint (its record, or its step) aside: it takes no place among those that are kept."""
        if isinstance(record, int):
            record = self.folder / f"step-{record:09d}.json"
        print(f"{reason}; the checkpoint is not used", file=sys.stderr)
        for path in (record, record.with_suffix(".pt")):
            with contextlib.suppress(OSError):
                path.rename(path.with_name(f"refused-{path.name}"))

    def finish(self) -> None:
        """Remove the checkpoints of this run, and those that earlier runs with the same output left here."""
        try:
            for folder in [self.folder, *self._earlier()]:
                shutil.rmtree(folder)
            (self.work / LOCK).unlink(missing_ok=True)
        except OSError as error:  # the model is written: that counts
            print(f"{self.work}: cannot be cleared up ({error.strerror}); remove it", file=sys.stderr)
        self.close()
        with contextlib.suppress(OSError):  # not there, or with files of somebody else
            self.work.rmdir()

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()

    def _earlier(self) -> list[Path]:
        """Folders of other runs that make the same model."""
        found = [path.parent for path in self.work.glob(f"*/{RUN}") if path.parent != self.folder]
        return [folder for folder in found if _output(folder) == self.out]

    def _records(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.json"), reverse=True)

    def _read(self, record_path: Path) -> tuple[int, dict[str, Any]]:
        record, path = read_object(record_path), record_path.with_suffix(".pt")
        if record.get("run") != self.key:
            raise UserError(f"{record_path}: of another run ({record.get('run')}), this is {self.key}")
        if not path.is_file():
            raise UserError(f"{path}: missing")
        if path.stat().st_size != record.get("bytes") or sha256(path) != record.get("sha256"):
            raise UserError(f"{path}: broken, it is not what was written")
        if not isinstance(record.get("step"), int):
            raise UserError(f"{record_path}: does not say its step")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise UserError(f"{path}: broken ({str(error).splitlines()[0]})") from None
        return int(record["step"]), dict(state)


class _Hashing:
    """A file that is hashed while it is written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._digest = stream, hashlib.sha256()
        self.error = ""

    def write(self, data: Any) -> int:
        self._digest.update(data)
        try:
            return self._stream.write(data)
        except OSError as error:
            self.error = error.strerror or str(error)
            raise

    def flush(self) -> None:
        self._stream.flush()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


LOCK, RUN = "lock", "run.json"


def _output(folder: Path) -> object:
    try:
        return read_object(folder / RUN).get("out")
    except (UserError, OSError):
        return None
