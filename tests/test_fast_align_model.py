"""Both directions at once, saved models, threads, memory, strictness."""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path

import pytest
from aligner import HEURISTICS, PAIRS, Pair, align, as_text, call, make_pairs, parse

TEXT = as_text(PAIRS)


def zipf_pairs(count: int, words: int, seed: int) -> list[Pair]:
    """Sentences of 1 to 30 words whose frequencies fall like 1/rank."""
    generator = random.Random(seed)
    weights = [1 / rank for rank in range(1, words + 1)]
    sides = []
    for letter in "sf":
        drawn = generator.choices(range(words), weights, k=count * 30)
        lengths = [generator.randint(1, 30) for _ in range(count)]
        sides.append([[f"{letter}{word}" for word in drawn[30 * k : 30 * k + lengths[k]]] for k in range(count)])
    return list(zip(*sides, strict=True))


def both(text: str | bytes, prefix: Path, *options: object) -> dict[str, bytes]:
    result = call("fast_align", "-i", "-", "--both", prefix, *options, text=text)
    assert result.returncode == 0, result.stderr
    assert result.stdout == b""
    return {path.name.removeprefix(f"{prefix.name}."): path.read_bytes() for path in prefix.parent.glob("*.*")}


def test_both_directions_at_once(tmp_path: Path) -> None:
    found = both(TEXT, tmp_path / "links", "-dov", "--symmetrise", ",".join(HEURISTICS))
    (tmp_path / "f").write_text("".join(f"{line}\n" for line in align(TEXT, "-dov")))
    (tmp_path / "r").write_text("".join(f"{line}\n" for line in align(TEXT, "-dov", "-r")))
    expected = {"forward": (tmp_path / "f").read_bytes(), "reverse": (tmp_path / "r").read_bytes()}
    for heuristic in HEURISTICS:
        expected[heuristic] = call("atools", "-i", tmp_path / "f", "-j", tmp_path / "r", "-c", heuristic).stdout
    assert found == expected


@pytest.mark.parametrize("double", [False, True])
def test_any_number_of_threads_gives_the_same_bytes(double: bool, tmp_path: Path) -> None:
    text = as_text(zipf_pairs(9000, 3000, 1))
    results = []
    for threads in (1, 2, 3, 4, 9):
        folder = tmp_path / str(threads)
        folder.mkdir()
        model = [] if double else ["--save-model", folder / "x.model"]
        options = ["-dov", "--threads", threads, "-c", "grow-diag-final-and", *["--double"] * double, *model]
        results.append(both(text, folder / "x", *options))
    assert all(result == results[0] for result in results)
    assert len(results[0]) == 3 + (not double)


@pytest.mark.parametrize("options", ["-dov", "-v", "-d", "-dov -N", "-dovr"])
def test_a_saved_model_gives_the_links_of_training(options: str, tmp_path: Path) -> None:
    text = as_text([*PAIRS, *zipf_pairs(300, 200, 2)]) + "only one side\n"
    trained = align(text, *options.split(), "-s", "--save-model", tmp_path / "model")
    reverse = ["-r"] if "r" in options else []
    applied = align(text, "--apply", tmp_path / "model", "-s", *reverse)
    assert [line.split(" |||")[0] for line in applied] == [line.split(" |||")[0] for line in trained]
    scores = [[float(line.split("||| ")[1]) for line in lines if line] for lines in (applied, trained)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)
    assert align(text, "--apply", tmp_path / "model", "-n", "4", *reverse) == align(
        text, "--apply", tmp_path / "model", "-n", "1", *reverse
    )


def test_a_model_of_both_directions(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    trained = both(TEXT, tmp_path / "a" / "x", "-dov", "-c", "union", "--save-model", tmp_path / "model")
    assert both(TEXT, tmp_path / "b" / "x", "--apply", tmp_path / "model", "-c", "union") == trained
    assert align(TEXT, "--apply", tmp_path / "model", "-r") == trained["reverse"].decode().splitlines()
    # New text: words that the model has never seen align by position, or not at all.
    new = align("w1 w2 never seen ||| W1 nie gesehen\n\n", "--apply", tmp_path / "model")
    assert (0, 0) in parse(new[0])
    assert new[1] == ""


def test_a_model_of_one_direction_has_no_other(tmp_path: Path) -> None:
    align(TEXT, "-dov", "--save-model", tmp_path / "model")
    for options, message in (
        (["-r"], "forward direction only"),
        (["--both", tmp_path / "x"], "forward direction only"),
    ):
        result = call("fast_align", "-i", "-", "--apply", tmp_path / "model", *options, text=TEXT)
        assert result.returncode == 1
        assert message in result.stderr.decode()
    align(TEXT, "-dov", "-r", "--save-model", tmp_path / "model")
    result = call("fast_align", "-i", "-", "--apply", tmp_path / "model", text=TEXT)
    assert result.returncode == 1
    assert b"reverse direction only; give -r" in result.stderr


def test_spoiled_models_are_refused(tmp_path: Path) -> None:
    align(TEXT, "-dov", "--save-model", tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    generator = random.Random(1)
    spoiled = [whole[:size] for size in (0, 3, 8, 12, 16, 40, len(whole) // 2, len(whole) - 1)]
    spoiled += [whole + b"x", b"not a model at all", TEXT.encode(), whole[:12] + struct.pack("<I", 7) + whole[16:]]
    spoiled += [whole[:16] + struct.pack("<Q", 2**62) + whole[24:], whole[:8] + whole[11:7:-1] + whole[12:]]
    for _ in range(100):
        place = generator.randrange(len(whole))
        spoiled.append(whole[:place] + bytes([whole[place] ^ (1 << generator.randrange(8))]) + whole[place + 1 :])
    for number, data in enumerate(spoiled):
        (tmp_path / "spoiled").write_bytes(data)
        result = call("fast_align", "-i", "-", "--apply", tmp_path / "spoiled", text=TEXT)
        assert result.returncode == 1, number
        assert result.stdout == b""
        (line,) = result.stderr.decode().splitlines()
        assert re.fullmatch(r"fast_align: error: .*spoiled: not a model of this program \(.+\); write .*", line), line


def test_strict_makes_warnings_failures(tmp_path: Path) -> None:
    text = TEXT + "no other side |||\n"
    align(TEXT, "-dov", "--strict", "--save-model", tmp_path / "model", "-p", tmp_path / "table")
    for options in (["-dov"], ["--apply", tmp_path / "model"], ["-f", tmp_path / "table"]):
        assert call("fast_align", "-i", "-", *options, text=text).returncode == 0
        result = call("fast_align", "-i", "-", *options, "--strict", text=text)
        assert result.returncode == 1
        warning, error = result.stderr.decode().splitlines()[-2:]
        assert warning.endswith(": line 201")
        assert error.startswith("fast_align: error: --strict: 1 line has no words on a side")


def test_the_estimate_of_memory_is_near_what_is_used(tmp_path: Path) -> None:
    text = as_text(zipf_pairs(20000, 20000, 3))
    result = call("fast_align", "-i", "-", "-dov", "--both", tmp_path / "x", "--estimate", text=text)
    assert result.returncode == 0
    assert not list(tmp_path.iterdir())
    estimate = int(result.stdout)
    used = call("fast_align", "-i", "-", "-dov", "-n", "1", text=text).stderr.decode()
    in_use = int(re.findall(r"\((\d+) MB in all\)", used)[0])
    assert 0.7 * in_use < estimate < 1.5 * in_use


def test_a_million_characters_and_long_sentences(tmp_path: Path) -> None:
    word = "x" * 1_000_000
    lines = align(f"{word} b ||| c {word}\na ||| b\n", "-dov", "--save-model", tmp_path / "model")
    assert len(lines) == 2
    many = " ".join(str(k % 50) for k in range(100_000))
    result = align(f"{many} ||| a b\na ||| b\n", "-dov")
    assert len(result) == 2
    assert align(f"a b ||| {many}\n" * 2, "-dov", "-n", "2")[0] == align(f"a b ||| {many}\n" * 2, "-dov", "-n", "1")[0]


def test_the_empty_word_may_stand_in_the_text() -> None:
    pairs = [*make_pairs(50, 9), (["<eps>", "a"], ["<eps>", "b"])]
    for options in (["-dov"], ["-dov", "-N"], ["-dov", "-r"]):
        lines = align(as_text(pairs), *options)
        assert len(lines) == len(pairs)
        assert align(as_text(pairs), *options, "-n", "3") == lines
