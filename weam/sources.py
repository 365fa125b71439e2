"""List the sources of data that a configuration uses, with size, licence and state.

State: ``here`` (downloaded; every file has the size that its manifest notes), ``changed`` (it has not, or the manifest
is of other files), ``damaged manifest.json`` (delete it and download again), ``partly`` (some files), or nothing. Sizes
are those of the table of sources, else of what is here (``≥``: some files have no size yet). Nothing is read but the
table, the configuration and the manifests: checksums are verified by the download stage.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from weam.config_data import Source
from weam.configfile import add_configuration, configuration, read_sources
from weam.errors import UserError
from weam.hub import path_of
from weam.io import read_object
from weam.redact import redact
from weam.validation import hint

HEADER = ("source", "version", "languages", "size", "state", "licence")
FEW = 6
"""Most languages of a source that are named in the table."""
UNITS = ("B", "kB", "MB", "GB", "TB")


class Size(NamedTuple):
    """Bytes of the files whose size is known, and whether that is all of them."""

    known: int
    complete: bool

    def __str__(self) -> str:
        if not self.known and not self.complete:
            return "?"
        value, unit = float(self.known), 0
        while value >= 999.5 and unit < len(UNITS) - 1:
            value, unit = value / 1000, unit + 1
        text = f"{value:.1f}" if unit and value < 9.95 else f"{value:.0f}"
        return f"{'' if self.complete else '≥ '}{text} {UNITS[unit]}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="SOURCE", help="these only, with files and citation")
    parser.add_argument("--all", action="store_true", help="all sources of the table, not only those that are used")
    add_configuration(parser, "names of sources")
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="folder of the downloads")


def run(args: argparse.Namespace) -> None:
    cfg = configuration(args, "names of sources")
    used = cfg.sources
    sources = read_sources(args.table) | used if args.all or args.names else used
    for name in args.names:
        if name not in sources:
            raise UserError(f"{args.table}: there is no source {name!r}; {hint(name, sources, 'sources')}")
        show(name, sources[name], args.raw)
    if not args.names:
        print_table(sources, args.raw)
        name = cfg.backbone.name_or_path
        if name and not Path(name).is_dir():
            place = args.raw.parent / "hub" / path_of(name, cfg.backbone.revision)
            here = "here" if (place / "manifest.json").is_file() else "not downloaded"
            print(f"and the model {name} of the hub ({here}; folder {place})")


def folder_of(name: str, source: Source, raw: Path) -> Path:
    return raw / name / source.version


def state(name: str, source: Source, raw: Path) -> str:
    """What of a source is downloaded: ``here``, ``changed``, ``damaged manifest.json``, ``partly`` or nothing."""
    folder = folder_of(name, source, raw)
    there = [file for file in source.files if (folder / file).is_file()]
    noted = _noted(folder)
    if noted is None:
        return "damaged manifest.json"
    if not noted:
        return f"partly ({len(there)} of {len(source.files)} files)" if there else ""
    right = noted.keys() == source.files.keys() and all(
        (folder / file).is_file()
        and (folder / file).stat().st_size == size
        and source.files[file].bytes in (None, size)
        for file, size in noted.items()
    )
    return "here" if right else "changed"


def size_of(name: str, source: Source, raw: Path) -> Size:
    """Bytes of a source by its table, else by its manifest."""
    noted = _noted(folder_of(name, source, raw)) or {}
    sizes = [entry.bytes if entry.bytes is not None else noted.get(file) for file, entry in source.files.items()]
    return Size(sum(size or 0 for size in sizes), None not in sizes)


def _noted(folder: Path) -> dict[str, int] | None:
    """File to size by a manifest; empty without one, None where it is damaged."""
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    try:
        return {entry["name"]: int(entry["bytes"]) for entry in read_object(path)["files"]}
    except (UserError, KeyError, TypeError, ValueError, OverflowError):
        return None


def print_table(sources: Mapping[str, Source], raw: Path) -> None:
    """Print one line a source, and the sums."""
    sizes = {name: size_of(name, source, raw) for name, source in sources.items()}
    rows = [
        (
            name,
            source.version,
            " ".join(source.languages) if len(source.languages) <= FEW else f"{len(source.languages)} languages",
            "generated" if source.url.startswith("mini:") else str(sizes[name]),
            state(name, source, raw),
            source.licence,
        )
        for name, source in sources.items()
    ]
    print_columns([HEADER, *rows])
    fetched = [size for name, size in sizes.items() if not sources[name].url.startswith("mini:")]
    whole = Size(sum(size.known for size in fetched), all(size.complete for size in fetched))
    here = sum(row[4] == "here" for row in rows)
    print(f"\n{len(rows)} sources, {here} here; {whole if fetched else 'nothing'} in all")


def print_columns(rows: Iterable[tuple[str, ...]]) -> None:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show(name: str, source: Source, raw: Path) -> None:
    """Print everything on one source."""
    print(f"{name} {source.version}")
    facts = {
        "format": source.format,
        "languages": " ".join(source.languages),
        "url": source.url,
        "mirrors": ", ".join(source.mirrors),
        "licence": source.licence,
        "citation": source.citation,
        "size": str(size_of(name, source, raw)),
        "state": state(name, source, raw) or "not downloaded",
        "folder": str(folder_of(name, source, raw)),
    }
    for key, value in facts.items():
        if value:
            print(redact(f"  {key:10}{value}"))
    for file, entry in source.files.items():
        length = "" if entry.bytes is None else f"  {entry.bytes} bytes"
        print(f"  {file}{length}  sha256 {entry.sha256 or 'noted at the first download'}")
