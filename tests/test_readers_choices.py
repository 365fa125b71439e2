"""Readers of tasks of choices, XCOPA and its training data: official layouts, and every fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from reading import Files, counts, lines, refused
from releases import make_tar, make_zip, release

from weam.readers import copa, retrieval, tagging
from weam.readers.copa import ChoiceExample


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
