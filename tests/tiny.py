"""A tiny tokenizer, shards and model for tests of training code; real formats, made in a moment."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from weam.cli import main

SOURCE = "Is it raining today ? Anna buys a red car and a blue house while Peter sleeps .".split()  # noqa: SIM905
TARGET = "今天 下雨 吗 ? 安娜 买 了 红色 的 汽车 和 蓝色 房子 彼得 睡觉 。".split()  # noqa: SIM905


def write_text(folder: Path, rows: int = 40, seed: int = 0) -> tuple[Path, Path, Path]:
    """Write pairs, passages and links; returns text.parquet of pairs, of passages, and links.txt."""
    generator = random.Random(seed)
    pairs, passages, links = [], [], []
    for number in range(rows):
        source = generator.choices(SOURCE, k=generator.randint(3, 12))
        target = generator.choices(TARGET, k=generator.randint(2, 10))
        pairs.append(
            {
                "id": number,
                "source": " ".join(source),
                "target": "".join(target),
                "source_words": source,
                "target_words": target,
            }
        )
        count = generator.randint(0, 6)
        chosen = {(generator.randrange(len(source)), generator.randrange(len(target))) for _ in range(count)}
        links.append(" ".join(f"{i}-{j}" for i, j in sorted(chosen)))
        passages.append({"id": 2 * number, "language": "en", "text": " ".join(source)})
        passages.append({"id": 2 * number + 1, "language": "zh", "text": "".join(target)})
    pq.write_table(pa.Table.from_pylist(pairs), folder / "pairs.parquet")
    pq.write_table(pa.Table.from_pylist(passages), folder / "passages.parquet")
    for name in ("links", "forward", "reverse"):
        (folder / f"{name}.txt").write_text("".join(line + "\n" for line in links), encoding="utf-8")
    return folder / "pairs.parquet", folder / "passages.parquet", folder / "links.txt"


BACKBONE = (
    '{"layers": 2, "hidden_size": 32, "heads": 2, "intermediate_size": 64, "vocab_size": 150, "max_steps": %d,'
    ' "batch_size": 8, "epochs": 50, "learning_rate": 0.001, "dropout": 0.1, "checkpoint_steps": 4, "type": "%s"}'
)


def make(folder: Path, kind: str = "bert", steps: int = 6, max_length: int = 64, rows_per_shard: int = 100) -> Path:
    """Tokenizer, shards and backbone of architecture ``kind`` under ``folder``, through the command line."""
    pairs, passages, links = write_text(folder)
    settings = BACKBONE % (steps, kind)

    def weam(*arguments: object) -> None:
        assert main([str(argument) for argument in arguments]) == 0

    tokenizer = folder / "tokenizer"
    weam("tokenizer", "--text", passages, "--settings", settings, "--out", tokenizer)
    cut = f'{{"max_length": {max_length}, "rows_per_shard": {rows_per_shard}}}'
    common = ("--tokenizer", tokenizer, "--settings", cut, "--out")
    weam("shards", "--text", passages, *common, folder / "mono" / "manifest.json")
    weam(
        *("shards", "--text", pairs, "--links", links, "--forward", folder / "forward.txt"),
        *("--reverse", folder / "reverse.txt", *common, folder / "pairs" / "manifest.json"),
    )
    weam(
        *("backbone", "--tokenizer", tokenizer, "--shards", folder / "mono" / "manifest.json"),
        *("--settings", settings, "--work", folder / "work", "--out", folder / "backbone"),
    )
    return folder / "backbone"
