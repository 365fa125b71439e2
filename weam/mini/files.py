"""Write the mini world in the file formats of the real releases, byte for byte the same on every machine."""

from __future__ import annotations

import gzip
import json
import random
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from weam.config import Mini
from weam.errors import UserError
from weam.io import atomic_path
from weam.mini import lexicon
from weam.mini.grammar import Fact, Grammar, Statement, Token, check, links
from weam.mini.world import VERDICTS, Inference, QaPassage, Sampler, Split

NOISE_EVERY = 125
"""One raw pair in so many is damaged (0.8 %), as in real corpora, so that the filters have something to count."""
BAD_OFFSET_EVERY = 100
"""One translated answer in so many has an offset that does not match, as in real translated data."""
LABELS = {"right": "entailment", "unknown": "neutral", "wrong": "contradiction"}
XNLI_COLUMNS = (
    *("language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse"),
    *("sentence2_parse", "sentence1", "sentence2", "promptID", "pairID", "genre"),
    *("label1", "label2", "label3", "label4", "label5", "sentence1_tokenized", "sentence2_tokenized", "match"),
)


class Speakers:
    """The grammars of the languages that one file needs, and samplers for what it says."""

    def __init__(self, settings: Mini, folder: Path, languages: Sequence[str]) -> None:
        self.settings = settings
        self.world = lexicon.read_world(folder)
        english = lexicon.read_language(folder, "en", self.world)
        self.grammars = {}
        for code in languages:
            language = english if code == "en" else lexicon.read_language(folder, code, self.world)
            check(self.world, language, english)
            self.grammars[code] = Grammar(self.world, language)
        self.english = english

    def rng(self, key: str) -> random.Random:
        return random.Random(f"{self.settings.seed}/{key}")

    def sampler(self, key: str, split: Split) -> Sampler:
        return Sampler(self.world, self.english, self.rng(key), split)


def write_file(name: str, settings: Mini, lexicons: Path, out: Path) -> None:
    """Write one release file of the mini world.

    name: as in workflow/sources.yaml, e.g. ``de-en.txt.zip``; a language code in it needs its file in ``lexicons``.
    settings: sizes and seed. lexicons: the folder data/mini. out: the path to write, atomically.

    Raises :class:`UserError` for a name that is no file of the mini world and for faults in the lexicons.
    """
    lexicons = Path(lexicons)
    known = lexicon.languages(lexicons)
    for pattern, write, which in _FILES:
        match = re.fullmatch(pattern, name)
        if match is None:
            continue
        codes = which(match, known)
        if unknown := [code for code in codes if code not in known]:
            raise UserError(f"{lexicons}: has no {unknown[0]}.yaml, which {name} needs; languages: {', '.join(known)}")
        with atomic_path(out) as temporary:
            write(Speakers(settings, lexicons, codes), codes, temporary)
        return
    raise UserError(f"mini world: {name!r} is none of its files; files are named as in workflow/sources.yaml")


# -- parallel text -----------------------------------------------------------------------------------------------------


def _pairs(speakers: Speakers, code: str) -> list[tuple[str, str]]:
    """Sentence pairs (English, other) with some damaged: a duplicate, an empty side, too long, a wrong ratio."""
    sampler = speakers.sampler(f"parallel/{code}", "text")
    rng = speakers.rng(f"noise/{code}")
    english, other = speakers.grammars["en"], speakers.grammars[code]
    pairs: list[tuple[str, str]] = []
    seen: set[str] = set()
    for index in range(speakers.settings.pairs):
        for _ in range(20):  # a small world repeats itself; real corpora hardly do
            said = _utterance(sampler)
            texts = [_said(grammar, said) for grammar in (english, other)]
            if texts[0] not in seen:
                break
        seen.add(texts[0])
        if index % NOISE_EVERY == NOISE_EVERY - 1:
            earlier = rng.choice(pairs)
            match index // NOISE_EVERY % 4:
                case 0:
                    texts = list(earlier)
                case 1:
                    texts[rng.randrange(2)] = ""
                case 2:
                    texts = [other.language.join.join([text] * 40) for text in texts]
                case 3:
                    texts = [" ".join(pair[0] for pair in rng.sample(pairs, 10)), texts[1]]
        pairs.append((texts[0], texts[1]))
    return pairs


Utterance = Statement | tuple[Fact, int]


def _utterance(sampler: Sampler) -> list[Utterance]:
    """A sentence, or (15 %) a question, or (10 %) two sentences."""
    kind = sampler.rng.random()
    if kind < 0.15:
        fact = sampler.sentence().facts[0]
        return [(fact, sampler.question(fact))]
    if kind < 0.25:
        return list(sampler.passage(2))
    return [sampler.sentence()]


def _tokens(grammar: Grammar, utterances: Iterable[Utterance]) -> list[list[Token]]:
    return [grammar.statement(said) if isinstance(said, Statement) else grammar.question(*said) for said in utterances]


def _said(grammar: Grammar, utterances: Iterable[Utterance]) -> str:
    return grammar.passage(_tokens(grammar, utterances)).text


def _moses(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    (code,) = (code for code in codes if code != "en")
    pair = "-".join(sorted(("en", code)))
    pairs = _pairs(speakers, code)
    _zip(
        out,
        {
            f"WeamMini.{pair}.{code}": "".join(f"{right}\n" for _, right in pairs),
            f"WeamMini.{pair}.en": "".join(f"{left}\n" for left, _ in pairs),
        },
    )


def _json_lines(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    pairs = _pairs(speakers, "zh")
    lines = [json.dumps({"english": left, "chinese": right}, ensure_ascii=False) + "\n" for left, right in pairs]
    sampler = speakers.sampler("parallel-valid/zh", "text")
    valid = []
    for _ in range(max(1, len(pairs) // 50)):
        said = _utterance(sampler)
        texts = [_said(speakers.grammars[code], said) for code in ("en", "zh")]
        valid.append(json.dumps({"english": texts[0], "chinese": texts[1]}, ensure_ascii=False) + "\n")
    _zip(out, {"translation2019zh_train.json": "".join(lines), "translation2019zh_valid.json": "".join(valid)})


def _gold(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    (code,) = (code for code in codes if code != "en")
    sampler = speakers.sampler(f"gold/{code}", "text")
    lines = []
    for _ in range(speakers.settings.gold_pairs):
        said = _utterance(sampler)[:1]
        left, right = (_tokens(speakers.grammars[side], said)[0] for side in ("en", code))
        points = " ".join(f"{i}-{j}" for i, j in links(left, right))
        lines.append(f"{_spaced(left)}\t{_spaced(right)}\t{points}\n")
    _write(out, "".join(lines).encode())


def _spaced(tokens: Iterable[Token]) -> str:
    return " ".join(token.text for token in tokens)


# -- running text ------------------------------------------------------------------------------------------------------


def _monolingual(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    (code,) = codes
    grammar = speakers.grammars[code]
    sampler = speakers.sampler(f"mono/{code}", "text")
    lines = [grammar.passage(_document(grammar, sampler)).text + "\n" for _ in range(speakers.settings.documents)]
    with open(out, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as stream:
        stream.write("".join(lines).encode())


def _document(grammar: Grammar, sampler: Sampler) -> list[list[Token]]:
    """One to three sentences; mostly questions and their short answers follow, sometimes a verdict on a statement.

    Short passages, and answers close to what they restate, are what lets a small model find out early that it may copy.
    """
    rng = sampler.rng
    kind = rng.random()
    passage = sampler.passage(rng.choice((1, 2, 3)))
    sentences = [grammar.statement(statement) for statement in passage]
    if kind < 0.6:
        for statement in rng.sample(passage, min(len(passage), rng.choice((1, 2)))):
            fact = statement.facts[0]
            question = sampler.question(fact)
            sentences += [grammar.question(fact, question), grammar.reply(fact, question)]
    elif kind < 0.85:
        verdict = rng.choice(VERDICTS)
        try:
            hypothesis = sampler.hypothesis(passage, verdict)
        except LookupError:
            return sentences
        sentences += [grammar.judgement("ask", hypothesis), grammar.judgement(verdict)]
    else:
        sentences.insert(0, grammar.statement(sampler.sentence()))
    return sentences


# -- questions ---------------------------------------------------------------------------------------------------------


def _qa_passages(sampler: Sampler, questions: int) -> Iterator[QaPassage]:
    """Passages with so many questions in all."""
    while questions > 0:
        passage = sampler.qa_passage(questions)
        questions -= len(passage.questions)
        yield passage


def _squad(
    passages: Iterable[QaPassage], context: Grammar, question: Grammar, prefix: str, bad_offsets: bool = False
) -> dict[str, Any]:
    """SQuAD v1.1: an article of up to 25 paragraphs each, one answer a question.

    bad_offsets: some answers get an offset that is off by a few characters.
    """
    articles: list[dict[str, Any]] = []
    count = 0
    for number, passage in enumerate(passages):
        text, spans = context.passage(context.statement(statement) for statement in passage.statements)
        qas = []
        for index, variant in passage.questions:
            span = spans[index]
            assert span is not None
            count += 1
            start = span[0] + (2 if bad_offsets and count % BAD_OFFSET_EVERY == 0 else 0)
            asked = question.text(question.question(passage.statements[index].facts[0], variant))
            answer = {"answer_start": start, "text": text[slice(*span)]}
            qas.append({"answers": [answer], "question": asked, "id": f"{prefix}-{count:05d}"})
        if number % 25 == 0:
            articles.append({"title": f"Mini_world_{number // 25 + 1}", "paragraphs": []})
        articles[-1]["paragraphs"].append({"context": text, "qas": qas})
    return {"data": articles, "version": "1.1"}


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _training(speakers: Speakers) -> list[QaPassage]:
    return list(_qa_passages(speakers.sampler("qa/train", "train"), speakers.settings.questions))


def _squad_train(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    english = speakers.grammars["en"]
    _write(out, _dump(_squad(_training(speakers), english, english, "train")).encode())


def _translate_train(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    passages = _training(speakers)
    members = {}
    for code in codes:
        grammar = speakers.grammars[code]
        members[f"mlqa-translate-train/{code}_squad-translate-train-train-v1.1.json"] = _dump(
            _squad(passages, grammar, grammar, "train", bad_offsets=True)
        )
    _zip(out, members)


def _mlqa(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    members = {}
    splits: tuple[Split, ...] = ("dev", "test")
    for split in splits:
        count = speakers.settings.test_questions
        passages = list(
            _qa_passages(speakers.sampler(f"qa/{split}", split), count if split == "test" else max(1, count // 4))
        )
        for context in codes:
            for question in codes:
                members[f"MLQA_V1/{split}/{split}-context-{context}-question-{question}.json"] = _dump(
                    _squad(passages, speakers.grammars[context], speakers.grammars[question], split)
                )
    _zip(out, members)


# -- inference ---------------------------------------------------------------------------------------------------------


def _verdicts(sampler: Sampler, count: int) -> list[str]:
    """As many of each verdict as can be, in random order."""
    verdicts = [VERDICTS[index % 3] for index in range(count)]
    sampler.rng.shuffle(verdicts)
    return verdicts


def _hypothesis(grammar: Grammar, item: Inference) -> list[list[Token]]:
    """A statement; or its denial: whether it is true, and that it is not."""
    if item.denied:
        return [grammar.judgement("ask", item.hypothesis), grammar.judgement("wrong")]
    return [grammar.statement(item.hypothesis)]


def _xnli(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    members = {}
    splits: tuple[Split, ...] = ("dev", "test")
    for split in splits:
        sampler = speakers.sampler(f"nli/{split}", split)
        count = speakers.settings.test_inferences
        verdicts = _verdicts(sampler, count if split == "test" else count // 3)
        items = [sampler.inference(verdict) for verdict in verdicts]
        lines = ["\t".join(XNLI_COLUMNS) + "\n"]
        for code in codes:
            grammar = speakers.grammars[code]
            for number, item in enumerate(items, 1):
                premise = [grammar.statement(statement) for statement in item.premise]
                hypothesis = _hypothesis(grammar, item)
                label = LABELS[item.verdict]
                row = [code, label, "", "", "", "", grammar.passage(premise).text, grammar.passage(hypothesis).text]
                row += [str(number), str(number), "mini", label, label, label, label, label]
                row += [" ".join(map(_spaced, premise)), " ".join(map(_spaced, hypothesis)), "True"]
                lines.append("\t".join(row) + "\n")
        members[f"XNLI-1.0/xnli.{split}.tsv"] = "".join(lines)
    _zip(out, members)


def _xnli_mt(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    sampler = speakers.sampler("nli/train", "train")
    items = [sampler.inference(verdict) for verdict in _verdicts(sampler, speakers.settings.inferences)]
    labels = LABELS | {"wrong": "contradictory"}
    members = {}
    for code in codes:
        grammar = speakers.grammars[code]
        lines = ["premise\thypo\tlabel\n"]
        for item in items:
            premise = " ".join(_spaced(grammar.statement(statement)) for statement in item.premise)
            hypothesis = " ".join(map(_spaced, _hypothesis(grammar, item)))
            lines.append(f"{premise}\t{hypothesis}\t{labels[item.verdict]}\n")
        members[f"XNLI-MT-1.0/multinli/multinli.train.{code}.tsv"] = "".join(lines)
    _zip(out, members)


# -- files -------------------------------------------------------------------------------------------------------------


def _write(out: Path, data: bytes) -> None:
    out.write_bytes(data)


def _zip(out: Path, members: dict[str, str]) -> None:
    """A zip archive without the time of day in it."""
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, text.encode())


Which = Callable[[re.Match[str], list[str]], list[str]]
Write = Callable[[Speakers, Sequence[str], Path], None]


def _of_name(match: re.Match[str], known: list[str]) -> list[str]:
    return ["en", *(code for code in match.groups() if code != "en")]


_FILES: tuple[tuple[str, Write, Which], ...] = (
    (r"(en)-([a-z]{2,3})\.txt\.zip", _moses, _of_name),
    (r"([a-z]{2,3})-(en)\.txt\.zip", _moses, _of_name),
    (r"translation2019zh\.zip", _json_lines, lambda match, known: ["en", "zh"]),
    (r"mono\.([a-z]{2,3})\.txt\.gz", _monolingual, lambda match, known: [match[1]]),
    (r"en-([a-z]{2,3})\.test\.tsv", _gold, _of_name),
    (r"train-v1\.1\.json", _squad_train, lambda match, known: ["en"]),
    (r"mlqa-translate-train\.zip", _translate_train, lambda match, known: [code for code in known if code != "en"]),
    (r"MLQA_V1\.zip", _mlqa, lambda match, known: known),
    (r"XNLI-1\.0\.zip", _xnli, lambda match, known: known),
    (r"XNLI-MT-1\.0\.zip", _xnli_mt, lambda match, known: known),
)
