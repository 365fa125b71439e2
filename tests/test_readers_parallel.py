"""Releases, parallel corpora, running text."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest
from releases import make_release, make_zip, release

from weam.errors import UserError
from weam.readers import Fault, Release, reading
from weam.readers.monolingual import read_passages
from weam.readers.parallel import RawPair, read_pairs


def test_release_opens_plain_and_packed_files(tmp_path: Path) -> None:
    opened = release(tmp_path, "lines", ["en"], {"a.txt": "one\n", "sub/b.txt.gz": "two\n"})
    assert opened.files == ("a.txt", "sub/b.txt.gz")
    assert opened.open("a.txt").read() == b"one\n"
    assert opened.open("sub/b.txt.gz").read() == b"two\n"
    assert opened.path("sub/b.txt.gz") == tmp_path / "sub/b.txt.gz"
    with pytest.raises(UserError, match=r"has no file 'c.txt'; it has a.txt, sub/b.txt.gz"):
        opened.path("c.txt")


def test_release_checks_the_files_it_lists(tmp_path: Path) -> None:
    manifest = make_release(tmp_path, "lines", ["en"], {"a.txt": "one\n"})
    (tmp_path / "a.txt").write_text("longer\n")
    with pytest.raises(UserError, match=r"has 7 bytes where .* lists 4"):
        Release(manifest)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(UserError, match="is missing though"):
        Release(manifest)
    manifest.write_text("{}")
    with pytest.raises(UserError, match="not the manifest of a source"):
        Release(manifest)
    with pytest.raises(UserError, match="does not exist"):
        Release(tmp_path / "other.json")


@pytest.mark.parametrize(("stem", "languages"), [("X.de-en", ("de", "en")), ("deep/Tatoeba.en-de", ("en", "de"))])
def test_moses(tmp_path: Path, stem: str, languages: tuple[str, str]) -> None:
    texts = {"en": "a\u2028b\r\n\nc\x85 ||| d\n".encode(), "de": b"\xef\xbb\xbfA\nB\nC"}
    data = make_zip({"README": "x"} | {f"{stem}.{language}": texts[language] for language in languages})
    rows = list(read_pairs(release(tmp_path, "moses", ["en", "de"], {"c.zip": data}), "de"))
    assert rows == [RawPair(0, "a\u2028b", "A"), RawPair(1, "", "B"), RawPair(2, "c\x85 ||| d", "C")]


def test_moses_invalid_utf8_costs_one_line(tmp_path: Path) -> None:
    data = make_zip({"a.en": b"one\ntwo\nthree\n", "a.de": b"eins\nzw\xffei\ndrei\n"})
    rows = list(read_pairs(release(tmp_path, "moses", ["en", "de"], {"c.zip": data}), "de"))
    assert rows == [RawPair(0, "one", "eins"), Fault(1, "invalid UTF-8"), RawPair(2, "three", "drei")]


@pytest.mark.parametrize(("english", "other"), [("1\n2\n3\n", "1\n"), ("1\n", "1\n2\n3\n"), ("1\n2\n", "")])
def test_moses_sides_of_different_length(tmp_path: Path, english: str, other: str) -> None:
    source = release(tmp_path, "moses", ["en", "de"], {"c.zip": make_zip({"a.en": english, "a.de": other})})
    counts = f"a.en has {english.count(chr(10))} lines and a.de has {other.count(chr(10))}"
    with pytest.raises(UserError, match=counts):
        list(read_pairs(source, "de"))


@pytest.mark.parametrize(
    ("format", "languages", "wanted"),
    [("moses", ["en", "de"], r"NAME.en, NAME.de"), ("jsonl-zip", ["en", "zh"], "translation2019zh_train.json")],
)
def test_zip_without_the_member_lists_its_members(
    tmp_path: Path, format: str, languages: list[str], wanted: str
) -> None:
    source = release(tmp_path, format, languages, {"c.zip": make_zip({"LICENSE": "", "a.fr": ""})})
    with pytest.raises(UserError, match=rf"c.zip: has no member .*{wanted}; it has LICENSE, a.fr"):
        list(read_pairs(source, languages[1]))


def test_tsv_zip_needs_one_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no member NAME.txt with the pairs; it has _about.txt"):
        list(read_pairs(release(tmp_path, "tsv-zip", ["en", "de"], {"c.zip": make_zip({"_about.txt": ""})}), "de"))
    two = make_zip({"a.txt": "", "b.txt": ""})
    with pytest.raises(UserError, match=r"has 2 text members \(a.txt, b.txt\)"):
        list(read_pairs(release(tmp_path, "tsv-zip", ["en", "de"], {"c.zip": two}), "de"))


@pytest.mark.parametrize("damage", ["truncated", "text", "flipped"])
def test_damaged_zip(tmp_path: Path, damage: str) -> None:
    whole = bytearray(make_zip({"deu.txt": "".join(f"word {i * 7919}\tWort {i * 7907}\n" for i in range(5000))}))
    flipped = bytes(whole[:2000]) + bytes(255 - b for b in whole[2000:2100]) + bytes(whole[2100:])
    data = {"truncated": bytes(whole[: len(whole) // 2]), "text": b"<html>not found</html>", "flipped": flipped}[damage]
    with pytest.raises(UserError, match=r"c.zip: truncated or damaged archive"):
        list(read_pairs(release(tmp_path, "tsv-zip", ["en", "de"], {"c.zip": data}), "de"))


def test_jsonl(tmp_path: Path) -> None:
    lines = [
        json.dumps({"english": "a b", "chinese": "甲\u2028乙"}, ensure_ascii=False).encode(),
        b'{"english": "broken',
        b'{"english": "only"}',
        b'["english", "chinese"]',
        b"\xff",
        rb'{"english": "\ud83d", "chinese": "x"}',
        b"",
        rb'{"english": "\ud83d\ude00", "chinese": "\u7532"}',
    ]
    data = make_zip(
        {"__MACOSX/._translation2019zh_train.json": b"\0", "t/translation2019zh_train.json": b"\n".join(lines)}
    )
    rows = list(read_pairs(release(tmp_path, "jsonl-zip", ["en", "zh"], {"c.zip": data}), "zh"))
    assert rows == [
        RawPair(0, "a b", "甲\u2028乙"),
        Fault(1, "malformed JSON"),
        Fault(2, "JSON without both sides"),
        Fault(3, "JSON without both sides"),
        Fault(4, "invalid UTF-8"),
        Fault(5, "invalid UTF-8"),
        Fault(6, "malformed JSON"),
        RawPair(7, "😀", "甲"),
    ]


def test_tsv(tmp_path: Path) -> None:
    text = 'Hi "x.\tHallo "x.\tCC-BY\nno tab\na\tb\r\na\tb\tc\td\n\n'
    data = make_zip({"_about.txt": "a", "__MACOSX/spa.txt": "b", "spa-eng/._spa.txt": "c", "spa-eng/spa.txt": text})
    rows = list(read_pairs(release(tmp_path, "tsv-zip", ["en", "es"], {"c.zip": data}), "es"))
    wrong = "wrong number of columns"
    assert rows == [
        RawPair(0, 'Hi "x.', 'Hallo "x.'),
        Fault(1, wrong),
        RawPair(2, "a", "b"),
        Fault(3, wrong),
        Fault(4, wrong),
    ]


def test_lines_are_numbered_through_the_files(tmp_path: Path) -> None:
    zips: dict[str, bytes | str] = {"1.zip": make_zip({"a.txt": "a\tA\nbad\n"}), "2.zip": make_zip({"b.txt": "b\tB\n"})}
    rows = list(read_pairs(release(tmp_path, "tsv-zip", ["en", "de"], zips), "de"))
    assert rows == [RawPair(0, "a", "A"), Fault(1, "wrong number of columns"), RawPair(2, "b", "B")]


def test_wrong_language_or_format(tmp_path: Path) -> None:
    source = release(tmp_path, "moses", ["en", "de"], {"c.zip": make_zip({"a.en": "", "a.de": ""})})
    with pytest.raises(UserError, match="has no language 'fr'; it has en, de"):
        list(read_pairs(source, "fr"))
    with pytest.raises(UserError, match="not en"):
        list(read_pairs(source, "en"))
    with pytest.raises(UserError, match="format 'squad' has no sentence pairs; known: moses"):
        list(read_pairs(release(tmp_path, "squad", ["en", "de"], {"c.json": "{}"}), "de"))


def test_passages_of_lines(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"mono.en.txt": b"one\ntw\xffo\n", "mono.de.txt.gz": "eins\x85zwei\n"}
    source = release(tmp_path, "lines", ["en", "de"], files)
    assert list(read_passages(source)) == [
        ("en", 0, "one"),
        ("en", 1, Fault(1, "invalid UTF-8")),
        ("de", 0, "eins\x85zwei"),
    ]
    assert [p.language for p in read_passages(source, ["de", "fr"])] == ["de"]
    with pytest.raises(UserError, match=r"has no file mono.fr.txt\[.gz\]; it has mono.en.txt, mono.de.txt.gz"):
        list(read_passages(release(tmp_path, "lines", ["fr"], files)))


def test_passages_of_truncated_gz(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b"%d line\n" % (i * 7919) for i in range(3000)))[:2000]
    make_release(tmp_path, "lines", ["en"], {"mono.en.txt": packed})
    (tmp_path / "mono.en.txt").rename(tmp_path / "mono.en.txt.gz")
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("mono.en.txt", "mono.en.txt.gz"))
    with pytest.raises(UserError, match="truncated or damaged archive"):
        list(read_passages(Release(manifest)))


def test_passages_of_pairs_and_questions(tmp_path: Path) -> None:
    source = release(tmp_path, "tsv-zip", ["en", "de"], {"c.zip": make_zip({"deu.txt": "a\tA\nbad\n"})})
    fault = Fault(1, "wrong number of columns")
    assert list(read_passages(source)) == [("en", 0, "a"), ("en", 1, fault), ("de", 0, "A"), ("de", 1, fault)]
    assert list(read_passages(source, ["de"])) == [("de", 0, "A"), ("de", 1, fault)]
    question = {"id": "1", "question": "q", "answers": [{"text": "c", "answer_start": 0}]}
    paragraphs = [{"context": "c1", "qas": [question, question]}, {"context": "c1", "qas": [question]}]
    squad = json.dumps({"data": [{"paragraphs": [*paragraphs, {"context": "c2", "qas": [question]}]}]})
    assert list(read_passages(release(tmp_path, "squad", ["en"], {"t.json": squad}))) == [
        ("en", 0, "c1"),
        ("en", 1, "c2"),
    ]
    with pytest.raises(UserError, match="format 'mlqa' is not used as running text"):
        list(read_passages(release(tmp_path, "mlqa", ["en"], {"t.json": squad})))


def test_encrypted_or_unreadable_members(tmp_path: Path) -> None:
    data = bytearray(make_zip({"deu.txt": "a\tA\n"}))
    data[6] |= 1  # flag: encrypted, in the member's header ...
    data[data.index(b"PK\x01\x02") + 8] |= 1  # ... and in the directory
    with pytest.raises(UserError, match=r"c.zip: truncated or damaged archive \(.*encrypted"):
        list(read_pairs(release(tmp_path, "tsv-zip", ["en", "de"], {"c.zip": bytes(data)}), "de"))
    for error in (lzma.LZMAError("Corrupt input data"), OSError("Invalid data stream")):
        with pytest.raises(UserError, match="truncated or damaged"), reading("x.zip"):
            raise error
    with pytest.raises(OSError, match="No space"), reading("x.zip"):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "holds a JSON list, not an object"),
        ('{"source": "s", "version": "1", "format": ["l"]}', "not the manifest"),
    ],
)
def test_wrong_manifest(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "manifest.json").write_text(text.replace("}", ', "languages": [], "files": []}'))
    with pytest.raises(UserError, match=sentence):
        Release(tmp_path / "manifest.json")
