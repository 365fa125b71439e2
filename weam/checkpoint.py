"""Checkpoints of a training run: a kill at any moment leaves a good one, and only the run that wrote it uses it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
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

    ``key`` is a hash of what defines the run. The work folder is locked as long as the process lives.

    Raises:
        UserError: another process has the lock.
    """

    def __init__(self, work: Path, key: str) -> None:
        self.work, self.key, self.folder = work, key, work / key
        self._lock = _lock(work)
        self.folder.mkdir(exist_ok=True)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after ``step`` steps; then remove all but the last :data:`KEEP`."""
        path = self.folder / f"step-{step:09d}.pt"
        with atomic_path(path) as temporary:
            with open(temporary, "wb") as stream:
                file = _Hashing(stream)
                torch.save(state, file)  # type: ignore[arg-type]
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
        """Remove all checkpoints of the work folder, those of earlier runs with other settings too."""
        try:
            for folder in [path for path in self.work.iterdir() if _is_run(path)]:
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


class _Hashing:
    """A file that is hashed while it is written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def write(self, data: Any) -> int:
        self._digest.update(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


LOCK = "lock"


def _is_run(path: Path) -> bool:
    """Whether a folder is one of checkpoints, by its name."""
    return path.is_dir() and len(path.name) == 16 and set(path.name) <= set("0123456789abcdef")


def _lock(work: Path) -> IO[str]:
    """Lock a work folder, which is made if need be; the lock lasts as long as the file is open."""
    while True:
        work.mkdir(parents=True, exist_ok=True)
        file = open(work / LOCK, "a+", encoding="utf-8")  # noqa: SIM115 - open as long as it is locked
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{work}: another process trains here ({file.read() or 'unknown'}); "
                "wait for it, or stop it and start this command again"
            ) from None
        except OSError as error:  # a file system without locks
            print(f"{work}: cannot be locked ({error.strerror}); start no second run here", file=sys.stderr)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(work / LOCK)):
                break
        file.close()  # a finished run has just removed it
    file.truncate(0)
    job = os.environ.get("SLURM_JOB_ID")
    file.write(f"process {os.getpid()} on {socket.gethostname()}" + (f", Slurm job {job}" if job else ""))
    file.flush()
    return file
