"""YAML and typed models, with one sentence for every fault in them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from weam.errors import UserError

M = TypeVar("M", bound=pydantic.BaseModel)


def validate(model: type[M], data: Mapping[str, Any], where: str) -> M:
    """Build ``model`` from ``data``; a fault becomes a :class:`UserError` with key, value and what is allowed."""
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise UserError(f"{where}: {_sentence(model, error)}") from None


def _sentence(model: type[pydantic.BaseModel], error: pydantic.ValidationError) -> str:
    faults = error.errors()
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    key = ".".join(str(part) for part in fault["loc"])
    more = f" ({len(faults) - 1} more after this)" if len(faults) > 1 else ""
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, fault["loc"][:-1])
        return f"unknown key {key!r}; {hint(str(fault['loc'][-1]), known, 'keys')}{more}"
    message = fault["msg"].removeprefix("Value error, ")
    if not key:
        return f"{message}{more}"
    if key.endswith("[key]"):
        key = key.removesuffix(".[key]")
    if isinstance(fault["input"], dict):  # a fault between the keys of a block, which the message names
        return f"key {key!r}: {message}{more}"
    return f"key {key!r} is {fault['input']!r}; {message[0].lower()}{message[1:]}{more}"


def hint(name: str, known: Iterable[str], what: str) -> str:
    """What may have been meant, else all that is known."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known {what}: {', '.join(known)}"


def _keys_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """Names allowed at ``location`` inside ``model``; dictionary keys and list positions are stepped over."""
    for part in location:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = fields[str(part)].annotation
        while not hasattr(model, "model_fields") and getattr(model, "__args__", None):
            model = next((a for a in reversed(model.__args__) if hasattr(a, "model_fields")), model.__args__[-1])
    return list(getattr(model, "model_fields", {}))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML where a key given twice in one mapping is an error; a key that overrides a merged one (``<<``) is none."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        assert isinstance(node, yaml.MappingNode)
        name = node.start_mark.name
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise UserError(f"{name}, line {line}: a key is a list or a mapping; keys are plain words")
            if key_node.tag in ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"):
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise UserError(f"{name}, line {line}: key {key!r} stands on line {seen[key]} already; keep one")
            seen[key] = line
        return node


def read_yaml(path: str | Path) -> Any:
    """Read YAML; malformed text and duplicate keys are a :class:`UserError` with file and line."""
    try:
        with open(path, encoding="utf-8") as stream:
            return yaml.load(stream, _UniqueKeyLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not valid UTF-8; save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML ({getattr(error, 'problem', error)})") from None
