"""Checkpoints of a training run: a kill at any moment leaves a good one, and only the run that wrote it uses it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from weam.errors import UserError
from weam.io import atomic_path, read_object, sha256, write_json

KEEP = 2
"""Checkpoints that are kept: if the last one is broken, there is one more."""


class Checkpoints:
    """Folder ``work/<key>`` with ``step-*.pt`` and, written after it, the record ``step-*.json`` that makes it valid.

    ``key`` is a hash of what defines the run. The folder is locked as long as the process lives.

    Raises:
        UserError: another process has the lock.
    """

    def __init__(self, work: Path, key: str) -> None:
        self.work, self.key, self.folder = work, key, work / key
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.folder)
        if self._lock is None:
            raise UserError(
                f"{self.folder}: another process trains this run ({_owner(self.folder)}); "
                "wait for it, or stop it and start this command again"
            )

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after ``step`` steps; then remove all but the last :data:`KEEP`."""
        path = self.folder / f"step-{step:09d}.pt"
        with atomic_path(path) as temporary:
            with open(temporary, "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            record = {"run": self.key, "step": step, "bytes": temporary.stat().st_size, "sha256": sha256(temporary)}
        write_json(path.with_suffix(".json"), record)
        for old in self._records()[KEEP:]:
            old.unlink()
            old.with_suffix(".pt").unlink(missing_ok=True)
        for orphan in set(self.folder.glob("step-*.pt")) - {r.with_suffix(".pt") for r in self._records()}:
            orphan.unlink()

    def load(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Good checkpoints, newest first; a broken or foreign one is named on stderr and left out."""
        for record in self._records():
            try:
                yield self._read(record)
            except UserError as error:
                self.refuse(str(error))

    @staticmethod
    def refuse(reason: str) -> None:
        print(f"{reason}; the checkpoint is not used", file=sys.stderr)

    def finish(self) -> None:
        """Remove the checkpoints of this run, and those that other runs, not running now, left in the work folder."""
        self._unlock()
        for folder in [path for path in self.work.iterdir() if (path / "lock").is_file()]:
            lock = _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                lock.close()
        with contextlib.suppress(OSError):  # not empty
            self.work.rmdir()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def close(self) -> None:
        self._unlock()

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
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise UserError(f"{path}: broken ({str(error).splitlines()[0]})") from None
        return int(record["step"]), dict(state)


def _lock(folder: Path) -> IO[str] | None:
    """An open file that holds the lock of a folder; None if another process has it."""
    file = open(folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - open as long as it is locked
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:  # a file system without locks
        print(f"{folder}: cannot be locked ({error.strerror}); start no second run of it", file=sys.stderr)
    file.truncate(0)
    job = os.environ.get("SLURM_JOB_ID")
    file.write(f"process {os.getpid()} on {socket.gethostname()}" + (f", Slurm job {job}" if job else ""))
    file.flush()
    return file


def _owner(folder: Path) -> str:
    return (folder / "lock").read_text(encoding="utf-8") or "unknown"
