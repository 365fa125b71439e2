"""What tests of readers share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from weam.errors import UserError

Files = dict[str, bytes | str]


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def counts(steps: list[dict[str, Any]]) -> dict[str, int]:
    return {step["step"]: step.get("removed", step.get("rows")) for step in steps if step.get("removed", 1)}


def refused(read: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)
