"""Small releases for the tests of readers: files in a folder, and the manifest that lists them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from weam.io import sha256
from weam.readers import Release


def make_zip(members: dict[str, bytes | str]) -> bytes:
    """Bytes of a zip with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def make_tar(members: Mapping[str, bytes | str], packed: bool = True) -> bytes:
    """Bytes of a tar, or tar.gz, with these members and a folder entry before each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if packed else "w") as archive:
        for name, data in members.items():
            raw = data.encode("utf-8") if isinstance(data, str) else data
            folder = tarfile.TarInfo(name.rpartition("/")[0] or ".")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return buffer.getvalue()


def make_release(
    folder: Path, format: str, languages: list[str], files: dict[str, bytes | str], name: str = "src", **more: object
) -> Path:
    """Write ``files`` (``.gz`` is packed here) and their manifest, with ``more`` keys; return the manifest's path."""
    entries = []
    for file, data in files.items():
        raw = data.encode("utf-8") if isinstance(data, str) else data
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(raw) if file.endswith(".gz") else raw)
        entries.append({"name": file, "bytes": path.stat().st_size, "sha256": sha256(path), "url": "test"})
    manifest = {
        "source": name,
        "version": "v1",
        "format": format,
        "languages": languages,
        "licence": "",
        "citation": "",
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest | more | {"files": entries}), encoding="utf-8")
    return path


def release(folder: Path, format: str, languages: list[str], files: dict[str, bytes | str]) -> Release:
    """The same, opened."""
    return Release(make_release(folder, format, languages, files))
