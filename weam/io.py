"""Writing files so that a kill at any moment leaves either the old file or the new one, and reading JSON kindly."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weam.errors import UserError


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``; rename it to ``path`` when the block ends well, remove it otherwise.

    Works for a file and, if the block makes one, for a directory. An existing directory is first renamed aside and
    removed when the new one is in place; what killed processes left of either kind is cleared up at the start. An
    OSError that names no file, as that of a full disk, leaves with the name of this one.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    aside = final.with_name(f".{final.name}.{os.getpid()}.old")
    _remove(temporary)
    _sweep(final)
    try:
        yield temporary
        if temporary.is_dir() and final.exists():
            os.replace(final, aside)
            try:
                os.replace(temporary, final)
            except BaseException:
                if not final.exists():
                    os.replace(aside, final)
                raise
            _remove(aside)
        else:
            os.replace(temporary, final)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(final)
        raise
    finally:
        _remove(temporary)


@contextlib.contextmanager
def scratch_folder(beside: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside a path, removed afterwards; one that a killed process left is removed at the start.

    For what a stage needs while it works: in the system's folder for temporary files it would outlive a kill.
    """
    name = Path(beside).with_name(f"{Path(beside).name}.scratch")
    name.parent.mkdir(parents=True, exist_ok=True)
    folder = name.with_name(f".{name.name}.{os.getpid()}.tmp")
    _remove(folder)
    _sweep(name)
    folder.mkdir()
    try:
        yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def system_errors() -> Iterator[None]:
    """Errors of the system that a library in Rust words as "... (os error 28)" leave the block as OSError."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError | UserError) or not (found := re.search(r"\(os error ([0-9]+)\)", str(error))):
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from None


NO_ROOM = os.strerror(errno.ENOSPC)
_ROOM = 1 << 20
"""Bytes; where so few are free, a program that failed to write found no more."""


def no_room(path: Path) -> OSError | None:
    """What to raise for a program that failed while it wrote ``path``, if the disk is full."""
    if shutil.disk_usage(path.parent).free < _ROOM:
        return OSError(errno.ENOSPC, NO_ROOM, str(path))
    return None


def _sweep(final: Path) -> None:
    """Clear up what dead processes left beside ``final``; a folder renamed aside and not yet replaced comes back."""
    name = re.compile(rf"\.{re.escape(final.name)}\.([0-9]{{1,9}})\.(tmp|old)")
    for entry in os.listdir(final.parent):
        match = name.fullmatch(entry)
        if match and not _alive(int(match[1])):
            if match[2] == "old" and not final.exists():
                os.replace(final.with_name(entry), final)
            else:
                _remove(final.with_name(entry))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with ``\\n`` line ends, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON (insertion order, UTF-8, final newline), atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_text(path: str | Path, cure: str) -> str:
    """The whole of a UTF-8 file; one that is missing or not UTF-8 is a :class:`UserError`, ``cure`` says what to do."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: the file does not exist; {cure}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not valid UTF-8; {cure}") from None


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a missing or malformed file is a :class:`UserError` naming it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: the file does not exist; check the path or run the stage that makes it") from None
    except (ValueError, RecursionError) as error:  # as well of numbers with thousands of digits, and of deep nesting
        raise UserError(f"{path}: not valid JSON ({error}); give the right file, or make this one again") from None


def read_object(path: str | Path) -> dict[str, Any]:
    """Read a JSON file as :func:`read_json`; anything but an object is a :class:`UserError` too."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(
            f"{path}: holds a JSON {type(value).__name__}, not an object; give the right file, or make this one again"
        )
    return value


def sha256(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
