"""Raw pairs to Parquet shards: time per pair and memory at growing sizes, and a plain pipeline beside it.

    python benchmarks/shards.py                                # 10,000 to 5,000,000 pairs; an hour
    python benchmarks/shards.py --quick                        # 10,000 and 100,000 pairs
    python benchmarks/shards.py --pairs 10000 1000000 --tools results/tools/fast_align --repeat 3

Corpora are generated: words fall in frequency as in real text, sentences have 20 words in the mean, capitals, commas
and full stops, four fifths of the words have a translation, and some letters are not ASCII. The commands `text`,
`align` and `shards` run as the workflow runs them, with one thread; what starting them takes is taken off. With
--repeat all sizes are run in turn so many times (those above a million once), so that slow hours of a machine meet them
all, and the least time counts: other programs only ever add to it. Memory is the peak of what is resident, of the
aligner's program apart. The peer does the same with `datasets.map`, row by row, with the fast tokenizer of transformers
and loops over sub-words; its rows must be ours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from align import cpu_name

VOCABULARY, TOKENS = 500_000, 30_000
EXPONENT, OFFSET = 1.5, 40
"""Zipf and Mandelbrot's law: a million words are of some 50,000 kinds, ten million of 180,000."""
SYLLABLES = {
    "en": [first + vowel for first in [*"bcdfglmnprst", "th"] for vowel in "aeiou"],
    "de": [first + vowel for first in [*"bdfgklmnrstz", "sch"] for vowel in [*"aeiou", "ei", "au", "ie", "er", "ü"]],
}
SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
ONCE = 1_000_000
"""Corpora of more pairs are run once, however many repeats are asked for."""
COMPARED = 100_000
"""Pairs that the peer works on too, at most."""
NOTHING = 20
"""Pairs of the corpus that shows what starting a command costs."""
STAGES = ("text", "align", "shards")
COLUMNS = [f"{side}_{what}" for what in ("ids", "word") for side in ("source", "target")]
COLUMNS += ["link_source", "link_target", "one_source", "one_target"]
MAX_LENGTH = 128


MEASURE = """
import json, resource, sys
from pathlib import Path
from weam.cli import main
status = main(sys.argv[2:])
own, called = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
cpu = sum(who.ru_utime + who.ru_stime for who in (own, called))
Path(sys.argv[1]).write_text(json.dumps([cpu, own.ru_maxrss / 1000, called.ru_maxrss / 1000]))
sys.exit(status)
"""


class Cost(NamedTuple):
    """What a command took: CPU seconds, peak memory in MB, and the peak of the programs that it called."""

    cpu: float
    megabytes: float
    called: float

    @classmethod
    def least(cls, costs: list[Cost]) -> Cost:
        """The least time and the most memory of several runs."""
        return cls(min(c.cpu for c in costs), max(c.megabytes for c in costs), max(c.called for c in costs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", help="sizes of the corpora")
    parser.add_argument("--quick", action="store_true", help="10,000 and 100,000 pairs")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each size up to a million pairs")
    parser.add_argument("--tools", type=Path, help="folder with our fast_align (default: built first)")
    parser.add_argument("--folder", type=Path, help="for the files (5 GB for 5,000,000 pairs; default: temporary)")
    parser.add_argument("--peer", nargs=2, type=Path, metavar=("FOLDER", "TOKENIZER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(peer(*args.peer))
        return
    sizes = sorted(args.pairs or SIZES[: 2 if args.quick else 4])
    compared = max((size for size in sizes if size <= COMPARED), default=COMPARED)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        tools = args.tools or folder / "tools"
        if not args.tools:
            weam("build_fast_align", "--source", "fast_align", "--out", tools)
        tokenizer = make_tokenizer(folder)
        print(f"{platform.machine()}, {cpu_name()}; microseconds of CPU per pair, peak memory in MB\n", flush=True)
        runs: dict[int, list[dict[str, Cost]]] = {size: [] for size in dict.fromkeys([NOTHING, *sizes, compared])}
        for round_ in range(args.repeat):
            for size, done in runs.items():
                if round_ and size > ONCE:
                    continue
                done.append(ours(size, folder / str(size), tools, tokenizer))
                print(
                    f"{size:,} pairs:", *(f"{stage} {cost.cpu:.2f} s" for stage, cost in done[-1].items()), flush=True
                )
        least = {
            size: {stage: Cost.least([run[stage] for run in done]) for stage in STAGES} for size, done in runs.items()
        }
        start = least.pop(NOTHING)
        found = {s: {size: (costs[s].cpu - start[s].cpu) / size * 1e6 for size, costs in least.items()} for s in STAGES}
        print("\n| pairs | text | MB | align | MB | aligner, MB | shards | MB |\n|" + "---:|" * 8)
        for size, costs in least.items():
            cells = [f"{size:,}"]
            for stage, cost in costs.items():
                cells += [f"{found[stage][size]:.1f}", f"{cost.megabytes:.0f}"]
                cells += [f"{cost.called:.0f}"] if stage == "align" else []
            print(f"| {' | '.join(cells)} |", flush=True)
        command = [sys.executable, __file__, "--peer", str(folder / str(compared)), str(tokenizer)]
        theirs = float(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout) * 1e6 / compared
        same_rows(folder / str(compared))
        ours_too = found["text"][compared] + found["shards"][compared]
        print(f"\ntext and shards of {compared:,} pairs, the same rows: ours {ours_too:.1f}, peer {theirs:.0f}")
        summary: dict[str, Any] = {"benchmark": "shards", "ours": round(1e6 / ours_too), "peer": round(1e6 / theirs)}
        summary |= {"ratio": round(theirs / ours_too, 2), "unit": "pairs/s of CPU", "pairs": compared}
        print(json.dumps(summary | {"machine": f"{platform.machine()}, {cpu_name()}"}))


def words(language: str) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Words by rank: the frequent ones are short."""
    parts = SYLLABLES[language]
    made = []
    for rank in range(VOCABULARY):
        word, number = "", rank + 1
        while number:
            number, part = divmod(number - 1, len(parts))
            word = parts[(part * 37 + len(word)) % len(parts)] + word
        made.append(word)
    return np.array(made, dtype=object)


def sentences(pairs: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """Generated pairs."""
    rng = np.random.default_rng(seed)
    english, german = words("en"), words("de")
    weights = (np.arange(VOCABULARY) + 1.0 + OFFSET) ** -EXPONENT
    cumulative = np.cumsum(weights / weights.sum())
    for start in range(0, pairs, 10_000):
        lengths = np.clip(rng.lognormal(np.log(17), 0.55, min(10_000, pairs - start)).astype(int), 2, 100)
        drawn = np.searchsorted(cumulative, rng.random(int(lengths.sum())))
        other = np.searchsorted(cumulative, rng.random(len(drawn)))
        left, right = english[drawn], german[np.where(rng.random(len(drawn)) < 0.8, drawn, other)]
        place = 0
        for length in lengths:
            sides = [list(side[place : place + length]) for side in (left, right)]
            place += length
            for side in sides:
                side[0] = side[0].capitalize()
                if length > 10:
                    side[length // 2] += ","
            if length > 4:
                sides[1][1], sides[1][-1] = sides[1][-1], sides[1][1]
            yield " ".join(sides[0]) + ".", " ".join(sides[1]) + "."


def release(pairs: int, folder: Path) -> Path:
    """A generated corpus as OPUS packs them; returns its manifest."""
    folder.mkdir(parents=True)
    plain = {language: folder / f"generated.de-en.{language}" for language in ("de", "en")}
    with plain["en"].open("w") as english, plain["de"].open("w") as german:
        for source, target in sentences(pairs):
            english.write(source + "\n")
            german.write(target + "\n")
    packed = folder / "de-en.txt.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in plain.values():
            archive.write(path, path.name)
            path.unlink()
    about: dict[str, Any] = {"source": "generated", "version": "1", "format": "moses", "languages": ["en", "de"]}
    about["files"] = [{"name": packed.name, "bytes": packed.stat().st_size}]
    (folder / "manifest.json").write_text(json.dumps(about))
    return folder / "manifest.json"


def make_tokenizer(folder: Path) -> Path:
    """A vocabulary of generated text."""
    manifest = release(100_000, folder / "vocabulary")
    text = folder / "vocabulary" / "text.parquet"
    common = ("--languages", "en", "de", "--monolingual", "--funnel", folder / "vocabulary" / "funnel.json")
    weam("text", "--manifest", manifest, *common, "--out", text)
    weam("tokenizer", "--text", text, "--settings", json.dumps({"vocab_size": TOKENS}), "--out", folder / "tokenizer")
    return folder / "tokenizer"


def ours(size: int, folder: Path, tools: Path, tokenizer: Path) -> dict[str, Cost]:
    """Costs of the three commands on a generated corpus, which is made if the folder has none."""
    manifest = folder / "raw" / "manifest.json"
    if not manifest.exists():
        release(size, folder / "raw")
    text, links = folder / "text.parquet", folder / "links.txt"
    common: tuple[object, ...] = ("--languages", "en", "de")
    files = ("--links", links, "--forward", folder / "forward.txt", "--reverse", folder / "reverse.txt")
    out = folder / "shards" / "manifest.json"
    commands: dict[str, tuple[object, ...]] = {
        "text": ("--manifest", manifest, *common, "--out", text, "--funnel", folder / "funnel.json"),
        "align": ("--text", text, *common, "--tools", tools, "--out", links, "--quality", folder / "q.json"),
        "shards": ("--text", text, *files, "--tokenizer", tokenizer, "--out", out),
    }
    commands["shards"] += ("--settings", json.dumps({"max_length": MAX_LENGTH}))
    return {stage: weam(stage, *commands[stage]) for stage in STAGES}


def weam(*arguments: object) -> Cost:
    """Run a command of ours in a process of its own; it must succeed."""
    with tempfile.NamedTemporaryFile() as note:
        command = [sys.executable, "-c", MEASURE, note.name, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"weam {' '.join(map(str, arguments))}: failed\n{done.stderr[-2000:]}")
        return Cost(*json.loads(Path(note.name).read_text()))


def peer(folder: Path, tokenizer: Path) -> float:
    """The same rows in a plain way; returns CPU seconds without the start."""
    os.environ |= {"RAYON_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    import datasets
    from transformers import AutoTokenizer

    from weam.words import clean, segmenter

    datasets.disable_progress_bars()
    tokenize = AutoTokenizer.from_pretrained(tokenizer)
    cut = {"source": segmenter("en"), "target": segmenter("de")}
    start = time.process_time()

    def lines() -> Iterator[dict[str, str]]:
        with zipfile.ZipFile(folder / "raw" / "de-en.txt.zip") as archive:
            sides = [archive.open(f"generated.de-en.{language}") for language in ("en", "de")]
            for source, target in zip(*sides, strict=True):
                yield {"source": source.decode(), "target": target.decode()}

    def cleaned(row: dict[str, str]) -> dict[str, Any]:
        texts = {side: clean(row[side]) for side in cut}
        return texts | {f"{side}_words": cut[side](text) for side, text in texts.items()}

    seen: set[tuple[str, str]] = set()

    def wanted(row: dict[str, Any]) -> bool:
        short, long = sorted((len(row["source_words"]), len(row["target_words"])))
        key = (row["source"], row["target"])
        if short < 1 or long > 100 or (long + 3) / (short + 3) > 3 or key in seen:
            return False
        seen.add(key)
        return True

    def numbers(line: str) -> list[tuple[int, ...]]:
        return [tuple(map(int, link.split("-"))) for link in line.split()]

    def projected(row: dict[str, Any]) -> dict[str, Any]:
        ids, owner = {}, {}
        for side in cut:
            encoded = tokenize(row[side], add_special_tokens=False, return_offsets_mapping=True)
            spans, place = [], 0
            for word in row[f"{side}_words"]:
                place = row[side].index(word, place)
                spans.append((place, place + len(word)))
                place += len(word)
            ids[side] = encoded["input_ids"]
            owner[side] = [
                next(number for number, (first, end) in enumerate(spans) if first <= begin < end)
                for begin, _ in encoded["offset_mapping"]
            ]
        keep = {side: len(ids[side]) for side in ids}
        while keep["source"] + keep["target"] > MAX_LENGTH - 3:
            keep["source" if keep["source"] > keep["target"] else "target"] -= 1
        links = set(numbers(row["links"]))
        kept = [
            (i, j)
            for i in range(keep["source"])
            for j in range(keep["target"])
            if (owner["source"][i], owner["target"][j]) in links
        ]
        both = sorted(set(numbers(row["forward"])) & set(numbers(row["reverse"])))
        ones = [
            (i, j)
            for i, j in both
            if [a for a, _ in both].count(i) == 1
            and [b for _, b in both].count(j) == 1
            and i not in owner["source"][keep["source"] :]
            and j not in owner["target"][keep["target"] :]
        ]
        made = {f"{side}_ids": ids[side][: keep[side]] for side in ids}
        made |= {f"{side}_word": owner[side][: keep[side]] for side in ids}
        made |= {"link_source": [i for i, _ in kept], "link_target": [j for _, j in kept]}
        return made | {"one_source": [i for i, _ in ones], "one_target": [j for _, j in ones]}

    with tempfile.TemporaryDirectory(dir=folder) as cache:
        data = datasets.Dataset.from_generator(lines, cache_dir=cache)
        data = data.map(cleaned, cache_file_name=f"{cache}/cleaned.arrow")
        data = data.filter(wanted, cache_file_name=f"{cache}/wanted.arrow")
        data.to_parquet(f"{cache}/text.parquet")
        for name in ("links", "forward", "reverse"):
            data = data.add_column(name, (folder / f"{name}.txt").read_text().splitlines())
        data = data.map(projected, cache_file_name=f"{cache}/projected.arrow", remove_columns=data.column_names)
        data.to_parquet(folder / "peer.parquet")
    return time.process_time() - start


def same_rows(folder: Path) -> None:
    """Stop unless the peer's rows are ours."""
    mine = pq.read_table(sorted((folder / "shards").glob("part-*.parquet")), columns=COLUMNS)
    theirs = pq.read_table(folder / "peer.parquet", columns=COLUMNS)
    if mine.replace_schema_metadata(None) != theirs.cast(mine.schema.remove_metadata()):
        sys.exit("the peer made other rows than ours")


if __name__ == "__main__":
    main()
