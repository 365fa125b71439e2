"""Align the words of a parallel corpus with FastAlign in both directions and symmetrise the links.

Gold sentences (--gold) are appended to the corpus, so that they are aligned by the same model, and cut off again; their
alignment error rate goes to quality.json. Any programs with the command line of fast_align and atools will do.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from weam.config import Align
from weam.errors import UserError
from weam.io import atomic_path, write_json
from weam.metrics.aer import score_links
from weam.progress import Progress
from weam.readers import Release
from weam.readers.gold import GoldPair, read_gold
from weam.settings import read_settings
from weam.tables import open_parquet

DIRECTIONS = ("forward", "reverse")
_ESCAPES = {"|||": "｜｜｜", "<eps>": "＜eps＞"}
_BLANKS = str.maketrans(dict.fromkeys(" \t\n\r", "_") | {"\ufeff": "", "\0": ""})


class Lengths(NamedTuple):
    """Words on each side of each line of the corpus."""

    source: array[int]
    target: array[int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", type=Path, required=True, help="text.parquet of pairs")
    parser.add_argument("--languages", nargs=2, required=True, metavar="LANG", help="en and the target language")
    parser.add_argument("--tools", type=Path, required=True, help="folder with fast_align and atools")
    parser.add_argument("--settings", help="the align block of the configuration (JSON or file)")
    parser.add_argument("--gold", type=Path, help="manifest.json of gold word alignments")
    parser.add_argument("--threads", type=int, default=1, help="threads of our fast_align (the result is the same)")
    parser.add_argument("--out", type=Path, required=True, help="links.txt; forward.txt and reverse.txt go beside it")
    parser.add_argument("--quality", type=Path, required=True, help="quality.json")


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Align, args.settings)
    source, target = args.languages
    if source != "en" or target == "en":
        raise UserError(f"--languages {source} {target}: pairs are of en and one other language; write en LANG")
    gold = read_gold(Release(args.gold), target) if args.gold else []
    fast_align, atools = (find_tool(args.tools, name) for name in ("fast_align", "atools"))

    with work_folder(args.out) as work:
        corpus = work / "corpus.txt"
        lengths = write_corpus(args.text, gold, settings.lowercase, corpus)
        outputs = {direction: work / f"links.{direction}" for direction in DIRECTIONS}
        outputs["symmetrised"] = work / f"links.{settings.heuristic}"
        options = fast_align_options(settings, corpus)
        if is_ours(fast_align):
            both = ["--both", str(work / "links"), "--symmetrise", settings.heuristic, "--threads", str(args.threads)]
            call([str(fast_align), *options, *both], work / "stdout", "both directions")
        else:
            for direction, reverse in zip(DIRECTIONS, ([], ["-r"]), strict=True):
                call([str(fast_align), *options, *reverse], outputs[direction], f"the {direction} direction")
            forward, reverse_links = (str(outputs[direction]) for direction in DIRECTIONS)
            command = [str(atools), "-i", forward, "-j", reverse_links, "-c", settings.heuristic]
            call(command, outputs["symmetrised"], "the symmetrisation")

        rows = len(lengths.source) - len(gold)
        found = {}
        counts: dict[str, Any] = {}  # of the symmetrised links, the last in the loop
        for direction, path in outputs.items():
            out = args.out if direction == "symmetrised" else args.out.with_name(f"{direction}.txt")
            with atomic_path(out) as temporary:
                counts, found[direction] = cut(path, lengths, rows, temporary, f"{args.tools}, {direction} links")
    scores = gold_scores(gold, found) if gold else None
    write_json(args.quality, {"pair": f"{source}-{target}", "sentences": rows, **counts, "gold": scores})


@contextlib.contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` for big intermediate files; what a killed run left there is removed first."""
    folder = out.with_name(f".{out.name}.work")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def find_tool(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise UserError(f"--tools {folder}: has no program {name}; run the build_fast_align stage or give its folder")
    return path.resolve()


def is_ours(fast_align: Path) -> bool:
    """Whether the program has the options of WEAM's own; others know the classic ones only."""
    try:
        command = [str(fast_align), "--version"]
        shown = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False  # the alignment itself will say what is wrong
    return shown.returncode == 0 and shown.stdout.startswith(b"fast_align (WEAM)")


def fast_align_options(settings: Align, corpus: Path) -> list[str]:
    """Short options only: the long ones of the original program do not work."""
    options = ["-i", str(corpus), "-I", str(settings.iterations), "-q", repr(settings.null_probability)]
    switches = {
        "-d": settings.favor_diagonal,
        "-o": settings.optimize_tension,
        "-v": settings.variational_bayes,
    }
    return options + [switch for switch, on in switches.items() if on]


def call(command: list[str], out: Path, what: str) -> None:
    """Run a program with its output in ``out`` and its messages on our stderr."""
    try:
        with out.open("wb") as stream:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stream, check=False).returncode
    except OSError as error:
        raise UserError(
            f"{command[0]}: cannot be run ({error.strerror}); delete it and run the build_fast_align stage again"
        ) from None
    if status < 0:
        raise UserError(f"{command[0]}: was killed by signal {-status} in {what}; does it have enough memory?")
    if status > 0:
        raise UserError(f"{command[0]}: ended with status {status} in {what}; its own message stands above")


def escape(word: str, lowercase: bool) -> str:
    """A word as one token for fast_align: never empty, without blanks, and not one of its two special tokens."""
    word = (word.lower() if lowercase else word).translate(_BLANKS) or "_"
    return _ESCAPES.get(word, word)


def write_corpus(text: Path, gold: Iterable[GoldPair], lowercase: bool, out: Path) -> Lengths:
    """Write ``source ||| target`` lines, the gold sentences last."""
    lengths = Lengths(array("L"), array("L"))
    with out.open("w", encoding="utf-8", newline="\n") as stream:

        def write(source: list[str], target: list[str]) -> None:
            lengths.source.append(len(source))
            lengths.target.append(len(target))
            sides = (" ".join(escape(word, lowercase) for word in side) for side in (source, target))
            stream.write(" ||| ".join(sides) + "\n")

        for source, target in read_words(text):
            write(source, target)
        if not lengths.source:
            raise UserError(f"{text}: has no pairs; look into the funnel.json beside it for what was removed")
        for pair in gold:
            write(pair.english, pair.other)
    return lengths


def read_words(text: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Words of both sides of each row of text.parquet."""
    columns = ["source_words", "target_words"]
    table = open_parquet(text, columns, "pairs")
    with Progress("align", table.rows, "pairs") as progress:
        for batch in table.batches():
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
            progress.step(batch.num_rows)


def cut(
    path: Path, lengths: Lengths, rows: int, out: Path, where: str
) -> tuple[dict[str, Any], list[frozenset[tuple[int, int]]]]:
    """Check every line of links in ``path`` and copy the first ``rows`` lines to ``out``.

    Returns what quality.json says of these rows (``links_per_word``: links per English word), and the links of the
    lines behind them (the gold sentences).
    """
    links = aligned_source = aligned_target = 0
    gold = []
    with path.open("rb") as stream, out.open("w", encoding="ascii", newline="\n") as copy:
        written = 0
        for number, line in enumerate(stream):
            written += 1
            if written > len(lengths.source):
                continue
            line_links = parse_links(line, lengths.source[number], lengths.target[number], f"{where}, line {written}")
            if written > rows:
                gold.append(frozenset(line_links))
                continue
            copy.write(" ".join(f"{i}-{j}" for i, j in line_links) + "\n")
            links += len(line_links)
            aligned_source += len({i for i, _ in line_links})
            aligned_target += len({j for _, j in line_links})
    if written != len(lengths.source):
        raise UserError(f"{where}: {written} lines for {len(lengths.source)} pairs; build the programs again")
    if links == 0 and rows >= 10:  # the original program does this after one line with an empty side
        raise UserError(f"{where}: not one link in {rows} pairs; is the text parallel, and are the programs sound?")
    source_words, target_words = (max(sum(islice(side, rows)), 1) for side in lengths)
    counts = {
        "links": links,
        "links_per_word": links / source_words,
        "aligned_source": aligned_source / source_words,
        "aligned_target": aligned_target / target_words,
    }
    return counts, gold


def parse_links(line: bytes, source_words: int, target_words: int, where: str) -> list[tuple[int, int]]:
    links = []
    for token in line.split():
        first, dash, second = token.partition(b"-")
        if not (dash and first.isdigit() and second.isdigit()):
            raise UserError(
                f"{where}: {token.decode(errors='replace')!r} is not a link; are these fast_align and atools?"
            )
        link = int(first), int(second)
        if link[0] >= source_words or link[1] >= target_words:
            raise UserError(
                f"{where}: link {token.decode()} points outside the pair ({source_words} and {target_words} words); "
                "build the programs again"
            )
        links.append(link)
    return links


def gold_scores(gold: list[GoldPair], found: dict[str, list[frozenset[tuple[int, int]]]]) -> dict[str, Any]:
    scores: dict[str, Any] = {"sentences": len(gold)}
    for direction, links in found.items():
        triples = ((line, pair.sure, pair.possible) for line, pair in zip(links, gold, strict=True))
        scores[direction] = score_links(triples)._asdict()
    return scores
