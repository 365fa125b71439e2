"""Readers of the tasks that XTREME-R has beside question answering and inference: official layouts, and every fault."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from releases import make_tar, make_zip, release

from weam.errors import UserError
from weam.readers import copa, retrieval, tagging
from weam.readers.copa import ChoiceExample
from weam.readers.retrieval import Text
from weam.readers.tagging import TaggedSentence

Files = dict[str, bytes | str]


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def counts(steps: list[dict[str, Any]]) -> dict[str, int]:
    return {step["step"]: step.get("removed", step.get("rows")) for step in steps if step.get("removed", 1)}


def refused(read: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


# Choices


def choice(idx: int, label: int | None = 0, **other: Any) -> dict[str, Any]:
    row = {"premise": f"Premise {idx}.", "choice1": "One.", "choice2": "Two.", "question": "cause", "idx": idx}
    return row | ({} if label is None else {"label": label}) | {"changed": False} | other


GOOD = lines(choice(7, 1), choice(8, 0, question="effect", premise="Ünï 字."))


@pytest.mark.parametrize(
    "files",
    [
        {"test.et.jsonl": GOOD},
        {"data/et/test.et.jsonl.gz": GOOD},
        {
            "m.zip": make_zip(
                {"xcopa-master/data/et/test.et.jsonl": GOOD, "xcopa-master/data-gmt/et/test.et.jsonl": lines(choice(1))}
            )
        },
        {"m.tgz": make_tar({"xcopa/data-gmt/et/test.et.jsonl": "{", "xcopa/data/et/test.et.jsonl": GOOD})},
        {"m.tar": make_tar({"data/et/test.et.jsonl": GOOD}, packed=False)},
    ],
)
def test_xcopa_in_every_packing(tmp_path: Path, files: Files) -> None:
    source = release(tmp_path, "xcopa", ["et", "ht"], files)
    assert copa.read(source, "test", ["et"]) == {
        ("et",): [
            ChoiceExample("7", "Premise 7.", "cause", ("One.", "Two."), 1),
            ChoiceExample("8", "Ünï 字.", "effect", ("One.", "Two."), 0),
        ]
    }
    refused(
        lambda: copa.read(source, "dev", ["et"]), r"source src: has no file val\.et\.jsonl\[\.gz\]; it has .*test\.et"
    )
    refused(lambda: copa.read(source, "test", ["et", "ht"]), r"has no file test\.ht\.jsonl")
    refused(lambda: copa.read(source, "test", ["fr"]), "has no language 'fr'; it has et, ht")


def test_xcopa_splits_and_several_languages(tmp_path: Path) -> None:
    files = {f"{split}.{x}.jsonl": lines(choice(1, 0), choice(n, 1)) for n, (split, x) in enumerate(
        [("val", "et"), ("val", "en"), ("test", "et"), ("test", "sw")], start=2
    )}  # fmt: skip
    source = release(tmp_path, "xcopa", ["en", "et", "sw"], dict(files))
    assert list(copa.read(source, "test", ["sw", "et"])) == [("sw",), ("et",)]
    assert [e.id for e in copa.read(source, "dev", ["en"])[("en",)]] == ["1", "3"]
    assert [e.id for e in copa.read(source, "test", ["sw"])[("sw",)]] == ["1", "5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(choice(1), choice(2, None)), r"test\.et\.jsonl, line 2: missing or unknown label; a test set must be"),
        (lines(choice(1), choice(2, 2)), r"line 2: missing or unknown label"),
        (lines(choice(1, -1), choice(2)), r"line 1: missing or unknown label"),
        (lines(choice(1), choice(2) | {"label": True}), r"line 2: missing or unknown label"),
        (lines(choice(1), choice(2) | {"label": "1"}), r"line 2: missing or unknown label"),
        (lines(choice(1), choice(2, 0, question="why")), r"line 2: unknown question"),
        (lines(choice(1), choice(2, 0, choice2=" ")), r"line 2: empty premise, question or choice"),
        (lines(choice(1), choice(2, 0, premise=3)), r"line 2: a text is missing"),
        (lines({key: value for key, value in choice(1).items() if key != "choice1"}), r"line 1: a text is missing"),
        (lines({key: value for key, value in choice(1).items() if key != "idx"}), r"line 1: no idx"),
        (lines(choice(1, 0, premise="\ud83d")), r"line 1: invalid Unicode"),
        (GOOD + "{'a'}\n", r"line 3: invalid JSON"),
        (GOOD + "[1]\n", r"line 3: invalid JSON"),
        (GOOD + "[" * 100_000 + "\n", r"line 3: invalid JSON"),
        (GOOD.encode() + b"\xff\n", r"line 3: invalid UTF-8"),
        (GOOD + lines(choice(7, 1)), r"test\.et\.jsonl: the id '7' stands there twice"),
        (lines(choice(1, 1), choice(2, 1)), r"all 2 rows have the label 1 \(blanked labels\)"),
        ("\n\n", r"test\.et\.jsonl: is empty"),
    ],
)
def test_xcopa_faults(tmp_path: Path, text: str | bytes, message: str) -> None:
    source = release(tmp_path, "xcopa", ["et"], {"test.et.jsonl": text})
    refused(lambda: copa.read(source, "test", ["et"]), message)


def test_a_file_that_stands_twice_is_refused(tmp_path: Path) -> None:
    source = release(tmp_path, "xcopa", ["et"], {"a/test.et.jsonl": GOOD, "b/test.et.jsonl.gz": GOOD})
    refused(lambda: copa.read(source, "test", ["et"]), r"b/test\.et\.jsonl\.gz: test\.et\.jsonl stands in .*a/test\.et")


@pytest.mark.parametrize("kind", ["zip", "tgz", "gz"])
def test_truncated_archives_give_one_sentence(tmp_path: Path, kind: str) -> None:
    many = lines(*(choice(n, n % 2, premise=f"{n * 7919} {hash((n, 1))}") for n in range(2000)))
    packed = {
        "zip": ("a.zip", make_zip({"test.et.jsonl": many})),
        "tgz": ("a.tgz", make_tar({"test.et.jsonl": many})),
        "gz": ("test.et.jsonl.gz", many),
    }[kind]
    source = release(tmp_path, "xcopa", ["et"], {packed[0]: packed[1]})
    path = tmp_path / packed[0]
    whole = path.read_bytes()
    assert len(copa.read(source, "test", ["et"])[("et",)]) == 2000
    for cut in (len(whole) - 5, len(whole) // 2, 20):
        path.write_bytes(whole[:cut])
        refused(lambda: copa.read(source, "test", ["et"]), re.escape(str(path)) + ": truncated or damaged archive")


def test_copa_training_counts_faults(tmp_path: Path) -> None:
    text = (
        lines(
            choice(1, 0),
            choice(2, 1),
            choice(3, None),
            choice(4, 0, question="why"),
            choice(5, 0, choice1=""),
            choice(6, 0, premise=None),
            choice(7, 0, premise="\udc00"),
            {key: value for key, value in choice(8, 1).items() if key != "idx"},
        )
        + "{\n"
    ).encode() + b"\xff\n"
    source = release(tmp_path, "copa", ["en"], {"COPA.zip": make_zip({"COPA/train.jsonl": text, "COPA/val.jsonl": ""})})
    examples, steps = copa.read_train(source, "en")
    assert [(example.id, example.label) for example in examples] == [("1", 0), ("2", 1), ("8", 1)]
    assert steps == [
        {"step": "read", "rows": 10},
        {"step": "invalid UTF-8", "removed": 1},
        {"step": "invalid JSON", "removed": 1},
        {"step": "a text is missing", "removed": 1},
        {"step": "unknown question", "removed": 1},
        {"step": "missing or unknown label", "removed": 1},
        {"step": "invalid Unicode", "removed": 1},
        {"step": "empty premise, question or choice", "removed": 1},
        {"step": "kept", "rows": 3},
    ]


def test_copa_training_of_languages(tmp_path: Path) -> None:
    files: Files = {"train.de.jsonl": lines(choice(1, 0), choice(2, 1)), "train.jsonl": lines(choice(3, 0))}
    source = release(tmp_path, "copa", ["de", "en"], files)
    assert len(copa.read_train(source, "de")[0]) == 2
    refused(lambda: copa.read_train(source, "en"), r"has no file train\.en\.jsonl\[")  # train.jsonl: of which language?
    refused(lambda: copa.read_train(source, "fr"), "has no language 'fr'")
    source = release(tmp_path, "copa", ["en"], {"train.jsonl": lines(choice(1, 5))})
    refused(
        lambda: copa.read_train(source, "en"), r"train\.jsonl: none of the 1 rows can be used \(missing or .*label: 1\)"
    )
    source = release(tmp_path, "copa", ["en"], {"train.jsonl": lines(choice(1, 0), choice(2, 0))})
    refused(lambda: copa.read_train(source, "en"), r"train\.jsonl: all 2 rows have the label 0 \(blanked labels\)")


def siqa(**other: Any) -> dict[str, Any]:
    answers = {"answerA": "a", "answerB": "b", "answerC": "c"}
    return {"context": "Sidney left.", "question": "Why?"} | answers | other


def test_siqa_with_labels_beside(tmp_path: Path) -> None:
    members: Files = {
        "socialiqa-train-dev/train.jsonl": lines(siqa(), siqa(context=""), siqa(), siqa(), siqa()),
        "socialiqa-train-dev/train-labels.lst": "3\n1\n12\n4\n1\n",
        "socialiqa-train-dev/dev-labels.lst": "1\n",
    }
    source = release(tmp_path, "siqa", ["en"], {"s.zip": make_zip(members)})
    examples, steps = copa.read_train(source, "en")
    assert examples[0] == ChoiceExample("1", "Sidney left.", "Why?", ("a", "b", "c"), 2)
    assert [(example.id, example.label) for example in examples] == [("1", 2), ("5", 0)]
    assert counts(steps) == {
        "read": 5, "missing or unknown label": 2, "empty premise, question or choice": 1, "kept": 2,
    }  # fmt: skip
    members["socialiqa-train-dev/train-labels.lst"] = "3\n1\n"
    source = release(tmp_path, "siqa", ["en"], {"s.zip": make_zip(members)})
    refused(lambda: copa.read_train(source, "en"), r"train\.jsonl: has 5 lines, but train-labels\.lst has 2; fetch")


def test_siqa_with_its_own_labels(tmp_path: Path) -> None:
    rows = lines(siqa(correct="B"), siqa(correct="C"), siqa(correct="BC"), siqa(), siqa(correct=None))
    packed = make_tar({"socialIQa_v1.4/socialIQa_v1.4_trn.jsonl": rows, "socialIQa_v1.4/socialIQa_v1.4_dev.jsonl": ""})
    examples, steps = copa.read_train(release(tmp_path, "siqa", ["en"], {"s.tgz": packed}), "en")
    assert [example.label for example in examples] == [1, 2]
    assert counts(steps)["missing or unknown label"] == 3


def test_formats_of_other_tasks_are_refused(tmp_path: Path) -> None:
    source = release(tmp_path, "squad", ["en"], {"x": ""})
    refused(lambda: copa.read(source, "test", ["en"]), "format 'squad' is no test set of choices; known: xcopa")
    refused(lambda: copa.read_train(source, "en"), "format 'squad' is no training data of choices; known: copa, siqa")
    refused(lambda: tagging.read_conllu(source, "test", ["en"]), "is no test set of parts of speech; known: conllu")
    refused(lambda: tagging.read_wikiann(source, "test", ["en"]), "is no test set of named entities; known: wikiann")
    refused(lambda: tagging.read_train(source, "en"), "is no training data of taggers; known: conllu, wikiann")
    refused(lambda: retrieval.read_tatoeba(source, "test", ["de"]), "is no test set of translations; known: tatoeba")
    refused(lambda: retrieval.read_lareqa(source, "test", ["en"]), "is no test set of answer retrieval; known: lareqa")
    refused(lambda: retrieval.read_mewslix(source, "test", ["en"]), "is no test set of entity retrieval; known: mewsli")


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


# Tatoeba


def test_tatoeba(tmp_path: Path) -> None:
    files: Files = {
        "tatoeba.cmn-eng.cmn": "\ufeff你好。\n再见\u2028吧。\n",
        "tatoeba.cmn-eng.eng": "Hello.\r\nBye.\r\n",
        "v1/tatoeba.swh-eng.swh.gz": "Habari.\n",
        "v1/tatoeba.swh-eng.eng.gz": "Hello.\n",
    }
    source = release(tmp_path, "tatoeba", ["zh", "sw", "xx", "de"], files)
    found = retrieval.read_tatoeba(source, "test", ["sw", "zh"])
    assert list(found) == [("sw",), ("zh",)]
    chinese = found[("zh",)]
    assert chinese.queries == (Text("zh:1", "你好。"), Text("zh:2", "再见\u2028吧。"))
    assert chinese.candidates == (Text("en:1", "Hello."), Text("en:2", "Bye."))
    assert chinese.relevant == (frozenset(["en:1"]), frozenset(["en:2"]))
    assert chinese.groups == ("Hello.", "Bye.")
    assert found[("sw",)].groups == ("Hello.",)  # the same English sentence: the same group as in Chinese
    assert len(chinese) == 2
    refused(lambda: retrieval.read_tatoeba(source, "dev", ["zh"]), "tatoeba is one test set; it has no split 'dev'")
    refused(lambda: retrieval.read_tatoeba(source, "test", ["xx"]), "no file of Tatoeba is known for language 'xx'")
    refused(lambda: retrieval.read_tatoeba(source, "test", ["de"]), r"has no file tatoeba\.deu-eng\.deu")


@pytest.mark.parametrize(
    ("german", "english", "message"),
    [
        ("a\nb\n", "A\n", r"deu-eng\.deu: has 2 lines, but .*deu-eng\.eng has 1; line i must translate line i"),
        ("a\n \n", "A\nB\n", r"deu-eng\.deu, line 2: empty sentence; a test set must be complete"),
        ("a\nb\n", b"A\n\xff\n", r"deu-eng\.eng, line 2: invalid UTF-8"),
        ("", "", r"deu-eng\.\w+: is empty"),
    ],
)
def test_tatoeba_faults(tmp_path: Path, german: str, english: bytes | str, message: str) -> None:
    files: Files = {"tatoeba.deu-eng.deu": german, "tatoeba.deu-eng.eng": english}
    source = release(tmp_path, "tatoeba", ["de"], files)
    refused(lambda: retrieval.read_tatoeba(source, "test", ["de"]), message)


# LAReQA


def paragraph(sentences: list[str], *questions: tuple[str, int]) -> dict[str, Any]:
    """A paragraph of sentences with two spaces between them; questions are (id, start of the answer)."""
    breaks, start = [], 0
    for sentence in sentences:
        breaks.append([start, start + len(sentence)])
        start += len(sentence) + 2
    qas = [{"id": name, "question": f"{name}?", "answers": [{"text": "x", "answer_start": a}]} for name, a in questions]
    return {"context": "  ".join(sentences), "sentences": sentences, "sentence_breaks": breaks, "qas": qas}


def squad(*paragraphs: dict[str, Any]) -> str:
    return json.dumps({"data": [{"title": "t", "paragraphs": [one]} for one in paragraphs]})


def test_lareqa(tmp_path: Path) -> None:
    english = squad(
        paragraph(["One.", "Two.", "One."], ("a", 1), ("b", 6)), paragraph(["Three."], ("c", 0))
    )  # a: "One." stands there twice
    german = squad(paragraph(["Eins ist.", "Zwei."], ("a", 8), ("b", 10)), paragraph(["Drei."], ("c", 4)))
    packed = make_zip(
        {"lareqa/xquad-r/en.json": english, "lareqa/xquad-r/de.json": german, "lareqa/mlqa-r/en.json": ""}
    )
    source = release(tmp_path, "lareqa", ["en", "de"], {"l.zip": packed})
    found = retrieval.read_lareqa(source, "test", ["en", "de"])
    test = found[("en",)]
    assert test.queries == (Text("a", "a?"), Text("b", "b?"), Text("c", "c?"))
    assert test.groups == ("1", "1", "2")
    assert test.relevant == (
        frozenset(["en:1:1", "en:1:3", "de:1:1"]),
        frozenset(["en:1:2", "de:1:2"]),  # in German the answer starts in the gap before the sentence
        frozenset(["en:2:1", "de:2:1"]),
    )
    assert test.candidates == tuple(
        Text(*pair)
        for pair in [
            ("de:1:1", "Eins ist."), ("de:1:2", "Zwei."), ("de:2:1", "Drei."),
            ("en:1:1", "One."), ("en:1:2", "Two."), ("en:1:3", "One."), ("en:2:1", "Three."),
        ]
    )  # fmt: skip
    assert found[("de",)].candidates is test.candidates
    assert found[("de",)].relevant == test.relevant
    alone = retrieval.read_lareqa(source, "test", ["de"])[("de",)]
    assert alone == found[("de",)]  # the pool is that of the release, whatever is asked for
    refused(lambda: retrieval.read_lareqa(source, "dev", ["en"]), "lareqa is one test set; it has no split 'dev'")


def broken(**other: Any) -> dict[str, Any]:
    return paragraph(["One.", "Two."], ("a", 1)) | other


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"en\.json: not valid JSON"),
        ("[]", "not SQuAD JSON with sentences, in paragraph 0: TypeError"),
        (squad(broken(), {"context": "x", "qas": []}), "in paragraph 2: KeyError 'sentence_breaks'; each of data"),
        (squad(broken(sentence_breaks=[])), "in paragraph 1: ValueError sentence_breaks are"),
        (squad(broken(sentence_breaks=[[0, 99]])), "sentence_breaks are .* in a context of 10 characters"),
        (squad(broken(sentence_breaks=[[6, 10], [0, 4]])), "sentence_breaks are "),
        (squad(broken(sentence_breaks=[[0]])), "in paragraph 1: ValueError"),
        (squad(paragraph(["One."], ("a", 4))), "the answer of question 'a' begins behind the last sentence"),
        (squad(broken(qas=[{"id": "a", "question": "?", "answers": []}])), "question 'a' has no answer"),
        (squad(broken(qas=[{"id": "a", "question": 1, "answers": []}])), "in paragraph 1: "),
        (squad(broken(qas=[{"id": "a", "question": " ", "answers": [{"answer_start": 0}]}])), "question 'a' is empty"),
        (squad(broken(context="On\ud800.  Two.")), "'en:1:1' has a lone surrogate, which is not Unicode text"),
        (squad(broken(), broken()), r"en\.json: the id 'a' stands there twice"),
        (squad(broken(qas=[])), r"en\.json: has no question"),
    ],
)
def test_lareqa_faults(tmp_path: Path, text: str, message: str) -> None:
    source = release(tmp_path, "lareqa", ["en"], {"en.json": text})
    refused(lambda: retrieval.read_lareqa(source, "test", ["en"]), message)


# Mewsli-X


def entity(name: str, description: str = "Something.") -> dict[str, Any]:
    return {
        "entity_id": name, "title": name, "description": description, "description_language": "en",
        "description_url": "", "sentence_spans": [{"start": 0, "end": len(description)}],
    }  # fmt: skip


def article(language: str, document: str, text: str, *mentions: tuple[str, str, int, int]) -> dict[str, Any]:
    """An article whose sentences end in a full stop; mentions are (id, entity, start, end)."""
    spans = [{"start": match.start(), "end": match.end()} for match in re.finditer(r"\S[^.]*\.", text)]
    context = {"document_id": document, "document_title": "t", "document_url": "", "language": language}
    named = [
        {"example_id": name, "entity_id": what, "mention_span": {"start": a, "end": b, "text": text[a:b]}}
        for name, what, a, b in mentions
    ]
    return {"context": context | {"text": text, "sentence_spans": spans}, "mentions": named}


POOL = lines(entity("Q1", "Ein Fluss."), entity("Q2"), entity("Q3"))
NEWS = lines(
    article("de", "de-1", "Hallo Welt.\nDer Rhein fließt. Ende.", ("x", "Q1", 16, 21), ("y", "Q2", 0, 5)),
    article("en", "en-1", "We. Say A. B is one name.", ("x", "Q3", 8, 12)),
)


@pytest.mark.parametrize("packed", [False, True])
def test_mewslix(tmp_path: Path, packed: bool) -> None:
    members = {"candidate_set_entities.jsonl": POOL, "wikinews_mentions-test.jsonl": NEWS}
    files: Files = {"m.tgz": make_tar(members)} if packed else dict(members)
    source = release(tmp_path, "mewsli-x", ["de", "en", "uk"], files)
    found = retrieval.read_mewslix(source, "test", ["de", "en"])
    german = found[("de",)]
    assert german.queries == (Text("de:x", "Der Rhein fließt.", (4, 9)), Text("de:y", "Hallo Welt.", (0, 5)))
    assert german.relevant == (frozenset(["Q1"]), frozenset(["Q2"]))
    assert german.groups == ("de:de-1", "de:de-1")
    assert german.candidates == (Text("Q1", "Ein Fluss."), Text("Q2", "Something."), Text("Q3", "Something."))
    english = found[("en",)]
    assert english.queries == (Text("en:x", "Say A. B is one name.", (4, 8)),)  # it crosses two sentences
    assert english.candidates is german.candidates
    refused(lambda: retrieval.read_mewslix(source, "test", ["uk"]), "in 'uk': has no mentions; it has de, en")
    refused(lambda: retrieval.read_mewslix(source, "dev", ["de"]), r"has no file wikinews_mentions-dev\.jsonl")


def without_text(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"context": row["context"] | {"text": ""}}


ONE = article("de", "d", "Der Rhein.", ("x", "Q1", 4, 9))


@pytest.mark.parametrize(
    ("pool", "news", "message"),
    [
        (POOL, lines(ONE, without_text(ONE)), r"mentions-test\.jsonl, line 2: the article has no text; run get-mewsli"),
        (POOL, lines(ONE | {"mentions": [{"example_id": "z"}]}), "line 1: a key is missing or has a wrong value"),
        (POOL, lines({"context": {}}), "line 1: a key is missing"),
        (POOL, lines(article("de", "d", "Der Rhein.", ("x", "Q1", 4, 4))), "line 1: the mention is not at its place"),
        (POOL, lines(article("de", "d", "A\ud800.", ("x", "Q1", 0, 1))), "line 1: invalid Unicode"),
        (POOL, lines(ONE, ONE), "the id 'de:x' stands there twice"),
        (POOL, lines(article("de", "d", "Der Rhein.", ("x", "Q9", 4, 9))), "the entity 'Q9' of mention 'de:x' is not"),
        (POOL, "", r"mentions-test\.jsonl: is empty"),
        (POOL + "x\n", lines(ONE), r"candidate_set_entities\.jsonl, line 4: invalid JSON"),
        (POOL + lines({"entity_id": "Q4"}), lines(ONE), "line 4: a key is missing"),
        (POOL + lines(entity("Q4", " ")), lines(ONE), "line 4: empty description"),
        (POOL + lines(entity("Q4", "\ud800")), lines(ONE), "line 4: invalid Unicode"),
        (POOL + POOL, lines(ONE), r"candidate_set_entities\.jsonl: the id 'Q1' stands there twice"),
    ],
)
def test_mewslix_faults(tmp_path: Path, pool: str, news: str, message: str) -> None:
    files: Files = {"candidate_set_entities.jsonl": pool, "wikinews_mentions-test.jsonl": news}
    source = release(tmp_path, "mewsli-x", ["de"], files)
    refused(lambda: retrieval.read_mewslix(source, "test", ["de"]), message)


def test_a_mention_that_is_not_where_it_says(tmp_path: Path) -> None:
    moved = json.loads(json.dumps(ONE))
    moved["mentions"][0]["mention_span"]["start"] = 3
    files: Files = {"candidate_set_entities.jsonl": POOL, "wikinews_mentions-test.jsonl": lines(moved)}
    source = release(tmp_path, "mewsli-x", ["de"], files)
    refused(lambda: retrieval.read_mewslix(source, "test", ["de"]), "line 1: the mention is not at its place")


# Public data


@pytest.mark.realdata
def test_tatoeba_of_laser(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "tatoeba-laser"
    names = {"de": "deu", "es": "spa", "zh": "cmn"}
    files: Files = {
        f"tatoeba.{name}-eng.{side}": (folder / f"tatoeba.{name}-eng.{side}").read_bytes()
        for name in names.values() for side in (name, "eng")
    }  # fmt: skip
    found = retrieval.read_tatoeba(release(tmp_path, "tatoeba", list(names), files), "test", list(names))
    for (language,), test in found.items():
        assert len(test) == len(test.candidates) == len(test.relevant) == len(test.groups) == 1000
        assert len({query.text for query in test.queries}) == len(set(test.groups)) == 1000  # no sentence stands twice
        raw = (folder / f"tatoeba.{names[language]}-eng.eng").read_text(encoding="utf-8").split("\n")
        assert [text.text for text in test.candidates] == raw[:1000]
    assert found[("de",)].queries[0] == Text("de:1", "Maria sagte, sie wisse nicht, wo Tom sei.")
    assert set(found[("de",)].groups) & set(found[("es",)].groups)  # why groups go across languages
