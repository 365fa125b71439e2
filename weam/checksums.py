"""Checksums that go with files, so that one that was damaged or edited is named before it is used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from weam.errors import UserError
from weam.io import sha256

KEY = "checksum"


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """``value`` with the SHA-256 of its content as its last entry."""
    return value | {KEY: _digest(value)}


def require_sealed(path: Path, value: dict[str, Any], cure: str) -> None:
    """Refuse the content of a JSON file that was edited after :func:`sealed`; one without a checksum is let through."""
    if KEY in value and value[KEY] != _digest({key: item for key, item in value.items() if key != KEY}):
        raise UserError(f"{path}: was changed after it was made (its checksum is no longer right); {cure}")


def require_sum(path: Path, expected: str, noted: Path, cure: str) -> None:
    """Refuse a file whose SHA-256 is not the one that ``noted`` says."""
    if sha256(path) != expected:
        raise UserError(f"{path}: was changed after it was made (not the checksum that {noted} notes); {cure}")


def _digest(value: dict[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
