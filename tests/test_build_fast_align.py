"""The stage that builds the programs: archives, other sources, compilers."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from aligner import PAIRS, ROOT, align, as_text

from weam import build_fast_align
from weam.cli import main


def pack(path: Path, folder: str = "tree/") -> Path:
    files = [file for file in sorted((ROOT / "fast_align").rglob("*")) if file.is_file()]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, folder + str(file.relative_to(ROOT / "fast_align")))
    else:
        with tarfile.open(path, "w:gz") as packed:
            for file in files:
                packed.add(file, folder + str(file.relative_to(ROOT / "fast_align")))
    return path


@pytest.mark.parametrize("name", ["source.zip", "source.tar.gz"])
def test_unpack(name: str, tmp_path: Path) -> None:
    tree = build_fast_align.unpack(pack(tmp_path / name), tmp_path / "out")
    assert tree == tmp_path / "out" / "tree"
    assert (tree / "src" / "model.cpp").read_bytes() == (ROOT / "fast_align" / "src" / "model.cpp").read_bytes()
    assert build_fast_align.is_ours(tree)


def evil(folder: Path, kind: str) -> Path:
    if kind in ("../evil", "/tmp/evil", "a/../../evil"):
        with zipfile.ZipFile(folder / "evil.zip", "w") as archive:
            archive.writestr(kind, "x")
        return folder / "evil.zip"
    path = folder / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(member)
    if kind == "cut":
        path.write_bytes(pack(folder / "whole.tar.gz").read_bytes()[:2000])
    elif kind == "text":
        path.write_text("not an archive")
    elif kind == "bare":
        with tarfile.open(path, "w:gz") as packed:
            packed.addfile(tarfile.TarInfo("README"))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("../evil", "outside the archive's folder"),
        ("/tmp/evil", "outside the archive's folder"),
        ("a/../../evil", "outside the archive's folder"),
        ("link", "not a plain file"),
        ("cut", "not a readable"),
        ("text", "not a readable"),
        ("bare", "has no CMakeLists.txt"),
    ],
)
def test_archives_that_are_refused(kind: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["build_fast_align", "--source", str(evil(tmp_path, kind)), "--out", str(tmp_path / "bin")])
    error = capsys.readouterr().err
    assert status == 1
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "bin").exists()


def other_tree(folder: Path, code: str = "int main() { return 0; }", names: str = "fast_align atools") -> Path:
    """Sources of another program with the same command line."""
    folder.mkdir()
    (folder / "main.cpp").write_text(code)
    targets = "".join(f"add_executable({name} main.cpp)\n" for name in names.split())
    (folder / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.5)\nproject(other CXX)\n{targets}")
    return folder


def build(source: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    return main(["build_fast_align", "--source", str(source), "--out", str(out)]), capsys.readouterr().err


def needs_cmake() -> None:
    if build_fast_align.find_cmake() is None or build_fast_align.find_generator() is None:
        pytest.skip("CMake is not installed")


def test_building_other_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_cmake()
    status, error = build(other_tree(tmp_path / "tree"), tmp_path / "bin", capsys)
    assert (status, error) == (0, "")
    assert subprocess.run([tmp_path / "bin" / "atools"], check=False).returncode == 0
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["atools", "fast_align"]


def test_a_build_that_fails_shows_the_compiler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_cmake()
    status, error = build(other_tree(tmp_path / "a", "int main() { nonsense }"), tmp_path / "bin", capsys)
    assert status == 1
    assert "failed" in error.splitlines()[0]
    assert "nonsense" in error
    status, error = build(other_tree(tmp_path / "b", names="fast_align"), tmp_path / "bin", capsys)
    assert status == 1
    assert "made no program atools" in error


def test_a_compiler_on_a_full_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it keeps for a while lies beside the programs and goes with the build, and the cure is named."""
    monkeypatch.setattr(build_fast_align, "find_cmake", lambda: None)
    compiler = tmp_path / "c++"
    compiler.write_text(
        '#!/bin/sh\ntouch "$TMPDIR/cc.s"; echo "$TMPDIR" >> where\necho "x.s: No space left on device"\nexit 1\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.chdir(tmp_path)
    status, error = build(ROOT / "fast_align", tmp_path / "out" / "bin", capsys)
    assert status == 1
    assert error.endswith(": No space left on device; make room, then give the same command again\n")
    assert Path((tmp_path / "where").read_text().strip()).is_relative_to(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_without_cmake(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_fast_align, "find_cmake", lambda: None)
    status, error = build(other_tree(tmp_path / "other"), tmp_path / "bin", capsys)
    assert status == 1
    assert "needs CMake" in error
    monkeypatch.setenv("CXX", "no-such-compiler")
    status, error = build(ROOT / "fast_align", tmp_path / "bin", capsys)
    assert status == 1
    assert "no-such-compiler" in error
    monkeypatch.delenv("CXX")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        status, error = build(ROOT / "fast_align", tmp_path / "bin", capsys)
    assert status == 1
    assert "apt-get install g++" in error
    status, error = build(tmp_path / "nowhere", tmp_path / "bin", capsys)
    assert status == 1
    assert "does not exist" in error


def test_compiling_without_cmake_gives_the_same_links(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_fast_align, "find_cmake", lambda: None)
    assert build(ROOT / "fast_align", tmp_path / "bin", capsys) == (0, "")
    command = [str(tmp_path / "bin" / "fast_align"), "-i", "-", "-dov"]
    result = subprocess.run(command, input=as_text(PAIRS).encode(), capture_output=True, check=True)
    assert result.stdout.decode().splitlines() == align(as_text(PAIRS), "-dov")


def test_cmake_install(tmp_path: Path) -> None:
    needs_cmake()
    cmake = str(build_fast_align.find_cmake())
    work = str(tmp_path / "build")
    for command in (
        [cmake, "-S", str(ROOT / "fast_align"), "-B", work, "-DCMAKE_BUILD_TYPE=Debug"],
        [cmake, "--build", work],
        [cmake, "--install", work, "--prefix", str(tmp_path / "prefix")],
    ):
        subprocess.run(command, check=True, capture_output=True)
    programs = [tmp_path / "prefix" / "bin" / name for name in ("fast_align", "atools")]
    assert all(subprocess.run([program, "--version"], check=False).returncode == 0 for program in programs)
    command = [str(programs[0]), "-i", "-", "-dov"]
    result = subprocess.run(command, input=as_text(PAIRS).encode(), capture_output=True, check=True)
    assert result.stdout.decode().splitlines() == align(as_text(PAIRS), "-dov")  # not a matter of optimisation
