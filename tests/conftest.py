"""Fixtures that several test modules share, and what lets several processes share the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

LONGEST_FIRST = ("test_runs.py", "test_workflow.py")

if "PYTEST_XDIST_WORKER" in os.environ:  # before PyTorch is imported: the processes share the cores
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, so that no process is left alone with one at the end."""
    rank = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public sample data: $WEAM_SHARED_DATA, or shared/data beside the repository; absent: skip."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("WEAM_SHARED_DATA", default))
    if not (path / "README.md").is_file():
        pytest.skip(f"no public sample data in {path}; set WEAM_SHARED_DATA")
    return path
