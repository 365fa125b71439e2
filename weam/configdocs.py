"""Write the documentation that is made from code: of the configuration (and its JSON schema), and of the tasks.

``python -m weam.configdocs`` writes workflow/schemas/config.schema.json, docs/configuration.md and docs/tasks.md; with
``--check`` it only says whether they are up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
from pydantic_core import PydanticUndefined

from weam import tasks
from weam.config import Config
from weam.io import write_text

ROOT = Path(__file__).resolve().parent.parent

HEADER = """\
# Configuration

<!-- Written by `python -m weam.configdocs` from weam/config*.py; edit those. -->

Layers, later ones win: the defaults on this page, [`config.yaml`](../config.yaml) (the mini world, always read),
overlays (`snakemake --configfile configs/sample.yaml`), single keys (`snakemake --config sample_dir=/data`). A mapping
in an overlay is merged key by key; a list replaces the list below it. An unknown key, a key given twice and a value of
the wrong type are errors that name the key. Threads, memory, GPUs and paths of a site are no configuration: they are in
`profiles/`.

Editors that know the YAML language server complete the keys from `workflow/schemas/config.schema.json`.
"""

TASKS = """\
# Tasks

<!-- Written by `python -m weam.configdocs` from the modules of weam/tasks; edit these. -->

What can stand under `tasks` in the configuration. A family shares its fine-tuned models; `retrieval` takes the encoder
as it is. The languages are those of the official release (`*` no test set in English); a source may have others.
[files.md](files.md) describes the formats, [evaluation.md](evaluation.md) metrics and statistics.

| task | | family | formats | splits | scores | languages |
|---|---|---|---|---|---|---|
"""

TABLE = "| key | type | default | meaning |\n|---|---|---|---|\n"


def schema() -> str:
    """The JSON schema of ``config.yaml`` and its overlays."""
    value: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema()
    entries = value["properties"]["tasks"]["patternProperties"]
    entries |= {name: {"anyOf": [entry, {"type": "null"}]} for name, entry in entries.items()}  # null: no such task
    del value["$defs"]["Task"]["required"]  # an overlay may change the languages of a task and leave its source
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def page() -> str:
    """The Markdown page: a table of keys per block."""
    return HEADER + "".join(_block("", Config))


def tasks_page() -> str:
    """The Markdown page of the registry of tasks."""
    lines = []
    for name in tasks.names():
        task = tasks.load(name)
        spoken = " ".join(task.languages) + ("" if task.english else " *")
        cells = [f"`{name}`", task.title, task.family, ", ".join(f"`{entry}`" for entry in task.formats)]
        cells += [", ".join(task.splits), _plain(task.described), spoken]
        lines.append("| " + " | ".join(cells) + " |\n")
    return TASKS + "".join(lines)


def _block(prefix: str, model: type[pydantic.BaseModel]) -> Iterator[str]:
    title = f"`{prefix}`" if prefix else "Top level"
    yield f"\n## {title}\n\n{' '.join((model.__doc__ or '').split())}\n\n{TABLE}"
    below: list[tuple[str, type[pydantic.BaseModel]]] = []
    for name, field in model.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        inner = _model(field.annotation)
        if inner is not None:
            block = key if field.annotation is inner else f"{key}.<name>"
            below.append((block, inner))
            kind, default = f"[block](#{_anchor(block)})", ""
        else:
            kind, default = _type(field.annotation), _default(field)
        yield f"| `{name}` | {kind} | {default} | {_plain(field.description)}{_limits(field)} |\n"
    for block, inner in below:
        yield from _block(block, inner)


def _plain(text: str | None) -> str:
    return (text or "").replace("<", "&lt;").replace("|", "\\|")


def _anchor(title: str) -> str:
    return "".join(char for char in title.lower() if char.isalnum() or char in "-_")


def _model(annotation: Any) -> type[pydantic.BaseModel] | None:
    """The model of a block, also where it is the value of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    if typing.get_origin(annotation) is dict:
        return _model(typing.get_args(annotation)[1])
    return None


def _type(annotation: Any) -> str:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin is typing.Annotated:
        return _type(args[0])
    if origin is list:
        return f"list of {_type(args[0])}"
    if origin is tuple:
        return "list of " + ", ".join(_type(arg) for arg in args)
    if origin is dict:
        return f"mapping of {_type(args[0])} to {_type(args[1])}"
    if args:
        return " or ".join(_type(arg) for arg in args)
    names = {str: "text", int: "integer", float: "number", bool: "true/false"}
    return names.get(annotation) or str(annotation.__name__)


def _default(field: pydantic.fields.FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "required" if value is PydanticUndefined else f"`{json.dumps(value)}`"


def _limits(field: pydantic.fields.FieldInfo) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    limits = [
        f"{sign} {getattr(item, name)}"
        for item in field.metadata
        for name, sign in signs.items()
        if getattr(item, name, None) is not None
    ]
    return f" ({', '.join(limits)})" if limits else ""


def files(root: Path = ROOT) -> dict[Path, str]:
    """Path to content of everything that is generated."""
    return {
        root / "workflow/schemas/config.schema.json": schema(),
        root / "docs/configuration.md": page(),
        root / "docs/tasks.md": tasks_page(),
    }


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check the files; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m weam.configdocs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not up to date")
    check = parser.parse_args(argv).check
    status = 0
    for path, text in files(root).items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{path.relative_to(root)} is stale; run python -m weam.configdocs", file=sys.stderr)
            status = 1
        else:
            write_text(path, text)
            print(f"wrote {path.relative_to(root)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
