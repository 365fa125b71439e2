"""Locks on folders that only one process may write to; the file of a lock says who has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from weam.errors import UserError


def lock(folder: Path, name: str, doing: str) -> IO[str]:
    """Lock a folder, which is made if need be, by its file ``name``; the lock lasts as long as the file is open.

    Raises :class:`UserError`, with what the other process is ``doing``, when another one has the lock.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / name, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115 - open as long as it is locked
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{folder}: another process {doing} here ({file.read() or 'unknown'}); "
                "wait for it, or stop it and start this command again"
            ) from None
        except OSError as error:  # a file system without locks
            print(f"{folder}: cannot be locked ({error.strerror}); start no second run here", file=sys.stderr)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(folder / name)):
                break
        file.close()  # the process that had it has just removed it
    file.truncate(0)
    job = os.environ.get("SLURM_JOB_ID")
    file.write(f"process {os.getpid()} on {socket.gethostname()}" + (f", Slurm job {job}" if job else ""))
    file.flush()
    return file


@contextlib.contextmanager
def locked(folder: Path, name: str, doing: str) -> Iterator[None]:
    """Have a folder locked for the time of a block; the file is removed then."""
    with lock(folder, name, doing):
        try:
            yield
        finally:
            (folder / name).unlink(missing_ok=True)
