"""A full disk and one that cannot be written, in every stage: one sentence that names it, nothing lost, and it goes on.

The tree's ``results`` and ``data`` are a small file system in memory; only root can mount one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import copied, snakemake
from stages import STAGES, Stage, Trees, contents, remove

PAGE = 4096

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512m", "weam", str(where)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here ({mounted.stderr.strip()})")
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


def on_disk(tree: Path, disk: Path) -> None:
    """Move what a tree has made to the file system."""
    for name in ("data", "results"):
        subprocess.run(["cp", "-a", str(tree / name), str(disk / name)], check=True)
        shutil.rmtree(tree / name)
        (tree / name).symlink_to(disk / name)


def bytes_of(path: Path) -> int:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def fill(disk: Path, room: int) -> Path:
    """Leave only so much room."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        os.posix_fallocate(file.fileno(), 0, free - room)
    return filler


def said_by(done: subprocess.CompletedProcess[str], stage: Stage) -> str:
    """What the command itself said at last."""
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said[-4000:]
    lines = re.findall(r"^.*weam \w+: error: .*$", said, re.MULTILINE)
    assert lines, (stage.rule, said[-4000:])
    return lines[-1]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.rule)
def test_a_stage(stage: Stage, trees: Trees, tmp_path: Path, disk: Path) -> None:
    """On a disk that cannot be written, then on one with room for half of what the stage makes, then with room."""
    finished = trees.of(stage)
    tree = copied(finished, tmp_path / "tree")
    on_disk(tree, disk)
    command = ("-j1", stage.target, *stage.options)
    room = bytes_of(tree / stage.folder) // 2 // PAGE * PAGE
    remove(tree / stage.folder)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = snakemake(tree, *command, status=1)
    # where other outputs of the job are still there, Snakemake itself names them, before the job
    assert re.search("Read-only file system|Write-protected output files", done.stdout + done.stderr)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    filler = fill(disk, room)
    done = snakemake(tree, *command, status=1)
    assert re.search("No space left on device.*make room", said_by(done, stage))
    filler.unlink()
    snakemake(tree, *command)
    assert contents(tree) == contents(finished)
