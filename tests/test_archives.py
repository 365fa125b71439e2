"""Archives that mean harm or are damaged: they cost a sentence, not the memory or a file elsewhere."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from releases import make_release, make_tar, make_zip

from weam import readers
from weam.errors import UserError
from weam.readers import Release, qa
from weam.readers.archives import collect

CONTEXT = "Das ist Jörg."
GOOD = (
    '{"data": [{"paragraphs": [{"context": "Das ist Jörg.", "qas": [{"id": "1", "question": "wer?", '
    '"answers": [{"text": "Jörg", "answer_start": 8}]}]}]}]}'
)
NAME = "de_squad-translate-train-train-v1.1.json"
ZEROS = b"0" * 3_000_000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "HARMLESS", 1 << 20)


def translated(folder: Path, file: str, data: bytes) -> Release:
    return Release(make_release(folder, "mlqa-translate-train", ["de"], {file: data}))


@pytest.mark.parametrize(
    ("file", "data", "where"),
    [
        ("a.zip", make_zip({NAME: ZEROS}), f"a.zip: {NAME}"),
        ("a.tar.gz", make_tar({NAME: ZEROS}, packed=False), "a.tar.gz"),  # packed by make_release
        (f"{NAME}.gz", ZEROS, f"{NAME}.gz"),
        ("a.tar", make_tar({f"{NAME}.gz": gzip.compress(ZEROS)}, packed=False), f"a.tar: {NAME}.gz"),
        ("b.zip", make_zip({f"{NAME}.gz": gzip.compress(ZEROS * 9)}), f"b.zip: {NAME}.gz"),
    ],
)
def test_bombs(tmp_path: Path, file: str, data: bytes, where: str) -> None:
    with pytest.raises(UserError, match="unpacks to more than 200 times its size, as no text does") as error:
        qa.read_train(translated(tmp_path, file, data), "de")
    assert str(tmp_path / where) in str(error.value)


def test_text_that_packs_well_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = GOOD.encode() + b" " * 10_000  # packs to less than a fiftieth
    monkeypatch.setattr(readers, "HARMLESS", 1000)
    for number, (file, data) in enumerate([("a.zip", make_zip({NAME: line})), (f"{NAME}.gz", line)]):
        assert len(qa.read_train(translated(tmp_path / str(number), file, data), "de")[0]) == 1


@pytest.mark.parametrize("outside", [f"../../{NAME}", f"/tmp/{NAME}", f"..\\..\\{NAME}"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_with_paths_that_lead_out_are_read_and_never_written(tmp_path: Path, outside: str, kind: str) -> None:
    members: dict[str, bytes | str] = {outside: GOOD}
    folder = tmp_path / "a" / "b" / "c"
    data = make_zip(members) if kind == "zip" else make_tar(members, packed=False)
    release = translated(folder, f"x.{kind}", data)
    before = set(tmp_path.rglob("*"))
    assert collect(release, lambda path: path.endswith(NAME), lambda entry: entry.stream.read()) == [GOOD.encode()]
    assert set(tmp_path.rglob("*")) == before
    assert not Path("/tmp", NAME).exists()


@pytest.mark.parametrize("length", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_truncated(tmp_path: Path, kind: str, length: float) -> None:
    text = "".join(str(number * 7919) for number in range(20_000))  # packs badly, so that the cut is inside
    members: dict[str, bytes | str] = {"other.txt": text, NAME: GOOD}
    whole = make_zip(members) if kind == "zip" else gzip.decompress(make_tar(members))
    release = translated(tmp_path, f"x.{kind}", whole)
    path = release.path(f"x.{kind}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * length)])
    with pytest.raises(UserError, match=r"truncated or damaged archive .* delete the file and run the download stage"):
        qa.read_train(release, "de")
