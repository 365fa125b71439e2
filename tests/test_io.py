"""Writing where things go wrong: a full disk has a name and a cure, and what killed processes left goes."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from weam.errors import UserError
from weam.io import atomic_path, scratch_folder, system_errors

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")


def test_a_full_disk_has_the_name_of_the_file(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "out.txt") as temporary:
            temporary.symlink_to(FULL)
            temporary.write_text("x")

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "out.txt"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_met_by_a_library_in_rust(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "tokenizer.json"), system_errors():
            Tokenizer(WordLevel({}, "")).save(str(FULL))

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="another error"), system_errors():
        raise ValueError("another error")
    with pytest.raises(UserError, match="be mended"), system_errors():
        raise UserError("a sentence on how it can be mended (os error 2)")


def test_a_log_on_a_full_disk(tmp_path: Path) -> None:
    """What cannot be said there is said on standard output."""
    command = [sys.executable, "-m", "weam", "page", "--markdown", str(tmp_path / "no.md"), "--out", "no.html"]
    with FULL.open("w") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=tmp_path)
    assert done.returncode != 0
    assert done.stdout.startswith(f"weam page: error: {tmp_path / 'no.md'}: ")


def test_scratch_of_a_killed_process_goes(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = tmp_path / f".out.scratch.{dead.pid}.tmp"
    left.mkdir()
    with scratch_folder(tmp_path / "out") as folder:
        assert not left.exists()
        assert list(folder.iterdir()) == []
        (folder / "file").touch()
    assert list(tmp_path.iterdir()) == []
