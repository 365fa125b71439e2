"""A minute of random input for the parser with a short training, and for the loader of saved models: ``make fuzz``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from aligner import align, as_text, make_pairs
from sanitized import sanitized


def test_fuzz(tmp_path: Path) -> None:
    program = sanitized("address,undefined,float-cast-overflow", fuzz=True) / "fuzz"
    text = as_text(make_pairs(12, 1))
    odd = "\ufeffa b ||| c\r\n\n ||| \n|||\na\tb\n<eps> ||| <eps> <eps>\na a a ||| b b b"
    align(text, "-dov", "--save-model", tmp_path / "forward")
    align("a b ||| c\nb ||| c d\n", "-r", "--save-model", tmp_path / "reverse")
    (tmp_path / "text").write_text(text)
    (tmp_path / "odd").write_text(odd)
    seeds = [str(tmp_path / name) for name in ("text", "odd", "forward", "reverse")]
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    command = [str(program), str(seconds), *seeds]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=seconds + 120)
    assert done.returncode == 0, f"{done.stderr[-6000:]}\ninput: {(tmp_path / 'fuzz.crash').read_bytes()[:2000]!r}"
    inputs = int(done.stdout.split()[0])
    print(f"{inputs} inputs in {seconds} s")
    assert inputs > 20 * seconds
