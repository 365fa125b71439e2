"""fast_align and atools, built once per test session, and calling them."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from weam.cli import main

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def tools() -> Path:
    """Folder with both programs, built through the command line as the workflow does."""
    folder = Path(tempfile.mkdtemp(prefix="weam-test-tools-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    assert main(["build_fast_align", "--source", str(ROOT / "fast_align"), "--out", str(folder)]) == 0
    return folder


def call(program: str, *options: object, text: bytes | str = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a program; ``text`` goes to its standard input."""
    command = [str(tools() / program), *map(str, options)]
    data = text.encode() if isinstance(text, str) else text
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)


def align(text: bytes | str, *options: object) -> list[str]:
    """Lines of links that fast_align writes for ``text``; it must succeed."""
    result = call("fast_align", "-i", "-", *options, text=text)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode().split("\n")[:-1]
