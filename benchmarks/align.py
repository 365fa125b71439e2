"""CPU time, wall time and memory of fast_align, beside other aligners, on real and on generated text.

    python benchmarks/align.py --tools results/tools/fast_align    # Tatoeba de-en from WEAM_SHARED_DATA
    python benchmarks/align.py --tools DIR --zipf 500000 --words 25              # a generated corpus
    python benchmarks/align.py --tools DIR --peer /path/to/fast_align            # another program, same command line
    python benchmarks/align.py --tools DIR --thot                                # sil-thot, if it is installed

Every program aligns the forward direction with -d -o -v and five iterations. User CPU seconds and the peak of resident
memory are the operating system's, of the whole process, reading and writing included.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Cost(NamedTuple):
    """What a process took."""

    user: float
    wall: float
    megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, required=True, help="folder with our fast_align")
    parser.add_argument("--peer", type=Path, action="append", default=[], help="another fast_align (repeat)")
    parser.add_argument("--thot", action="store_true", help="compare with sil-thot (pip install sil-thot)")
    parser.add_argument("--text", type=Path, help="text to align: 'source ||| target' lines")
    parser.add_argument("--zipf", type=int, metavar="PAIRS", help="generate so many pairs instead")
    parser.add_argument("--words", type=int, default=25, help="words a side of generated pairs (25)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads of our program (1 2)")
    parser.add_argument("--both", action="store_true", help="our program makes both directions and symmetrises")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the fastest counts")
    args = parser.parse_args()
    for program in (args.tools / "fast_align", *args.peer):
        if not os.access(program, os.X_OK):
            sys.exit(f"{program}: no such program; build it first (snakemake -j1 results/tools/fast_align)")
    with tempfile.TemporaryDirectory() as folder:
        text = args.text or (zipf(args.zipf, args.words, Path(folder)) if args.zipf else tatoeba(Path(folder)))
        pairs = sum(1 for _ in text.open("rb"))
        print(f"{text.name}: {pairs} pairs, {text.stat().st_size / 1e6:.1f} MB; {platform.machine()}, {cpu_name()}")
        print("| program | user CPU, s | wall, s | memory, MB | pairs/s of CPU |\n|---|---:|---:|---:|---:|")
        options = ["-i", str(text), "-d", "-o", "-v"]
        ours = str(args.tools / "fast_align")
        extra = ["--both", f"{folder}/links", "-c", "grow-diag-final-and"] if args.both else []
        programs = {
            f"fast_align (WEAM), {threads} thread{'s' * (threads > 1)}": [ours, *options, *extra, "-n", str(threads)]
            for threads in args.threads
        }
        for peer in args.peer:
            programs[f"{peer}, 1 thread"] = ["env", "OMP_NUM_THREADS=1", str(peer), *options]
        if args.thot:
            programs["sil-thot FastAlign"] = [sys.executable, __file__.replace("align.py", "thot_align.py"), str(text)]
        for name, command in programs.items():
            cost = min((run(command, Path(folder)) for _ in range(args.repeat)), key=lambda cost: cost.user)
            print(
                f"| {name} | {cost.user:.2f} | {cost.wall:.2f} | {cost.megabytes:.0f} | {pairs / cost.user:,.0f} |",
                flush=True,
            )


def run(command: list[str], folder: Path) -> Cost:
    """Run a program with its output in a file; it must succeed."""
    start = time.monotonic()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        process = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        _, status, usage = os.wait4(process, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}: failed\n{(folder / 'err').read_text(errors='replace')[-2000:]}")
    return Cost(usage.ru_utime, time.monotonic() - start, usage.ru_maxrss / 1000)


def zipf(pairs: int, words: int, folder: Path) -> Path:
    """Sentences around ``words`` words long: source words fall in frequency like 1/rank, most have a translation."""
    rng = np.random.default_rng(1)
    vocabulary = 200_000
    weights = 1 / np.arange(1, vocabulary + 1)
    cumulative = np.cumsum(weights / weights.sum())
    path = folder / f"zipf-{pairs}.txt"
    with path.open("w") as file:
        for start in range(0, pairs, 10_000):
            count = min(10_000, pairs - start)
            lengths = rng.integers(words // 2, words + words // 2 + 1, count)
            drawn = np.searchsorted(cumulative, rng.random(int(lengths.sum())))
            other = np.searchsorted(cumulative, rng.random(len(drawn)))
            noise = rng.random(len(drawn))
            place = 0
            for length in lengths:
                source = drawn[place : place + length]
                keep = noise[place : place + length]
                target = np.where(keep < 0.8, source, other[place : place + length])
                swap = np.arange(length) + np.where(keep < 0.15, 1.5, 0)
                target = target[np.argsort(swap, kind="stable")]
                place += length
                file.write(" ".join(f"s{w}" for w in source) + " ||| " + " ".join(f"t{w}" for w in target) + "\n")
    return path


def tatoeba(folder: Path) -> Path:
    """German-English pairs of the shared data, lower case, words and punctuation apart."""
    root = Path(os.environ.get("WEAM_SHARED_DATA", "../shared/data"))
    archive = root / "manythings" / "deu-eng.zip"
    if not archive.is_file():
        sys.exit(f"{archive}: not there; set WEAM_SHARED_DATA, or give --text or --zipf")
    path = folder / "tatoeba-de-en.txt"
    with zipfile.ZipFile(archive) as packed, path.open("w", encoding="utf-8") as out:
        for line in packed.read("deu.txt").decode().splitlines():
            english, german = (side.lower() for side in line.split("\t")[:2])
            sides = [" ".join(_words(side)) for side in (english, german)]
            out.write(" ||| ".join(sides) + "\n")
    return path


def _words(side: str) -> list[str]:
    for mark in '.,!?;:"()„“':
        side = side.replace(mark, f" {mark} ")
    return side.split()


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


if __name__ == "__main__":
    main()
