"""Where the numbers of a table come from: configuration, code, packages, data checksums, seeds, hardware.

No time of day is recorded, so that the same run on the same machine writes the same bytes.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from weam.config import Config
from weam.io import read_json, sha256

PACKAGES = ("torch", "transformers", "tokenizers", "snakemake", "pandas", "pyarrow", "numpy")


def provenance(table: str, config: Config, files: Iterable[str]) -> dict[str, Any]:
    """The content of ``<table>.provenance.json``; ``files`` is everything the table was made from.

    Files that are manifests of sources are also listed with their release and its checksums under ``data``.
    """
    paths = sorted({_relative(file): Path(file) for file in files}.items())
    return {
        "table": table,
        "config": config.model_dump(mode="json"),
        "seeds": config.seeds.model_dump(),
        "code": code_revision(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("weam", *PACKAGES)},
        "hardware": {"machine": platform.machine(), "cpu": _cpu(), "cpu_count": os.cpu_count()},
        "data": [release for _, path in paths if (release := _release(path)) is not None],
        "inputs": [{"path": name, "sha256": sha256(path)} for name, path in paths],
    }


def code_revision() -> dict[str, str | bool] | None:
    """Git commit of this package and whether tracked files differ from it; None when it does not live in a checkout."""
    here = Path(__file__)

    def git(*command: str) -> str:
        run = subprocess.run(
            ["git", "-C", str(here.parent), *command],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},  # look only: other jobs may be asking as well
        )
        return run.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # not merely installed below somebody else's checkout
        return {
            "revision": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.CalledProcessError):
        return None


def _relative(file: str) -> str:
    """The path as given, or relative to the working directory where it lies below it."""
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix()


def _release(path: Path) -> dict[str, Any] | None:
    """Name, version and checksums, if ``path`` is the manifest.json of a source or of a model of the hub."""
    if path.suffix != ".json":
        return None
    value = read_json(path)
    if not isinstance(value, dict) or not {"source", "version", "files"} <= value.keys():
        return None
    commit = {"commit": value["commit"]} if "commit" in value else {}
    return {
        "source": value["source"],
        "version": value["version"],
        **commit,
        "files": [{"name": file["name"], "sha256": file["sha256"]} for file in value["files"]],
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """Model of the processor in words."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
