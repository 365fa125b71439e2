"""Build fast_align and atools from source: our own fast_align/ folder, or another source tree or archive with CMake.

Our own needs only a C++17 compiler; CMake (with make or ninja) is used when it is there.
"""

from __future__ import annotations

import argparse
import errno
import gzip
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from weam.errors import UserError
from weam.io import NO_ROOM, atomic_path, no_room, scratch_folder

PROGRAMS = ("fast_align", "atools")
_MAX_UNPACKED = 2**30  # bytes; no aligner comes near, a malicious archive stops here


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", type=Path, required=True, help="folder or archive (.zip, .tar.gz) of the sources")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets fast_align and atools")


def run(args: argparse.Namespace) -> None:
    source: Path = args.source
    if not source.exists():
        raise UserError(f"--source {source}: does not exist; give the folder or archive of the sources")
    with scratch_folder(args.out.resolve()) as work:
        tree = source.resolve() if source.is_dir() else unpack(source, work / "source")
        build = work / "build"
        build.mkdir()
        if is_ours(tree) and not (find_cmake() and find_generator()):
            compile_directly(tree, build)
        else:
            build_with_cmake(tree, build, source)
        for program in PROGRAMS:
            with atomic_path(args.out / program) as temporary:
                shutil.copyfile(find_program(build, program, source), temporary)
                temporary.chmod(0o755)


def is_ours(tree: Path) -> bool:
    """Whether ``tree`` is WEAM's own source, which can be compiled without CMake."""
    cmake = tree / "CMakeLists.txt"
    return cmake.is_file() and "project(weam_fast_align" in cmake.read_text(encoding="utf-8", errors="replace")


def find_cmake() -> str | None:
    """CMake on the PATH, or the one that the PyPI package ``cmake`` puts beside Python; None without either."""
    beside = Path(sys.executable).with_name("cmake")
    return shutil.which("cmake") or (str(beside) if os.access(beside, os.X_OK) else None)


def find_generator() -> str | None:
    """CMake's name of the build program that is installed."""
    return "Unix Makefiles" if shutil.which("make") else "Ninja" if shutil.which("ninja") else None


def find_compiler() -> list[str]:
    """The C++ compiler as the start of a command: ``$CXX``, else c++, g++ or clang++."""
    if named := os.environ.get("CXX", "").split():
        if shutil.which(named[0]) is None:
            raise UserError(f"CXX={os.environ['CXX']}: the compiler is not found; unset CXX or install it")
        return named
    for name in ("c++", "g++", "clang++"):
        if path := shutil.which(name):
            return [path]
    raise UserError("no C++ compiler is installed; install one with C++17 (Debian and Ubuntu: apt-get install g++)")


def compile_directly(tree: Path, build: Path) -> None:
    """Compile our own sources with the compiler alone: every file but the two programs is shared by both."""
    compiler = find_compiler()
    sources = sorted((tree / "src").glob("*.cpp"))
    shared = [path for path in sources if path.stem not in PROGRAMS]
    options = ["-std=c++17", "-O3", "-DNDEBUG", "-pthread"]
    options += ["-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"]
    objects = []
    for path in sources:
        objects.append(build / f"{path.stem}.o")
        _call([*compiler, *options, "-c", str(path), "-o", str(objects[-1])], tree, build)
    for program in PROGRAMS:
        parts = [build / f"{path.stem}.o" for path in shared] + [build / f"{program}.o"]
        _call([*compiler, *options, *map(str, parts), "-o", str(build / program)], tree, build)


def build_with_cmake(tree: Path, build: Path, source: Path) -> None:
    """Configure and build in Release mode."""
    if not (tree / "CMakeLists.txt").is_file():
        raise UserError(f"--source {source}: has no CMakeLists.txt; give the folder or archive of FastAlign's sources")
    cmake = find_cmake()
    if cmake is None:
        raise UserError(
            f"--source {source}: building it needs CMake; install it (pip install cmake), or leave the key "
            "align.source empty to use WEAM's own fast_align"
        )
    find_compiler()
    generator = find_generator()
    if generator is None:
        raise UserError("neither make nor ninja is installed; install one (Debian and Ubuntu: apt-get install make)")
    # FastAlign's own CMakeLists.txt asks for CMake 2.8, which CMake 4 refuses without the policy.
    options = ["-G", generator, "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_POLICY_VERSION_MINIMUM=3.5"]
    _call([cmake, "-S", str(tree), "-B", str(build), *options], tree, build)
    jobs = str(min(os.cpu_count() or 1, 8))
    _call([cmake, "--build", str(build), "--config", "Release", "--parallel", jobs], tree, build)


def _call(command: list[str], tree: Path, build: Path) -> None:
    """Run one build command silently; if it fails, the error holds the last lines of what it said.

    What compilers keep for a while goes with ``build``, whatever becomes of them.
    """
    temporary = build / "tmp"
    temporary.mkdir(exist_ok=True)
    variables = os.environ | {"TMPDIR": str(temporary), "LC_ALL": "C"}
    result = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        said = result.stdout.decode("utf-8", errors="replace").rstrip()
        if NO_ROOM in said or no_room(build):
            raise OSError(errno.ENOSPC, NO_ROOM, str(build))
        lines = said.splitlines()
        raise UserError(
            f"building {tree} failed: {Path(command[0]).name} ended with status {result.returncode}; its last lines "
            "follow\n" + "\n".join(lines[-20:])
        )


def find_program(build: Path, program: str, source: Path) -> Path:
    """The executable called ``program`` that lies highest in the build folder."""
    found = [
        path
        for path in build.rglob(program)
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & stat.S_IXUSR
    ]
    if not found:
        raise UserError(f"--source {source}: was built but made no program {program}; give the sources of FastAlign")
    return min(found, key=lambda path: (len(path.parts), path))


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip or tar archive member by member and return the highest folder that has a CMakeLists.txt.

    Links, devices and paths that lead out of ``folder`` are a :class:`UserError`.
    """
    total = 0
    try:
        for name, size, stream in _members(archive):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise UserError(f"{archive}: member {name!r} would lie outside the archive's folder; do not trust it")
            total += size
            if total > _MAX_UNPACKED:
                raise UserError(f"{archive}: unpacks to more than {_MAX_UNPACKED} bytes; give the sources alone")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(":") if str(error) else type(error).__name__
        raise UserError(f"{archive}: not a readable .zip or .tar.gz archive ({reason}); download it again") from None
    found = sorted(folder.rglob("CMakeLists.txt"), key=lambda path: (len(path.parts), path))
    if not found:
        raise UserError(f"{archive}: has no CMakeLists.txt; give an archive of FastAlign's sources")
    return found[0].parent


def _members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size and content of each file in the archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if stat.S_ISLNK(info.external_attr >> 16):
                    raise UserError(f"{archive}: member {info.filename!r} is a link; unpack it and give the folder")
                if not info.is_dir():
                    yield info.filename, info.file_size, zipped.open(info)
        return
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isdir() or member.name == "pax_global_header":
                continue
            stream = packed.extractfile(member) if member.isfile() else None
            if stream is None:
                raise UserError(f"{archive}: member {member.name!r} is not a plain file; unpack it and give the folder")
            yield member.name, member.size, stream
