"""A file between two stages that was damaged without a new date: the stage that reads it names it and says what to
delete, and the same command then makes it again, and the rest, with the bytes that they would have had.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline import copied, snakemake
from stages import STAGES, Trees, contents, remove

SHARDS, BACKBONE = "results/shards/en-de", "results/models/backbone"
TUNED = "results/finetuned/qa/zero-shot/weam/de/seed1-1"
RAW = "data/raw/mini-en-de/v1"
TARGETS = {stage.rule: stage for stage in STAGES}


def flipped(data: bytes) -> bytes:
    """One bit is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]


def truncated(data: bytes) -> bytes:
    return data[: len(data) * 9 // 10]


def edited(data: bytes) -> bytes:
    return json.dumps(json.loads(data) | {"edited": True}).encode()


@pytest.mark.parametrize(
    ("pattern", "damage", "rule"),
    [
        (f"{SHARDS}/part-*.parquet", flipped, "pretrain"),
        (f"{SHARDS}/part-*.parquet", truncated, "pretrain"),
        (f"{SHARDS}/manifest.json", edited, "pretrain"),
        (f"{BACKBONE}/model.safetensors", truncated, "pretrain"),
        (f"{BACKBONE}/model.safetensors", flipped, "pretrain"),
        (f"{BACKBONE}/training.json", edited, "pretrain"),
        (f"{TUNED}/model.safetensors", truncated, "evaluate"),
        (f"{RAW}/manifest.json", edited, "text"),
        (f"{RAW}/*.zip", flipped, "text"),
        ("results/text/en-de/text.parquet", flipped, "shards"),
        ("results/models/tokenizer/tokenizer.json", truncated, "shards"),
    ],
)
def test_a_damaged_file(
    pattern: str, damage: Callable[[bytes], bytes], rule: str, trees: Trees, tmp_path: Path
) -> None:
    tree = copied(trees.whole, tmp_path / "tree")
    stage = TARGETS[rule]
    (path, *_) = sorted(tree.glob(pattern))
    times = path.stat()
    path.write_bytes(damage(path.read_bytes()))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    remove(tree / stage.folder)
    command = ("-j1", stage.target, *stage.options)
    done = snakemake(tree, *command, status=1)
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said[-4000:]
    (line,) = set(re.findall(rf"^.*weam {rule}: error: (.*)$", said, re.MULTILINE))
    name = str(path.relative_to(tree))
    assert line.startswith(f"{name}: ")
    deleted = re.search(r"; delete (it|results/\S+|data/\S+)\b", line)
    assert deleted, line
    remove(tree / (name if deleted[1] == "it" else deleted[1]))
    snakemake(tree, *command)
    assert contents(tree) == contents(trees.whole)
