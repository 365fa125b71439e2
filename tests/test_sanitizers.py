"""Nothing that the sanitizers of the compiler would report, on good input and on bad."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from aligner import HEURISTICS, as_text, call, make_pairs
from sanitized import sanitized

TEXT = as_text(make_pairs(600, 3)).encode()
ODD = b"\n".join(
    [
        *(
            b"\xef\xbb\xbfa b ||| c\r",
            b"",
            b"|||",
            b"a |||",
            b"\0 \xff\xfe ||| \x80",
            b"a\tb",
            b"<eps> ||| <eps> <eps>",
        ),
        b" ".join(b"w%d" % (k % 9) for k in range(600)) + b" ||| x y",
        b"x ||| " + b" ".join(b"w%d" % (k % 9) for k in range(600)),
        b"y" * 100_000 + b" ||| z",
        b"last ||| line",
    ]
)


@pytest.mark.parametrize("sanitizers", ["address,undefined,float-cast-overflow", "thread"])
def test_the_aligner_under_sanitizers(sanitizers: str, tmp_path: Path) -> None:
    folder = sanitized(sanitizers)

    def run(program: str, *options: object, text: bytes = b"", fails: bool = False) -> bytes:
        command = [str(folder / program), *map(str, options)]
        done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=300)
        report = done.stderr.decode(errors="replace")
        assert "Sanitizer" not in report, report[-4000:]
        assert "runtime error" not in report, report[-4000:]
        assert done.returncode == fails, report[-4000:]
        return done.stdout

    for text in (TEXT, ODD, TEXT + ODD, b"", b"\n\n"):
        for options in (["-dov", "-n", 3], ["-n", 2], ["-dov", "-N", "-I2", "--double", "-n", 2]):
            run("fast_align", "-i", "-", *options, "--both", tmp_path / "x", "-c", ",".join(HEURISTICS), text=text)
    run("fast_align", "-i", "-", "-dov", "-n", 4, "--both", tmp_path / "x", "--save-model", tmp_path / "m", text=TEXT)
    applied = run("fast_align", "-i", "-", "--apply", tmp_path / "m", "-n", 4, text=TEXT)
    assert applied == (tmp_path / "x.forward").read_bytes()
    assert applied == call("fast_align", "-i", "-", "-dov", text=TEXT).stdout
    run("atools", "-i", tmp_path / "x.forward", "-j", tmp_path / "x.reverse", "-c", "grow-diag-final")
    run("fast_align", "-i", "-", "-dov", "-s", "-p", tmp_path / "table", text=TEXT + ODD)
    run("fast_align", "-i", "-", "-d", "-f", tmp_path / "table", text=ODD + TEXT)
    run("fast_align", "-i", "-", "-dov", "--estimate", text=TEXT)
    if sanitizers == "thread":
        return
    whole = (tmp_path / "m").read_bytes()
    generator = random.Random(2)
    for _ in range(40):
        place = generator.randrange(len(whole))
        damaged = whole[:place] + generator.randbytes(generator.randrange(9)) + whole[place + generator.randrange(9) :]
        (tmp_path / "damaged").write_bytes(damaged)
        if damaged != whole:
            run("fast_align", "-i", "-", "--apply", tmp_path / "damaged", text=ODD, fails=True)
