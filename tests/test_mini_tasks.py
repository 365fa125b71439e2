"""Files of the mini world for the tasks of XTREME-R, as the real readers read them: counts, parallel texts, facts."""

from __future__ import annotations

import collections
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from weam.config_data import Mini
from weam.errors import UserError
from weam.io import sha256
from weam.mini import choices, lexicon, pos, questions, retrieval, write_file
from weam.mini.grammar import Fact, Statement
from weam.mini.speakers import Speakers, Utterance, distinct, tokens
from weam.mini.world import ONE_CLAUSE, Sampler, Split, split_of
from weam.readers import Release, copa, qa, tagging
from weam.readers.retrieval import ISO_639_3, Text, read_lareqa, read_mewslix, read_tatoeba

LEXICONS = Path(__file__).parents[1] / "data" / "mini"
SETTINGS = Mini(
    questions=120,
    test_questions=40,
    choices=80,
    test_choices=40,
    sentences=150,
    test_sentences=60,
    test_mentions=30,
)
LANGUAGES = ["en", "ar", "de", "es", "he", "sw", "zh"]
FILES = {
    "xquad": [f"xquad.{code}.json" for code in LANGUAGES],
    "lareqa": [f"{code}.json" for code in LANGUAGES],
    "tydiqa": [f"tydiqa.goldp.{code}.{split}.json" for code in LANGUAGES for split in ("train", "dev")],
    "copa": ["COPA.zip"],
    "xcopa": [f"{split}.{code}.jsonl" for code in LANGUAGES for split in ("val", "test")],
    "conllu": ["ud-treebanks-mini.zip"],
    "wikiann": [f"{code}.tar.gz" for code in LANGUAGES],
    "tatoeba": [
        f"tatoeba.{iso}-eng.{side}" for iso in ("ara", "cmn", "deu", "heb", "spa", "swh") for side in (iso, "eng")
    ],
    "mewsli-x": ["candidate_set_entities.jsonl", "wikinews_mentions-dev.jsonl", "wikinews_mentions-test.jsonl"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files, and for each format a manifest as the download stage writes it."""
    out = tmp_path_factory.mktemp("tasks")
    for format, names in FILES.items():
        entries = []
        for name in names:
            write_file(name, SETTINGS, LEXICONS, out / name)
            entries.append(
                {"name": name, "bytes": (out / name).stat().st_size, "sha256": sha256(out / name), "url": "mini:"}
            )
        manifest = {"source": format, "version": "v1", "format": format, "licence": "", "citation": ""}
        languages = ["en"] if format == "copa" else LANGUAGES
        (out / f"{format}.manifest").write_text(json.dumps(manifest | {"languages": languages, "files": entries}))
    return out


@pytest.fixture(scope="module")
def speakers() -> Speakers:
    return Speakers(SETTINGS, LEXICONS, LANGUAGES)


@pytest.fixture
def lexicons(tmp_path: Path) -> Path:
    """A copy of the lexicons, to be damaged."""
    return Path(shutil.copytree(LEXICONS, tmp_path / "lexicons"))


def opened(folder: Path, format: str) -> Release:
    return Release(folder / f"{format}.manifest")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def numbers(text: str) -> list[str]:
    return sorted(re.findall(r"[0-9]+", text))


def core(sentence: str) -> str:
    """An English sentence without the frame around its clause."""
    frames = r"^(Everyone knows that|The newspaper says that|In fact,|As we know,) "
    bare = re.sub(frames, "", sentence)
    return bare[0].upper() + bare[1:]


def every_statement(
    facts: Iterable[Fact], frames: Iterable[str] = ("plain", *ONE_CLAUSE), pronouns: Iterable[bool] = (False, True)
) -> Iterator[Statement]:
    """All sentences that state one of the facts."""
    for fact, clause, frame, pronoun in itertools.product(facts, (0, 1), frames, pronouns):
        yield Statement((fact,), (clause,), frame, pronoun)


@pytest.fixture(scope="module")
def held_out(speakers: Speakers) -> set[str]:
    """All English sentences that state a fact of the development or test sets, without a frame around it."""
    grammar = speakers.grammars["en"]
    facts = (
        Fact(person, relation, value, adjective)
        for person, (relation, about) in itertools.product(speakers.world.persons, speakers.world.relations.items())
        for value in speakers.world.concepts[about.value]
        if split_of(person, relation, value) != "train"
        for adjective in about.adjectives or (None,)
    )
    return {grammar.text(tokens(grammar, said)) for said in every_statement(facts, ("plain",), (False,))}


# -- questions ---------------------------------------------------------------------------------------------------------


def test_xquad_is_parallel_and_answers_stand_at_their_offsets(folder: Path) -> None:
    cells = {code: test for (code,), test in qa.read_diagonal(opened(folder, "xquad"), "test", LANGUAGES).items()}
    assert list(cells) == LANGUAGES
    for code, test in cells.items():
        assert len(test) == SETTINGS.test_questions
        for example, english in zip(test, cells["en"], strict=True):
            assert example.id == english.id
            ((answer, start),) = example.answers
            assert example.context[start:].startswith(answer)
            assert numbers(example.context) == numbers(english.context)
            assert numbers(answer) == numbers(english.answers[0][0])
        if code in ("ar", "zh"):
            assert not re.search(r"[A-Za-z]", "".join(example.context + example.question for example in test))
    example = cells["de"][0]
    assert example.question == "Welche Sprache lernt Robert?"
    assert example.context == (
        "Robert nimmt Unterricht in Russisch. Es war ein weißes Bett, das Robert gestern gekauft hat. "
        "Roberts Zuhause ist in Griechenland."
    )
    assert example.answers == (("Russisch", 27),)


def test_lareqa_has_the_sentences_of_xquad(folder: Path) -> None:
    xquad = qa.read_diagonal(opened(folder, "xquad"), "test", LANGUAGES)
    tests = read_lareqa(opened(folder, "lareqa"), "test", LANGUAGES)
    pool = {candidate.id: candidate.text for candidate in tests[("en",)].candidates}
    persons = lexicon.read_world(LEXICONS).persons
    assert len(pool) == len(LANGUAGES) * 3 * len({example.context for example in xquad[("en",)]})
    for (code,), test in tests.items():
        assert len(test) == SETTINGS.test_questions
        for query, right, example in zip(test.queries, test.relevant, xquad[(code,)], strict=True):
            assert (query.id, query.text) == (example.id, example.question)
            assert sorted(name.split(":")[0] for name in right) == sorted(LANGUAGES)
            (own,) = (pool[name] for name in right if name.startswith(f"{code}:"))
            assert own in example.context
            assert example.answers[0][0] in own
            if code == "en":  # the sentence says by itself whom it is about
                (person,) = (name for name in persons if re.search(rf"\b{name}\b", own))
                assert re.search(rf"\b{person}\b", query.text)
    record = json.loads((folder / "zh.json").read_text(encoding="utf-8"))["data"][0]["paragraphs"][0]
    assert record["sentences"] == ["罗伯特在上俄语课。", "罗伯特昨天买的是一张白色的床。", "罗伯特的家在希腊。"]
    assert record["sentence_breaks"] == [[0, 9], [9, 24], [24, 33]]


def test_what_is_asked_for_in_all_passages_is_said_once(speakers: Speakers) -> None:
    passages = questions.unlike(speakers.sampler("xquad", "test"), 200)
    facts = [statement.facts[0] for passage in passages for statement in passage.statements]
    assert sum(len(passage.questions) for passage in passages) == 200
    assert len({(fact.person, fact.relation) for fact in facts}) == len(facts) == 3 * len(passages)
    assert all(split_of(fact.person, fact.relation, fact.value) == "test" for fact in facts)


def test_tydiqa_is_not_parallel_and_keeps_facts_of_the_tests_for_them(folder: Path) -> None:
    release = opened(folder, "tydiqa")
    tests = qa.read_diagonal(release, "test", LANGUAGES)
    contexts = {}
    for code in LANGUAGES:
        train, steps = qa.read_train(release, code)
        assert steps[0] == {"step": "read", "rows": SETTINGS.questions, "answers": SETTINGS.questions}
        assert len(train) == SETTINGS.questions  # nothing was dropped
        test = tests[(code,)]
        assert len(test) == SETTINGS.test_questions
        assert len({example.context for example in test}) == SETTINGS.test_questions
        contexts[code] = [numbers(example.context) for example in test]
        said = " ".join(example.context for example in train)
        sentences = [core(one) for example in test for one in re.findall(r"\S[^.]*\.", example.context)]
        if code == "en":
            unlike = [one for one in sentences if not re.match(r"(He|She) ", one)]
            assert len(unlike) > SETTINGS.test_questions
            assert not [one for one in unlike if one in said]
    for one, other in itertools.combinations(contexts.values(), 2):
        assert sum(a == b and a != [] for a, b in zip(one, other, strict=True)) < 5
    example = tests[("sw",)][0]
    assert example.question == "Sandra anapenda zaidi kula nini?"
    assert example.context == (
        "Chakula anachokipenda zaidi Sandra ni matunda. Ala ya muziki ya Sandra ni gitaa. Kimo cha Norbert ni "
        "sentimita 166."
    )
    assert example.answers == (("matunda", 38),)


# -- choices -----------------------------------------------------------------------------------------------------------


def test_choices_are_balanced_and_parallel(folder: Path, held_out: set[str]) -> None:
    train, steps = copa.read_train(opened(folder, "copa"), "en")
    assert steps[0]["rows"] == len(train) == SETTINGS.choices
    for split, count in (("test", SETTINGS.test_choices), ("dev", SETTINGS.test_choices // 4)):
        cells = copa.read(opened(folder, "xcopa"), split, LANGUAGES)
        for test in cells.values():
            assert len(test) == count
            for example, english in zip(test, cells[("en",)], strict=True):
                assert (example.id, example.question, example.label) == (english.id, english.question, english.label)
                texts = zip((example.premise, *example.choices), (english.premise, *english.choices), strict=True)
                assert all(numbers(text) == numbers(same) for text, same in texts)
    for examples in (train, copa.read(opened(folder, "xcopa"), "test", ["en"])[("en",)]):
        kinds = collections.Counter((example.label, example.question) for example in examples)
        assert set(kinds.values()) == {len(examples) // 4}
        assert all(len({example.premise, *example.choices}) == 3 for example in examples)
        assert len({(example.premise, example.question) for example in examples}) == len(examples)
    tests = copa.read(opened(folder, "xcopa"), "test", LANGUAGES)
    assert held_out > {example.premise for example in tests[("en",)]}
    assert not held_out & {text for example in train for text in (example.premise, *example.choices)}
    assert tests[("es",)][3] == copa.ChoiceExample(
        "3",
        "Eva compró ayer una silla marrón.",
        "effect",
        ("Fue una silla marrón lo que Eva compró ayer.", "Fue una maleta marrón lo que Eva compró ayer."),
        0,
    )


@pytest.mark.parametrize("split", ["train", "dev", "test"])
@pytest.mark.parametrize("question", choices.QUESTIONS)
def test_one_alternative_follows_and_the_other_does_not(
    speakers: Speakers, split: Split, question: choices.Question
) -> None:
    sampler = speakers.sampler("choices", split)
    others = Sampler(speakers.world, speakers.english, sampler.rng, "train" if split == "train" else "text")
    links = choices.read_links(speakers.world)
    linked = 0
    for _ in range(400):
        item = choices.draw(sampler, others, links, question)
        (premise,), (right,), (wrong,) = item.premise.facts, item.right.facts, item.wrong.facts
        assert premise.person == right.person == wrong.person
        assert right.relation == wrong.relation
        assert right.value != wrong.value
        assert right.adjective == wrong.adjective
        assert item.right.clauses == item.wrong.clauses
        assert split_of(*premise[:3]) == split
        if split == "train":
            assert split_of(*right[:3]) == split_of(*wrong[:3]) == "train"
        if right == premise:
            assert item.premise.clauses == ((0,) if question == "effect" else (1,)) != item.right.clauses
            continue
        linked += 1
        cause, effect = (premise, right) if question == "effect" else (right, premise)
        (link,) = [link for link in links if (link.cause, link.effect) == (cause.relation, effect.relation)]
        assert (cause.value, effect.value) in link.pairs
        pair = (premise.value, wrong.value) if question == "effect" else (wrong.value, premise.value)
        assert pair not in link.pairs
        assert wrong.value in {one[question == "effect"] for one in link.pairs}
    assert 60 < linked < 180


# -- tags --------------------------------------------------------------------------------------------------------------


def test_parts_of_speech_are_the_universal_ones() -> None:
    assert sorted(pos.UPOS) == sorted(tagging.UPOS)


def test_treebanks_have_all_splits_and_no_sentence_of_a_test_is_for_training(folder: Path, held_out: set[str]) -> None:
    release = opened(folder, "conllu")
    for code in LANGUAGES:
        train, steps = tagging.read_train(release, code)
        assert steps[0]["rows"] == len(train) == SETTINGS.sentences
        test = tagging.read_conllu(release, "test", [code])[(code,)]
        dev = tagging.read_conllu(release, "dev", [code])[(code,)]
        assert (len(test), len(dev)) == (SETTINGS.test_sentences, SETTINGS.test_sentences // 4)
        sentences = [sentence.words for sentence in (*train, *dev, *test)]
        assert len(set(sentences)) == len(sentences)
        if code == "en":
            stated = [[" ".join(one.words[:-1]) + one.words[-1] in held_out for one in part] for part in (train, test)]
            assert not any(stated[0])
            assert sum(stated[1]) > 0.3 * len(test)
        tags = {tag for sentence in (*train, *test) for tag in sentence.tags}
        assert {"ADJ", "ADP", "ADV", "AUX", "NOUN", "NUM", "PRON", "PROPN", "PUNCT", "VERB"} - tags <= (
            {"AUX"} if code == "ar" else set()
        )
        for sentence in (*train, *dev, *test):
            for word, tag in zip(sentence.words, sentence.tags, strict=True):
                assert (tag == "PUNCT") == all(unicodedata.category(sign)[0] == "P" for sign in word), sentence
                assert (tag == "NUM") == word.isdigit() or (code == "zh" and word.startswith("一")), sentence
    with zipfile.ZipFile(folder / "ud-treebanks-mini.zip") as archive:
        lines = archive.read("ud-treebanks-mini/UD_German-Mini/de_mini-ud-test.conllu").decode().split("\n")
    assert lines[:8] == [
        "# sent_id = de_mini-ud-test-00001",
        "# text = Welche Sprache lernt Sebastian?",
        *("1\tWelche\t_\tDET\t_\t_\t_\t_\t_\t_", "2\tSprache\t_\tNOUN\t_\t_\t_\t_\t_\t_"),
        *("3\tlernt\t_\tVERB\t_\t_\t_\t_\t_\t_", "4\tSebastian\t_\tPROPN\t_\t_\t_\t_\t_\t_"),
        *("5\t?\t_\tPUNCT\t_\t_\t_\t_\t_\t_", ""),
    ]


WORKS = Fact("Anna", "profession", "music_teacher")
BUS = Fact("Anna", "transport", "bus")
HAT = Fact("Anna", "purchase", "hat", "new")
PIZZA = Fact("Anna", "food", "pizza")
CHINESE = Fact("Anna", "learning", "chinese")
BORN = Fact("Paul", "birthplace", "rome")
HOME = Fact("Paul", "residence", "greece")


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        ("en", Statement((BUS,), (0,), "as_known"), "SCONJ PRON VERB PUNCT PROPN VERB ADP NOUN ADP NOUN PUNCT"),
        ("en", (WORKS, 1), "PRON AUX PROPN VERB ADP PUNCT"),  # What does Anna work as?
        ("en", Statement((HAT,), (1,)), "PRON AUX DET ADJ NOUN PRON PROPN VERB NOUN PUNCT"),
        # Es war ein neuer Hut, den Anna gestern gekauft hat.
        ("de", Statement((HAT,), (1,)), "PRON AUX DET ADJ NOUN PUNCT PRON PROPN ADV VERB AUX PUNCT"),
        # Jeder weiß, dass Anna mit dem Bus zur Arbeit fährt.
        ("de", Statement((BUS,), (0,), "know"), "PRON VERB PUNCT SCONJ PROPN ADP DET NOUN ADP NOUN VERB PUNCT"),
        # De hecho, lo que más le gusta comer a Anna es la pizza.
        (
            "es",
            Statement((PIZZA,), (0,), "fact"),
            "ADP NOUN PUNCT PRON PRON ADV PRON VERB VERB ADP PROPN AUX DET NOUN PUNCT",
        ),
        ("es", (CHINESE, 0), "PUNCT DET NOUN AUX VERB PROPN PUNCT"),  # ¿Qué idioma está aprendiendo Anna?
        ("es", (CHINESE, 1), "PUNCT PRON AUX VERB PROPN PUNCT"),  # ¿Qué está aprendiendo Anna?
        ("es", Statement((WORKS,), (1,)), "PROPN AUX NOUN ADP NOUN PUNCT"),  # Anna es profesora de música.
        # 报纸 上 说 ， 安娜 在 上 汉语 课 。
        ("zh", Statement((CHINESE,), (1,), "newspaper"), "NOUN ADP VERB PUNCT PROPN ADV VERB NOUN NOUN PUNCT"),
        # 安娜 昨天 买 了 一顶 新 帽子 。
        ("zh", Statement((HAT,), (0,)), "PROPN NOUN VERB AUX NUM ADJ NOUN PUNCT"),
        ("zh", Statement((HOME,), (1,)), "PROPN PART NOUN VERB PROPN PUNCT"),  # 保罗 的 家 在 希腊 。
        # ولد بول في روما وتذهب آنا إلى العمل بالحافلة.
        ("ar", Statement((BORN, BUS), (0, 0), "and"), "VERB PROPN ADP PROPN VERB PROPN ADP NOUN NOUN PUNCT"),
        # ما اشترته آنا أمس هو قبعة جديدة.
        ("ar", Statement((HAT,), (1,)), "PRON VERB PROPN ADV PRON NOUN ADJ PUNCT"),
        # Kila mtu anajua kwamba nyumba ya Paul iko nchini Ugiriki.
        ("sw", Statement((HOME,), (1,), "know"), "DET NOUN VERB SCONJ NOUN ADP PROPN VERB NOUN PROPN PUNCT"),
        # Ilikuwa kofia mpya ambayo Anna aliinunua jana.
        ("sw", Statement((HAT,), (1,)), "AUX NOUN ADJ PRON PROPN VERB ADV PUNCT"),
    ],
)
def test_parts_of_speech_of_sentences(speakers: Speakers, code: str, said: Utterance, expected: str) -> None:
    grammar = speakers.grammars[code]
    words = pos.words(pos.read(grammar), grammar, said, tokens(grammar, said))
    assert [(word.text, word.upos) for word in words] == list(
        zip((word.text for word in tokens(grammar, said)), expected.split(), strict=True)
    )


def test_wikiann_marks_the_names_of_the_lexicons_and_nothing_else(
    folder: Path, speakers: Speakers, held_out: set[str]
) -> None:
    release = opened(folder, "wikiann")
    for code in LANGUAGES:
        words = speakers.grammars[code].language.words
        known = {
            entity: {
                piece.before
                for domain in domains
                for lexeme in words[domain].values()
                for template in lexeme.nouns.values()
                for piece in template
            }
            for entity, domains in (("B-PER", ["person"]), ("B-LOC", ["city", "country"]))
        }
        train, steps = tagging.read_train(release, code)
        assert steps[0]["rows"] == len(train) == SETTINGS.sentences
        test = tagging.read_wikiann(release, "test", [code])[(code,)]
        dev = tagging.read_wikiann(release, "dev", [code])[(code,)]
        assert (len(test), len(dev)) == (SETTINGS.test_sentences, SETTINGS.test_sentences // 4)
        sentences = [sentence.words for sentence in (*train, *dev, *test)]
        assert len(set(sentences)) == len(sentences)
        if code == "en":
            stated = [[" ".join(one.words[:-1]) + one.words[-1] in held_out for one in part] for part in (train, test)]
            assert not any(stated[0])
            assert sum(stated[1]) > 0.3 * len(test)
        places = 0
        for sentence in (*train, *dev, *test):
            assert "B-PER" in sentence.tags
            places += "B-LOC" in sentence.tags
            for word, tag in zip(sentence.words, sentence.tags, strict=True):
                name = re.sub("'?s$", "", word) if code in ("en", "de") and word not in known["B-PER"] else word
                if code == "he":  # ש, ו, ב, ל are joined to names
                    name = next(
                        (n for names in known.values() for n in names if re.fullmatch("[ושבל]{1,3}" + n, word)), word
                    )
                expected = next((entity for entity, names in known.items() if {name, word} & names), "O")
                assert tag == expected, (word, sentence)
        assert 0.4 < places / len(sentences) < 0.7
    example = tagging.read_wikiann(release, "test", ["es"])[("es",)][3]
    assert " ".join(example.words) == "Mientras que Victoria nació en Múnich , Edgar vive en Italia ."
    assert example.tags == ("O", "O", "B-PER", "O", "O", "B-LOC", "O", "B-PER", "O", "O", "B-LOC", "O")


# -- retrieval ---------------------------------------------------------------------------------------------------------


def test_tatoeba_is_parallel_and_no_sentence_stands_there_twice(folder: Path) -> None:
    others = LANGUAGES[1:]
    tests = read_tatoeba(opened(folder, "tatoeba"), "test", others)
    for code in others:
        test = tests[(code,)]
        assert len(test) == len(test.candidates) == SETTINGS.test_sentences
        assert len({query.text for query in test.queries}) == len({text.text for text in test.candidates}) == len(test)
        for query, english in zip(test.queries, test.candidates, strict=True):
            assert numbers(query.text) == numbers(english.text)
            if code == "sw":
                names = r"\b(?:Anna|Maria|Laura|Paul|David|Ivan|Olga|Emma|Oscar|Simon)\b"
                assert sorted(re.findall(names, query.text)) == sorted(re.findall(names, english.text))
    english_sides = [{text.text for text in test.candidates} for test in tests.values()]
    for one, other in itertools.combinations(english_sides, 2):
        assert len(one & other) < 0.1 * len(one)
    test = tests[("zh",)]
    assert test.queries[3].text == "我们都知道，芭芭拉的家在德国。"
    assert test.candidates[3].text == "As we know, Barbara's home is in Germany."


def test_names_of_languages_are_those_of_tatoeba() -> None:
    for code in LANGUAGES[1:]:
        assert retrieval.iso_639_3(LEXICONS, code) == ISO_639_3[code]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_mentions_can_be_resolved_by_what_is_said(
    folder: Path, speakers: Speakers, split: Literal["dev", "test"]
) -> None:
    tests = read_mewslix(opened(folder, "mewsli-x"), split, LANGUAGES)
    entities = {entity.id: entity for entity in retrieval.entities(speakers, LANGUAGES, split)}
    pool = {candidate.id: candidate.text for candidate in tests[("en",)].candidates}
    assert entities.keys() < pool.keys()
    facts = collections.Counter(fact[:3] for entity in entities.values() for fact in entity.facts)
    assert set(facts.values()) == {1}  # nothing is true of two persons of one name
    assert {split_of(*fact) for fact in facts} == {split}
    languages = collections.Counter(entity.language for entity in entities.values())
    assert set(languages) == set(LANGUAGES)
    assert max(languages.values()) - min(languages.values()) <= 1
    namesakes = collections.Counter(entity.name for entity in entities.values())
    assert max(namesakes.values()) == retrieval.NAMESAKES[split]
    assert sum(namesakes.values()) > 0.7 * 64 * retrieval.NAMESAKES[split]
    for entity in entities.values():
        grammar = speakers.grammars[entity.language]
        for fact in entity.facts:
            texts = {grammar.text(grammar.statement(said)) for said in every_statement([fact])}
            assert any(text in pool[entity.id] for text in texts)
    for (code,), test in tests.items():
        grammar = speakers.grammars[code]
        assert len(test) == (SETTINGS.test_mentions if split == "test" else SETTINGS.test_mentions // 4)
        for query, (right,) in zip(test.queries, test.relevant, strict=True):
            entity = entities[right]
            assert query.span is not None
            assert query.text[slice(*query.span)] == pos.name(grammar, entity.name)
            assert query.text in {grammar.text(grammar.statement(said)) for said in every_statement(entity.facts)}
        assert len(set(test.groups)) < len(test)
    if split == "test":
        assert tests[("de",)].queries[1] == Text("de:de-test-0002-1", "Sebastians Geburtsjahr ist 1985.", (0, 9))
        (right,) = tests[("de",)].relevant[1]
        assert pool[right] == (
            "שנת הלידה של סבסטיאן היא 1985. כלי הנגינה של סבסטיאן הוא כינור. הוא נולד בסביליה. "
            "הבית של סבסטיאן נמצא בפורטוגל."
        )


# -- faults and other languages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("ud-treebanks-mini.zip", "de.yaml", "{der: DET, ", "{", "de.yaml: key 'pos.words.der' is missing"),
        ("sw.tar.gz", "sw.yaml", "kwa: ADP", "kwa: ADPOS", "sw.yaml: key 'pos.words.kwa' is 'ADPOS'; the parts"),
        ("de.tar.gz", "world.yaml", "know: VERB, ", "", "de.yaml: key 'pos.words.weiß' is missing"),
        ("de.tar.gz", "world.yaml", "city: PROPN, ", "", "de.yaml: key 'pos.values.city' is missing here and in"),
        ("tatoeba.deu-eng.deu", "de.yaml", "iso3: deu\n", "", "de.yaml: key 'iso3' is missing"),
        ("COPA.zip", "world.yaml", "berlin: germany", "berlin: prussia", "'consequences.0.values' has 'prussia'"),
        ("COPA.zip", "world.yaml", "effect: learning", "effect: speaking", "'consequences.1.effect' is 'speaking'"),
        ("COPA.zip", "world.yaml", "    effect: learning\n", "", "'consequences.1' needs cause, effect"),
        ("test.de.jsonl", "world.yaml", "consequences:", "sequels:", "world.yaml: key 'consequences' is missing"),
    ],
)
def test_faults_are_named(
    lexicons: Path, tmp_path: Path, name: str, file: str, old: str, new: str, message: str
) -> None:
    edit(lexicons / file, old, new)
    with pytest.raises(UserError) as error:
        write_file(name, SETTINGS, lexicons, tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_language_without_parts_of_speech_has_all_else(lexicons: Path, tmp_path: Path) -> None:
    text = (lexicons / "es.yaml").read_text(encoding="utf-8")
    (lexicons / "gl.yaml").write_text(text[: text.index("\npos:")].replace("iso3: spa", "iso3: glg"), encoding="utf-8")
    write_file("tatoeba.glg-eng.glg", SETTINGS, lexicons, tmp_path / "pairs")
    assert len((tmp_path / "pairs").read_text(encoding="utf-8").splitlines()) == SETTINGS.test_sentences
    with pytest.raises(UserError, match=r"gl\.yaml: key 'pos\.words\."):
        write_file("gl.tar.gz", SETTINGS, lexicons, tmp_path / "names")
    with pytest.raises(UserError, match=r"has no fra\.yaml, which tatoeba\.fra-eng\.eng needs"):
        write_file("tatoeba.fra-eng.eng", SETTINGS, lexicons, tmp_path / "out")


def test_more_than_there_is_to_say() -> None:
    numbers = random.Random(1)
    assert sorted(distinct(lambda: numbers.randrange(5), lambda one: [one], 5, "digits")) == list(range(5))
    with pytest.raises(UserError, match="has only 5 different digits, not 6"):
        distinct(lambda: numbers.randrange(5), lambda one: [one], 6, "digits")


def test_same_bytes_whatever_the_hash_seed(folder: Path, tmp_path: Path) -> None:
    names = ["COPA.zip", "sw.json", "ar.tar.gz", "candidate_set_entities.jsonl", "wikinews_mentions-test.jsonl"]
    code = (
        "import sys; from pathlib import Path; from weam.config_data import Mini; from weam.mini import write_file\n"
        "settings = Mini.model_validate_json(sys.argv[1])\n"
        "for name in sys.argv[4:]: write_file(name, settings, Path(sys.argv[2]), Path(sys.argv[3]) / name)"
    )
    arguments = [SETTINGS.model_dump_json(), str(LEXICONS), str(tmp_path), *names]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=os.environ | {"PYTHONHASHSEED": "7"})
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", [name for names in FILES.values() for name in names][::5])
def test_another_seed_says_other_things(folder: Path, tmp_path: Path, name: str) -> None:
    write_file(name, SETTINGS.model_copy(update={"seed": 2}), LEXICONS, tmp_path / "other")
    assert (tmp_path / "other").read_bytes() != (folder / name).read_bytes()
