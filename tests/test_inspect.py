"""The command inspect: what it prints against a literal dense computation, its layout, and what it refuses."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
import torch

from weam import head, modeling
from weam.cli import main
from weam.config import Backbone
from weam.inspect import aligned_columns, columns, summary
from weam.subwords import Subwords

Capture = pytest.CaptureFixture[str]
CELL = re.compile(r"(\d\.\d\d) ([= ])(\S+)")


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny world. The model in ``loud`` has matrices so large that its predictions depend on the position, and a bias
    to frequent sub-words, so that some are right."""
    folder = tmp_path_factory.mktemp("inspect")
    backbone = tiny.make(folder, request.param, steps=1)
    model = modeling.load(backbone, "masked_lm")
    torch.manual_seed(5)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.normal_(0, 0.5)
    shards = pq.read_table(folder / "pairs" / "part-00000.parquet").to_pylist()
    ids = [i for row in shards for i in row["source_ids"] + row["target_ids"]]
    bias = head.parts(model)[1].bias
    bias.data = 2 * torch.log1p(torch.bincount(torch.tensor(ids), minlength=len(bias)).float())
    shutil.copytree(backbone, folder / "loud")
    model.save_pretrained(folder / "loud")
    (folder / "loud" / "training.json").unlink()  # it notes the checksum of the quiet weights
    rows = pq.read_table(folder / "pairs.parquet").to_pylist()
    lines = [f"{' '.join(row['source_words'])} ||| {' '.join(row['target_words'])}\n" for row in rows]
    (folder / "pairs.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def inspect(world: Path, capsys: Capture, pairs: str | Path, *options: object, model: str = "loud") -> str:
    capsys.readouterr()
    status = main(["inspect", str(world / model), str(world / pairs), *map(str, options)])
    out, err = capsys.readouterr()
    assert status == 0, err
    return str(out)


def refused(world: Path, capsys: Capture, pairs: str | Path, *options: object, model: str | Path = "loud") -> str:
    capsys.readouterr()
    assert main(["inspect", str(world / model), str(world / pairs), *map(str, options)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    return str(err)


class Shown(NamedTuple):
    """One pair as it was printed."""

    name: str
    tokens: dict[int, str]
    masked: set[int]
    links: set[str]
    table: dict[int, str]


def parsed(out: str) -> list[Shown]:
    shown = []
    for block in re.split(r"\n\npair \d+ of \d+, ", out)[1:]:
        name, *lines = block.split("\n\n")[0].splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("position"))
        text = "  ".join(line[6:].strip() for line in lines[:start] if line)
        places = {int(at): token for at, token in re.findall(r"(?<!\S)(\d+) (\S+)", text)}
        masked = {at for at, token in places.items() if token.startswith("*")}
        tokens = {at: token.removeprefix("*") for at, token in places.items()}
        links = set(re.findall(r"\S+–\S+ \(\d+–\d+\)", text))
        table = {int(line.split()[0]): line for line in lines[start + 1 :]}
        shown.append(Shown(name, tokens, masked, links, table))
    return shown


def shard_rows(world: Path) -> list[tuple[list[int], list[int], list[tuple[int, int]]]]:
    rows = pq.read_table(world / "pairs" / "part-00000.parquet").to_pylist()
    return [
        (row["source_ids"], row["target_ids"], list(zip(row["link_source"], row["link_target"], strict=True)))
        for row in rows
    ]


def text_rows(world: Path) -> list[tuple[list[int], list[int], list[tuple[int, int]]]]:
    """The same of the text file, tokenised word by word: words between spaces are cut independently of each other."""
    subwords, rows = Subwords(world / "loud"), []
    texts, links = ((world / name).read_text(encoding="utf-8").splitlines() for name in ("pairs.txt", "links.txt"))
    for line, pharaoh in zip(texts, links, strict=True):
        sides = [[code.ids for code in subwords.encode(side.split())] for side in line.split(" ||| ")]
        place = [[(w, s) for w, ids in enumerate(side) for s in range(len(ids))] for side in sides]
        wanted = {tuple(map(int, link.split("-"))) for link in pharaoh.split()}
        dense = [(a, b) for a, (i, _) in enumerate(place[0]) for b, (j, _) in enumerate(place[1]) if (i, j) in wanted]
        rows.append((sum(sides[0], []), sum(sides[1], []), dense))  # noqa: RUF017
    return rows


@pytest.mark.parametrize("how", ["mean", "first"])
@pytest.mark.parametrize("source", ["shards", "text"])
def test_predictions_against_dense_computation(world: Path, capsys: Capture, source: str, how: str) -> None:
    """Rebuild every pair from what was printed; exchange with a dense matrix; the library's own head on everything."""
    model, subwords = modeling.load(world / "loud", "masked_lm").eval(), Subwords(world / "loud")
    name = subwords.tokenizer.id_to_token
    options = ["--count", 40, "--mask-probability", 0.5, "--exchange", how]
    if source == "shards":
        rows, out = shard_rows(world), inspect(world, capsys, "pairs/manifest.json", *options)
    else:
        rows, out = text_rows(world), inspect(world, capsys, "pairs.txt", "--links", world / "links.txt", *options)
    shown, template = parsed(out), subwords.template
    assert len(shown) == len(rows) == 40
    kinds, right, first_choices = [], [], []
    for pair, (left, other, links) in zip(shown, rows, strict=True):
        original = [*template.prefix, *left, *template.middle, *other, *template.suffix]
        first, second = len(template.prefix), len(template.prefix) + len(left) + len(template.middle)
        plain = [*range(first, first + len(left)), *range(second, second + len(other))]
        assert pair.tokens == {at: name(original[at]) for at in plain}
        assert pair.masked == set(pair.table)
        star = ["*" * (at in pair.masked) + name(i) for at, i in enumerate(original)]
        ends = [(first + a, second + b) for a, b in links]
        assert pair.links == {f"{star[a]}–{star[b]} ({a}–{b})" for a, b in ends}
        ids = torch.tensor([[template.mask if at in pair.masked else i for at, i in enumerate(original)]])
        types = torch.tensor([[int(at >= second) for at in range(len(original))]])
        arguments = {"token_type_ids": types} if template.segments else {}
        matrix = torch.zeros(len(original), len(original))
        for a, b in ends:
            matrix[a, b] = matrix[b, a] = 1
        if how == "first":
            matrix *= matrix.cumsum(1) == 1
        received = matrix.sum(1)
        matrix += torch.diag((received == 0).float())
        with torch.no_grad():
            r = model.base_model(input_ids=ids, **arguments).last_hidden_state[0]
            library_head = model.cls if hasattr(model, "cls") else model.lm_head
            tasks = [library_head(h).softmax(-1) for h in (r, matrix / matrix.sum(1, keepdim=True) @ r)]
        for at, line in pair.table.items():
            partners = [] if not received[at] else matrix[at].nonzero().squeeze(1).tolist()
            begin = [str(at), name(original[at]), *([star[p] for p in partners] or ["–"])]
            assert line.split()[: len(begin)] == begin
            cells = CELL.findall(line)
            assert len(cells) == (6 if partners else 3)
            expected = []
            for task in tasks[: 1 + bool(partners)]:
                values, best = task[at].topk(3)
                expected += [
                    (f"{p:.2f}", "=" if i == original[at] else " ", name(i))
                    for p, i in zip(values.tolist(), best.tolist(), strict=True)
                ]
            assert [cell[1:] for cell in cells] == [cell[1:] for cell in expected]
            np.testing.assert_allclose([float(c[0]) for c in cells], [float(e[0]) for e in expected], atol=0.011)
            if not partners:
                assert line.endswith("same" if links else "the pair has no links")
            kinds.append((len(partners), bool(links)))
            first_choices.append([int(task[at].argmax()) for task in tasks])
            right.append([bool(partners), *(choice == original[at] for choice in first_choices[-1])])
    assert out.splitlines()[-1] == summary(np.array(right).T)
    # What was compared must be able to differ.
    counts = {count for count, _ in kinds}
    assert counts == {0, 1} if how == "first" else len(counts) > 2
    assert {linked for count, linked in kinds if not count} == {True, False}
    assert len({own for own, _ in first_choices}) > 10
    assert sum(own != cross for own, cross in first_choices) > 30
    assert np.array(right)[:, 1:].any(0).all()


def test_text_and_shards_of_the_same_sentences(world: Path, capsys: Capture) -> None:
    """WordPiece does not see the spaces between Chinese words; SentencePiece does."""
    if "xlm" in (world / "loud" / "config.json").read_text():
        pytest.skip("SentencePiece")
    shards = inspect(world, capsys, "pairs/manifest.json", "--count", 5)
    text = inspect(world, capsys, "pairs.txt", "--links", world / "links.txt", "--count", 5)
    assert re.sub(r", id (\d+)", lambda m: f", line {int(m[1]) + 1}", shards) == text


def test_a_model_as_it_comes_from_training(world: Path, capsys: Capture) -> None:
    out = inspect(world, capsys, "pairs/manifest.json", model="backbone")
    assert [pair.name for pair in parsed(out)] == ["id 0", "id 1", "id 2"]
    assert out == inspect(world, capsys, "pairs/manifest.json", model="backbone"), "the same every time"
    assert out != inspect(world, capsys, "pairs/manifest.json", "--seed", 2, model="backbone")


def test_without_links(world: Path, capsys: Capture) -> None:
    out = inspect(world, capsys, "pairs.txt", "--count", 2)
    rows = [line for pair in parsed(out) for line in pair.table.values()]
    assert rows
    assert all(line.endswith("the pair has no links") for line in rows)
    assert out.count("\nlinks   none\n") == 2
    assert out.endswith("(none has a partner)\n")


def test_all_predictions_have_the_original_once_per_task(world: Path, capsys: Capture) -> None:
    for pair in parsed(inspect(world, capsys, "pairs/manifest.json", "--top", 10_000)):
        for at, line in pair.table.items():
            hits = [token for _, mark, token in CELL.findall(line) if mark == "="]
            assert hits == [pair.tokens[at]] * (1 if line.endswith("same") else 2)


def test_at_least_one_sub_word_is_masked(world: Path, capsys: Capture) -> None:
    shown = parsed(inspect(world, capsys, "pairs/manifest.json", "--count", 40, "--mask-probability", 1e-12))
    assert [len(pair.masked) for pair in shown] == [1] * 40
    assert len({min(pair.masked) for pair in shown}) > 5, "not always the same place"


def test_skip_over_row_groups_and_parts(
    world: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weam.shards.ROW_GROUP", 4)
    links = [item for name in ("links", "forward", "reverse") for item in (f"--{name}", str(world / f"{name}.txt"))]
    manifest = tmp_path / "manifest.json"
    arguments = ["shards", "--text", str(world / "pairs.parquet"), *links, "--tokenizer", str(world / "tokenizer")]
    settings = '{"max_length": 64, "rows_per_shard": 11}'
    assert main([*arguments, "--settings", settings, "--out", str(manifest)]) == 0
    whole = parsed(inspect(world, capsys, "pairs/manifest.json", "--count", 40))
    assert [pair.name for pair in whole] == [f"id {number}" for number in range(40)]
    for skip, count in ((0, 40), (0, 4), (3, 1), (3, 2), (4, 8), (10, 2), (37, 3), (39, 100)):
        some = parsed(inspect(world, capsys, manifest, "--skip", skip, "--count", count))
        assert some == whole[skip : skip + count], "a pair has the same masks wherever one starts"
    text = ["pairs.txt", "--links", world / "links.txt"]
    lines = parsed(inspect(world, capsys, *text, "--count", 40))
    assert parsed(inspect(world, capsys, *text, "--skip", 38, "--count", 5)) == lines[38:]


def test_long_lines_are_cut_as_shards_are(world: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "long.txt").write_text("red " * 150 + "||| " + "car\t" * 150 + "\n")
    (tmp_path / "links.txt").write_text("0-0 149-149\n")
    out = inspect(world, capsys, tmp_path / "long.txt", "--links", tmp_path / "links.txt")
    (pair,) = parsed(out)
    assert max(pair.tokens) == 126, "128 sub-words, the last one a special token"
    assert pair.links
    assert all(re.search(r"\(\d–\d+\)$", link) for link in pair.links)
    assert max(map(columns, out.splitlines()[:40])) <= 100


def test_table_columns_line_up(world: Path, capsys: Capture) -> None:
    out = inspect(world, capsys, "pairs/manifest.json", "--mask-probability", 0.6, "--count", 10)
    for block in out.split("\n\n")[1:-1]:
        lines = block.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("position"))
        for name, number in (("multilingual", 0), ("cross-lingual", 3)):
            place = columns(lines[start][: lines[start].index(name)])
            for line in lines[start + 1 :]:
                cells = list(CELL.finditer(line))
                begin = cells[number].start() if number < len(cells) else re.search(r"same|the pair has", line).start()  # type: ignore[union-attr]
                assert columns(line[:begin]) == place


def test_columns() -> None:
    assert [columns(text) for text in ("raining", "今天", "１", "é", "e\u0301", "ab\u200cc", "▁a", "")] == [
        *(7, 4, 2, 1, 1, 3, 2, 0)
    ]
    rows = [["a", "b", "c"], ["今天", "d"], ["x", "汽", "y"]]
    assert aligned_columns(rows) == ["a     b   c", "今天  d", "x     汽  y"]


def test_summary() -> None:
    hits = np.array([[True, True, False, False], [True, False, True, True], [False, False, True, True]])
    text = "4 masked sub-words, top prediction right: multilingual 75.0%, cross-lingual 50.0%"
    assert summary(hits) == f"{text}; of the 2 with partners: multilingual 50.0%, cross-lingual 0.0%"


def test_output_that_is_not_utf8(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    assert main(["inspect", str(world / "loud"), str(world / "pairs" / "manifest.json")]) == 0
    sys.stdout.flush()
    assert b"position" in buffer.getvalue()
    assert b"?" in buffer.getvalue()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", 0], "--count 0: give 1 or more"),
        (["--top", 0], "--top 0: give 1 or more"),
        (["--skip", -1], "--skip -1: give 0 or more"),
        (["--seed", -1], "--seed -1: give 0 or more"),
        (["--mask-probability", 1.5], "--mask-probability 1.5: give a number between 0 and 1"),
        (["--mask-probability", "nan"], "--mask-probability nan: give"),
        (["--skip", 40], "manifest.json: has no pair 41; lower --skip"),
        (["--links", "links.txt"], "hold their links; leave --links out"),
    ],
)
def test_wrong_options(world: Path, capsys: Capture, options: list[object], message: str) -> None:
    assert message in refused(world, capsys, "pairs/manifest.json", *options)


@pytest.mark.parametrize(
    ("line", "links", "message"),
    [
        (b"Is it raining\n", None, "line 2: 0 times ||| between spaces; give source ||| target lines"),
        (b"\n", None, "line 2: 0 times |||"),
        (b"Is|||it\n", None, "line 2: 0 times |||"),
        (b"Is ||| it ||| raining\n", None, "line 2: 2 times ||| between spaces"),
        (b"Is ||| \xff\n", None, "line 2: not valid UTF-8; give source ||| target lines"),
        (b"Is |||\n", None, "line 2: a side has no sub-words"),
        (b"Is it ||| a car\n", "1-2", "links.txt, line 2: link 1-2 lies outside of 2 x 2 words"),
        (b"Is it ||| a car\n", "1:1", "links.txt, line 2: '1:1' is not a link i-j"),
        (b"Is it ||| a car\n", "", "links.txt: ends before line 2"),
    ],
)
@pytest.mark.parametrize("skip", [0, 1])
def test_wrong_lines(
    world: Path, tmp_path: Path, capsys: Capture, line: bytes, links: str | None, message: str, skip: int
) -> None:
    (tmp_path / "pairs.txt").write_bytes(b"a car ||| a car\n" + line)
    (tmp_path / "links.txt").write_text(f"0-0\n{links}")
    options = [] if links is None else ["--links", tmp_path / "links.txt"]
    error = refused(world, capsys, tmp_path / "pairs.txt", *options, "--skip", skip)
    assert message in error
    assert len(error.splitlines()) == 1


def test_wrong_files(world: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "nothing.json: the file does not exist" in refused(world, capsys, "nothing.json")
    assert "nothing.txt: No such file" in refused(world, capsys, "nothing.txt")
    assert "nothing.txt: No such file" in refused(world, capsys, "pairs.txt", "--links", world / "nothing.txt")
    assert "pairs: Is a directory" in refused(world, capsys, "pairs")
    (tmp_path / "empty.txt").touch()
    assert "empty.txt: has no pair 1;" in refused(world, capsys, tmp_path / "empty.txt")
    assert "holds monolingual, but pairs are needed" in refused(world, capsys, "mono/manifest.json")
    shutil.copytree(world / "pairs", tmp_path / "other")
    manifest = json.loads((tmp_path / "other" / "manifest.json").read_text())
    del manifest["checksum"]
    (tmp_path / "other" / "manifest.json").write_text(json.dumps(manifest | {"tokenizer": "0" * 64}))
    assert "made with another tokenizer (tokenizer.json has" in refused(world, capsys, tmp_path / "other/manifest.json")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: shutil.rmtree(m), "no such folder; give a model or tokenizer folder"),
        (lambda m: (m / "tokenizer.json").unlink(), "tokenizer.json: the file does not exist; a fast tokenizer"),
        (lambda m: (m / "config.json").unlink(), "not a model folder"),
        (lambda m: (m / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda m: (m / "model.safetensors").write_bytes(b"broken"), "make"),
        (lambda m: modeling.load(m, "qa").save_pretrained(m), "give a masked language model with all its weights"),
        (
            lambda m: modeling.load(m, "sequence").save_pretrained(m),
            "give a masked language model with all its weights",
        ),
    ],
)
def test_wrong_model_folder(
    world: Path, tmp_path: Path, capsys: Capture, spoil: Callable[[Path], None], message: str
) -> None:
    shutil.copytree(world / "loud", tmp_path / "model")
    spoil(tmp_path / "model")
    error = refused(world, capsys, "pairs/manifest.json", model=tmp_path / "model")
    assert message in error
    assert str(tmp_path / "model") in error
    assert len(error.splitlines()) == 1


def test_pair_longer_than_the_model(world: Path, tmp_path: Path, capsys: Capture) -> None:
    subwords = Subwords(world / "loud")
    settings = Backbone(layers=1, hidden_size=8, heads=1, intermediate_size=8, max_positions=16)
    shutil.copytree(world / "loud", tmp_path / "model")
    modeling.from_scratch(settings, subwords).save_pretrained(tmp_path / "model")
    error = refused(world, capsys, "pairs/manifest.json", "--count", 40, model=tmp_path / "model")
    assert re.search(r"manifest.json: the length of a pair, in sub-words, \d\d is more than the 16 positions", error)
