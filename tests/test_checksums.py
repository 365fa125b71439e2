"""Files that were damaged or edited between two stages are named by the stage that reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from releases import make_release, make_zip

from weam.checksums import sealed
from weam.cli import main


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    tiny.make(folder, steps=1)
    return folder


def flip(path: Path, place: float = 0.5, bit: int = 4) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1 << bit
    path.write_bytes(data)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def pretrain(world: Path, where: Path) -> int:
    arguments: list[Any] = ["pretrain", "--objective", "weam", "--model", world / "backbone", "--work", where / "work"]
    arguments += ["--shards", world / "pairs" / "manifest.json", "--out", where / "out"]
    return main([str(part) for part in (*arguments, "--settings", '{"max_steps": 1}')])


@pytest.mark.parametrize(
    ("damage", "named", "cure"),
    [
        (lambda w: flip(w / "pairs/part-00000.parquet"), "pairs/part-00000.parquet", "delete"),
        (lambda w: flip(w / "pairs/part-00000.parquet", 0.99), "pairs/part-00000.parquet", "delete"),
        (lambda w: edit(w / "pairs/manifest.json", lambda m: m.update(max_length=32)), "pairs/manifest.json", "delete"),
        (lambda w: flip(w / "backbone/model.safetensors", 0.9), "backbone/model.safetensors", "delete"),
        (
            lambda w: (w / "backbone/model.safetensors").write_bytes(
                (w / "backbone/model.safetensors").read_bytes()[:-1000]
            ),
            "backbone/model.safetensors",
            "delete",
        ),
        (lambda w: flip(w / "backbone/tokenizer.json", 0.9, 0), "backbone/tokenizer.json", ""),
        (lambda w: edit(w / "backbone/training.json", lambda m: m.update(seed=9)), "backbone/training.json", "delete"),
    ],
)
def test_shards_and_models(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any, named: str, cure: str
) -> None:
    for name in ("pairs", "backbone"):
        shutil.copytree(world / name, tmp_path / name)
    damage(tmp_path)
    assert pretrain(tmp_path, tmp_path) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{tmp_path / named}: " in said
    assert cure in said
    assert not (tmp_path / "out").exists()
    shutil.rmtree(tmp_path / named.split("/")[0])
    shutil.copytree(world / named.split("/")[0], tmp_path / named.split("/")[0])
    assert pretrain(tmp_path, tmp_path) == 0


def text(folder: Path) -> int:
    arguments = ["text", "--manifest", folder / "manifest.json", "--languages", "en", "de"]
    return main([*map(str, arguments), "--out", str(folder / "text.parquet"), "--funnel", str(folder / "funnel.json")])


def test_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = {"en": "".join(f"word {i}\n" for i in range(300)), "de": "".join(f"Wort {i}\n" for i in range(300))}
    packed = make_zip({f"x.de-en.{language}": content for language, content in lines.items()})
    manifest = make_release(tmp_path, "moses", ["en", "de"], {"de-en.txt.zip": packed})
    manifest.write_text(json.dumps(sealed(json.loads(manifest.read_text()))))
    folder = manifest.parent
    assert text(folder) == 0
    right = manifest.read_text()
    edit(manifest, lambda m: m.update(languages=["en", "de", "fr"]))
    assert text(folder) == 1
    assert f"{manifest}: was changed after it was made" in capsys.readouterr().err
    manifest.write_text(right)
    flip(folder / "de-en.txt.zip", 0.3)
    assert text(folder) == 1
    assert f"de-en.txt.zip: was changed after it was made (not the checksum that {manifest}" in capsys.readouterr().err


def test_pages_of_text(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parquet as the text stage writes it has a checksum per page."""
    lines = {"en": "".join(f"word{i % 7} {i}\n" for i in range(900)), "de": "".join(f"Wort {i}\n" for i in range(900))}
    packed = make_zip({f"x.de-en.{language}": content for language, content in lines.items()})
    folder = make_release(tmp_path, "moses", ["en", "de"], {"de-en.txt.zip": packed}).parent
    assert text(folder) == 0
    flip(folder / "text.parquet", 0.2)
    links = ["--links", "--forward", "--reverse"]
    arguments: list[Any] = ["shards", "--text", folder / "text.parquet", "--tokenizer", world / "backbone"]
    for option in links:
        arguments += [option, folder / "links.txt"]
    (folder / "links.txt").write_text("0-0\n" * 900)
    assert main([*map(str, arguments), "--out", str(tmp_path / "out" / "manifest.json")]) == 1
    assert "text.parquet: not a Parquet file, or a broken one" in capsys.readouterr().err
