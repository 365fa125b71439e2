"""Questions on passages: SQuAD, its translations, MLQA, XQuAD and its sentences (LAReQA), TyDiQA."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from weam.mini.grammar import Grammar
from weam.mini.speakers import Speakers, dump, text_and_spans, write_tar_gz, write_text, write_zip
from weam.mini.world import QaPassage, Sampler, Split

BAD_OFFSET_EVERY = 100
"""One translated answer in so many has an offset that does not match, as in real translated data."""
PARAGRAPHS = 25
"""of an article"""


def write_squad(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    """English training questions: SQuAD v1.1."""
    english = speakers.grammars["en"]
    write_text(out, dump(_articles(_paragraphs(_training(speakers), english, english, "train"))))


def write_translate_train(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    """The same questions in the other languages, some with an offset that is off by a few characters."""
    passages = _training(speakers)
    members = {}
    for code in codes:
        grammar = speakers.grammars[code]
        paragraphs = _paragraphs(passages, grammar, grammar, "train", bad_offsets=True)
        members[f"mlqa-translate-train/{code}_squad-translate-train-train-v1.1.json"] = dump(_articles(paragraphs))
    write_tar_gz(out, members)


def write_mlqa(speakers: Speakers, codes: Sequence[str], out: Path) -> None:
    """Contexts and questions in any two languages."""
    members = {}
    splits: tuple[Split, ...] = ("dev", "test")
    for split in splits:
        count = speakers.settings.test_questions
        passages = list(
            _passages(speakers.sampler(f"qa/{split}", split), count if split == "test" else max(1, count // 4))
        )
        for context in codes:
            for question in codes:
                paragraphs = _paragraphs(passages, speakers.grammars[context], speakers.grammars[question], split)
                members[f"MLQA_V1/{split}/{split}-context-{context}-question-{question}.json"] = dump(
                    _articles(paragraphs)
                )
    write_zip(out, members)


def write_xquad(speakers: Speakers, codes: Sequence[str], out: Path, *, sentences: bool = False) -> None:
    """Test questions in one language, parallel over the languages.

    sentences: with the sentences of each passage, as XQuAD-R of LAReQA has them.
    """
    (code,) = codes
    grammar = speakers.grammars[code]
    passages = unlike(speakers.sampler("xquad", "test"), speakers.settings.test_questions)
    paragraphs = list(_paragraphs(passages, grammar, grammar, "xquad"))
    if sentences:
        for paragraph, passage in zip(paragraphs, passages, strict=True):
            context, spans = text_and_spans(grammar, passage.statements)
            assert context == paragraph["context"]
            paragraph["sentences"] = [context[start:end] for start, end in spans]
            paragraph["sentence_breaks"] = spans
    write_text(out, dump(_articles(paragraphs)))


def write_tydiqa(speakers: Speakers, codes: Sequence[str], out: Path, *, split: Literal["train", "dev"]) -> None:
    """Questions in one language, which are no translations: each has a passage of its own.

    The development set is what is scored, so it states facts of the tests.
    """
    (code,) = codes
    grammar = speakers.grammars[code]
    training = split == "train"
    sampler = speakers.sampler(f"tydiqa/{code}/{split}", "train" if training else "test")
    count = speakers.settings.questions if training else speakers.settings.test_questions
    passages = (sampler.qa_passage(1) for _ in range(count))
    paragraphs = _paragraphs(passages, grammar, grammar, f"{code}-{split}")
    articles = [{"paragraphs": [paragraph]} for paragraph in paragraphs]
    write_text(out, dump({"data": articles, "version": "TyDiQA-GoldP-1.1-for-SQuAD-1.1"}))


def _training(speakers: Speakers) -> list[QaPassage]:
    return list(_passages(speakers.sampler("qa/train", "train"), speakers.settings.questions))


def _passages(sampler: Sampler, questions: int) -> Iterator[QaPassage]:
    """Passages with so many questions in all."""
    while questions > 0:
        passage = sampler.qa_passage(questions)
        questions -= len(passage.questions)
        yield passage


def unlike(sampler: Sampler, questions: int) -> list[QaPassage]:
    """Passages that say different things of the same person, as far as the world has so many things to say.

    Who looks for an answer in all passages then finds one only; and a sentence with an answer names the person.
    """
    passages: list[QaPassage] = []
    said: set[tuple[str, str]] = set()
    while questions > 0:
        for _ in range(300):
            passage = sampler.qa_passage(questions)
            facts = {(fact.person, fact.relation) for statement in passage.statements for fact in statement.facts}
            if facts.isdisjoint(said):
                break
        said |= facts
        questions -= len(passage.questions)
        asked = {index for index, _ in passage.questions}
        statements = (
            statement._replace(pronoun=statement.pronoun and index not in asked)
            for index, statement in enumerate(passage.statements)
        )
        passages.append(passage._replace(statements=tuple(statements)))
    return passages


def _paragraphs(
    passages: Iterable[QaPassage], context: Grammar, question: Grammar, prefix: str, bad_offsets: bool = False
) -> Iterator[dict[str, Any]]:
    """Paragraphs as in SQuAD v1.1, one answer a question.

    prefix: of the questions' ids. bad_offsets: some answers get an offset that is off by a few characters.
    """
    count = 0
    for passage in passages:
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
        yield {"context": text, "qas": qas}


def _articles(paragraphs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """SQuAD v1.1 JSON: articles of up to 25 paragraphs each."""
    articles: list[dict[str, Any]] = []
    for number, paragraph in enumerate(paragraphs):
        if number % PARAGRAPHS == 0:
            articles.append({"title": f"Mini_world_{number // PARAGRAPHS + 1}", "paragraphs": []})
        articles[-1]["paragraphs"].append(paragraph)
    return {"data": articles, "version": "1.1"}
