"""The aligner compiled with a sanitizer of the compiler, once per test session."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aligner import ROOT

from weam.build_fast_align import PROGRAMS, find_compiler


@functools.cache
def sanitized(sanitizers: str, fuzz: bool = False) -> Path:
    """Folder with fast_align and atools (or the program fuzz); skips where the compiler has no such sanitizer."""
    folder = Path(tempfile.mkdtemp(prefix="weam-test-sanitized-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    compiler = find_compiler()
    options = ["-std=c++17", "-O0", "-ffp-contract=off", "-pthread", "-fno-omit-frame-pointer"]
    options += [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
    (folder / "probe.cpp").write_text("int main() { return 0; }\n")
    probe = [*compiler, *options, str(folder / "probe.cpp"), "-o", str(folder / "probe")]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"the compiler has no -fsanitize={sanitizers}")
    if subprocess.run([folder / "probe"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"programs with -fsanitize={sanitizers} do not run on this system")  # memory layout, ptrace
    sources = sorted((ROOT / "fast_align" / "src").glob("*.cpp"))
    if fuzz:
        sources = [path for path in sources if path.stem not in PROGRAMS] + [ROOT / "fast_align" / "fuzz" / "fuzz.cpp"]
        options += ["-DWEAM_OWN_FUZZER", "-I", str(ROOT / "fast_align" / "src")]

    def compile_one(path: Path) -> Path:
        out = folder / f"{path.stem}.o"
        subprocess.run([*compiler, *options, "-c", str(path), "-o", str(out)], check=True)
        return out

    with ThreadPoolExecutor(2) as pool:
        objects = dict(zip([path.stem for path in sources], pool.map(compile_one, sources), strict=True))
    programs = ["fuzz"] if fuzz else list(PROGRAMS)
    for program in programs:
        parts = [str(path) for stem, path in objects.items() if stem == program or stem not in (*PROGRAMS, "fuzz")]
        subprocess.run([*compiler, *options, *parts, "-o", str(folder / program)], check=True)
    return folder
