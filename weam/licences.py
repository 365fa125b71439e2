"""Write docs/licences.md: the licence of every package of requirements.lock, as its installed metadata states it.

``python -m weam.licences`` writes the page, ``--check`` only says whether it is up to date: the names and versions of
all packages, and licences and needs of those that are installed in the locked version.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from weam.errors import UserError
from weam.io import write_text

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/licences.md"
COPYLEFT = re.compile(r"\b(A|L)?GPL|General Public License|\bMPL|Mozilla Public|\bEPL|\bCDDL|\bEUPL", re.IGNORECASE)
OSI = {
    "Apache Software License": "Apache",
    "BSD License": "BSD",
    "GNU General Public License (GPL)": "GPL",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "public domain",
    "Python Software Foundation License": "PSF",
}
"""Classifiers of licences to what they are called here."""
DFSG = "DFSG approved"
MOST = 30
"""Characters of a licence field that is a name; longer ones are the text of the licence."""

HEADER = """\
# Licences of the packages

<!-- Written by `python -m weam.licences` from requirements.lock and the installed packages. -->

WEAM is under Apache-2.0. It contains none of these packages: pip installs them, each under its own licence. The column
*licence* is what a package states: its SPDX expression, else its classifiers or its licence field, else the first line
of its licence file. *runtime*: a run of the workflow needs it; *clusters*, *development*: only they do.
"""

COPYLEFT_TEXT = """\
Using these asks nothing of you, and WEAM's code, your configuration, models and tables are not touched by their
licences: only whoever passes on one of the packages has to say where its source is, and to put changed files of it
under its licence. (docutils is in the public domain but for some files; the one under the GPL, for an editor, is not in
the package that pip installs.)
"""

OUTSIDE = """
## Not in the lock
The builds of PyTorch for NVIDIA GPUs bring `nvidia-*`, `cuda-*` and `triton` packages along, which change with the
platform; those of NVIDIA are proprietary, and passing them on is allowed under conditions only. `eflomal` and
`sil-thot` are optional, and `make env` does not install them. Slurm, conda and the operating system have licences of
their own.
"""


class Entry(NamedTuple):
    """A line of the page; ``licence`` is None for a package that is not installed in the locked version."""

    name: str
    version: str
    licence: str | None
    needed: str


def read_lock(path: Path) -> dict[str, str]:
    """Name, as it stands there, to version."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lock = {}
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        name, equals, version = line.partition("==")
        if not equals:
            raise UserError(f"{path}, line {number}: {line!r} is not NAME==VERSION; pin it")
        lock[name] = version
    return lock


def licence(package: metadata.Distribution) -> str:
    """What a package states."""

    def values(key: str) -> list[str]:
        return [str(value) for value in package.metadata.get_all(key) or []]

    if expression := values("License-Expression"):
        return expression[0]
    classifiers = [text.split(" :: ")[-1] for text in values("Classifier") if text.startswith("License ::")]
    known = list(dict.fromkeys(OSI.get(text, text) for text in classifiers if text not in ("OSI Approved", DFSG)))
    field = _first_line("\n".join(values("License")))
    if field[:1].isalnum() and len(known) < 2 and len(field) < MOST:
        return field
    files = [file for file in package.files or [] if re.match(r"LICEN[SC]E|COPYING", file.name, re.IGNORECASE)]
    return ", ".join(known) or next((_first_line(file.read_text()) for file in files), "not stated")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def needs(root: Path, lock: Iterable[str]) -> dict[str, str]:
    """Canonical name of each locked package to what needs it, as far as the packages between are installed."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = closure(project["dependencies"])
    clusters = closure(
        [*project["optional-dependencies"]["slurm"], *project["optional-dependencies"]["cluster-generic"]]
    )
    names = [canonicalize_name(name) for name in lock]
    return {name: "runtime" if name in runtime else "clusters" if name in clusters else "development" for name in names}


def closure(requirements: Iterable[str]) -> set[str]:
    """Canonical names of all that some requirements need in this environment."""
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for option in ("", *sorted(requirement.extras)):
            key = (canonicalize_name(requirement.name), option)
            if key in seen:
                continue
            seen.add(key)
            try:
                waiting += [(Requirement(text), option) for text in metadata.requires(requirement.name) or []]
            except metadata.PackageNotFoundError:
                continue
    return {name for name, _ in seen}


def entries(root: Path) -> list[Entry]:
    lock = read_lock(root / "requirements.lock")
    needed = needs(root, lock)
    found = []
    for name, version in sorted(lock.items(), key=lambda item: item[0].lower()):
        try:
            package = metadata.distribution(name)
            stated = licence(package) if package.version.partition("+")[0] == version else None
        except metadata.PackageNotFoundError:
            stated = None
        found.append(Entry(name, version, stated, needed[canonicalize_name(name)]))
    return found


def page(lines: Iterable[Entry]) -> str:
    """The Markdown page."""
    lines = list(lines)
    flagged = [entry for entry in lines if COPYLEFT.search(entry.licence or "")]
    text = [HEADER, "\n## Copyleft\n", COPYLEFT_TEXT, "\n| package | licence | needed for |\n|---|---|---|\n"]
    text += [f"| {entry.name} | {entry.licence} | {entry.needed} |\n" for entry in flagged]
    text.append("\n## All packages\n| package | version | licence | needed for |\n|---|---|---|---|\n")
    text += [f"| {entry.name} | {entry.version} | {entry.licence} | {entry.needed} |\n" for entry in lines]
    return "".join([*text, OUTSIDE])


def stale(root: Path, lines: list[Entry]) -> list[str]:
    """What of the page is not as it should be, in words; licences of packages that are not installed are left out."""
    path = root / PAGE
    there = path.read_text(encoding="utf-8") if path.is_file() else ""
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (.*) \| (runtime|clusters|development) \|$", there, re.MULTILINE)
    noted = {name: Entry(name, version, stated, needed) for name, version, stated, needed in rows}
    faults = [f"{name} is not in the lock" for name in noted.keys() - {entry.name for entry in lines}]
    complete = []
    for entry in lines:
        old = noted.get(entry.name)
        if old is None or old.version != entry.version:
            faults.append(f"{entry.name} {entry.version} is {'missing' if old is None else f'noted as {old.version}'}")
        elif entry.licence is not None and old != entry:
            faults.append(f"{entry.name}: {entry.licence}, {entry.needed}; noted as {old.licence}, {old.needed}")
        else:
            complete.append(old)
    if not faults and there != page(complete):
        faults.append("the text around the tables, or the table of copyleft licences")
    return sorted(faults)


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check the page; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m weam.licences", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not up to date")
    check = parser.parse_args(argv).check
    lines = entries(root)
    if check:
        faults = stale(root, lines)
        for fault in faults:
            print(f"{PAGE} is stale ({fault}); run python -m weam.licences", file=sys.stderr)
        return int(bool(faults))
    if absent := [entry.name for entry in lines if entry.licence is None]:
        print(f"not installed in the locked version: {', '.join(absent)}; run make env first", file=sys.stderr)
        return 1
    write_text(root / PAGE, page(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
