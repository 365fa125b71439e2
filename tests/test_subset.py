"""Nested subsets of shards: exact sizes, each in every larger one, spread over the file, trained through; mixtures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tiny

from weam import corpus, nested
from weam.checksums import sealed
from weam.cli import main
from weam.config_base import Objective
from weam.config_studies import Constant
from weam.errors import UserError
from weam.mixture import is_mixture, mixture, parse
from weam.subset import KEY
from weam.subwords import Subwords


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pairs in parts of 15 rows."""
    folder = tmp_path_factory.mktemp("subset")
    tiny.make(folder, steps=1, rows_per_shard=15)
    return folder


def make(world: Path, rows: int, *options: str) -> Path:
    out = world / "pairs" / f"subset-{rows}{''.join(options)}" / "manifest.json"
    shards = str(world / "pairs" / "manifest.json")
    assert main(["subset", "--shards", shards, "--rows", str(rows), *options, "--out", str(out)]) == 0
    return out


def ids(world: Path, manifest: Path) -> list[int]:
    shards = corpus.Shards(manifest, Subwords(world / "backbone").sha256, "pairs", columns=["id"])
    table = shards.read(np.arange(len(shards.blocks)))
    assert table.num_rows == int(shards.blocks.sum())
    assert (shards.blocks > 0).all()
    return list(table.column("id").to_pylist())


def test_ranks_are_those_of_splitmix64() -> None:
    """The outputs of the reference program from state 0, which go on in steps of an odd constant."""
    outputs = nested._mix(np.arange(3, dtype=np.uint64))
    assert [int(value) for value in outputs] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    start = int(nested._mix(np.array([5], dtype=np.uint64))[0])
    assert nested.ranks(7, 2, 5).tolist() == nested._mix(np.array([start + 7, start + 8], dtype=np.uint64)).tolist()


def test_subsets_are_exact_and_nested() -> None:
    rows = 20_000
    before = np.zeros(rows, dtype=bool)
    for wanted in (1, 7, 2_500, 10_000, rows):
        found = nested.members(0, rows, 3, nested.threshold(rows, wanted, 3))
        assert found.sum() == wanted
        assert (found >= before).all()
        before = found
    assert (nested.members(500, 100, 3, nested.threshold(rows, 7_000, 3))
            == nested.members(0, rows, 3, nested.threshold(rows, 7_000, 3))[500:600]).all()  # fmt: skip
    assert len(np.unique(nested.ranks(0, rows, 3))) == rows


def test_thresholds_of_more_rows_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nested.threshold(1_000, 100, 1)
    monkeypatch.setattr(nested, "CHUNK", 64)
    assert nested.threshold(1_000, 100, 1) == expected


def test_members_are_spread_over_the_file_and_differ_by_seed() -> None:
    rows, wanted = 100_000, 20_000
    one, two = (nested.members(0, rows, seed, nested.threshold(rows, wanted, seed)) for seed in (1, 2))
    tenths = one.reshape(10, -1).sum(axis=1)
    assert (np.abs(tenths - wanted / 10) < 5 * (wanted / 10 * 0.8) ** 0.5).all()
    runs = np.flatnonzero(np.diff(one.astype(int)))
    assert abs(len(runs) - 2 * rows * 0.2 * 0.8) < 1_000  # as many changes as independent rows have
    assert abs((one & two).sum() - wanted * 0.2) < 400


def test_a_subset_reads_its_rows_and_copies_none(world: Path) -> None:
    whole = ids(world, world / "pairs" / "manifest.json")
    chosen = {rows: ids(world, make(world, rows)) for rows in (3, 10, 39, 40)}
    assert {rows: len(set(found)) for rows, found in chosen.items()} == {3: 3, 10: 10, 39: 39, 40: 40}
    assert set(chosen[3]) < set(chosen[10]) < set(chosen[39]) < set(chosen[40])
    assert chosen[40] == whole
    assert [name for name in whole if name in set(chosen[10])] == chosen[10]  # in the order of the whole
    assert set(ids(world, make(world, 10, "--seed=2"))) != set(chosen[10])
    assert [path.name for path in (world / "pairs" / "subset-10").iterdir()] == ["manifest.json"]
    manifest = json.loads((world / "pairs" / "subset-10" / "manifest.json").read_text())
    assert (manifest["rows"], manifest["subset"]["of"], len(manifest["parts"])) == (10, 40, 3)


def test_long_pairs_are_counted_among_the_members(world: Path) -> None:
    sha = Subwords(world / "backbone").sha256
    shards = corpus.Shards(make(world, 10), sha, "pairs", columns=["source_words", "target_words"])
    table = shards.read(np.arange(len(shards.blocks)))
    longest = pc.max_element_wise(table.column("source_words"), table.column("target_words"))
    expected = pc.sum(pc.greater(longest, 8)).as_py()
    assert 0 < expected < corpus.Shards(world / "pairs" / "manifest.json", sha, "pairs").longer_than(8)
    assert shards.longer_than(8) == expected


def test_training_on_subsets(world: Path) -> None:
    """A subset of all rows trains to the same weights as the whole; a smaller one has its own number of steps."""
    found: dict[int, tuple[bytes, int]] = {}
    for rows, manifest in ((0, world / "pairs" / "manifest.json"), (40, make(world, 40)), (10, make(world, 10))):
        out = world / f"model-{rows}"
        line = ["pretrain", "--objective", "weam", "--model", str(world / "backbone"), "--shards", str(manifest)]
        line += ["--settings", '{"epochs": 2, "batch_size": 8}', "--work", str(world / f"work-{rows}")]
        assert main([*line, "--out", str(out)]) == 0
        steps = json.loads((out / "training.json").read_text())["steps"]
        found[rows] = (out / "model.safetensors").read_bytes(), steps
    assert found[40] == found[0]
    assert [found[rows][1] for rows in (40, 10)] == [10, 4]


def rewrite(path: Path, seal: bool = True, **changes: Any) -> None:
    value = {key: item for key, item in json.loads(path.read_text()).items() if key != KEY} | changes
    path.write_text(json.dumps(sealed(value) if seal else value))


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (41, [], "has 40 rows, but a subset of 41 is asked for; ask for fewer"),
        (0, [], "--rows 0: a subset has at least one row"),
        (5, ["--seed", "-1"], "--seed -1: give a number from 0"),
    ],
)
def test_faults_of_the_command(
    world: Path, capsys: pytest.CaptureFixture[str], rows: int, options: list[str], words: str
) -> None:
    shards, out = str(world / "pairs" / "manifest.json"), str(world / "no" / "manifest.json")
    assert main(["subset", "--shards", shards, "--rows", str(rows), *options, "--out", out]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert not Path(out).exists()


def test_a_subset_of_a_subset_is_refused(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(world / "no" / "manifest.json")
    assert main(["subset", "--shards", str(make(world, 12)), "--rows", "5", "--out", out]) == 1
    assert "is a subset itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subset": {"of": 41, "seed": 1, "threshold": 1}}, "not of these parts"),
        ({"rows": 12}, "not of these parts"),
        ({"subset": {"of": 40}}, "not a manifest of a subset"),
        ({"subset": {"of": 40, "seed": 1, "threshold": 1.5}}, "not a manifest of a subset"),
    ],
)
def test_a_manifest_of_other_rows_is_refused(world: Path, changes: dict[str, Any], words: str) -> None:
    path = make(world, 11)
    rewrite(path, **changes)
    with pytest.raises(UserError, match=words):
        corpus.Shards(path, Subwords(world / "backbone").sha256, "pairs")


def test_an_edited_manifest_is_refused(world: Path) -> None:
    path = make(world, 13)
    path.write_text(path.read_text().replace('"rows": 13', '"rows": 14'))
    with pytest.raises(UserError, match="was changed after it was made"):
        corpus.Shards(path, Subwords(world / "backbone").sha256, "pairs")


def test_an_empty_table_has_no_members() -> None:
    assert nested.members(0, 0, 1, 5).tolist() == []
    assert pa.table({"a": pa.array([], pa.int64())}).filter(pa.array(nested.members(0, 0, 1, 5))).num_rows == 0


@pytest.mark.parametrize(
    ("objective", "languages", "pairs", "constant", "amount", "name"),
    [
        ("weam", ["de", "ar"], 600, "steps", 120, "weam-mix.ar_de.600.steps120"),
        ("word_align", ["zh-Hant", "es"], 1, "epochs", 2, "word_align-mix.es_zh-Hant.1.epochs2"),
    ],
)
def test_names_of_mixtures(
    objective: Objective, languages: list[str], pairs: int, constant: Constant, amount: int, name: str
) -> None:
    found = mixture(objective, languages, pairs, constant, amount)
    assert found.name == name
    assert is_mixture(name)
    assert parse(name) == found


@pytest.mark.parametrize(
    "name",
    ["weam", "weam-mix.de_ar.600.steps120", "weam-mix.de.0.steps1", "weam-mix.de_de.6.steps1", "weam-mix.de.6.step1",
     "weam-mix.de.06.steps1", "bert-mix.de.6.steps1", "weam-mix._de.6.steps1"],
)  # fmt: skip
def test_what_is_no_name_of_a_mixture(name: str) -> None:
    with pytest.raises(UserError, match="no name of a mixture"):
        parse(name)


def test_training_of_mixtures() -> None:
    assert mixture("weam", ["de"], 6, "steps", 9).optimisation == {"epochs": 9, "max_steps": 9}
    assert mixture("weam", ["de"], 6, "epochs", 2).optimisation == {"epochs": 2, "max_steps": None}
