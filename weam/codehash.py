"""Content hash of the modules that a command uses.

Snakemake re-runs a job when its parameters change, but it does not see edits of imported Python modules. Every rule
therefore has this hash among its parameters: editing a module re-runs exactly the rules that import it, directly or
not, while touching files or checking them out again re-runs nothing.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


@cache
def code_hash(*starts: str, exclude: tuple[str, ...] = (), package: Path = PACKAGE) -> str:
    """Hash the sources of ``<package>.<start>`` and all modules of the package that they import (16 hex digits).

    ``starts`` are a command and the modules that it imports by name, such as a family or a task. ``exclude`` names
    modules that are left out with all they contain. Line ends do not matter.
    """
    digest = hashlib.sha256()
    found = {name: path for start in starts for name, path in modules(start, exclude, package).items()}
    for name, path in sorted(found.items()):
        source = _source(path)
        digest.update(f"{name} {len(source)}\n{source}".encode())
    return digest.hexdigest()[:16]


@cache
def modules(command: str, exclude: tuple[str, ...] = (), package: Path = PACKAGE) -> dict[str, Path]:
    """Name and file of every module that ``<package>.<command>`` imports, itself included.

    Imports inside functions count, those under ``if TYPE_CHECKING`` do not. The package's own ``__init__`` is left out:
    it holds the version, and a release must not re-run everything.
    """
    found: dict[str, Path] = {}
    waiting = [f"{package.name}.{command}"]
    while waiting:
        name = waiting.pop()
        path = _file(name, package)
        if path is None or name in found or any(f"{name}.".startswith(f"{item}.") for item in exclude):
            continue
        found[name] = path
        parent = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for imported in _imports(path, parent):
            parts = imported.split(".")
            waiting.extend(".".join(parts[:end]) for end in range(2, len(parts) + 1))
    if not found:
        raise ValueError(f"{package}: has no module {command!r}")
    return found


@cache
def _file(name: str, package: Path) -> Path | None:
    parts = name.split(".")
    if parts[0] != package.name or len(parts) < 2:
        return None
    path = package.joinpath(*parts[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8")  # universal newlines: \r\n and \n are the same


@cache
def _imports(path: Path, parent: str) -> tuple[str, ...]:
    return tuple(_walk(ast.parse(_source(path), str(path)), parent))


def _walk(node: ast.AST, parent: str) -> Iterator[str]:
    """Yield dotted names that may be modules; ``parent`` is the package that relative imports start from."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                start = parent.split(".")[: len(parent.split(".")) - child.level + 1]
                base = ".".join([*start, base] if base else start)
            yield from (f"{base}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from _walk(ast.Module([other], []), parent)
        elif not isinstance(child, ast.expr):  # an expression holds no statement
            yield from _walk(child, parent)
