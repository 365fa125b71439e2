"""Files of a release by their names, whether they stand alone, are compressed or are members of archives."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, TypeVar, cast

from weam.errors import UserError
from weam.readers import Allowance, Release, base_name, members, open_zip, reading, unpacked

T = TypeVar("T")

TARS = (".tar.gz", ".tgz", ".tar")


class Entry(NamedTuple):
    """A file that is open while it is read; ``name`` is without folders and ``.gz``, ``where`` is for messages."""

    name: str
    where: str
    stream: IO[bytes]


def collect(release: Release, wanted: Callable[[str], bool], read: Callable[[Entry], T]) -> list[T]:
    """What ``read`` makes of all files of a release whose path is ``wanted``, in the order of their paths.

    A path is that in the release or in the archive, with folders and without ``.gz``. Archives (``.zip``, ``.tar``,
    ``.tar.gz``, ``.tgz``) that are not wanted themselves are searched, once from front to back. Damage to the file is a
    :class:`UserError`.
    """
    found: list[tuple[str, T]] = []
    for name in release.files:
        path = release.path(name)
        if wanted(name.removesuffix(".gz")):
            with _guarded(path), release.open(name) as stream:
                found.append((name, read(Entry(_plain(name), str(path), stream))))
        elif name.endswith(".zip"):
            allowance = Allowance(path)
            with open_zip(path) as archive:
                for member in members(archive):
                    if wanted(member.removesuffix(".gz")):
                        size = archive.getinfo(member).file_size
                        with (
                            _guarded(path),
                            archive.open(member) as packed,
                            _open(member, packed, path, size, allowance) as stream,
                        ):
                            found.append((member, read(Entry(_plain(member), f"{path}: {member}", stream))))
        elif name.endswith(TARS):
            allowance = Allowance(path)
            with _guarded(path), path.open("rb") as packed, _open(name, packed, path, path.stat().st_size) as whole:
                for member, size, inner in tar_members(whole):
                    if wanted(member.removesuffix(".gz")):
                        with _open(member, inner, path, size, allowance) as stream:
                            found.append((member, read(Entry(_plain(member), f"{path}: {member}", stream))))
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def read_named(
    release: Release, names: Sequence[str], read: Callable[[Entry], T], other_folders: Sequence[str] = ()
) -> dict[str, T]:
    """What ``read`` makes of the files called ``names`` (without ``.gz``), whatever their folders; by name.

    In ``other_folders`` there are files of these names that are something else. A file that is missing or stands twice
    is a :class:`UserError`.
    """

    def wanted(path: str) -> bool:
        *folders, name = path.split("/")
        return name in names and not set(folders) & set(other_folders)

    found: dict[str, tuple[str, T]] = {}
    for name, where, value in collect(release, wanted, lambda entry: (entry.name, entry.where, read(entry))):
        if name in found:
            raise UserError(f"{where}: {name} stands in {found[name][0]} too; leave one of them out of the source")
        found[name] = where, value
    for name in names:
        if name not in found:
            raise lacking(release, name)
    return {name: found[name][1] for name in names}


def lacking(release: Release, wanted: str) -> UserError:
    """The error for a release that has no file ``wanted``; it lists what is there."""
    there = listing(release)
    listed = ", ".join(there[:12]) + (f" and {len(there) - 12} more" if len(there) > 12 else "") or "nothing"
    return UserError(
        f"source {release.name}: has no file {wanted}[.gz]; it has {listed}; check the source's url and format"
    )


def listing(release: Release) -> list[str]:
    """Names, without folders, of all files of a release, members of archives instead of the archives."""
    there: list[str] = []
    for name in release.files:
        path = release.path(name)
        if name.endswith(".zip"):
            with open_zip(path) as archive:
                there += map(base_name, members(archive))
        elif name.endswith(TARS):
            with _guarded(path), path.open("rb") as packed, _open(name, packed, path, path.stat().st_size) as whole:
                there += [base_name(member) for member, _, _ in tar_members(whole)]
        else:
            there.append(base_name(name))
    return there


def tar_members(stream: IO[bytes]) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Path, size and contents of the files in a tar, without macOS's resource forks; read each before the next.

    Read it inside :func:`collect`, which tells damage to the user.
    """
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            if member.issparse():
                raise tarfile.TarError(f"{path} has holes, of which nothing tells how much they unpack to")
            if member.isfile() and not base_name(path).startswith("._"):
                yield path, member.size, cast(IO[bytes], archive.extractfile(member))
    while stream.read(1 << 20):  # up to the checksum of a compressed one
        pass


@contextlib.contextmanager
def _guarded(path: Path) -> Iterator[None]:
    with reading(path):
        try:
            yield
        except tarfile.TarError as error:
            raise EOFError(str(error)) from None


def _open(name: str, stream: IO[bytes], path: Path, size: int, allowance: Allowance | None = None) -> IO[bytes]:
    """The contents of a file or member ``name`` of ``size`` bytes, in ``path``; ``allowance`` is for members."""
    if not name.endswith((".gz", ".tgz")):
        return stream
    # gzip and not the own unpacking of tarfile, which takes a truncated file for a complete one
    packed = min(size, path.stat().st_size)  # a member that is larger than its archive is packed twice
    return unpacked(stream, f"{path}: {name}", packed, allowance)


def _plain(path: str) -> str:
    return base_name(path).removesuffix(".gz")
