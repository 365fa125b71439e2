"""The align stage through the command line, with the real programs and with broken ones."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aligner import align, call, make_pairs, tools
from releases import make_release

from weam.alignment import Rows
from weam.cli import main

Pair = tuple[list[str], list[str]]
PAIRS = make_pairs(120)
GOLD = "W1 w2\tw1 W2\t0-0 1-1\nw3\tw3 the\t0-0\n"


def write_text(path: Path, pairs: list[Pair], group: int = 7) -> Path:
    sources, targets = [list(side) for side in zip(*pairs, strict=True)] if pairs else [[], []]
    columns = {
        "id": pa.array(range(len(pairs)), pa.int64()),
        "source_words": pa.array(sources, pa.list_(pa.string())),
        "target_words": pa.array(targets, pa.list_(pa.string())),
    }
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


def run(folder: Path, text: Path, *more: object, settings: str = "{}", folder_of_tools: Path | None = None) -> int:
    out = folder / "out"
    options = ["--text", text, "--languages", "en", "de", "--tools", folder_of_tools or tools(), "--settings", settings]
    options += ["--out", out / "links.txt", "--quality", out / "quality.json", *more]
    return main(["align", *map(str, options)])


def lines(folder: Path, name: str) -> list[str]:
    return (folder / "out" / f"{name}.txt").read_text(encoding="ascii").split("\n")[:-1]


def quality(folder: Path) -> Any:
    return json.loads((folder / "out" / "quality.json").read_text(encoding="utf-8"))


def gold_links(folder: Path) -> Any:
    return [json.loads(line) for line in (folder / "out" / "gold.jsonl").read_text(encoding="utf-8").splitlines()]


def as_text(pairs: list[Pair], lower: bool = True) -> str:
    text = "".join(f"{' '.join(source)} ||| {' '.join(target)}\n" for source, target in pairs)
    return text.lower() if lower else text


def gold_release(folder: Path, text: str = GOLD) -> Path:
    return make_release(folder / "gold", "xlwa", ["en", "de"], {"en-de.test.tsv": text})


def test_links_are_those_of_the_programs(tmp_path: Path) -> None:
    assert run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS)) == 0
    for name, more in (("forward", []), ("reverse", ["-r"])):
        expected = call("fast_align", "-i", "-", "-dov", *more, text=as_text(PAIRS)).stdout.decode()
        assert "".join(line + "\n" for line in lines(tmp_path, name)) == expected
    joined = call(
        "atools", "-i", tmp_path / "out" / "forward.txt", "-j", tmp_path / "out" / "reverse.txt", "-c",
        "grow-diag-final-and",
    )  # fmt: skip
    assert lines(tmp_path, "links") == joined.stdout.decode().splitlines()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "forward.txt",
        "gold.jsonl",
        "links.txt",
        "quality.json",
        "reverse.txt",
    ]


def test_quality(tmp_path: Path) -> None:
    run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS))
    links = [[tuple(map(int, link.split("-"))) for link in line.split()] for line in lines(tmp_path, "links")]
    source = sum(len(source) for source, _ in PAIRS)
    target = sum(len(target) for _, target in PAIRS)
    assert quality(tmp_path) == {
        "pair": "en-de",
        "method": "fast_align",
        "sentences": len(PAIRS),
        "links": sum(map(len, links)),
        "links_per_word": pytest.approx(sum(map(len, links)) / source),
        "aligned_source": pytest.approx(sum(len({i for i, _ in line}) for line in links) / source),
        "aligned_target": pytest.approx(sum(len({j for _, j in line}) for line in links) / target),
        "gold": None,
    }
    assert 0.5 < quality(tmp_path)["aligned_target"] < 1


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ('{"iterations": 2}', "-dov -I2"),
        ('{"favor_diagonal": false}', "-ov"),
        ('{"optimize_tension": false}', "-dv"),
        ('{"variational_bayes": false}', "-do"),
        ('{"null_probability": 0.3}', "-dov -q 0.3"),
        ('{"lowercase": false}', "-dov"),
    ],
)
def test_settings_reach_the_program(settings: str, options: str, tmp_path: Path) -> None:
    pairs = [([w.upper() if k % 3 else w for k, w in enumerate(source)], target) for source, target in PAIRS]
    run(tmp_path, write_text(tmp_path / "text.parquet", pairs), settings=settings)
    text = as_text(pairs, lower='"lowercase": false' not in settings)
    assert lines(tmp_path, "forward") == align(text, *options.split())
    assert lines(tmp_path, "forward") != align(as_text(pairs), "-dov")


def test_heuristic(tmp_path: Path) -> None:
    text = write_text(tmp_path / "text.parquet", PAIRS)
    run(tmp_path, text, settings='{"heuristic": "intersect"}')
    both = zip(lines(tmp_path, "forward"), lines(tmp_path, "reverse"), strict=True)
    expected = [set(f.split()) & set(r.split()) for f, r in both]
    assert [set(line.split()) for line in lines(tmp_path, "links")] == expected


def test_gold_is_aligned_with_the_corpus_scored_and_cut_off(tmp_path: Path) -> None:
    gold = gold_release(tmp_path)
    assert run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS), "--gold", gold) == 0
    text = as_text(PAIRS) + "w1 w2 ||| w1 w2\nw3 ||| w3 the\n"
    whole = call("fast_align", "-i", "-", "-dov", text=text).stdout.decode().splitlines()
    assert lines(tmp_path, "forward") == whole[:-2]
    scores = quality(tmp_path)["gold"]
    assert scores["sentences"] == 2
    assert list(scores) == ["sentences", "forward", "reverse", "symmetrised"]
    found = [set(line.split()) for line in whole[-2:]]
    right = len(found[0] & {"0-0", "1-1"}) + len(found[1] & {"0-0"})
    count = sum(map(len, found))
    assert scores["forward"]["recall"] == pytest.approx(right / 3)
    assert scores["forward"]["aer"] == pytest.approx(1 - 2 * right / (3 + count))
    assert quality(tmp_path)["sentences"] == len(PAIRS)
    assert [{f"{i}-{j}" for i, j in line["forward"]} for line in gold_links(tmp_path)] == found


def test_words_and_links_of_gold_sentences(tmp_path: Path) -> None:
    gold = gold_release(tmp_path, "W1 w2\tw1 W2\t1-1 0-0\nw3\tw3 the\t0p1 0-0\n")
    run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS), "--gold", gold)
    first, second = gold_links(tmp_path)
    assert list(first) == ["source", "target", "sure", "possible", "forward", "reverse", "symmetrised"]
    assert (first["source"], first["target"]) == (["W1", "w2"], ["w1", "W2"])
    assert first["sure"] == first["possible"] == [[0, 0], [1, 1]]
    assert (second["sure"], second["possible"]) == ([[0, 0]], [[0, 0], [0, 1]])


def test_without_gold_its_links_are_an_empty_file(tmp_path: Path) -> None:
    assert run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS)) == 0
    assert gold_links(tmp_path) == []


def test_strange_words_keep_their_positions(tmp_path: Path) -> None:
    strange = ["|||", "<eps>", "a b", "\t", "", "\ufeff", "x\ny", "\r", "z\u2028\u00a0", "İ", "\0"]
    first = (["\ufeff", *strange], [*strange, "|||"])
    text = write_text(tmp_path / "text.parquet", [first, *PAIRS, (strange, strange)])
    assert run(tmp_path, text, settings='{"heuristic": "union"}') == 0
    assert len(lines(tmp_path, "links")) == len(PAIRS) + 2
    plain = [f"q{k}" for k in range(len(strange))]
    # One name for each strange word that stays apart from the others, and one for those that become "_".
    names = {"\t": "_", "": "_", "\ufeff": "_", "\r": "_", "\0": "_"}
    rename = {word: names.get(word, plain[k]) for k, word in enumerate(strange)}
    renamed = [
        ([rename.get(w, w) for w in s], [rename.get(w, w) for w in t]) for s, t in [first, *PAIRS, (strange,) * 2]
    ]
    expected = call("fast_align", "-i", "-", "-dov", text=as_text(renamed)).stdout.decode().splitlines()
    assert lines(tmp_path, "forward") == expected


def test_empty_side_and_leftovers_of_a_killed_run(tmp_path: Path) -> None:
    (tmp_path / "out" / ".links.txt.work").mkdir(parents=True)
    (tmp_path / "out" / ".links.txt.work" / "corpus.txt").write_text("old")
    pairs: list[Pair] = [*PAIRS[:5], ([], ["x"]), *PAIRS[5:]]
    assert run(tmp_path, write_text(tmp_path / "text.parquet", pairs)) == 0
    assert lines(tmp_path, "links")[5] == ""
    assert not (tmp_path / "out" / ".links.txt.work").exists()


def test_the_programs_are_heard(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS))
    error = capfd.readouterr().err
    assert len(re.findall("expected target length", error)) == 2
    assert "align: 120/120 pairs" in error


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text("#!/bin/sh\n" + script)
    (folder / name).chmod(0o755)


REAL = 'exec "{tools}/fast_align" "$@"\n'


@pytest.mark.parametrize(
    ("name", "script", "message"),
    [
        ("fast_align", "echo no memory >&2; exit 3\n", "ended with status 3 in the forward direction"),
        ("fast_align", "kill -9 $$\n", "was killed by signal 9 in the forward direction; does it have enough memory?"),
        ("fast_align", "sed 's/.*//' \"$2\"\n", "not one link in 120 pairs"),
        ("fast_align", "echo 0-0\n", "forward links: 1 lines for 120 pairs"),
        ("fast_align", "sed 's/.*/0-0/' \"$2\"; echo 0-0\n", "forward links: 121 lines for 120 pairs"),
        ("fast_align", "sed 's/.*/0-99/' \"$2\"\n", "forward links, line 1: link 0-99 points outside the pair"),
        ("fast_align", "sed 's/.*/nan/' \"$2\"\n", "forward links, line 1: 'nan' is not a link"),
        ("atools", "exit 1\n", "atools: ended with status 1 in the symmetrisation"),
        ("atools", "echo\n", "symmetrised links: 1 lines for 120 pairs"),
    ],
)
def test_programs_that_fail(
    name: str, script: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("fast_align", "atools"):
        shutil.copy(tools() / tool, folder / tool)
    if name == "atools":  # it is called for programs with the classic options only
        program(folder, "fast_align", '[ "$1" != --version ] || exit 2\n' + REAL.format(tools=tools()))
    if name == "fast_align" and script.startswith(("sed", "echo 0")):
        program(folder, "atools", 'cat "$2"\n')
    program(folder, name, script)
    assert run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS), folder_of_tools=folder) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("weam align: error: ")
    assert message in error
    assert not (tmp_path / "out" / "links.txt").exists()
    assert not (tmp_path / "out" / "quality.json").exists()


def test_missing_and_unfit_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = write_text(tmp_path / "text.parquet", PAIRS)
    (tmp_path / "tools").mkdir()
    assert run(tmp_path, text, folder_of_tools=tmp_path / "tools") == 1
    assert "has no program fast_align; run the build_fast_align stage" in capsys.readouterr().err
    for name in ("fast_align", "atools"):
        (tmp_path / "tools" / name).write_bytes(b"\x7fELF not really")
        (tmp_path / "tools" / name).chmod(0o755)
    assert run(tmp_path, text, folder_of_tools=tmp_path / "tools") == 1
    assert "fast_align: cannot be run (Exec format error)" in capsys.readouterr().err


def test_faults_of_the_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def message(text: Path, *more: object, settings: str = "{}") -> str:
        assert run(tmp_path, text, *more, settings=settings) == 1
        return capsys.readouterr().err.splitlines()[-1]

    good = write_text(tmp_path / "text.parquet", PAIRS)
    (tmp_path / "bad.parquet").write_text("bad")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "mono.parquet")
    assert "does not exist; run the text stage" in message(tmp_path / "no.parquet")
    assert "not a Parquet file" in message(tmp_path / "bad.parquet")
    assert "has no column source_words" in message(tmp_path / "mono.parquet")
    assert "has no pairs" in message(write_text(tmp_path / "empty.parquet", []))
    assert "unknown key 'iteration'; did you mean 'iterations'?" in message(good, settings='{"iteration": 3}')
    assert "line 1: 2 columns" in message(good, "--gold", gold_release(tmp_path, "a\tb\n"))
    assert "pairs are of en and one other language" in message(good, "--languages", "de", "en")


# ---- in parts


def in_parts(folder: Path, text: Path, settings: str, parts: int, *more: object, status: int = 0) -> None:
    """Train, apply to each part, join; all into ``folder``/out."""
    common = ["--text", text, "--languages", "en", "de", "--tools", tools(), "--settings", settings, *more]
    assert main(["align_model", *map(str, common), "--out", str(folder / "model")]) == status
    folders = [folder / "parts" / str(part) for part in range(parts)]
    for part, where in enumerate(folders):
        options = ["--model", folder / "model", "--part", part, "--parts", parts, "--out", where / "links.txt"]
        command = [*common, *options, "--counts", where / "counts.json"]
        assert main(["align_part", *map(str, command)]) == 0
    joined = [option for where in folders for option in ("--part", where)]
    out = ["--out", folder / "out" / "links.txt", "--quality", folder / "out" / "quality.json"]
    assert main(["align_join", "--languages", "en", "de", *map(str, [*joined, *out])]) == 0


@pytest.mark.parametrize("parts", [1, 3, 7, 125])
def test_parts_of_a_corpus_have_the_links_of_the_whole(parts: int, tmp_path: Path) -> None:
    """With a model of all pairs nothing depends on the parts (some of 125 are empty), the gold sentences included."""
    text, gold = write_text(tmp_path / "text.parquet", PAIRS), gold_release(tmp_path)
    (tmp_path / "whole").mkdir()
    assert run(tmp_path / "whole", text, "--gold", gold) == 0
    in_parts(tmp_path, text, '{"train_pairs": 1000000}', parts, "--gold", gold, "--threads", 2)
    for name in ("links", "forward", "reverse"):
        assert lines(tmp_path, name) == lines(tmp_path / "whole", name)
    assert quality(tmp_path) == quality(tmp_path / "whole")
    assert gold_links(tmp_path) == gold_links(tmp_path / "whole") != []


def test_a_model_of_some_pairs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = write_text(tmp_path / "text.parquet", PAIRS)
    in_parts(tmp_path, text, '{"train_pairs": 50}', 2)
    assert "50 lines, " in capfd.readouterr().err
    assert len(lines(tmp_path, "links")) == len(PAIRS)
    assert quality(tmp_path)["sentences"] == len(PAIRS)
    assert quality(tmp_path)["gold"] is None


@pytest.mark.parametrize(("total", "kept"), [(10, 10), (10, 1), (10, 3), (7, 5), (1000, 333), (1, 1)])
def test_rows_are_evenly_spread(total: int, kept: int) -> None:
    rows = Rows(total, kept)
    inside = [row for row in range(total) if row in rows]
    assert len(inside) == len(rows) == kept
    assert inside[0] == 0
    gaps = {b - a for a, b in itertools.pairwise(inside)}
    assert max(gaps, default=1) - min(gaps, default=1) <= 1


def test_faults_of_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = write_text(tmp_path / "text.parquet", PAIRS)
    common = ["--text", str(text), "--languages", "en", "de", "--tools"]
    out = ["--out", str(tmp_path / "x" / "links.txt")]

    def fails(*command: str) -> str:
        capsys.readouterr()
        assert main([*command]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "align.train_pairs is null" in fails("align_model", *common, str(tools()), *out)
    settings = ["--settings", '{"train_pairs": 9}']
    part = ["--model", str(tmp_path / "no"), "--part", "3", "--parts", "3", "--counts", str(tmp_path / "c.json")]
    assert "the parts are 0 to 2" in fails("align_part", *common, str(tools()), *settings, *part, *out)
    (tmp_path / "tools").mkdir()
    program(tmp_path / "tools", "fast_align", "exit 2\n")
    assert "WEAM's own fast_align" in fails("align_model", *common, str(tmp_path / "tools"), *settings, *out)
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "counts.json").write_text("{}")
    join = [
        "align_join",
        "--languages",
        "en",
        "de",
        "--part",
        str(tmp_path / "part"),
        *out,
        "--quality",
        str(tmp_path / "q"),
    ]
    assert "not the counts of a part" in fails(*join)


def test_eflomal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text, gold = write_text(tmp_path / "text.parquet", PAIRS), gold_release(tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "eflomal", None)
        assert run(tmp_path, text, settings='{"method": "eflomal"}') == 1
        assert "pip install eflomal" in capsys.readouterr().err
    pytest.importorskip("eflomal", reason="the package eflomal is not installed")
    assert run(tmp_path, text, "--gold", gold, settings='{"method": "eflomal"}') == 0
    assert quality(tmp_path)["method"] == "eflomal"
    assert quality(tmp_path)["aligned_target"] > 0.5
    assert quality(tmp_path)["gold"]["symmetrised"]["aer"] < 0.5


def test_programs_that_lost_their_mode_in_an_object_storage(tmp_path: Path) -> None:
    copy = tmp_path / "tools"
    shutil.copytree(tools(), copy)
    for name in ("fast_align", "atools"):
        (copy / name).chmod(0o644)
    assert run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS), folder_of_tools=copy) == 0


@pytest.mark.parametrize(
    ("of_user", "expected"),
    [
        ("", "glibc.malloc.hugetlb=1"),
        ("glibc.malloc.arena_max=1", "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
    ],
)
def test_programs_ask_for_huge_pages(
    of_user: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", of_user)
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    program(fakes, "fast_align", 'echo "pages: $GLIBC_TUNABLES" >&2; exit 2\n')
    program(fakes, "atools", "exit 2\n")
    assert run(tmp_path, write_text(tmp_path / "text.parquet", PAIRS), folder_of_tools=fakes) == 1
    assert f"pages: {expected}\n" in capfd.readouterr().err
