"""Cleaning, words, and the filters of the text stage with their counts."""

from __future__ import annotations

import doctest
import json
import random
import time
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from releases import make_release, make_zip

from weam import words
from weam.cli import main
from weam.config_data import Text
from weam.readers import Fault
from weam.readers.parallel import RawPair
from weam.text import filter_pairs
from weam.words import clean, segmenter

NOISE = (
    "aA éñßÄ你好，。नमस्तेقلم'’-.,:;1２|｜😀_#\u0301\u200b\u200c\u200d\ufeff\ufe0f"
    "\u00a0\u2028\u0085\x00\t\n\x1c\u00ad\u202e\ud800"
)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("plain text", "plain text"),
        ("\ufeffDer  Hund\r\n", "Der Hund"),
        ("a\u00a0b\u2003c\u3000d\u2028e\x85f\tg", "a b c d e f g"),
        ("zero\u200bwidth\u2060 so\u00adft", "zerowidth soft"),
        ("bell\x07 \x00nul\x7f", "bell nul"),
        ("\u202eabc\u202c \u2066x\u2069 \u200ey", "abc x y"),
        ("u\u0308ber É", "über É"),
        ("ﬁne ２０２０ Ⅷ ½", "ﬁne ２０２０ Ⅷ ½"),  # compatibility forms stay: NFC, not NFKC
        ("می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"),  # joiners belong to the spelling
        ("\u200c a\u200d b", "a b"),
        ("lone \ud83d half", "lone half"),
        ("a \u200b b", "a b"),
        ("e\u200b\u0301", "é"),
        (" \u200b\ufeff\u00a0 ", ""),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


def test_doctests() -> None:
    result = doctest.testmod(words)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("language", "kind", "text", "expected"),
    [
        ("de", "word", "Straßen-Ecke, geht’s 3,5-mal?", ["Straßen-Ecke", ",", "geht’s", "3,5-mal", "?"]),
        ("en", None, "'quoted' a||| -- x_y", ["'", "quoted", "'", "a", "|", "|", "|", "-", "-", "x", "_", "y"]),
        ("es", None, "¿Qué? 12:30.", ["¿", "Qué", "?", "12:30", "."]),
        ("hi", None, "क्\u200dष नमस्ते।", ["क्\u200dष", "नमस्ते", "।"]),
        ("zh", "word", "他在2019年说：“你好”。", ["他", "在", "2019", "年", "说", "：", "“", "你好", "”", "。"]),
        ("zh", "word", "喝café 吧", ["喝", "café", "吧"]),
        ("zh", "char", "北京2019年OK", ["北", "京", "2019", "年", "OK"]),
        ("de", "word", "in 北京", ["in", "北", "京"]),
        ("en", "space", "don't, stop ||| .", ["don't,", "stop", "|||", "."]),
        ("en", "char", "don't", ["don", "'", "t"]),
        ("en", "word", "👍🏽 1\ufe0f", ["👍", "🏽", "1\ufe0f"]),
    ],
)
def test_words(language: str, kind: Any, text: str, expected: list[str]) -> None:
    assert segmenter(language, kind)(text) == expected


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["word", "char", "space"])
def test_words_cover_the_cleaned_text(language: str, kind: Any) -> None:
    """Cleaning is idempotent; words have no white space and, put together, are the text without its spaces."""
    rng = random.Random(7)
    cut = segmenter(language, kind)
    for _ in range(2000):
        text = clean("".join(rng.choices(NOISE, k=rng.randrange(30))))
        assert clean(text) == text
        assert unicodedata.is_normalized("NFC", text)
        assert text.encode("utf-8").decode("utf-8") == text
        found = cut(text)
        assert "".join(found) == text.replace(" ", "")
        assert all(found)


def run(folder: Path, manifests: list[Path], languages: list[str], *options: str, **settings: Any) -> Any:
    """Run the stage; rows and funnel, or the exit status."""
    out, funnel = folder / "out/text.parquet", folder / "out/funnel.json"
    listed = [item for path in manifests for item in ("--manifest", str(path))]
    chosen = ["--languages", *languages, "--settings", json.dumps(settings), *options]
    status = main(["text", *listed, *chosen, "--out", str(out), "--funnel", str(funnel)])
    if status:
        assert not out.exists()
        assert not funnel.exists()
        return status
    return pq.read_table(out).to_pylist(), json.loads(funnel.read_text())


def steps(funnel: Any) -> dict[str, int]:
    """Rows per step; checks that they add up."""
    counts = {step["step"]: step.get("rows", step.get("removed")) for step in funnel["steps"]}
    assert [*counts][:: len(counts) - 1] == ["read", "kept"]
    assert counts["read"] == counts["kept"] + sum(step.get("removed", 0) for step in funnel["steps"])
    return counts


def tsv(folder: Path, text: bytes | str, language: str = "de", name: str = "src") -> Path:
    return make_release(folder, "tsv-zip", ["en", language], {"x.zip": make_zip({"x.txt": text})}, name)


def test_filters_count_what_they_remove(tmp_path: Path) -> None:
    lines = [
        "One two three.\tEins  zwei\u00a0drei.",
        "only one column",
        "\tleer",
        "empty\t\u200b ",
        "One two three.\tEins zwei drei.",
        "one two three.\tEins zwei drei.",
        "short\tkurz kurz",
        "a ||| b c\ta ||| b c",
        "a b\t" + "b " * 10,
        "zwei Wörter\tfive words are no fault",  # 5 / 2 > 2, (5 + 3) / (2 + 3) < 2
        "w " * 11 + "\tvier Worte sind hier",
        "x " * 10_000 + "\t" + "y " * 10_000,
        "-" * 12 + "\tzwölf Zeichen am Stück",
        "last one\tdas Letzte",
    ]
    data = "\n".join(lines).encode() + b"\nbro\xffken\tkaputt\n"
    rows, funnel = run(
        tmp_path, [tsv(tmp_path, data)], ["en", "de"], min_words=2, max_words=10, max_ratio=2.0, max_pairs={"es": 1}
    )
    assert steps(funnel) == {
        "read": 15,
        "invalid UTF-8": 1,
        "wrong number of columns": 1,
        "empty side": 2,
        "too few words": 1,
        "too many words": 3,
        "length ratio": 1,
        "duplicate": 1,
        "kept": 5,
    }
    assert funnel["corpus"] == "en-de"
    assert funnel["sources"] == ["src"]
    assert [row["id"] for row in rows] == [0, 5, 7, 9, 13]
    assert rows[0] == {
        "id": 0,
        "source": "One two three.",
        "target": "Eins zwei drei.",
        "source_words": ["One", "two", "three", "."],
        "target_words": ["Eins", "zwei", "drei", "."],
    }
    assert rows[2]["source"] == "a ||| b c"


def test_ratio_counts_words_not_spaces(tmp_path: Path) -> None:
    manifest = tsv(tmp_path, "I love the capital of China very much.\t我非常爱中国的首都。\n", "zh")
    rows, _ = run(tmp_path, [manifest], ["en", "zh"], max_ratio=1.5)
    assert rows[0]["target_words"] == ["我", "非常", "爱", "中国", "的", "首都", "。"]
    assert run(tmp_path / "space", [manifest], ["en", "zh"], max_ratio=1.5, segmenter={"zh": "space"}) == 1


def one_by_one(pairs: list[RawPair | Fault], language: str, settings: Text) -> tuple[list[Any], dict[str, int]]:
    """The rows and counts of the filters, line by line."""
    cuts = [segmenter(name, settings.segmenter.get(name)) for name in ("en", language)]
    rows: list[Any] = []
    removed: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for number, pair in enumerate(pairs):
        if isinstance(pair, Fault):
            reason: str | None = pair.reason
        elif len(rows) >= settings.max_pairs.get(language, 10**9):
            reason = "beyond max_pairs"
        else:
            source, target = clean(pair.english), clean(pair.other)
            found = [cut(side) for cut, side in zip(cuts, (source, target), strict=True)]
            low, high = sorted(map(len, found))
            reason = next(
                (
                    name
                    for name, hit in {
                        "empty side": not source or not target,
                        "too many words": max(source.count(" "), target.count(" ")) >= settings.max_words,
                        "too few words": low < settings.min_words,
                        "too many words ": high > settings.max_words,
                        "length ratio": (high + 3) / (low + 3) > settings.max_ratio,
                        "duplicate": (source, target) in seen,
                    }.items()
                    if hit
                ),
                None,
            )
            if reason is None:
                seen.add((source, target))
                rows.append((number, source, target, *found))
        if reason is not None:
            removed[reason.strip()] = removed.get(reason.strip(), 0) + 1
    return rows, removed


@pytest.mark.parametrize(("language", "most"), [("de", 10**6), ("zh", 150), ("de", 77)])
def test_filters_work_as_line_by_line(monkeypatch: pytest.MonkeyPatch, language: str, most: int) -> None:
    monkeypatch.setattr("weam.text.BATCH", 50)
    monkeypatch.setattr("weam.text.LIMIT", 30)
    draw = random.Random(most)
    some = ["eins", "zwei", "don't", "中文字", "e\u0301", "a,b", "\u200b", "\u00a0", "1.5", "x" * 40]
    pairs: list[RawPair | Fault] = []
    for line in range(600):
        sides = [" ".join(draw.choices(some, k=draw.choice((0, 1, 2, 2, 3, 8)))) for _ in range(2)]
        pairs.append(Fault(line, "invalid UTF-8") if draw.random() < 0.05 else RawPair(line, *sides))
    settings = Text(min_words=2, max_words=9, max_ratio=1.8, max_pairs={language: most})
    batches = list(filter_pairs(iter(pairs), language, settings))
    rows, removed = one_by_one(pairs, language, settings)
    found = [tuple(row.values()) for batch in batches for row in batch.kept.to_pylist()]
    assert found == rows
    counts: dict[str, int] = {}
    for batch in batches:
        for reason, number in batch.removed.items():
            counts[reason] = counts.get(reason, 0) + number
    assert counts == removed
    assert sum(batch.read for batch in batches) == len(pairs) == len(rows) + sum(removed.values())
    assert len(removed) >= 6


def test_sources_follow_one_another(tmp_path: Path) -> None:
    first = tsv(tmp_path / "1", "a\tA\nbad\nb\tB\n", name="first")
    second = tsv(tmp_path / "2", "b\tB\nc\tC\n", name="second")
    rows, funnel = run(tmp_path, [first, second], ["en", "de"])
    assert [(row["id"], row["target"]) for row in rows] == [(0, "A"), (2, "B"), (4, "C")]
    assert funnel["sources"] == ["first", "second"]
    rows, funnel = run(tmp_path, [first, second], ["en", "de"], deduplicate=False)
    assert [row["id"] for row in rows] == [0, 2, 3, 4]
    assert "duplicate" not in steps(funnel)


def test_max_pairs(tmp_path: Path) -> None:
    manifest = tsv(tmp_path, "a\tA\n\tB\nb\tB\nc\tC\nbad\nd\tD\n")
    rows, funnel = run(tmp_path, [manifest], ["en", "de"], max_pairs={"de": 2})
    assert [row["id"] for row in rows] == [0, 2]
    counts = steps(funnel)
    assert (counts["read"], counts["beyond max_pairs"], counts["kept"]) == (6, 2, 2)


def test_many_rows_keep_their_order(tmp_path: Path) -> None:
    manifest = tsv(tmp_path, "".join(f"number {i}\tZahl {i}\n" for i in range(20_001)))
    rows, _ = run(tmp_path, [manifest], ["en", "de"])
    assert [row["id"] for row in rows] == [*range(20_001)]
    assert rows[20_000]["target_words"] == ["Zahl", "20000"]
    first = (tmp_path / "out/text.parquet").read_bytes()
    run(tmp_path, [manifest], ["en", "de"])
    assert (tmp_path / "out/text.parquet").read_bytes() == first


@pytest.mark.parametrize("line", ["x " * 200_000, "爱" * 200_000, "a-" * 200_000, "x" * 400_000, "1." * 200_000])
def test_a_giant_line_is_quick(tmp_path: Path, line: str) -> None:
    manifest = tsv(tmp_path, f"{line}\t{line}\nHello.\t你好。\n", "zh")
    start = time.perf_counter()
    rows, funnel = run(tmp_path, [manifest], ["en", "zh"])
    assert time.perf_counter() - start < 5
    assert steps(funnel)["kept"] == len(rows) <= 2


def test_passages(tmp_path: Path) -> None:
    mono = make_release(
        tmp_path / "1",
        "lines",
        ["en", "de", "es"],
        {f"mono.{x}.txt": f"{x} \u00a0a\n\n{x} a\nb\n" for x in ("en", "de")},
    )
    pairs = tsv(tmp_path / "2", "b\tB\nbad\n")
    rows, funnel = run(tmp_path, [mono, pairs], ["en", "de"], "--monolingual", min_words=5, max_words=1)
    assert [tuple(row.values()) for row in rows] == [
        (0, "en", "en a"),
        (3, "en", "b"),
        (4, "de", "de a"),
        (7, "de", "b"),
        (10, "de", "B"),
    ]
    assert steps(funnel) == {"read": 12, "wrong number of columns": 2, "empty side": 2, "duplicate": 3, "kept": 5}
    assert funnel["corpus"] == "mono"


@pytest.mark.parametrize(
    ("members", "languages", "sentence"),
    [
        ({"a.en": "1\n2\n", "a.de": "1\n"}, ["en", "de"], "a.en has 2 lines and a.de has 1"),
        ({"a.en": "1\n"}, ["en", "de"], "has no member pair NAME.en, NAME.de; it has a.en"),
        ({"a.en": "\n", "a.de": "\n"}, ["en", "de"], "none of the 1 pairs is left (empty side: 1)"),
        ({"a.en": "", "a.de": ""}, ["en", "de"], "none of the 0 pairs is left (nothing read)"),
        ({"a.en": "", "a.de": ""}, ["de", "en"], "--languages de en: pairs are of en and one other language"),
        ({"a.en": "", "a.de": ""}, ["en"], "--languages en: pairs are of en and one other language"),
        ({"a.en": "", "a.de": ""}, ["en", "fr"], "has no language 'fr'; it has en, de"),
    ],
)
def test_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], members: dict[str, Any], languages: list[str], sentence: str
) -> None:
    manifest = make_release(tmp_path, "moses", ["en", "de"], {"c.zip": make_zip(members)})
    assert run(tmp_path, [manifest], languages) == 1
    error = capsys.readouterr().err
    assert "weam text: error: " in error
    assert sentence in error
    assert "Traceback" not in error


def test_monolingual_needs_every_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [tsv(tmp_path, "a\tA\n")], ["en", "fr"], "--monolingual") == 1
    assert "no source has text in 'fr' (src)" in capsys.readouterr().err


def download(folder: Path, shared: Path, name: str) -> Path:
    from weam.configfile import read_sources

    entry = read_sources(Path(__file__).parents[1] / "workflow/sources")[name]
    out = folder / name / "manifest.json"
    options = ["--settings", entry.model_dump_json(), "--sample-dir", str(shared), "--out", str(out)]
    assert main(["download", "--name", name, *options]) == 0
    return out


@pytest.mark.realdata
@pytest.mark.parametrize(("language", "pairs"), [("de", 169_813), ("es", 118_964), ("zh", 23_444)])
def test_tatoeba(tmp_path: Path, shared_data: Path, language: str, pairs: int) -> None:
    manifest = download(tmp_path, shared_data, f"sample-tatoeba-{language}")
    rows, funnel = run(tmp_path, [manifest], ["en", language], max_pairs={language: 3000})
    counts = steps(funnel)
    assert counts["read"] == pairs
    assert counts["kept"] == 3000
    for row in rows:
        for side in ("source", "target"):
            assert "".join(row[f"{side}_words"]) == row[side].replace(" ", "")


def test_geresh_and_gershayim_are_inside_hebrew_words() -> None:
    assert segmenter("word", "he")("צה״ל, ג׳ינס.") == ["צה״ל", ",", "ג׳ינס", "."]
