"""A finished run that the tests of faults copy; made once, however many processes share the tests."""

from __future__ import annotations

import fcntl
import os
import shutil

import pytest
from pipeline import copied, copy_tree, snakemake
from stages import IN_PARTS, LINKS, PARTS, SMALL, STAGES, WHOLE, Trees


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    made = Trees(base / "finished" / "whole", base / "finished" / "in_parts")
    with (base / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "finished.done").exists():
            make(made)
            (base / "finished.done").touch()
    return made


def make(trees: Trees) -> None:
    shutil.rmtree(trees.whole.parent, ignore_errors=True)  # of a try that failed
    trees.whole.mkdir(parents=True)
    tree = copy_tree(trees.whole)
    (tree / "small.yaml").write_text(SMALL)
    (tree / "parts.yaml").write_text(PARTS)
    snakemake(tree, "-j2", *WHOLE)
    snakemake(tree, "-j2", "studies", *WHOLE)
    parts = copied(tree, trees.in_parts)
    snakemake(parts, "-j2", LINKS, *IN_PARTS)
    for stage in STAGES:
        assert (trees.of(stage) / stage.target).exists(), stage
