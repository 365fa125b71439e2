"""Fetch the files of one source, verify their checksums and list them in a manifest.

For each file the places are tried in this order: ``<mirror>/<source>/<version>/<file>``, the source's url, its mirrors.
A place is a folder, a ``file://`` or an ``http(s)://`` URL; ``mini:`` stands for the generator of the mini world. Files
are written to a part-file, verified, renamed; the manifest comes last. Killed and started again, the command keeps what
is verified and resumes the part-file.

A sha256 in the table of sources always wins. For files without one, ``--lock`` names a file that records the checksum
at the first download and that later downloads must agree with.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from weam.checksums import sealed
from weam.config_data import Mini, Source, SourceFile
from weam.errors import UserError
from weam.fetch import CHUNK, Unavailable, fetch
from weam.io import atomic_path, read_object, sha256, write_json
from weam.locks import locked
from weam.progress import Progress
from weam.redact import places, redact, redact_url
from weam.settings import read_settings

LOCK = ".lock"
MIRROR = "WEAM_MIRROR"
"""Environment variable with the mirror when --mirror is not given: no list of processes shows its password."""

SAMPLE_DIR = "WEAM_SHARED_DATA"
"""Environment variable that replaces ``{sample_dir}`` in URLs when --sample-dir is not given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="name of the source")
    parser.add_argument("--settings", required=True, help="the source's entry in the table (JSON or file)")
    parser.add_argument("--mini", help="sizes of the mini world (JSON or file); default: those of weam.config")
    parser.add_argument("--lexicons", type=Path, default=Path("data/mini"), help="folder with the mini world's YAML")
    parser.add_argument("--mirror", help=f"folder or URL prefix that is tried first; default: ${MIRROR}")
    parser.add_argument("--sample-dir", help=f"replaces {{sample_dir}} in URLs; default: ${SAMPLE_DIR}")
    parser.add_argument("--lock", type=Path, help="file that records checksums missing in the table; default: none")
    parser.add_argument("--out", type=Path, required=True, help="manifest.json; the files are put beside it")


def run(args: argparse.Namespace) -> None:
    source = read_settings(Source, args.settings)
    folder: Path = args.out.parent
    folder.mkdir(parents=True, exist_ok=True)
    if args.out.name in source.files:
        raise UserError(f"--out {args.out}: is the name of a file of source {args.name}; give manifest.json")
    with locked(folder, LOCK, "downloads"):
        _all(args, source)


def _all(args: argparse.Namespace, source: Source) -> None:
    """Make or fetch all files, then the manifest."""
    folder: Path = args.out.parent
    if source.url.startswith("mini:"):
        mini = read_settings(Mini, args.mini, "--mini")
        for name in source.files:
            _generate(name, mini, args.lexicons, args.out)
    else:
        for name, expected in source.files.items():
            _obtain(args.name, name, expected, list(_places(args, source, name)), args.out, args.lock)
    files = [
        {
            "name": name,
            "bytes": (folder / name).stat().st_size,
            "sha256": sha256(folder / name),
            "url": source.url if source.url.startswith("mini:") else redact_url(_join(source.url, name)),
        }
        for name in source.files
    ]
    facts = {"source": args.name, "version": source.version, "format": source.format, "languages": source.languages}
    kept = {} if source.test_share is None else {"test_share": source.test_share}
    about = {"licence": source.licence, "citation": source.citation, "files": files}
    write_json(args.out, sealed(facts | kept | about))


def _generate(name: str, mini: Mini, lexicons: Path, manifest: Path) -> None:
    """Made anew each time: it is quick, and the settings may have changed."""
    from weam.mini import write_file

    manifest.unlink(missing_ok=True)
    with atomic_path(manifest.parent / name) as temporary:
        write_file(name, mini, lexicons, temporary)


def _places(args: argparse.Namespace, source: Source, name: str) -> Iterator[str]:
    """Where a file may come from, best first: URLs or paths."""
    if mirror := args.mirror or os.environ.get(MIRROR):
        yield _join(mirror, f"{args.name}/{source.version}/{name}")
    for folder in places(args.name, source):
        if "{sample_dir}" in folder:
            sample_dir = args.sample_dir or os.environ.get(SAMPLE_DIR)
            if not sample_dir:
                raise UserError(
                    f"source {args.name}: its url {folder!r} needs the folder of the sample data; "
                    f"give --config sample_dir=PATH (--sample-dir PATH) or set the environment variable {SAMPLE_DIR}"
                )
            folder = folder.replace("{sample_dir}", sample_dir)
        yield _join(folder, name)


def _join(folder: str, name: str) -> str:
    separator = "" if folder.endswith("/") else "/"
    return f"{folder}{separator}{quote(name) if '://' in folder else name}"


def _obtain(source: str, name: str, expected: SourceFile, tried: list[str], manifest: Path, lock: Path | None) -> None:
    """Keep the file beside ``manifest`` if its checksum is right, else fetch it from the first good place.

    The old manifest is removed when a file that it may describe is replaced.
    """
    out = manifest.parent / name
    locked: dict[str, str] = read_object(lock) if lock and lock.exists() else {}
    checksum = expected.sha256 or locked.get(name)
    if checksum and out.is_file() and sha256(out) == checksum:
        return
    part = out.with_name(f".{out.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not checksum:
        part.unlink(missing_ok=True)  # nothing would tell whether a part-file of an earlier run is of the same release
    faults: list[str] = []
    mismatch: str | None = None
    for place in tried:
        resumed = part.exists()
        try:
            _copy_or_fetch(source, name, place, part, expected.bytes)
            fault = _compare(part, expected.bytes, checksum)
            if fault and resumed:  # the old part-file may be of another release or place: once more from the start
                part.unlink(missing_ok=True)
                _copy_or_fetch(source, name, place, part, expected.bytes)
                fault = _compare(part, expected.bytes, checksum)
        except Unavailable as error:
            fault = str(error)
        else:
            if fault is None:
                if lock and not checksum:
                    write_json(lock, dict(sorted((locked | {name: sha256(part)}).items())))
                manifest.unlink(missing_ok=True)
                os.replace(part, out)
                return
            part.unlink(missing_ok=True)
            mismatch = mismatch or f"source {source}: {name} from {redact_url(place)} {fault}"
        faults.append(f"{redact_url(place)} ({fault})")
        print(redact(f"download: {name}: {redact_url(place)}: {fault}"), file=sys.stderr)
    if mismatch and (expected.sha256 or not checksum):
        raise UserError(f"{mismatch}; use another mirror, or correct the source's entry if the release has changed")
    if mismatch:
        raise UserError(f"{mismatch} by {lock}; if the release was replaced on purpose, delete {name} there")
    raise UserError(
        f"source {source}: {name} cannot be fetched from {'; nor from '.join(faults)}; "
        "check the url and the network, or give --config mirror=FOLDER_OR_URL"
    )


def _compare(part: Path, size: int | None, checksum: str | None) -> str | None:
    """What is wrong with a fetched file, or None."""
    if size is not None and part.stat().st_size != size:
        return f"has {part.stat().st_size} bytes where {size} are expected"
    if checksum and (found := sha256(part)) != checksum:
        return f"has sha256 {found} where {checksum} is expected"
    return None


def _copy_or_fetch(source: str, name: str, place: str, part: Path, size: int | None) -> None:
    """Bring ``place`` to ``part``; an http download goes on where an earlier part-file ends."""
    scheme = place.partition("://")[0].lower() if "://" in place else ""
    if scheme in ("http", "https"):
        fetch(place, part, f"download {name}", size)
        return
    if scheme not in ("", "file"):
        raise UserError(
            f"source {source}: the url {redact_url(place)} is not http://, https://, file://, mini: or a folder"
        )
    if scheme == "file" and urlsplit(place).netloc not in ("", "localhost"):
        raise UserError(
            f"source {source}: the url {redact_url(place)} is not absolute; write file:///PATH or just the path"
        )
    path = Path(unquote(urlsplit(place).path)) if scheme else Path(place)
    if not path.is_file():
        raise Unavailable("no such file")
    with (
        path.open("rb") as stream,
        part.open("wb") as out,
        Progress(f"download {name}", path.stat().st_size, "bytes") as progress,
    ):
        while chunk := stream.read(CHUNK):
            out.write(chunk)
            progress.step(len(chunk))
