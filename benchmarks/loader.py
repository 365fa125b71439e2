"""Time and memory of reading shards: what a training step waits for, and what grows with the corpus.

    python benchmarks/loader.py            # 10,000 and 1,000,000 pairs
    python benchmarks/loader.py --quick    # 10,000 and 200,000

Shards of drawn pairs are written as the shards command writes them. A fresh process per size then makes batches of 32
(weam, then word_align) from three windows and more, over several epochs of a small corpus. The naive way, beside it,
holds all pairs of the corpus as Python lists. Memory is what is resident, by /proc (Linux).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers
from align import cpu_name

from weam.batches import MASKS, WINDOW_ROWS, Ints, Mixture, rng, spread
from weam.cli import main as weam
from weam.codehash import code_hash
from weam.config import Weam, WordAlign
from weam.corpus import Shards
from weam.io import sha256, write_json
from weam.objectives import MaskedPrediction, Objective, WordAlignment
from weam.shards import PAIR_SCHEMA, ROW_GROUP, SCHEMA_VERSION
from weam.subwords import Template

VOCABULARY = 119_547
"""Words of mBERT."""
TEMPLATE = Template([101], [102], [102], 0, 103, [0, 100, 101, 102, 103], VOCABULARY, True)
MAX_LENGTH = 128
PART = 100_000
BATCH = 32
MEDIAN = 13
"""Sub-words of half of the source sides; the mean is 15."""
DRAWN, DRAWN_MEDIAN = 50_000, 24
"""Pairs that are drawn for training, and the same of them; the mean of a pair is 60 tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200,000 pairs at most")
    parser.add_argument("--case", nargs=2, metavar=("WHAT", "MANIFEST"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(naive(Path(args.case[1])) if args.case[0] == "naive" else batches(Path(args.case[1]))))
        return
    sizes = (10_000, 200_000 if args.quick else 1_000_000)
    found: dict[tuple[str, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        print("| pairs | what | ms a batch | longest, ms | memory at first, MB | peak, MB | at the end, MB |")
        print("|---:|---|---:|---:|---:|---:|---:|")
        for size in sizes:
            manifest = Path(folder) / str(size) / "manifest.json"
            counts = [min(PART, size - start) for start in range(0, size, PART)]
            tables = (drawn_pairs(count, MEDIAN, rng(0, 1, number)) for number, count in enumerate(counts))
            write_shards(manifest, tables, TEMPLATE)
            for what in ("loader", "naive"):
                command = [sys.executable, __file__, "--case", what, str(manifest)]
                result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
                found[what, size] = result
                for name in ("weam", "word_align") if what == "loader" else ("naive",):
                    times = [f"{result[f'{name} {key}']:.2f}" if what == "loader" else "" for key in ("ms", "longest")]
                    memory = [f"{result[key]:.0f}" for key in ("first", f"{name} peak", f"{name} last")]
                    print(f"| {size:,} | {name} | {' | '.join([*times, *memory])} |", flush=True)
    small, large = (found["loader", size] for size in sizes)
    ours = large["word_align peak"] - small["word_align peak"]
    peer = found["naive", sizes[1]]["naive peak"] - found["naive", sizes[0]]["naive peak"]
    summary = {
        "benchmark": "loader",
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": round(peer / max(ours, 1.0), 1),
        "unit": f"MB more at the peak with {sizes[1]} pairs than with {sizes[0]}; the peer holds all pairs in lists",
        "machine": machine(1),
        "ms_per_batch": {name: round(large[f"{name} ms"], 3) for name in ("weam", "word_align")},
        "batch_size": BATCH,
        "peak_mb": round(large["word_align peak"], 1),
        "pairs": sizes[1],
    }
    print(json.dumps(summary))


def machine(threads: int) -> dict[str, Any]:
    """What a figure depends on besides the code."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def resident(field: str) -> float:
    """MB of memory of this process: ``VmRSS`` now, ``VmHWM`` at the peak.

    (ru_maxrss would begin with what the parent had.)
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1000


def drawn_pairs(count: int, median: float, generator: np.random.Generator, room: int = (MAX_LENGTH - 3) // 2) -> Any:
    """A table of PAIR_SCHEMA with log-normal lengths, ids that fall in frequency like 1/rank, and links near the
    diagonal.
    """
    source = np.clip(np.exp(generator.normal(np.log(median), 0.5, count)).round(), 1, room).astype(np.int64)
    target = np.clip((source * np.exp(generator.normal(0, 0.2, count))).round(), 1, room).astype(np.int64)
    columns: dict[str, Any] = {"id": np.arange(count)}
    for name, lengths in (("source", source), ("target", target)):
        tokens, free = int(lengths.sum()), VOCABULARY - 1 - max(TEMPLATE.special)
        ids = max(TEMPLATE.special) + np.exp(generator.random(tokens) * np.log(free)).astype(np.int64)
        starts = generator.random(tokens) < 0.75
        first = np.cumsum(lengths) - lengths
        starts[first] = True
        number = np.cumsum(starts)
        word = number - np.repeat(number[first], lengths)
        columns |= {f"{name}_ids": _lists(ids, lengths), f"{name}_word": _lists(word, lengths)}
        columns |= dict.fromkeys((f"{name}_words", f"{name}_whole"), word[first + lengths - 1] + 1)
    place, owner = spread(0 * source, source), np.repeat(np.arange(count), source)
    kept = generator.random(len(place)) < 0.85
    place, owner = place[kept], owner[kept]
    linked = np.bincount(owner, minlength=count)
    columns["link_source"] = _lists(place, linked)
    columns["link_target"] = _lists(place * target[owner] // source[owner], linked)
    common = np.minimum(columns["source_words"], columns["target_words"])
    place, owner = spread(0 * common, common), np.repeat(np.arange(count), common)
    kept = generator.random(len(place)) < 0.6
    one = _lists(place[kept], np.bincount(owner[kept], minlength=count))
    columns |= {"one_source": one, "one_target": one}
    arrays = [columns[name] for name in PAIR_SCHEMA.names]
    typed = [pa.array(a) if isinstance(a, np.ndarray) else a for a in arrays]
    return pa.table([a.cast(field.type) for a, field in zip(typed, PAIR_SCHEMA, strict=True)], schema=PAIR_SCHEMA)


def _lists(values: Ints, lengths: Ints) -> Any:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def write_shards(manifest: Path, tables: Iterable[Any], template: Template, max_length: int = MAX_LENGTH) -> None:
    """Shards of pairs as the shards command writes them, one part for each table."""
    manifest.parent.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, table in enumerate(tables):
        path = manifest.parent / f"part-{number:05d}.parquet"
        pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP)
        parts.append({"name": path.name, "rows": table.num_rows, "bytes": path.stat().st_size, "sha256": sha256(path)})
    content = {"schema": SCHEMA_VERSION, "kind": "pairs", "tokenizer": "drawn", "template": template._asdict()}
    content |= {"max_length": max_length, "rows": sum(part["rows"] for part in parts), "counts": {}, "parts": parts}
    write_json(manifest, content)


def prepare(data: Path, work: Path, max_length: int) -> Path:
    """The manifest of shards for benchmarks of training, with ``about.json`` beside it; made at the first call.

    They hold every fourth pair of manythings/deu-eng.zip in ``data``, prepared by our own commands (a vocabulary of
    20,000 WordPieces, fast_align or, without a compiler, the diagonal), with the ids spread over mBERT's vocabulary, so
    that the output layer has its real size. Without that file the pairs are drawn.
    """
    archive = data / "manythings" / "deu-eng.zip"
    folder = work / f"{'manythings' if archive.is_file() else 'drawn'}-{max_length}-{code_hash('shards')}"
    manifest = folder / "manifest.json"
    if manifest.is_file():
        return manifest
    folder.mkdir(parents=True, exist_ok=True)
    template, tables = TEMPLATE, [drawn_pairs(DRAWN, DRAWN_MEDIAN, rng(0, 1), (max_length - 3) // 2)]
    about = {"pairs": f"{DRAWN}, drawn: log-normal lengths, median {DRAWN_MEDIAN} a side, sigma 0.5", "links": "drawn"}
    if archive.is_file():
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            links = manythings(archive, Path(temporary), max_length)
            about = {"pairs": "every fourth of manythings deu-eng", "links": links}
            made = Shards(
                Path(temporary) / "shards" / "manifest.json",
                sha256(Path(temporary) / "tokenizer" / "tokenizer.json"),
                "pairs",
            )
            ids = np.arange(VOCABULARY)
            others = np.setdiff1d(ids, made.template.special)
            ids[others] = rng(0, 1).permutation(others)
            tables = [respelled(pq.read_table(made.path.parent / p["name"]), ids) for p in made.manifest["parts"]]
            template = made.template._replace(vocab_size=VOCABULARY)
    write_json(folder / "about.json", about)
    write_shards(manifest, tables, template, max_length)
    return manifest


def manythings(archive: Path, folder: Path, max_length: int) -> str:
    """Make ``folder/shards`` by our own commands; returns how words were linked."""

    def stage(name: str, *options: object, may_fail: bool = False) -> bool:
        done = weam([name, *map(str, options)]) == 0
        if not (done or may_fail):
            sys.exit(f"{name} failed; its message stands above")
        return done

    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(folder / "some.zip", "w") as some:
        some.writestr("deu.txt", "\n".join(whole.read("deu.txt").decode().split("\n")[::4]))
    release = {"source": "manythings", "version": "sample", "format": "tsv-zip", "languages": ["en", "de"]}
    size = (folder / "some.zip").stat().st_size
    write_json(folder / "raw.json", release | {"files": [{"name": "some.zip", "bytes": size}]})
    text, tokenizer, links = folder / "text.parquet", folder / "tokenizer", folder / "links.txt"
    read = ("--manifest", folder / "raw.json", "--languages", "en", "de", "--funnel", folder / "funnel.json", "--out")
    stage("text", *read, text)
    stage("text", "--monolingual", *read, folder / "mono.parquet")
    stage("tokenizer", "--text", folder / "mono.parquet", "--settings", '{"vocab_size": 20000}', "--out", tokenizer)
    tools = folder / "tools"
    built = stage(
        "build_fast_align", "--source", Path(__file__).parents[1] / "fast_align", "--out", tools, may_fail=True
    )
    if built:
        common = ("--text", text, "--languages", "en", "de", "--tools", tools, "--threads", 2)
        stage("align", *common, "--out", links, "--quality", folder / "quality.json")
    else:
        words = pq.read_table(text, columns=["source_words", "target_words"]).to_pylist()
        lengths = [(len(row["source_words"]), len(row["target_words"])) for row in words]
        lines = "".join(" ".join(f"{i}-{i * t // s}" for i in range(s)) + "\n" for s, t in lengths)
        for name in ("links", "forward", "reverse"):
            (folder / f"{name}.txt").write_text(lines)
    files = [item for name in ("links", "forward", "reverse") for item in (f"--{name}", folder / f"{name}.txt")]
    common = ("--tokenizer", tokenizer, "--settings", json.dumps({"max_length": max_length, "rows_per_shard": PART}))
    stage("shards", "--text", text, *files, *common, "--out", folder / "shards" / "manifest.json")
    return "fast_align" if built else "diagonal"


def respelled(table: Any, ids: Ints) -> Any:
    """The table of pairs with other ids of its sub-words."""
    for name in ("source_ids", "target_ids"):
        column = table.column(name).combine_chunks()
        lists = pa.ListArray.from_arrays(column.offsets, pa.array(ids[column.values.to_numpy()].astype(np.int32)))
        table = table.set_column(table.schema.get_field_index(name), name, lists)
    return table.cast(PAIR_SCHEMA)


def batches(manifest: Path) -> dict[str, float]:
    """Make batches as the training loop does, without a model behind them."""
    torch.set_num_threads(1)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    model = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=200, **size))
    objectives: dict[str, Any] = {
        "weam": MaskedPrediction(model, TEMPLATE, Weam(), "weam"),
        "word_align": WordAlignment(model, TEMPLATE, WordAlign()),
    }
    result = {"first": resident("VmRSS")}
    for name, objective in objectives.items():
        seconds, longest = read(Shards(manifest, "drawn", "pairs", columns=objective.columns), objective)
        result |= {f"{name} ms": seconds * 1000, f"{name} longest": longest * 1000}
        result |= {f"{name} peak": resident("VmHWM"), f"{name} last": resident("VmRSS")}
    return result


def read(shards: Shards, objective: Objective) -> tuple[float, float]:
    """Seconds per batch over more than three windows, and of the longest (which reads a window)."""
    count, longest = 3 * WINDOW_ROWS // BATCH + 200, 0.0
    start = before = time.perf_counter()
    steps = itertools.islice(Mixture([shards], 1, BATCH).batches(), count)
    for step, (rows, index) in enumerate(steps):
        objective.collate(rows, index, [np.arange(len(index))], rng(MASKS, 1, step))
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return (before - start) / count, longest


def naive(manifest: Path) -> dict[str, float]:
    """Hold all pairs as lists of numbers."""
    first = resident("VmRSS")
    columns = ["source_ids", "target_ids", "link_source", "link_target"]
    pairs = pq.read_table(sorted(manifest.parent.glob("part-*.parquet")), columns=columns).to_pylist()
    assert pairs
    return {"first": first, "naive peak": resident("VmHWM"), "naive last": resident("VmRSS")}


if __name__ == "__main__":
    main()
