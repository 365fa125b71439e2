"""Archives that mean harm or are damaged: they cost a sentence, not the memory or a file elsewhere."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from releases import make_release, make_tar, make_zip

from weam import predict, readers
from weam.errors import UserError
from weam.readers import Release, qa
from weam.readers.archives import Entry, collect

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


MANY = {f"{number}/{NAME}": ZEROS[:1_000_000] for number in range(8)}  # each is allowed, all together are not


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("a.zip", make_zip(dict(MANY))),
        ("b.zip", make_zip({f"{name}.gz": gzip.compress(data) for name, data in MANY.items()})),
        ("c.tar", make_tar({f"{name}.gz": gzip.compress(data) for name, data in MANY.items()}, packed=False)),
    ],
)
def test_many_members_are_summed(tmp_path: Path, file: str, data: bytes) -> None:
    release = translated(tmp_path, file, data)
    read = 0

    def size(entry: Entry) -> int:
        nonlocal read
        read += len(entry.stream.read())
        return read

    with pytest.raises(UserError, match=rf"{file}: unpacks to more than 200 times its size, as no text does"):
        collect(release, lambda path: path.endswith(NAME), size)
    assert read < 7_000_000


def test_members_with_holes(tmp_path: Path) -> None:
    path = tmp_path / "given" / NAME
    path.parent.mkdir()
    with path.open("wb") as out:
        out.truncate(50_000_000)
    made = subprocess.run(["tar", "--sparse", "-C", path.parent, "-cf", "-", NAME], capture_output=True, check=True)
    assert len(made.stdout) < 50_000
    with pytest.raises(UserError, match=r"damaged archive \(.* has holes, of which nothing tells how much they unpack"):
        qa.read_train(translated(tmp_path, "a.tar", made.stdout), "de")


def test_predict_reads_no_bomb(tmp_path: Path) -> None:
    path = tmp_path / "questions.json.gz"
    path.write_bytes(gzip.compress(b" " * 3_000_000))
    with pytest.raises(UserError, match=r"questions.json.gz: unpacks to more than 200 times its size"):
        predict.read_questions(path)


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
