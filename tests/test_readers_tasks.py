"""Question answering and inference: training data with faults counted, test sets complete or refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from releases import make_release, make_tar, make_zip, release

from weam.errors import UserError
from weam.readers import Release, monolingual, nli, qa

Files = dict[str, bytes | str]


def squad(*questions: tuple[str, str, str, list[tuple[str, int]]]) -> str:
    """SQuAD JSON of (id, question, context, answers)."""
    paragraphs = [
        {
            "context": context,
            "qas": [{"id": id, "question": q, "answers": [{"text": t, "answer_start": s} for t, s in answers]}],
        }
        for id, q, context, answers in questions
    ]
    return json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]})


GOOD = ("1", "wer?", "Das ist 𝒳 Jörg.", [("Jörg", 10)])


def removed(steps: list[dict[str, Any]]) -> dict[str, int]:
    return {step["step"]: step["removed"] for step in steps if step.get("removed")}


@pytest.mark.parametrize("packed", ["train.json", "train.json.gz"])
def test_training_keeps_what_its_offsets_find(tmp_path: Path, packed: str) -> None:
    data = squad(
        GOOD,
        ("2", "q", "abc", [("b", 2)]),
        ("3", "q", "abc", [("b", 1), ("c", 0), ("a", -3)]),
        ("4", "q", "abc", []),
        ("5", "q", "", [("b", 0)]),
        ("6", "q", "abc", [("", 0)]),
        ("7", "q\ud83d", "abc", [("b", 1)]),
        ("8", " ", "abc", [("b", 1)]),
    )
    examples, steps = qa.read_train(release(tmp_path, "squad", ["en"], {packed: data}), "en")
    assert [example.id for example in examples] == ["1", "3"]
    assert examples[0] == ("1", "wer?", "Das ist 𝒳 Jörg.", (("Jörg", 10),))
    assert examples[1].answers == (("b", 1),)
    assert steps == [
        {"step": "read", "rows": 8, "answers": 9},
        {"step": "invalid Unicode", "removed": 1, "answers": 1},
        {"step": "empty question, context or answer", "removed": 3, "answers": 3},
        {"step": "without answer", "removed": 1, "answers": 0},
        {"step": "answer not at its offset", "removed": 1, "answers": 3},
        {"step": "kept", "rows": 2, "answers": 2},
    ]


def test_training_files_of_the_other_formats(tmp_path: Path) -> None:
    tydiqa = release(tmp_path, "tydiqa", ["en", "fi"], {"tydiqa.goldp.en.train.json.gz": squad(GOOD)})
    assert len(qa.read_train(tydiqa, "en")[0]) == 1
    with pytest.raises(UserError, match=r"has no file tydiqa.goldp.fi.train.json\[.gz\]; it has tydiqa.goldp.en"):
        qa.read_train(tydiqa, "fi")
    member = "mlqa-translate-train/de_squad-translate-train-train-v1.1.json"
    members: Files = {member: squad(GOOD), member.replace("train-v1.1", "dev-v1.1"): squad(GOOD, GOOD)}
    # the helper packs what ends in .gz
    for name, packed in (
        ("mlqa-translate-train.tar.gz", gzip.decompress(make_tar(members))),
        ("x.zip", make_zip(members)),
    ):
        translated = release(tmp_path / name, "mlqa-translate-train", ["de", "es"], {name: packed})
        assert len(qa.read_train(translated, "de")[0]) == 1
        with pytest.raises(
            UserError, match=r"has no file es_squad-translate-train-train-v1.1.json\[.gz\]; it has de_sq"
        ):
            qa.read_train(translated, "es")
    with pytest.raises(UserError, match="has no language 'fr'; it has de, es"):
        qa.read_train(translated, "fr")
    with pytest.raises(UserError, match="format 'mlqa' has no training questions"):
        qa.read_train(release(tmp_path, "mlqa", ["en"], {"x": ""}), "en")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        ("[]", "not SQuAD v1.1 JSON"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "KeyError 'context'"),
        ('{"data": [{"paragraphs": [{"context": 3, "qas": []}]}]}', "context is 3, not text"),
        (squad(GOOD).replace('"answer_start": 10', '"answer_start": Infinity'), "answer_start is inf, not a whole"),
        (squad(GOOD).replace('"answer_start": 10', '"answer_start": 10.7'), "answer_start is 10.7, not a whole"),
        (squad(GOOD).replace('"answer_start": 10', '"answer_start": true'), "answer_start is True, not a whole"),
        (squad(("1", "q", "abc", [("x", 0)])), r"none of the 1 training questions .*answer not at its offset: 1"),
    ],
)
def test_unusable_training_file(tmp_path: Path, data: bytes | str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        qa.read_train(release(tmp_path, "squad", ["en"], {"t.json": data}), "en")


def mlqa(folder: Path, layout: str, cells: dict[str, str]) -> Release:
    names = {f"dev-context-{x[:2]}-question-{x[2:]}.json": data for x, data in cells.items()}
    if layout == "zip":
        files: Files = {"MLQA_V1.zip": make_zip({f"MLQA_V1/dev/{name}": data for name, data in names.items()})}
    else:
        files = {f"dev/{name}.gz": data for name, data in names.items()}
    return release(folder, "mlqa", ["en", "de", "es"], files)


@pytest.mark.parametrize("layout", ["zip", "folder"])
def test_mlqa(tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = ("9", "q", "abc", [("zz", 1)])
    source = mlqa(tmp_path, layout, {x: squad(GOOD) for x in ("dede", "enen", "enes")} | {"deen": squad(GOOD, other)})
    assert [example.id for example in qa.read_test(source, "dev", "de", "en")] == ["1", "9"]
    assert qa.test_cells(source, "dev", ["en", "de"]) == [("en", "en"), ("de", "en"), ("de", "de")]
    assert "no dev files for these pairs of context and question: en-de\n" in capsys.readouterr().err
    with pytest.raises(UserError, match="has no dev questions in es; it has de, en; leave"):
        qa.test_cells(source, "dev", ["en", "es", "de"])
    with pytest.raises(UserError, match="has no test questions in en, de; it has none at all"):
        qa.test_cells(source, "test", ["en", "de"])
    with pytest.raises(UserError, match=r"dev-context-es-question-en.json"):
        qa.read_test(source, "dev", "es", "en")
    with pytest.raises(UserError, match="has no language 'zh'; it has en, de, es"):
        qa.test_cells(source, "dev", ["en", "zh"])


@pytest.mark.parametrize(
    ("questions", "sentence"),
    [
        ([("1", "q", "c", [("", 0)]), ("2", "q", "c", [])], "all 2 gold answers are empty .blanked labels."),
        ([GOOD, ("2", "q", "c", [])], "question '2' has no gold answer"),
        ([GOOD, GOOD], "question id '1' stands there twice"),
        ([GOOD, ("2", "q", "\udc00c", [("c", 1)])], "question '2' has a lone surrogate"),
    ],
)
def test_test_set_must_be_complete(tmp_path: Path, questions: list[Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        qa.read_test(mlqa(tmp_path, "folder", {"dede": squad(*questions)}), "dev", "de", "de")


def test_xquad(tmp_path: Path) -> None:
    files: Files = {"xquad.en.json": squad(GOOD), "xquad.de.json": squad(GOOD)}
    source = release(tmp_path, "xquad", ["en", "de"], files)
    assert qa.read_test(source, "test", "de", "de")[0].answers == (("Jörg", 10),)
    assert qa.test_cells(source, "test", ["de", "en"]) == [("de", "de"), ("en", "en")]
    with pytest.raises(UserError, match="one language, not 'de' with 'en'"):
        qa.read_test(source, "test", "de", "en")
    with pytest.raises(UserError, match="no split 'dev'"):
        qa.test_cells(source, "dev", ["de"])


def of(*ids: str) -> str:
    """SQuAD JSON with a good question for each id."""
    return squad(*((id, *GOOD[1:]) for id in ids))


TYDIQA_DEV = "tydiqa-goldp-v1.1-dev"


@pytest.mark.parametrize("layout", ["released", "whole", "xtreme"])
def test_tydiqa(tmp_path: Path, layout: str) -> None:
    files: Files = {"tydiqa-goldp-v1.1-train.json": of("english-1", "arabic-1", "english-2", "swahili-9")}
    if layout == "released":
        dev: Files = {f"{TYDIQA_DEV}/tydiqa-goldp-dev-{x}.json": of(f"{x}-7") for x in ("arabic", "english")}
        files[f"{TYDIQA_DEV}.tgz"] = make_tar(dev)
    elif layout == "whole":
        files[f"{TYDIQA_DEV}.json"] = of("arabic-7", "english-7")
    else:
        files = {f"tydiqa.goldp.{x}.{split}.json": of("1", "2") for x in ("ar", "en") for split in ("train", "dev")}
    source = release(tmp_path, "tydiqa", ["en", "ar"], files)
    trained, tested = (["1", "2"], ["1", "2"]) if layout == "xtreme" else (["english-1", "english-2"], ["english-7"])
    assert [example.id for example in qa.read_train(source, "en")[0]] == trained
    assert [example.id for example in qa.read_test(source, "test", "en", "en")] == tested
    assert qa.test_cells(source, "test", ["ar", "en"]) == [("ar", "ar"), ("en", "en")]
    assert list(qa.read_diagonal(source, "test", ["ar"])) == [("ar",)]


def test_tydiqa_faults(tmp_path: Path) -> None:
    whole = release(tmp_path / "a", "tydiqa", ["en", "fi"], {"tydiqa-goldp-v1.1-train.json": of("english-1")})
    with pytest.raises(UserError, match=r"has no question in 'fi' \(no id begins with finnish-\)"):
        qa.read_train(whole, "fi")
    with pytest.raises(UserError, match=r"has no test questions in en; it has none at all"):
        qa.test_cells(whole, "test", ["en"])
    with pytest.raises(UserError, match=r"has no file tydiqa.goldp.en.dev.json\[.gz\]; it has tydiqa-goldp-v1.1-train"):
        qa.read_test(whole, "test", "en", "en")
    twice: Files = {"tydiqa.goldp.en.dev.json": of("1"), "tydiqa-goldp-dev-english.json": of("english-1")}
    with pytest.raises(UserError, match=r"holds the dev questions in 'en', as .* does; leave one of them out"):
        qa.read_test(release(tmp_path / "b", "tydiqa", ["en"], twice), "test", "en", "en")


def test_tydiqa_held_out(tmp_path: Path) -> None:
    """Passages kept from training are the split held-out: none in both, and all questions of a passage on one side."""
    passages = [f"{number}: Das ist Jörg." for number in range(400)]
    questions = [(str(n % 3), "wer?", text, [("Jörg", text.index("J"))]) for n, text in enumerate(passages * 2)]
    files: Files = {"tydiqa.goldp.en.train.json.gz": squad(*questions)}
    source = Release(make_release(tmp_path / "a", "tydiqa", ["en"], files, test_share=0.25))
    trained = [example.context for example in qa.read_train(source, "en")[0]]
    (tested,) = qa.read_diagonal(source, "held-out", ["en"]).values()
    contexts = [example.context for example in tested]
    assert sorted(trained + contexts) == sorted(passages * 2)
    assert not set(trained) & set(contexts)
    assert 60 <= len(set(contexts)) <= 140
    assert sorted(contexts) == sorted(text for text in passages for _ in range(2) if text in contexts)
    assert len({example.id for example in tested}) == len(tested)  # though the ids of the file are 0, 1 and 2
    assert {passage.text for passage in monolingual.read_passages(source)} == set(trained)
    more = Release(make_release(tmp_path / "b", "tydiqa", ["en"], files, test_share=0.5))
    assert set(contexts) < {example.context for example in qa.read_test(more, "held-out", "en", "en")}
    few: Files = {"tydiqa.goldp.en.train.json": of("1")}
    tiny = Release(make_release(tmp_path / "c", "tydiqa", ["en"], few, test_share=1e-9))
    with pytest.raises(UserError, match=r"no passage of its 1 questions falls into the held-out share of 1e-09; raise"):
        qa.read_test(tiny, "held-out", "en", "en")
    with pytest.raises(UserError, match=r"nothing is held out of its training questions; give the source a test_share"):
        qa.test_cells(release(tmp_path / "d", "tydiqa", ["en"], few), "held-out", ["en"])
    with pytest.raises(UserError, match=r"xquad is one test set; it has no split 'held-out', ask for test"):
        qa.test_cells(release(tmp_path / "e", "xquad", ["en"], {"xquad.en.json": of("1")}), "held-out", ["en"])
    with pytest.raises(UserError, match=r"not the manifest of a source \(ValueError"):
        Release(make_release(tmp_path / "f", "tydiqa", ["en"], few, test_share="some"))


TRAIN = "premise\thypo\tlabel\n"


@pytest.mark.parametrize("layout", ["multinli.train.de.tsv.gz", "XNLI-MT-1.0.zip"])
def test_xnli_mt_drops_and_counts(tmp_path: Path, layout: str) -> None:
    rows = (
        (TRAIN + 'Er sagt "ja\t"Nein" .\tcontradictory\na\u2028b\tc\tneutral\r\n').encode()
        + b"only\ttwo\n"
        + b"f\xffoo\tbar\tneutral\n"
        + b"a\tb\tcontradiction?\n"
        + b"\tb\tneutral\n"
        + b"a\tb\tc\tneutral\n"
        + b"\n"
        + b"x\ty\tentailment"
    )
    data = make_zip({"XNLI-MT-1.0/multinli/multinli.train.de.tsv": rows}) if layout.endswith(".zip") else rows
    examples, steps = nli.read_train(release(tmp_path, "xnli-mt", ["en", "de"], {layout: data}), "de")
    assert [example[1:] for example in examples] == [
        ('Er sagt "ja', '"Nein" .', "contradiction"),
        ("a\u2028b", "c", "neutral"),
        ("x", "y", "entailment"),
    ]
    assert steps[0] == {"step": "read", "rows": 9}
    assert steps[-1] == {"step": "kept", "rows": 3}
    assert removed(steps) == {
        "invalid UTF-8": 1,
        "wrong number of columns": 3,
        "unknown label": 1,
        "empty premise or hypothesis": 1,
    }


def test_xnli_mt_faults(tmp_path: Path) -> None:
    source = release(tmp_path, "xnli-mt", ["en", "de"], {"multinli.train.de.tsv": "a\tb\tneutral\n"})
    with pytest.raises(UserError, match=r"multinli.train.de.tsv, line 1: the header is \['a', 'b', 'neutral'\]"):
        nli.read_train(source, "de")
    with pytest.raises(UserError, match=r"has no file multinli.train.en.tsv\[.gz\]"):
        nli.read_train(source, "en")
    with pytest.raises(UserError, match="has no language 'fr'; it has en, de"):
        nli.read_train(source, "fr")
    source = release(tmp_path, "xnli-mt", ["de"], {"multinli.train.de.tsv": TRAIN + "a\tb\tneutral\n" * 3})
    with pytest.raises(UserError, match=r"all 3 rows have the label 'neutral' .blanked labels."):
        nli.read_train(source, "de")
    source = release(tmp_path, "xnli-mt", ["de"], {"multinli.train.de.tsv": TRAIN + "a\n"})
    with pytest.raises(UserError, match=r"none of the 1 rows can be used \(wrong number of columns: 1\)"):
        nli.read_train(source, "de")
    with pytest.raises(UserError, match="format 'xnli' is no NLI training data; known: xnli-mt, multinli"):
        nli.read_train(release(tmp_path, "xnli", ["de"], {"multinli.train.de.tsv": TRAIN}), "de")


def multinli_row(label: str, premise: object = "A man eats.", name: str = "1e") -> str:
    return json.dumps(
        {"gold_label": label, "sentence1": premise, "sentence2": "He\teats.", "pairID": name, "genre": "x"}
    )


@pytest.mark.parametrize("packed", [True, False])
def test_multinli_lines_of_json(tmp_path: Path, packed: bool) -> None:
    faults = ['{"gold_label": "neutral"}', "{", multinli_row("-"), multinli_row("maybe"), multinli_row("neutral", " ")]
    faults += [multinli_row("neutral", 7), multinli_row("neutral", "\ud800"), ""]
    lines = [*faults, multinli_row("entailment"), multinli_row("contradiction", name="2c")]
    data = "\n".join(lines).encode() + b'\n{"\xff": 1}'
    files: dict[str, bytes | str] = {"multinli_1.0_train.jsonl.gz": data}
    if packed:
        others = {"multinli_1.0/multinli_1.0_train.txt": "x", "__MACOSX/multinli_1.0/._multinli_1.0_train.jsonl": "x"}
        files = {"multinli_1.0.zip": make_zip({**others, "multinli_1.0/multinli_1.0_train.jsonl": data})}
    examples, steps = nli.read_train(release(tmp_path, "multinli", ["en"], files), "en")
    assert examples == [
        nli.NLIExample("1e", "A man eats.", "He\teats.", "entailment"),
        nli.NLIExample("2c", "A man eats.", "He\teats.", "contradiction"),
    ]
    assert (steps[0], steps[-1]) == ({"step": "read", "rows": 10}, {"step": "kept", "rows": 2})
    assert removed(steps) == {
        "invalid UTF-8": 1,
        "invalid JSON": 1,
        "a key is missing or has a wrong value": 2,
        "invalid Unicode": 1,
        "no gold label": 1,
        "unknown label": 1,
        "empty premise or hypothesis": 1,
    }


def test_multinli_columns(tmp_path: Path) -> None:
    rows = (
        "gold_label\tsentence1_parse\tsentence1\tsentence2\tpairID\n"
        'neutral\t(X)\tShe said "no\tNothing.\t1n\n-\t(X)\ta\tb\t2n\nentailment\tc\nentailment\t(X)\ta\tb\t3e\n'
    )
    files: dict[str, bytes | str] = {"multinli_1.0.zip": make_zip({"multinli_1.0/multinli_1.0_train.txt": rows})}
    examples, steps = nli.read_train(release(tmp_path / "a", "multinli", ["en"], files), "en")
    assert examples[0] == nli.NLIExample("1n", 'She said "no', "Nothing.", "neutral")
    assert [example.id for example in examples] == ["1n", "3e"]
    assert removed(steps)["no gold label"] == removed(steps)["wrong number of columns"] == 1
    files = {"multinli_1.0.zip": make_zip({"multinli_1.0/multinli_1.0_train.txt": "gold_label\n-\n"})}
    with pytest.raises(UserError, match="line 1: the header lacks pairID, sentence1, sentence2; check"):
        nli.read_train(release(tmp_path / "b", "multinli", ["en"], files), "en")
    files = {"multinli_1.0.zip": make_zip({"multinli_1.0/README": "x"})}
    with pytest.raises(UserError, match=r"has no member multinli_1.0_train.txt; it has multinli_1.0/README"):
        nli.read_train(release(tmp_path / "c", "multinli", ["en"], files), "en")


HEADER = "language\tgold_label\tsentence1_binary_parse\tsentence1\tsentence2\tpairID\n"


def xnli_zip(folder: Path, rows: str | bytes) -> Release:
    data = HEADER.encode() + (rows.encode() if isinstance(rows, str) else rows)
    return release(folder, "xnli", ["en", "de", "fr"], {"XNLI-1.0.zip": make_zip({"XNLI-1.0/xnli.test.tsv": data})})


def test_xnli_zip(tmp_path: Path) -> None:
    english = 'en\tneutral\t\ta "b\tc\t1\nen\tentailment\t\td\te\t2\n'
    rows = english + 'de\tneutral\t\tA "B\tC\t1\nde\tcontradiction\t\tD\tE\t2\n'
    source = xnli_zip(tmp_path, rows)
    assert nli.read_test(source, "test", "de") == [
        ("1", 'A "B', "C", "neutral"),
        ("2", "D", "E", "contradiction"),
    ]
    with pytest.raises(UserError, match="has no rows in language 'fr'; it has de, en"):
        nli.read_test(source, "test", "fr")
    with pytest.raises(UserError, match=r"has no member xnli.dev.tsv; it has XNLI-1.0/xnli.test.tsv"):
        nli.read_test(source, "dev", "de")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("de\tneutral\t\tA\tB\t1\nde\tneutral\tA\tB\n", "line 3: wrong number of columns"),
        ("de\tperhaps\t\tA\tB\t1\n", "line 2: unknown label"),
        (b"de\tneutral\t\t\xff\tB\t1\n", "line 2: invalid UTF-8"),
        ("de\tneutral\t\tA\tB\t1\nde\tneutral\t\tA\tB\t2\n", "all 2 rows have the label 'neutral' .blanked"),
        ("de\tneutral\t\tA\tB\t1\nde\tentailment\t\tA\tB\t1\n", "pairID '1' stands twice"),
    ],
)
def test_xnli_zip_must_be_complete(tmp_path: Path, rows: str | bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        nli.read_test(xnli_zip(tmp_path, rows), "test", "de")


def test_xnli_header(tmp_path: Path) -> None:
    zipped = make_zip({"xnli.test.tsv": "language\tsentence1\n"})
    with pytest.raises(UserError, match="line 1: the header lacks gold_label, sentence2, pairID"):
        nli.read_test(release(tmp_path, "xnli", ["de"], {"x.zip": zipped}), "test", "de")


def test_xnli_folder(tmp_path: Path) -> None:
    source = release(tmp_path, "xnli", ["de", "en"], {"dev-de.tsv.gz": 'A "x\tB\tneutral\nC\tD\tentailment\n'})
    assert nli.read_test(source, "dev", "de") == [("1", 'A "x', "B", "neutral"), ("2", "C", "D", "entailment")]
    with pytest.raises(UserError, match=r"has no file dev-en.tsv\[.gz\]; it has dev-de.tsv.gz"):
        nli.read_test(source, "dev", "en")
    source = release(tmp_path, "xnli", ["de"], {"dev-de.tsv": "A\tB\tneutral\nC\tD\n"})
    with pytest.raises(UserError, match=r"dev-de.tsv, line 2: wrong number of columns"):
        nli.read_test(source, "dev", "de")
