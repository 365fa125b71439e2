"""Sub-words, projection of links, truncation, and what the manifest promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny

from weam.batches import Rows
from weam.cli import main
from weam.collate import word_batches
from weam.corpus import Shards
from weam.errors import UserError
from weam.links import project, truncated_lengths, whole_words, words_of_subwords
from weam.shards import PAIR_SCHEMA
from weam.subwords import Subwords


def test_words_of_subwords() -> None:
    words = ["don't", "stop", "!"]
    offsets = [(0, 3), (3, 4), (4, 5), (6, 8), (8, 10), (10, 11)]
    assert words_of_subwords("don't stop!", words, offsets) == [0, 0, 0, 1, 1, 2]


def test_subword_between_words_goes_to_the_next() -> None:
    assert words_of_subwords("a b", ["a", "b"], [(0, 1), (1, 2), (2, 3)]) == [0, 1, 1]


def test_repeated_words_are_found_in_order() -> None:
    assert words_of_subwords("to be to", ["to", "be", "to"], [(0, 2), (3, 5), (6, 8)]) == [0, 1, 2]


def test_word_that_is_not_in_the_sentence() -> None:
    with pytest.raises(UserError, match="'dog' is not found"):
        words_of_subwords("a cat", ["a", "dog"], [(0, 1)])


def test_projection_is_many_to_many() -> None:
    assert project([(0, 0), (2, 1)], [0, 0, 1, 2], [0, 1, 1]) == [(0, 0), (1, 0), (3, 1), (3, 2)]


@pytest.mark.parametrize(
    ("lengths", "room", "expected"),
    [((3, 4), 10, (3, 4)), ((9, 2), 8, (6, 2)), ((2, 9), 8, (2, 6)), ((9, 9), 9, (5, 4)), ((4, 8), 9, (4, 5))],
)
def test_truncation_cuts_the_longer_side(lengths: Any, room: int, expected: Any) -> None:
    assert truncated_lengths(*lengths, room) == expected


def test_words_that_truncation_left_whole() -> None:
    words = [0, 0, 2, 2, 3]
    assert [whole_words(words, keep, 5) for keep in (1, 2, 3, 4, 5)] == [0, 2, 2, 3, 5]


def test_stage(tmp_path: Path) -> None:
    backbone = tiny.make(tmp_path, steps=1, max_length=14)
    manifest = json.loads((tmp_path / "pairs" / "manifest.json").read_text())
    assert manifest["rows"] == 40
    assert manifest["counts"]["pairs truncated"] > 0
    assert manifest["counts"]["sub-word links lost to truncation"] > 0
    rows = pq.read_table(tmp_path / "pairs" / "part-00000.parquet").to_pylist()
    assert manifest["tokenizer"] == Subwords(backbone).sha256
    links = (tmp_path / "links.txt").read_text().splitlines()
    text = pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    kept = 0
    for i, row in enumerate(rows):
        source, target = row["source_word"], row["target_word"]
        pairs = set(zip(row["link_source"], row["link_target"], strict=True))
        wanted = {tuple(map(int, link.split("-"))) for link in links[i].split()}
        expected = {(a, b) for a in range(len(source)) for b in range(len(target)) if (source[a], target[b]) in wanted}
        assert pairs == expected
        assert len(source) + len(target) + 3 <= 14
        assert max(source) < len(text[i]["source_words"])
        kept += len(pairs)
    assert kept == manifest["counts"]["sub-word links"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, d: m.update(schema=0), "made with schema 0 of shards, this version reads"),
        (lambda m, d: m.update(kind="monolingual"), "holds monolingual, but pairs"),
        (
            lambda m, d: m.update(tokenizer="x" * 64),
            r"another tokenizer \(tokenizer.json has the SHA-256 xxxxxxxxxxxx…\) than",
        ),
        (lambda m, d: m.update(rows=0), "has no rows"),
        (lambda m, d: (d / m["parts"][0]["name"]).write_bytes(b"cut"), "of another size"),
    ],
)
def test_wrong_shards_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    tiny.make(tmp_path, steps=1)
    path = tmp_path / "pairs" / "manifest.json"
    manifest = json.loads(path.read_text())
    tokenizer = manifest["tokenizer"]
    change(manifest, path.parent)
    del manifest["checksum"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=message):
        Shards(path, tokenizer, "pairs")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of pairs in two parts."""
    folder = tmp_path_factory.mktemp("made")
    tiny.make(folder, steps=1, rows_per_shard=25)
    return folder / "pairs"


def test_parts_say_what_they_are(made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    for part in manifest["parts"]:
        file = pq.ParquetFile(made / part["name"])
        noted = {key.decode(): value.decode() for key, value in file.schema_arrow.metadata.items()}
        assert noted == {"weam.schema": "3", "weam.kind": "pairs", "weam.tokenizer": manifest["tokenizer"]}
        assert file.schema_arrow.remove_metadata() == PAIR_SCHEMA
        chunk = file.metadata.row_group(0).column(1)
        assert (chunk.compression, chunk.path_in_schema) == ("ZSTD", "source_ids.list.element")
    assert str(PAIR_SCHEMA.field("source_ids").type) == "list<item: int32>"
    assert str(PAIR_SCHEMA.field("link_source").type) == "list<item: uint16>"
    assert [part["rows"] for part in manifest["parts"]] == [25, 15]


def test_pandas_duckdb_and_datasets_read_the_same(made: Path, tmp_path: Path) -> None:
    import datasets
    import duckdb
    import pandas as pd

    parts = sorted(made.glob("part-*.parquet"))
    expected = pq.read_table(parts).to_pylist()
    frame = pd.concat([pd.read_parquet(part) for part in parts])
    rows = frame.map(lambda value: value.tolist() if isinstance(value, np.ndarray) else value).to_dict("records")
    assert rows == expected
    columns = ", ".join(expected[0])
    found = duckdb.sql(f"SELECT {columns} FROM read_parquet('{made}/part-*.parquet') ORDER BY id").fetchall()
    assert [dict(zip(expected[0], row, strict=True)) for row in found] == sorted(expected, key=lambda row: row["id"])
    loaded = datasets.load_dataset(
        "parquet", data_files=[str(part) for part in parts], split="train", cache_dir=str(tmp_path)
    )
    assert list(loaded) == expected


def shard(tmp_path: Path, links: str, capsys: pytest.CaptureFixture[str]) -> str:
    text, _, path = tiny.write_text(tmp_path)
    assert main(["tokenizer", "--text", str(tmp_path / "passages.parquet"), "--out", str(tmp_path / "tok")]) == 0
    path.write_text(links, encoding="utf-8", errors="surrogateescape")
    arguments = ["shards", "--text", str(text), "--tokenizer", str(tmp_path / "tok"), "--links", str(path)]
    arguments += ["--forward", str(tmp_path / "forward.txt"), "--reverse", str(tmp_path / "reverse.txt")]
    assert main([*arguments, "--out", str(tmp_path / "out" / "manifest.json")]) == 1
    assert not (tmp_path / "out" / "manifest.json").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ("\n" * 7, "links.txt: ends before line 8"),
        ("\n" * 41, "links.txt: more lines than the 40 rows"),
        ("\n0-0 x-1\n", "links.txt, line 2: 'x-1' is not a link"),
        ("\n\udcff0-0\n", "links.txt, line 2: '\ufffd0-0' is not a link"),
        ("0-99\n", "links.txt, line 1: link 0-99 lies outside of"),
    ],
)
def test_wrong_links_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], links: str, message: str) -> None:
    assert message in shard(tmp_path, links, capsys)


def test_words_cut_by_truncation_do_not_count(tmp_path: Path) -> None:
    pairs, passages, links = tiny.write_text(tmp_path)
    tokenizer, out = tmp_path / "tokenizer", tmp_path / "pairs" / "manifest.json"
    text = ["x" + word[::-1] for word in tiny.SOURCE + tiny.TARGET]  # the characters, but not the words
    pq.write_table(pa.table({"text": text}), passages)
    arguments: list[Any] = ["tokenizer", "--text", passages, "--out", tokenizer]
    assert main([str(argument) for argument in arguments]) == 0
    arguments = ["shards", "--text", pairs, "--tokenizer", tokenizer, "--settings", '{"max_length": 24}', "--out", out]
    for name in ("links", "forward", "reverse"):
        arguments += [f"--{name}", links.with_name(f"{name}.txt")]
    assert main([str(argument) for argument in arguments]) == 0
    subwords = Subwords(tokenizer)
    columns = [f"{side}_{what}" for side in ("source", "target") for what in ("word", "words", "whole")]
    shards = Shards(out, subwords.sha256, "pairs", columns=[*columns, "one_source", "one_target"])
    table = shards.read(np.arange(len(shards.blocks)))
    rows, values = Rows(table), table.to_pylist()
    cut = 0
    for i, row in enumerate(pq.read_table(pairs).to_pylist()):
        for side in ("source", "target"):
            kept = values[i][f"{side}_word"]
            everything = words_of_subwords(row[side], row[f"{side}_words"], subwords.encode([row[side]])[0].offsets)
            left = set(everything[: len(kept)]) - set(everything[len(kept) :])
            assert values[i][f"{side}_words"] == len(row[f"{side}_words"])
            assert {word for word in everything if word < values[i][f"{side}_whole"]} == left
            if side == "source":
                (batch,) = word_batches(rows, np.array([i]), [np.array([0])], subwords.template)
                assert len(batch.source_words) == len(left)
                cut += len(set(kept) - left)
    assert cut > 0, "no word was cut in the middle: nothing was tested"


def test_corrupt_part_is_named(tmp_path: Path) -> None:
    tiny.make(tmp_path, steps=1)
    path = tmp_path / "pairs" / "manifest.json"
    part = path.with_name("part-00000.parquet")
    part.write_bytes(b"x" * part.stat().st_size)
    with pytest.raises(
        UserError,
        match=r"part-00000.parquet: was changed .*manifest.json notes\); delete .*manifest.json to make it again",
    ):
        Shards(path, json.loads(path.read_text())["tokenizer"], "pairs")
    path.write_text("[]")
    with pytest.raises(UserError, match="not an object"):
        Shards(path, "", "pairs")


def test_a_failing_run_leaves_the_earlier_shards(tmp_path: Path) -> None:
    tiny.make(tmp_path, steps=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "pairs").iterdir()}
    arguments = ["shards", "--text", tmp_path / "pairs.parquet", "--tokenizer", tmp_path / "tokenizer"]
    for name in ("links", "forward", "reverse"):
        arguments += [f"--{name}", tmp_path / f"{name}.txt"]
    arguments += ["--out", tmp_path / "pairs" / "manifest.json"]
    (tmp_path / "links.txt").write_text("x\n")
    assert main([str(argument) for argument in arguments]) == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "pairs").iterdir()} == before


def test_rows_with_too_many_words_are_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weam.shards.MAX_WORDS", 9)
    tiny.make(tmp_path, steps=1)
    counts = json.loads((tmp_path / "pairs" / "manifest.json").read_text())["counts"]
    assert counts["pairs over 9 words on a side"] > 0
    assert "pairs without sub-words on a side" not in counts


def test_tokenizers_are_deterministic_and_cased(tmp_path: Path) -> None:
    import subprocess
    import sys

    tiny.write_text(tmp_path)
    for kind in ("bert", "xlm-roberta"):
        made = []
        for number in range(2):  # processes of their own: hash tables are seeded per process
            out = tmp_path / f"{kind}{number}"
            settings = f'{{"type": "{kind}", "vocab_size": 120}}'
            text = str(tmp_path / "passages.parquet")
            command = [sys.executable, "-m", "weam", "tokenizer", "--text", text, "--settings", settings]
            subprocess.run([*command, "--out", str(out)], check=True)
            made.append((out / "tokenizer.json").read_bytes())
        assert made[0] == made[1]
        encoding = Subwords(out).tokenizer.encode("Anna sleeps")
        assert "a" not in encoding.tokens[1][0], "case must be kept"


def test_template(tmp_path: Path) -> None:
    tiny.write_text(tmp_path)
    expected = {"bert": ([2], [3], [3], 0, 4, True), "xlm-roberta": ([0], [2, 2], [2], 1, None, False)}
    for kind, (prefix, middle, suffix, pad, mask, segments) in expected.items():
        settings = f'{{"type": "{kind}", "vocab_size": 120}}'
        text, out = str(tmp_path / "passages.parquet"), str(tmp_path / kind)
        assert main(["tokenizer", "--text", text, "--settings", settings, "--out", out]) == 0
        template = Subwords(out).template
        if kind == "bert":
            names = {"[CLS]": template.prefix[0], "[SEP]": template.suffix[0], "[MASK]": template.mask}
            assert {Subwords(out).tokenizer.id_to_token(i): i for i in names.values()} == names
        else:
            assert template.prefix == prefix
            assert template.middle == middle
            assert template.mask == template.vocab_size - 1
        assert (template.pad, template.segments) == (pad, segments)
        assert len(template.middle) == len(middle)
        assert len(template.suffix) == len(suffix)
        assert mask is None or template.mask == mask


def test_missing_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json: the file does not exist"):
        Subwords(tmp_path)
