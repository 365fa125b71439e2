"""Readers of parts of speech and names: official layouts, and every fault."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from reading import Files, counts, refused
from releases import make_tar, make_zip, release

from weam.readers import tagging
from weam.readers.tagging import TaggedSentence

# Parts of speech


def word(place: int | str, form: str, tag: str) -> str:
    return f"{place}\t{form}\t{form}\t{tag}\t_\t_\t0\troot\t_\t_\n"


FRENCH = (
    "# newdoc id = 1\n# sent_id = fr-1\n# text = Vient du nord.\n"
    + word(1, "Vient", "VERB")
    + word("2-3", "du", "_")
    + word(2, "de", "ADP")
    + word(3, "le", "DET")
    + word("3.1", "gone", "VERB")
    + word(4, "10 000", "NUM")
    + "\n"
    + word(1, "#", "SYM")
    + word(2, "_", "PUNCT")
    + word(3, "Oui", "INTJ")
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("fr_gsd-ud-test.conllu", FRENCH),
        ("fr_gsd-ud-test.conllu.gz", FRENCH),
        ("ud.zip", make_zip({"ud-treebanks/UD_French-GSD/fr_gsd-ud-test.conllu": FRENCH})),
        ("ud.tgz", make_tar({"ud-treebanks/UD_French-GSD/fr_gsd-ud-test.conllu": FRENCH})),
    ],
)
def test_conllu(tmp_path: Path, name: str, data: bytes | str) -> None:
    source = release(tmp_path, "conllu", ["fr", "de"], {name: data})
    assert tagging.read_conllu(source, "test", ["fr"]) == {
        ("fr",): [
            TaggedSentence("fr:gsd:fr-1", ("Vient", "de", "le", "10 000"), ("VERB", "ADP", "DET", "NUM")),
            TaggedSentence("fr:gsd:2", ("#", "_", "Oui"), ("SYM", "PUNCT", "INTJ")),
        ]
    }
    refused(lambda: tagging.read_conllu(source, "test", ["fr", "de"]), r"has no file de_<treebank>-ud-test\.conllu")
    refused(lambda: tagging.read_conllu(source, "dev", ["fr"]), r"has no file fr_<treebank>-ud-dev\.conllu")
    refused(lambda: tagging.read_conllu(source, "test", ["en"]), "has no language 'en'")


def test_all_treebanks_of_a_language_in_one_pass(tmp_path: Path) -> None:
    def one(name: str) -> str:
        return f"# sent_id = s1\n{word(1, name, 'NOUN')}{word(2, '.', 'PUNCT')}\n"

    packed = make_tar(
        {
            "x/de_pud-ud-test.conllu": one("pud"),
            "x/en_ewt-ud-test.conllu": one("ewt"),
            "x/de_gsd-ud-test.conllu": one("gsd"),
            "x/de_gsd-ud-train.conllu": one("train"),
            "x/qde_mix-ud-test.conllu": "broken",
            "x/de_gsd-ud-test.txt": "broken",
        }
    )
    source = release(tmp_path, "conllu", ["en", "de"], {"ud.tgz": packed})
    found = tagging.read_conllu(source, "test", ["en", "de"])
    assert list(found) == [("en",), ("de",)]
    assert [sentence.id for sentence in found[("de",)]] == ["de:gsd:s1", "de:pud:s1"]
    assert [sentence.words[0] for sentence in tagging.read_train(source, "de")[0]] == ["train"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (word(1, "a", "CONJ"), "line 1: unknown tag"),
        (word(1, "a", "_"), "line 1: unknown tag"),
        (word(1, "a", "X") + word(3, "b", "X"), "line 2: word out of order"),
        (word(2, "a", "X"), "line 1: word out of order"),
        (word(1, "", "X"), "line 1: empty word"),
        ("# sent_id = a\n1\ta\tX\n", "line 2: wrong number of columns"),
        ("# sent_id = a\n\n" + word(1, "a", "X"), "line 1: sentence without words"),
        (word(1, "a", "X").encode() + b"2\t\xff\n", "line 2: invalid UTF-8"),
        (
            2 * ("# sent_id = a\n" + word(1, "a", "X") + word(2, "b", "NOUN") + "\n"),
            "source src, test set of 'de': the id 'de:gsd:a' stands there twice",
        ),
        (word(1, "a", "X") + word(2, "b", "X"), r"all 2 words have the tag 'X' \(blanked labels\)"),
        ("", "is empty"),
    ],
)
def test_conllu_faults(tmp_path: Path, text: str | bytes, message: str) -> None:
    source = release(tmp_path, "conllu", ["de"], {"de_gsd-ud-test.conllu": text})
    if not text:
        refused(lambda: tagging.read_conllu(source, "test", ["de"]), "no treebank has its text; leave the language out")
    else:
        refused(lambda: tagging.read_conllu(source, "test", ["de"]), message)


WITHHELD = word(1, "_", "NOUN") + word(2, "_", "VERB") + word(3, ".", "PUNCT") + "\n"


def test_treebanks_without_their_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files: Files = {"ar_nyuad-ud-test.conllu": 2 * WITHHELD, "ar_padt-ud-test.conllu": FRENCH}
    source = release(tmp_path, "conllu", ["ar"], files)
    assert [s.id for s in tagging.read_conllu(source, "test", ["ar"])[("ar",)]] == ["ar:padt:fr-1", "ar:padt:2"]
    assert "ar_nyuad-ud-test.conllu: 2 of 2 sentences are without their text and left out" in capsys.readouterr().err
    source = release(tmp_path, "conllu", ["ar"], {"ar_nyuad-ud-test.conllu": WITHHELD})
    refused(lambda: tagging.read_conllu(source, "test", ["ar"]), "test set of 'ar': no treebank has its text")


def test_conllu_training_counts_sentences(tmp_path: Path) -> None:
    text = (
        FRENCH
        + "\n"
        + word(1, "a", "CONJ") + word(5, "b", "X") + "\n"  # two faults, the first one counts
        + word(2, "a", "X") + "\n"
        + word(1, " ", "X") + "\n\n\n"
        + "# sent_id = none\n\n"
        + "1\ta\n\n"
        + WITHHELD
    ).encode() + b"\xff\n"  # fmt: skip
    files: Files = {"fr_gsd-ud-train-a.conllu": text, "fr_gsd-ud-train-b.conllu": word(1, "Non", "INTJ")}
    examples, steps = tagging.read_train(release(tmp_path, "conllu", ["fr"], files), "fr")
    assert [example.words[0] for example in examples] == ["Vient", "#", "Non"]
    assert counts(steps) == {
        "read": 10, "invalid UTF-8": 1, "wrong number of columns": 1, "word out of order": 1, "empty word": 1,
        "unknown tag": 1, "sentence without words": 1, "sentence without its text": 1, "kept": 3,
    }  # fmt: skip


# Named entities


GERMAN = "de:Er\tO\nde:mag\tO\nde:New\tB-LOC\nde:York\tI-LOC\nde::\tO\n\nde:AC:DC\tB-ORG\nde:\tO\n"
NAMES = {"./dev": "de:a\tO\nde:b\tB-PER\n", "./test": GERMAN, "./train": GERMAN, "./extra": "x"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("de.tar.gz", gzip.decompress(make_tar(NAMES))),  # the helper packs what ends in .gz
        ("panx_dataset/de.tar.gz", gzip.decompress(make_tar(NAMES))),
        ("de.tar", make_tar(NAMES, packed=False)),
        ("panx_dataset.zip", make_zip({"panx_dataset/de.tar.gz": make_tar(NAMES), "panx_dataset/en.tar.gz": b"x"})),
    ],
)
def test_wikiann(tmp_path: Path, name: str, data: bytes) -> None:
    source = release(tmp_path, "wikiann", ["de", "fr"], {name: data})
    assert tagging.read_wikiann(source, "test", ["de"]) == {
        ("de",): [
            TaggedSentence("de:1", ("Er", "mag", "New", "York", ":"), ("O", "O", "B-LOC", "I-LOC", "O")),
            TaggedSentence("de:2", ("AC:DC", ""), ("B-ORG", "O")),
        ]
    }
    assert tagging.read_wikiann(source, "dev", ["de"])[("de",)][0].words == ("a", "b")
    assert len(tagging.read_train(source, "de")[0]) == 2
    refused(lambda: tagging.read_wikiann(source, "test", ["fr"]), r"has no file fr\.tar\[\.gz\]; it has ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("de:a\tO\nde:b\tB-MISC\n", r"de\.tar\.gz: test, line 2: unknown tag; a test set must be complete"),
        ("de:a\tO\nde:b\n", "line 2: wrong number of columns"),
        ("de:a b\tO\tO\n", "line 1: wrong number of columns"),
        ("de:a\tB-PER\nb\tO\n", "line 2: no language before the word"),
        (":b\tO\n", "line 1: no language before the word"),
        ("de:a\tO\nde:b\tO\n\nde:c\tO\n", r"test: all 3 words have the tag 'O' \(blanked labels\)"),
        ("\n", "test: is empty"),
    ],
)
def test_wikiann_faults(tmp_path: Path, text: str, message: str) -> None:
    tar = make_tar({"train": "", "test": text}, packed=False)
    source = release(tmp_path, "wikiann", ["de"], {"de.tar.gz": tar})
    refused(lambda: tagging.read_wikiann(source, "test", ["de"]), message)
    refused(lambda: tagging.read_wikiann(source, "dev", ["de"]), r"de\.tar\.gz: has no member dev; it has train, test")


@pytest.mark.parametrize(
    "tar",
    [
        gzip.compress(b"no tar at all"),
        gzip.compress(make_tar({"test": GERMAN * 999}, packed=False)[:2000]),
        make_tar(NAMES)[:-20],
        make_tar(NAMES)[:-2],
        b"",
    ],
    ids=["no tar", "cut tar", "cut checksum", "cut length", "empty"],
)
def test_damaged_tars_inside_a_zip(tmp_path: Path, tar: bytes) -> None:
    source = release(tmp_path, "wikiann", ["de"], {"p.zip": make_zip({"de.tar.gz": tar})})
    refused(lambda: tagging.read_wikiann(source, "test", ["de"]), r"p\.zip: truncated or damaged archive")


def test_wikiann_training_counts_sentences(tmp_path: Path) -> None:
    text = GERMAN + "\nde:a\tB-MISC\nde:b\n\nde:a\n\nb\tO\n\nde:z\tO\n"
    source = release(tmp_path, "wikiann", ["de"], {"de.tar.gz": make_tar({"train": text}, packed=False)})
    examples, steps = tagging.read_train(source, "de")
    assert [example.id for example in examples] == ["de:1", "de:2", "de:6"]
    assert counts(steps) == {
        "read": 6, "wrong number of columns": 1, "no language before the word": 1, "unknown tag": 1, "kept": 3,
    }  # fmt: skip
