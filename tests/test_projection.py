"""Rows of shards made by the thousand are those made one by one."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny

from weam.cli import main
from weam.errors import UserError
from weam.links import project, read_links, truncated_lengths, whole_words, words_of_subwords
from weam.projection import take_links, truncated
from weam.subwords import Subwords
from weam.words import segmenter

LETTERS = "abcdeßé中文,."


def corpus(folder: Path, rows: int, seed: int) -> dict[str, list[Any]]:
    """Random pairs with random links in all three files, some lines empty, some with a link twice or out of order."""
    draw = random.Random(seed)
    cut = segmenter("en")
    text: dict[str, list[Any]] = {"id": [3 * row for row in range(rows)]}
    for side in ("source", "target"):
        words = [
            ["".join(draw.choices(LETTERS, k=draw.randint(1, 9))) for _ in range(draw.randint(1, 12))]
            for _ in range(rows)
        ]
        text[side] = [" ".join(some) for some in words]
        text[f"{side}_words"] = [cut(sentence) for sentence in text[side]]
    pq.write_table(pa.table(text), folder / "text.parquet")
    for name in ("links", "forward", "reverse"):
        lines = []
        for source, target in zip(text["source_words"], text["target_words"], strict=True):
            count = draw.choice((0, 1, 5, 15))
            links = [(draw.randrange(min(9, len(source))), draw.randrange(min(9, len(target)))) for _ in range(count)]
            lines.append(" ".join(f"{i}-{j}" for i, j in (links if draw.random() < 0.2 else sorted(set(links)))) + "\n")
        (folder / f"{name}.txt").write_text("".join(lines))
    return text


def one_by_one(
    folder: Path, text: dict[str, list[Any]], subwords: Subwords, room: int
) -> tuple[list[Any], Counter[str]]:
    """The rows as docs/files.md defines them, in plain loops."""
    rows, counts = [], Counter[str]()
    files = {name: iter((folder / f"{name}.txt").read_text().splitlines()) for name in ("links", "forward", "reverse")}
    for number, values in enumerate(zip(*text.values(), strict=True)):
        row = dict(zip(text, values, strict=True))
        bounds = len(row["source_words"]), len(row["target_words"])
        links, forward, reverse = (read_links(file, folder, number, bounds) for file in files.values())
        ids, words = {}, {}
        for side in ("source", "target"):
            (encoding,) = subwords.encode([row[side]])
            ids[side] = encoding.ids
            words[side] = words_of_subwords(row[side], row[f"{side}_words"], encoding.offsets)
        keep = dict(zip(ids, truncated_lengths(*map(len, ids.values()), room), strict=True))
        both = set(forward) & set(reverse)
        ones = sorted(
            (i, j)
            for i, j in both
            if sum(i == a for a, _ in both) == sum(j == b for _, b in both) == 1
            and all(set(words[side][keep[side] :]).isdisjoint({word}) for side, word in zip(ids, (i, j), strict=True))
            and all(word in words[side] for side, word in zip(ids, (i, j), strict=True))
        )
        projected = project(links, words["source"], words["target"])
        kept = [(i, j) for i, j in projected if i < keep["source"] and j < keep["target"]]
        counts["pairs truncated"] += any(keep[side] < len(ids[side]) for side in ids)
        counts["sub-word links"] += len(kept)
        counts["sub-word links lost to truncation"] += len(projected) - len(kept)
        made: dict[str, Any] = {"id": row["id"]}
        made |= {f"{side}_ids": ids[side][: keep[side]] for side in ids}
        made |= {f"{side}_word": words[side][: keep[side]] for side in ids}
        made |= {"link_source": [i for i, _ in kept], "link_target": [j for _, j in kept]}
        made |= {"one_source": [i for i, _ in ones], "one_target": [j for _, j in ones]}
        made |= {f"{side}_words": len(row[f"{side}_words"]) for side in ids}
        made |= {f"{side}_whole": whole_words(words[side], keep[side], made[f"{side}_words"]) for side in ids}
        rows.append(made)
        for side in ids:
            counts[f"sub-words {side}"] += keep[side]
    return rows, counts


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_rows(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weam.shards.BATCH", 70)
    monkeypatch.setattr("weam.shards.ROW_GROUP", 30)
    text = corpus(tmp_path, 400, seed=1)
    passages = {"id": [0], "language": ["en"], "text": [" ".join(text["source"][:200])]}
    pq.write_table(pa.table(passages), tmp_path / "passages.parquet")
    settings = json.dumps({"type": kind, "vocab_size": 120})
    arguments: list[Any] = ["tokenizer", "--text", tmp_path / "passages.parquet", "--settings", settings]
    assert main([*map(str, arguments), "--out", str(tmp_path / "made")]) == 0
    arguments = ["shards", "--text", tmp_path / "text.parquet", "--tokenizer", tmp_path / "made"]
    for name in ("links", "forward", "reverse"):
        arguments += [f"--{name}", tmp_path / f"{name}.txt"]
    arguments += [
        "--settings",
        '{"max_length": 24, "rows_per_shard": 100}',
        "--out",
        tmp_path / "out" / "manifest.json",
    ]
    assert main(list(map(str, arguments))) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [part["rows"] for part in manifest["parts"]] == [100] * 4
    files = [pq.ParquetFile(tmp_path / "out" / part["name"]) for part in manifest["parts"]]
    assert [files[0].metadata.row_group(group).num_rows for group in range(4)] == [30, 30, 30, 10]
    found = [row for file in files for row in file.read().to_pylist()]
    subwords = Subwords(tmp_path / "made")
    rows, counts = one_by_one(tmp_path, text, subwords, 24 - subwords.template.pair_overhead)
    assert found == rows
    assert manifest["counts"] == counts
    assert min(counts.values()) > 0
    assert any(row["one_source"] for row in rows)


def test_truncation_of_many() -> None:
    pairs = [(s, t, room) for s in range(12) for t in range(12) for room in range(2, 12)]
    for room in range(2, 12):
        sides = np.array([pair[:2] for pair in pairs]).T
        kept = np.stack(truncated(*sides, room)).T.tolist()
        assert kept == [list(truncated_lengths(s, t, room)) for s, t, _ in pairs]


@pytest.mark.parametrize(
    "text", ["0-1 2-3\n\n1-1\n", "  0-1  2-3 \n \n1-1", "2-3 0-1 0-1\r\n\r\n1-1\r\n", "0-1 2-03\n\n1-1\n"]
)
def test_links_as_they_come(text: str) -> None:
    size = np.array([5, 5, 5])
    links = take_links(io.BytesIO(text.encode()), Path("links.txt"), 0, size, size)
    assert [column.tolist() for column in links] == [[0, 0, 2], [0, 2, 1], [1, 3, 1]]


@pytest.mark.parametrize(
    "text",
    [
        "0-1-2\n",
        "0--1\n",
        "-1\n",
        "1-\n",
        "0 1\n",
        "0-1 2\n",
        "x\n",
        "0-1,2-3\n",
        "1-1 -\n",
        "0-5\n",
        "9-0\n",
        "0-1234567890123\n",
    ],
)
@pytest.mark.parametrize("before", ["", "0-0 1-1\n"])
def test_no_links(text: str, before: str) -> None:
    size = np.array([5] * (1 + bool(before)))
    with pytest.raises(UserError, match=rf"^links.txt, line {10 + len(size)}: .*(is not a link|lies outside)"):
        take_links(io.BytesIO((before + text).encode()), Path("links.txt"), 10, size, size)


def test_no_rows() -> None:
    empty = np.empty(0, np.int64)
    assert not len(take_links(io.BytesIO(b""), Path("x"), 0, empty, empty).rows)


def test_words_that_are_not_the_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, _, links = tiny.write_text(tmp_path)
    assert main(["tokenizer", "--text", str(tmp_path / "passages.parquet"), "--out", str(tmp_path / "tok")]) == 0
    text = pq.read_table(pairs).to_pylist()
    text[7]["target_words"][0] = "dog"
    pq.write_table(pa.Table.from_pylist(text), pairs)
    arguments = ["shards", "--text", str(pairs), "--tokenizer", str(tmp_path / "tok")]
    for name in ("links", "forward", "reverse"):
        arguments += [f"--{name}", str(links.with_name(f"{name}.txt"))]
    assert main([*arguments, "--out", str(tmp_path / "out" / "manifest.json")]) == 1
    assert "id 7: the words of target are not those of the sentence" in capsys.readouterr().err
