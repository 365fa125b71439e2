"""Reading the releases of datasets: one module per family of formats, all on top of :class:`Release`.

Lines of text are bytes until they are decoded one by one: only ``\\n`` (and ``\\r\\n``) ends a line, never U+2028 or
U+0085, and one malformed byte costs one line, not the file.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from weam.checksums import require_sealed, require_sum
from weam.errors import UserError
from weam.io import read_object

RATIO, HARMLESS = 200, 1 << 28
"""A file that unpacks to more than so many times its packed size, and to more than so many bytes, is none of ours: text
packs to a third or a tenth."""

INVALID_UTF8 = "invalid UTF-8"


class Fault(NamedTuple):
    """A line that cannot be used: 0-based line of its file, and why; the reason is a step of the funnel."""

    line: int
    reason: str


class Release:
    """One downloaded release of one dataset: the files that its manifest lists.

    Attributes: ``name``, ``version``, ``format``, ``languages``, ``test_share`` (part of the training passages kept for
    testing, 0 to 1), ``files`` (names in the order of the manifest, relative to its folder, as ``dev/x.json.gz``). A
    listed file that is missing or of another size is a :class:`UserError`.
    """

    def __init__(self, manifest_path: str | Path) -> None:
        self.manifest_path = Path(manifest_path)
        self.folder = self.manifest_path.parent
        manifest = read_object(manifest_path)
        require_sealed(self.manifest_path, manifest, "delete it and run the download stage again")
        try:
            self.name: str = manifest["source"]
            self.version: str = manifest["version"]
            self.format: str = manifest["format"]
            self.languages: list[str] = list(manifest["languages"])
            self.test_share = float(manifest.get("test_share", 0))
            sizes: dict[str, int] = {entry["name"]: entry["bytes"] for entry in manifest["files"]}
            self._sums = {entry["name"]: entry["sha256"] for entry in manifest["files"] if "sha256" in entry}
            for key in ("source", "version", "format"):
                if not isinstance(manifest[key], str):
                    raise TypeError(f"{key} is {manifest[key]!r}, not text")
            for text in (*self.languages, *sizes):
                if not isinstance(text, str):
                    raise TypeError(f"{text!r} is not text")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{manifest_path}: not the manifest of a source ({type(error).__name__}: {error}); "
                "delete it and run the download stage again"
            ) from None
        self.files: tuple[str, ...] = tuple(sizes)
        for name, size in sizes.items():
            path = self.folder / name
            if not path.is_file():
                raise UserError(
                    f"{path}: the file is missing though {manifest_path} lists it; "
                    f"delete {manifest_path} and run the download stage again"
                )
            if path.stat().st_size != size:
                raise UserError(
                    f"{path}: has {path.stat().st_size} bytes where {manifest_path} lists {size}; "
                    f"delete {manifest_path} and run the download stage again"
                )

    def path(self, name: str) -> Path:
        """Path of a listed file, whose checksum is verified when it is first asked for."""
        if name not in self.files:
            raise UserError(f"source {self.name}: has no file {name!r}; it has {', '.join(self.files)}")
        if expected := self._sums.pop(name, None):
            cure = f"delete {self.manifest_path} and run the download stage again"
            require_sum(self.folder / name, expected, self.manifest_path, cure)
        return self.folder / name

    def open(self, name: str) -> IO[bytes]:
        """Open a listed file as a stream of bytes; ``.gz`` is unpacked. Read it inside :func:`reading`."""
        return open_file(self.path(name))

    def find(self, wanted: Callable[[str], bool]) -> list[str]:
        """Files whose name without folders and ``.gz`` is ``wanted``."""
        return [name for name in self.files if wanted(base_name(name).removesuffix(".gz"))]

    def require_language(self, language: str) -> None:
        """Raise a :class:`UserError` that lists the languages when ``language`` is not among them."""
        if language not in self.languages:
            raise UserError(
                f"source {self.name}: has no language {language!r}; it has {', '.join(self.languages)}; "
                "name another source or language"
            )


def open_file(path: Path) -> IO[bytes]:
    """Open a file as a stream of bytes; ``.gz`` is unpacked. Read it inside :func:`reading`."""
    return unpacked(path.open("rb"), path, path.stat().st_size) if path.suffix == ".gz" else path.open("rb")


def base_name(name: str) -> str:
    """The part of a file or member name behind the last slash."""
    return name.rsplit("/", 1)[-1]


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn the errors of truncated, damaged or encrypted archives and compressed files into a :class:`UserError`."""
    try:
        yield
    # RuntimeError: an encrypted member, or a compression that is not known here; OSError: of the system if it has errno
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(
            f"{path}: truncated or damaged archive ({error}); delete the file and run the download stage again"
        ) from None


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; damage found while it is open is a :class:`UserError`, as is a member that unpacks to too much."""
    with reading(path), zipfile.ZipFile(path) as archive:
        allowance = Allowance(path)
        for member in archive.infolist():
            if member.file_size > limit(min(member.compress_size, path.stat().st_size)):
                raise too_much(f"{path}: {member.filename}")
            allowance.take(member.file_size)
        yield archive


def limit(packed: int) -> int:
    """Most bytes that ``packed`` ones may unpack to."""
    return max(HARMLESS, RATIO * packed)


def too_much(where: str) -> UserError:
    return UserError(
        f"{where}: unpacks to more than {RATIO} times its size, as no text does (a decompression bomb?); "
        "check where the file comes from"
    )


class Allowance:
    """Bytes that all members of one archive may unpack to: those of :func:`limit`."""

    def __init__(self, path: Path) -> None:
        self.path, self.left = path, limit(path.stat().st_size)

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise too_much(str(self.path))


def unpacked(stream: IO[bytes], where: object, packed: int, allowance: Allowance | None = None) -> IO[bytes]:
    """The contents of a gzip stream of ``packed`` bytes, closed with it; more than :func:`limit` is a UserError.

    ``allowance`` is that of the archive which the stream is a member of.
    """
    return io.BufferedReader(_Unpacked(stream, str(where), limit(packed), allowance), 1 << 16)


class _Unpacked(io.RawIOBase):
    def __init__(self, stream: IO[bytes], where: str, left: int, allowance: Allowance | None) -> None:
        self._packed, self._stream, self._where, self._left = stream, gzip.GzipFile(fileobj=stream), where, left
        self._allowance = allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise too_much(self._where)
        if self._allowance is not None:
            self._allowance.take(count)
        return count

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._packed.close()
        super().close()


def members(archive: zipfile.ZipFile) -> list[str]:
    """Names of the files in a zip, without folders and the resource forks that macOS adds."""
    return [
        name
        for name in archive.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX/") and not base_name(name).startswith("._")
    ]


def missing_member(path: Path, wanted: str, archive: zipfile.ZipFile) -> UserError:
    """The error for a zip that lacks ``wanted``; it lists what is there."""
    there = members(archive)
    listed = ", ".join(there[:12]) + (f" and {len(there) - 12} more" if len(there) > 12 else "") or "nothing"
    return UserError(f"{path}: has no member {wanted}; it has {listed}; check the source's url and format")


def decode(line: bytes) -> str | None:
    """Text of a line without its end; None when it is not valid UTF-8."""
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        return None


def decode_lines(stream: IO[bytes]) -> Iterator[str | None]:
    """Lines of a stream, without line ends and without a byte order mark at the start; None for invalid UTF-8."""
    if isinstance(stream, zipfile.ZipExtFile):  # its own way of finding lines is slow
        stream = io.BufferedReader(stream, 1 << 16)  # type: ignore[arg-type]
    first = next(iter(stream), None)
    if first is not None:
        text = decode(first)
        yield text.removeprefix("\ufeff") if text else text
        yield from map(decode, stream)


def is_unicode(text: str) -> bool:
    """False when ``text`` has a lone surrogate, which JSON escapes allow and UTF-8 does not."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
