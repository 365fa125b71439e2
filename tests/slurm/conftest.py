"""One cluster for all tests, and a tree to start from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import PACKAGES, Cluster, missing
from runs import CONFIG, STARTED, finish, make_tree, start


@pytest.fixture(scope="session", autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if absent := missing():
        pytest.skip(f"no Slurm here ({', '.join(absent)} missing); on Debian: apt-get install {PACKAGES}")
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:  # a short path
        cluster = Cluster(Path(folder) / "c")
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which all is ready for training the backbone, without Slurm."""
    tree = make_tree(tmp_path_factory.mktemp("prepared"))
    finish(tree, start(tree, None, "results/models/tokenizer", "results/shards/mono/manifest.json", *CONFIG, "-j2"))
    return tree
