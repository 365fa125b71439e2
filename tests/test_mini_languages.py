"""Arabic, Hebrew and Swahili of the mini world: agreement, clitics, noun classes; new ones change no other files."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import pytest
import yaml

from weam.config_data import Mini
from weam.errors import UserError
from weam.mini import lexicon, write_file
from weam.mini.grammar import Fact, Grammar, Statement, check, links

LEXICONS = Path(__file__).parents[1] / "data" / "mini"
TINY = Mini(pairs=130, documents=40, questions=30, test_questions=12, inferences=24, test_inferences=12, gold_pairs=25)
NEW = ("ar", "he", "sw")
OLD = ("de", "en", "es", "zh")


@pytest.fixture(scope="module")
def grammars() -> dict[str, Grammar]:
    world = lexicon.read_world(LEXICONS)
    return {code: Grammar(world, lexicon.read_language(LEXICONS, code, world)) for code in ("en", *NEW)}


@pytest.fixture
def lexicons(tmp_path: Path) -> Path:
    """A copy of the lexicons, to be changed."""
    return Path(shutil.copytree(LEXICONS, tmp_path / "lexicons"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def said(
    grammar: Grammar,
    person: str,
    relation: str,
    value: str,
    clause: int = 0,
    frame: str = "plain",
    *,
    adjective: str | None = None,
    pronoun: bool = False,
) -> str:
    statement = Statement((Fact(person, relation, value, adjective),), (clause,), frame, pronoun)
    return grammar.text(grammar.statement(statement))


def said_of_both(grammar: Grammar, relation: str, value: str, clause: int) -> tuple[str, str]:
    """Of a woman and of a man, with the relation's first adjective."""
    adjectives = grammar.world.relations[relation].adjectives
    adjective = adjectives[0] if adjectives else None
    woman, man = (said(grammar, person, relation, value, clause, adjective=adjective) for person in ("Anna", "Paul"))
    return woman, man


def asked(grammar: Grammar, person: str, relation: str, index: int = 0) -> str:
    value = grammar.world.concepts[grammar.world.relations[relation].value][0]
    return grammar.text(grammar.question(Fact(person, relation, value), index))


def facts(grammar: Grammar) -> Iterator[Fact]:
    """Every value with every adjective, of a woman and a man."""
    for relation, about in grammar.world.relations.items():
        for person, value in itertools.product(("Anna", "Paul"), grammar.world.concepts[about.value]):
            for adjective in about.adjectives or (None,):
                yield Fact(person, relation, value, adjective)


def statements(grammar: Grammar) -> Iterator[Statement]:
    """Every fact in every clause, with name and pronoun; with one adjective also in every frame of one clause."""
    for fact in facts(grammar):
        clauses = range(len(grammar.language.relations[fact.relation].clauses))
        framed = fact.adjective in (None, "black")
        frames = ("plain", "know", "newspaper", "fact", "as_known") if framed else ("plain",)
        for clause, frame in itertools.product(clauses, frames):
            for pronoun in (False, True):
                yield Statement((fact,), (clause,), frame, pronoun)


# -- every sentence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", NEW)
def test_everything_can_be_said_in_clean_text(grammars: dict[str, Grammar], code: str) -> None:
    grammar = grammars[code]
    check(grammar.world, grammar.language, grammars["en"].language)
    texts = [grammar.text(grammar.statement(statement)) for statement in statements(grammar)]
    for fact in facts(grammar):
        for index in range(len(grammar.language.relations[fact.relation].questions)):
            texts += [grammar.text(grammar.question(fact, index)), grammar.text(grammar.reply(fact, index))]
        statement = Statement((fact,), (0,))
        texts += [grammar.text(grammar.judgement(name, statement)) for name in grammar.language.judgements]
    for one, other in itertools.product(grammar.world.relations, repeat=2):
        pair = [
            Fact(person, name, grammar.world.concepts[grammar.world.relations[name].value][-1])
            for person, name in (("Anna", one), ("Paul", other))
        ]
        texts += [
            grammar.text(grammar.statement(Statement(tuple(pair), (0, 0), frame, pronoun)))
            for frame in ("and", "while")
            for pronoun in (False, True)
        ]
    assert len(texts) > 8_000
    allowed = {
        "ar": r"[\u0621-\u064a0-9 .،؟]+[.؟]",
        "he": r"[\u05d0-\u05ea0-9' .,?]+[.?]",
        "sw": r"[A-Z][A-Za-z0-9 ,.]*[.?]",
    }[code]
    for text in texts:
        assert re.fullmatch(allowed, text), text
        assert not re.search(r"  | $|^ | [.,?،؟]", text), text
        assert len(text.split()) > 1 or text[:-1].replace("'", "").isalpha() or text[:-1].isdigit(), text


@pytest.mark.parametrize("code", NEW)
def test_the_answer_is_cut_out_of_its_sentence(grammars: dict[str, Grammar], code: str) -> None:
    """The span holds the lexicon's word and adjective, whatever is joined to them, also after another sentence."""
    grammar = grammars[code]
    written = yaml.safe_load((LEXICONS / f"{code}.yaml").read_text(encoding="utf-8"))["words"]

    def bare(domain: str, concept: str) -> set[str]:
        entry = written.get(domain, {}).get(concept, concept)
        forms = [entry] if isinstance(entry, str) else [t for name, t in entry.items() if name != "gender"]
        return {re.sub(r":\d(\+\d)?", "", text) for text in forms}

    before = grammar.statement(Statement((Fact("Emma", "birthplace", "rome"),), (0,)))
    inside = 0
    for statement in statements(grammar):
        (fact,) = statement.facts
        passage = grammar.passage([before, grammar.statement(statement)])
        span = passage.values[1]
        assert span is not None
        answer = passage.text[slice(*span)]
        nouns = bare(grammar.world.relations[fact.relation].value, fact.value)
        adjectives = bare("adjective", fact.adjective) if fact.adjective else {""}
        assert answer in {f"{noun} {adjective}".strip() for noun in nouns for adjective in adjectives}, passage.text
        assert not passage.text[span[1]].isalpha()
        inside += passage.text[span[0] - 1].isalpha()
    assert (inside > 0) == (code in ("ar", "he"))


@pytest.mark.parametrize("code", NEW)
def test_nearly_all_words_are_linked(grammars: dict[str, Grammar], code: str) -> None:
    """In statements all words of the other language have a link, and in English all but articles, pronouns and "is"."""
    english, other = grammars["en"], grammars[code]
    light: dict[str, set[str]] = {
        "en": {"a", "an", "the", "of", "as", "is", "he", "she"},
        "ar": set(),
        "he": set(),
        "sw": {"wa"},
    }
    for statement in statements(english):
        left, right = english.statement(statement), other.statement(statement)
        joined = links(left, right)
        free = {token.text.lower() for i, token in enumerate(left) if i not in {i for i, _ in joined}}
        assert free <= light["en"], english.text(left)
        free = {token.text.lower() for j, token in enumerate(right) if j not in {j for _, j in joined}}
        assert free <= light[code], other.text(right)


# -- Arabic ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relation", "value", "clause", "woman", "man"),
    [
        ("birthplace", "rome", 0, "ولدت آنا في روما.", "ولد بول في روما."),
        ("birthyear", "1975", 0, "ولدت آنا عام 1975.", "ولد بول عام 1975."),
        ("height", "165", 0, "يبلغ طول آنا 165 سنتيمترا.", "يبلغ طول بول 165 سنتيمترا."),
        ("residence", "egypt", 0, "تعيش آنا في مصر.", "يعيش بول في مصر."),
        ("profession", "lawyer", 0, "تعمل آنا محامية.", "يعمل بول محاميا."),
        ("profession", "lawyer", 1, "آنا محامية.", "بول محام."),
        ("profession", "dentist", 0, "تعمل آنا طبيبة أسنان.", "يعمل بول طبيب أسنان."),
        ("instrument", "violin", 0, "تعزف آنا على الكمان.", "يعزف بول على الكمان."),
        ("pet", "dog", 0, "تملك آنا كلبا أسود.", "يملك بول كلبا أسود."),
        ("pet", "cat", 1, "حيوان آنا الأليف هو قطة سوداء.", "حيوان بول الأليف هو قطة سوداء."),
        ("purchase", "book", 0, "اشترت آنا كتابا أحمر أمس.", "اشترى بول كتابا أحمر أمس."),
        ("purchase", "book", 1, "ما اشترته آنا أمس هو كتاب أحمر.", "ما اشتراه بول أمس هو كتاب أحمر."),
        ("food", "rice", 0, "تحب آنا أكل الأرز أكثر من أي شيء آخر.", "يحب بول أكل الأرز أكثر من أي شيء آخر."),
        ("learning", "greek", 0, "تتعلم آنا اليونانية.", "يتعلم بول اليونانية."),
        ("learning", "greek", 1, "تتلقى آنا دروسا في اليونانية.", "يتلقى بول دروسا في اليونانية."),
        ("transport", "train", 0, "تذهب آنا إلى العمل بالقطار.", "يذهب بول إلى العمل بالقطار."),
        ("transport", "car", 1, "تركب آنا السيارة عادة للذهاب إلى العمل.", "يركب بول السيارة عادة للذهاب إلى العمل."),
    ],
)
def test_arabic_verbs_and_professions_agree_with_the_person(
    grammars: dict[str, Grammar], relation: str, value: str, clause: int, woman: str, man: str
) -> None:
    assert said_of_both(grammars["ar"], relation, value, clause) == (woman, man)


def test_arabic_questions(grammars: dict[str, Grammar]) -> None:
    arabic = grammars["ar"]
    assert asked(arabic, "Anna", "residence") == "أين تعيش آنا؟"
    assert asked(arabic, "Paul", "residence", 1) == "في أي بلد يعيش بول؟"
    assert asked(arabic, "Anna", "food") == "ماذا تحب آنا أن تأكل أكثر من أي شيء آخر؟"
    assert asked(arabic, "Paul", "pet") == "ما الحيوان الأليف الذي يملكه بول؟"
    fact = Fact("Paul", "pet", "sheep", "black")
    assert [arabic.text(arabic.reply(fact, index)) for index in (0, 1)] == ["خروف أسود.", "خروفا أسود."]
    assert arabic.text(arabic.reply(Fact("Anna", "transport", "bus"), 0)) == "بالحافلة."


def test_arabic_adjectives_agree_with_the_noun_and_show_the_accusative(grammars: dict[str, Grammar]) -> None:
    arabic = grammars["ar"]
    diptotes = {"أحمر", "أزرق", "أخضر", "أصفر", "أسود", "أبيض"}
    seen = set()
    for fact in facts(arabic):
        if fact.relation not in ("pet", "purchase") or fact.person == "Paul":
            continue
        phrases = []
        for clause in (0, 1):
            passage = arabic.passage([arabic.statement(Statement((fact,), (clause,)))])
            assert passage.values[0] is not None
            phrases.append(passage.text[slice(*passage.values[0])].rpartition(" "))
        (accusative, _, acc_adjective), (nominative, _, adjective) = phrases
        if nominative.split()[0].endswith("ة"):
            assert accusative == nominative
            assert acc_adjective == adjective
            assert adjective.endswith(("ة", "اء"))
        else:
            assert accusative == nominative + "ا"
            assert acc_adjective == (adjective if adjective in diptotes else adjective + "ا")
            assert not adjective.endswith(("ة", "اء"))
        seen.add(adjective)
    assert len(seen) == 24


def test_arabic_pronouns(grammars: dict[str, Grammar]) -> None:
    """Dropped after the verb, a word of its own before a noun, joined to أن and إن and to nouns."""
    arabic = grammars["ar"]
    for person, frame, relation, value, clause, text in [
        ("Anna", "plain", "residence", "egypt", 0, "تعيش في مصر."),
        ("Anna", "know", "residence", "egypt", 0, "يعرف الجميع أنها تعيش في مصر."),
        ("Paul", "newspaper", "birthplace", "rome", 0, "تقول الصحيفة إنه ولد في روما."),
        ("Anna", "plain", "profession", "cook", 1, "هي طباخة."),
        ("Paul", "as_known", "profession", "cook", 1, "كما نعلم، هو طباخ."),
        ("Anna", "know", "profession", "cook", 1, "يعرف الجميع أنها طباخة."),
        ("Anna", "plain", "height", "165", 0, "يبلغ طولها 165 سنتيمترا."),
        ("Paul", "know", "height", "165", 0, "يعرف الجميع أن طوله يبلغ 165 سنتيمترا."),
        ("Anna", "plain", "birthplace", "rome", 1, "مكان ميلاد آنا هو روما."),
        ("Paul", "know", "purchase", "lamp", 1, "يعرف الجميع أن ما اشتراه أمس هو مصباح."),
    ]:
        assert said(arabic, person, relation, value, clause, frame, pronoun=True) == text


def test_arabic_names_differ(grammars: dict[str, Grammar]) -> None:
    lexemes = grammars["ar"].language.words["person"].values()
    names = [word.before for lexeme in lexemes for words in lexeme.nouns.values() for word in words]
    assert len(set(names)) == len(names) == len(grammars["ar"].world.persons)


def test_arabic_gold_links(grammars: dict[str, Grammar]) -> None:
    both = Statement((Fact("Anna", "transport", "train"), Fact("Paul", "instrument", "piano")), (0, 0), "and")
    assert joined(grammars, "ar", both) == [
        *[("Anna", "آنا"), ("goes", "تذهب"), ("to", "إلى"), ("work", "العمل"), ("by", "بالقطار"), ("train", "بالقطار")],
        *[("and", "ويعزف"), ("Paul", "بول"), ("plays", "ويعزف"), ("plays", "على"), ("the", "البيانو")],
        *[("piano", "البيانو"), (".", ".")],
    ]
    teacher = Statement((Fact("Anna", "profession", "music_teacher"),), (0,), "know", True)
    assert joined(grammars, "ar", teacher) == [
        *[("Everyone", "الجميع"), ("knows", "يعرف"), ("that", "أنها"), ("she", "أنها"), ("works", "تعمل")],
        *[("music", "موسيقى"), ("teacher", "معلمة"), (".", ".")],
    ]


def joined(grammars: dict[str, Grammar], code: str, statement: Statement) -> list[tuple[str, str]]:
    left, right = (grammars[side].statement(statement) for side in ("en", code))
    return [(left[i].text, right[j].text) for i, j in links(left, right)]


# -- Hebrew ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relation", "value", "clause", "woman", "man"),
    [
        ("birthplace", "rome", 0, "אנה נולדה ברומא.", "פול נולד ברומא."),
        ("birthplace", "vienna", 0, "אנה נולדה בווינה.", "פול נולד בווינה."),
        ("birthplace", "vienna", 1, "עיר הלידה של אנה היא וינה.", "עיר הלידה של פול היא וינה."),
        ("profession", "lawyer", 1, "אנה עורכת דין.", "פול עורך דין."),
        ("pet", "goat", 0, "יש לאנה עז שחורה.", "יש לפול עז שחורה."),
        ("purchase", "book", 1, "מה שאנה קנתה אתמול הוא ספר אדום.", "מה שפול קנה אתמול הוא ספר אדום."),
        ("transport", "train", 1, "אנה לוקחת בדרך כלל את הרכבת לעבודה.", "פול לוקח בדרך כלל את הרכבת לעבודה."),
    ],
)
def test_hebrew_sentences(
    grammars: dict[str, Grammar], relation: str, value: str, clause: int, woman: str, man: str
) -> None:
    assert said_of_both(grammars["he"], relation, value, clause) == (woman, man)


def test_hebrew_pronouns(grammars: dict[str, Grammar]) -> None:
    hebrew = grammars["he"]
    assert (
        said(hebrew, "Anna", "pet", "dog", frame="know", adjective="big", pronoun=True)
        == "כולם יודעים שיש לה כלב גדול."
    )
    assert said(hebrew, "Paul", "profession", "cook", 1, pronoun=True) == "הוא טבח."


# -- Swahili -----------------------------------------------------------------------------------------------------------


def test_swahili_sentences(grammars: dict[str, Grammar]) -> None:
    swahili = grammars["sw"]
    assert said(swahili, "Anna", "birthplace", "rome") == "Anna alizaliwa mjini Roma."
    assert said(swahili, "Paul", "birthyear", "1975", 1) == "Mwaka aliozaliwa Paul ni 1975."
    assert said(swahili, "Anna", "residence", "egypt", 1) == "Nyumba ya Anna iko nchini Misri."
    assert said(swahili, "Paul", "height", "165", 1, "know") == "Kila mtu anajua kwamba kimo cha Paul ni sentimita 165."
    assert said(swahili, "Anna", "profession", "taxi_driver") == "Anna anafanya kazi kama dereva wa teksi."
    assert said(swahili, "Anna", "food", "rice", 1, "fact") == "Kwa kweli, chakula anachokipenda zaidi Anna ni wali."
    assert said(swahili, "Anna", "residence", "egypt", pronoun=True) == "Anaishi nchini Misri."
    assert said(swahili, "Anna", "profession", "cook", 1, pronoun=True) == "Yeye ni mpishi."
    assert said(swahili, "Paul", "transport", "bus", pronoun=True) == "Yeye huenda kazini kwa basi."
    assert asked(swahili, "Anna", "purchase") == "Anna alinunua nini jana?"
    assert asked(swahili, "Paul", "food", 1) == "Chakula anachokipenda zaidi Paul ni kipi?"
    both = Statement((Fact("Anna", "birthplace", "rome"), Fact("Paul", "learning", "greek")), (0, 0), "while")
    assert swahili.text(swahili.statement(both)) == "Anna alizaliwa mjini Roma, ilhali Paul anajifunza Kigiriki."


@pytest.mark.parametrize(
    ("thing", "red", "blue", "new", "that_she_bought"),
    [
        ("umbrella", "mwavuli mwekundu", "mwavuli wa bluu", "mwavuli mpya", "ambao Anna aliununua"),
        ("shirt", "shati jekundu", "shati la bluu", "shati jipya", "ambalo Anna alilinunua"),
        ("chair", "kiti chekundu", "kiti cha bluu", "kiti kipya", "ambacho Anna alikinunua"),
        ("lamp", "taa nyekundu", "taa ya bluu", "taa mpya", "ambayo Anna aliinunua"),
    ],
)
def test_swahili_noun_classes(
    grammars: dict[str, Grammar], thing: str, red: str, blue: str, new: str, that_she_bought: str
) -> None:
    for adjective, phrase in (("red", red), ("blue", blue), ("new", new)):
        assert said(grammars["sw"], "Anna", "purchase", thing, adjective=adjective) == f"Anna alinunua {phrase} jana."
        cleft = said(grammars["sw"], "Anna", "purchase", thing, 1, adjective=adjective)
        assert cleft == f"Ilikuwa {phrase} {that_she_bought} jana."


def test_swahili_concord_is_one_throughout_a_sentence(grammars: dict[str, Grammar]) -> None:
    concord = {"ambao": ("u", "wa"), "ambalo": ("li", "la"), "ambacho": ("ki", "cha"), "ambayo": ("i", "ya")}
    seen = set()
    for fact in facts(grammars["sw"]):
        if fact.relation == "purchase":
            text = said(grammars["sw"], fact.person, "purchase", fact.value, 1, adjective=fact.adjective)
            match = re.fullmatch(rf"Ilikuwa .+? (?:(\w+) )?(\w+) (amba\w+) {fact.person} ali(\w+)nunua jana\.", text)
            assert match, text
            of, _, which, it = match.groups()
            assert concord[which][0] == it, text
            if fact.adjective in ("blue", "green", "yellow", "brown", "grey", "old"):
                assert concord[which][1] == of, text
            seen.add(which)
    assert seen == set(concord)


def test_swahili_animals_agree_as_persons_do(grammars: dict[str, Grammar]) -> None:
    for animal in grammars["sw"].world.concepts["animal"]:
        for adjective, word in (("black", "mweusi"), ("small", "mdogo"), ("grey", "wa kijivu")):
            text = said(grammars["sw"], "Anna", "pet", animal, adjective=adjective)
            assert re.fullmatch(rf"Anna ana \w+ {word}\.", text), text


def test_swahili_gold_links(grammars: dict[str, Grammar]) -> None:
    bought = Statement((Fact("Anna", "purchase", "chair", "blue"),), (1,), "know")
    assert joined(grammars, "sw", bought) == [
        *[("Everyone", "Kila"), ("Everyone", "mtu"), ("knows", "anajua"), ("that", "kwamba"), ("it", "ilikuwa")],
        *[("was", "ilikuwa"), ("blue", "cha"), ("blue", "bluu"), ("chair", "kiti"), ("that", "ambacho")],
        *[("Anna", "Anna"), ("bought", "alikinunua"), ("yesterday", "jana"), (".", ".")],
    ]


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "pair"), [("ar", "ar-en"), ("he", "en-he"), ("sw", "en-sw")])
def test_files_of_the_new_languages(tmp_path: Path, code: str, pair: str) -> None:
    for name in (f"{pair}.txt.zip", f"mono.{code}.txt.gz", f"en-{code}.test.tsv"):
        write_file(name, TINY, LEXICONS, tmp_path / name)
    with zipfile.ZipFile(tmp_path / f"{pair}.txt.zip") as archive:
        sides = [archive.read(f"WeamMini.{pair}.{side}").decode().splitlines() for side in ("en", code)]
    assert [len(side) for side in sides] == [TINY.pairs, TINY.pairs]
    assert len(gzip.decompress((tmp_path / f"mono.{code}.txt.gz").read_bytes()).decode().splitlines()) == TINY.documents
    rows = [line.split("\t") for line in (tmp_path / f"en-{code}.test.tsv").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == TINY.gold_pairs
    for left, right, points in rows:
        pairs = [tuple(map(int, point.split("-"))) for point in points.split()]
        assert pairs
        assert all(i < len(left.split(" ")) and j < len(right.split(" ")) for i, j in pairs)


def test_answers_stand_where_the_offset_says(tmp_path: Path) -> None:
    write_file("MLQA_V1.zip", TINY, LEXICONS, tmp_path / "mlqa")
    with zipfile.ZipFile(tmp_path / "mlqa") as archive:
        for context, question in itertools.product(NEW, ("en", *NEW)):
            name = f"MLQA_V1/test/test-context-{context}-question-{question}.json"
            articles = json.loads(archive.read(name))["data"]
            count = 0
            for paragraph in (paragraph for article in articles for paragraph in article["paragraphs"]):
                for qa in paragraph["qas"]:
                    (answer,) = qa["answers"]
                    assert paragraph["context"][answer["answer_start"] :].startswith(answer["text"])
                    assert qa["question"].endswith("؟" if question == "ar" else "?")
                    count += 1
            assert count == TINY.test_questions


# -- new languages leave the others alone ----------------------------------------------------------------------------

SHARED = ("mlqa-translate-train.tar.gz", "MLQA_V1.zip", "XNLI-1.0.zip", "XNLI-MT-1.0.zip")
PINNED = {
    "de-en.txt.zip": "3fae9204f4983e75",
    "en-es.txt.zip": "917b1db17f63524f",
    "translation2019zh.zip": "688fbc1ff464d4a5",
    "mono.en.txt.gz": "f0c5574314840a7d",
    "mono.de.txt.gz": "f36d0b9e2a1c7c85",
    "mono.es.txt.gz": "566b7297a53fc220",
    "mono.zh.txt.gz": "4c8ec00b48213166",
    "en-de.test.tsv": "0c77d3aae0b7f422",
    "en-es.test.tsv": "a136b0052aa77265",
    "en-zh.test.tsv": "53021ed99411dc89",
    "train-v1.1.json": "9d7e188e67ba79e4",
    "mlqa-translate-train.tar.gz": "d8ba41b87a1395eb",
    "MLQA_V1.zip": "0422260fe5559fb5",
    "XNLI-1.0.zip": "9aad28b642ddb6f5",
    "XNLI-MT-1.0.zip": "bb878865e7a68b2a",
}
"""Name of a file to the hash of what it says in the old languages."""


def old_bytes(path: Path) -> dict[str, bytes]:
    """What a file says in the old languages: member (or the file itself) to its uncompressed bytes."""
    new = "|".join(code for code in lexicon.languages(LEXICONS) if code not in OLD)
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as tar:
            there = {name: cast(IO[bytes], tar.extractfile(name)).read() for name in sorted(tar.getnames())}
    elif path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            there = {name: archive.read(name) for name in sorted(archive.namelist())}
    elif path.name.endswith(".gz"):
        return {path.name: gzip.decompress(path.read_bytes())}
    else:
        return {path.name: path.read_bytes()}
    members: dict[str, bytes] = {}
    for name, data in there.items():
        if name.startswith("XNLI-1.0/"):
            lines = data.splitlines(keepends=True)
            members[name] = b"".join(line for line in lines if line.split(b"\t")[0].decode() in ("language", *OLD))
        elif not re.search(rf"[-/.]({new})[-_.]", name):
            members[name] = data
    return members


@pytest.mark.parametrize("name", SHARED)
def test_a_new_language_adds_to_shared_files_and_changes_nothing(lexicons: Path, tmp_path: Path, name: str) -> None:
    write_file(name, TINY, LEXICONS, tmp_path / name)
    for code in lexicon.languages(LEXICONS):
        if code not in OLD:
            (lexicons / f"{code}.yaml").unlink()
    (tmp_path / "old").mkdir()
    write_file(name, TINY, lexicons, tmp_path / "old" / name)
    assert old_bytes(tmp_path / name) == old_bytes(tmp_path / "old" / name)
    assert (tmp_path / name).read_bytes() != (tmp_path / "old" / name).read_bytes()


@pytest.mark.parametrize("name", PINNED)
def test_old_languages_say_the_same_bytes(tmp_path: Path, name: str) -> None:
    """An intended change of their lexicons, of the grammar or of a seed needs a new hash here; any other is a fault."""
    write_file(name, TINY, LEXICONS, tmp_path / name)
    digest = hashlib.sha256()
    for member, data in old_bytes(tmp_path / name).items():
        digest.update(member.encode() + b"\0" + data)
    assert digest.hexdigest()[:16] == PINNED[name]


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("ar.yaml", '"{main} و+:and {main2} ."', '"+و:and {main} {main2} ."', "the clitic '+و' has no word beside it"),
        ("ar.yaml", "noun.acc: كلبا", "noun.akk: كلبا", "'words.animal.dog' has the variant 'akk', which no form"),
        ("ar.yaml", "{m: طبيب, m.acc: طبيبا, f: طبيبة}", "{m.acc: طبيبا}", "'words.profession.doctor' has only m.acc"),
        ("ar.yaml", ", verbless: as-written}", "}", "'relations.birthplace.clauses.1' marks 0 finite verbs"),
        ("ar.yaml", "verbless: as-written}", "verbless: verb-first}", "'word_order.verbless' is 'verb-first'; known"),
        ("ar.yaml", "initial: {main:", "initial: {first:", "'person.plain.initial' has the unknown key 'first'"),
        ("ar.yaml", 'sub: {m: "+ه", f: "+ها"}', 'sub: {m: "+ه"}', "'person.plain' has nothing for gender 'f'"),
        ("sw.yaml", "c7: {rel: ambacho, om: ki}", "c7: {rel: ambacho}", "uses {om}, which neither 'kiti' nor"),
        ("sw.yaml", "c7: cheusi, ", "", "'words.adjective.black' has nothing for gender 'c7'"),
    ],
)
def test_faults_are_named(lexicons: Path, file: str, old: str, new: str, message: str) -> None:
    edit(lexicons / file, old, new)
    world = lexicon.read_world(lexicons)
    english = lexicon.read_language(lexicons, "en", world)
    with pytest.raises(UserError) as error:
        check(world, lexicon.read_language(lexicons, file[:2], world), english)
    assert message in str(error.value)
    assert file in str(error.value)
