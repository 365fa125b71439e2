"""Readers of the tasks of retrieval: official layouts, and every fault."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from reading import Files, lines, refused
from releases import make_tar, make_zip, release

from weam.readers import retrieval
from weam.readers.retrieval import Text

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
