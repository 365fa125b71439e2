"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public sample data: $WEAM_SHARED_DATA, or shared/data beside the repository; absent: skip."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("WEAM_SHARED_DATA", default))
    if not (path / "README.md").is_file():
        pytest.skip(f"no public sample data in {path}; set WEAM_SHARED_DATA")
    return path
