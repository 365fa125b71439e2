"""Question answering: SQuAD v1.1 JSON and what is built like it (TyDiQA-GoldP, MLQA, XQuAD, translated SQuAD).

Files stand alone, are compressed (``.gz``) or are members of a ``.zip`` or ``.tar.gz``, in any folder; what they are
called by format:

* ``squad``: any name, but no archive; all files of the source are training data, so its development set is a source
  of its own.
* ``mlqa-translate-train``: ``de_squad-translate-train-train-v1.1.json``.
* ``mlqa``: ``test-context-de-question-en.json``, ``dev-…``.
* ``xquad``: ``xquad.de.json``.
* ``tydiqa``: ``tydiqa-goldp-v1.1-train.json`` with all languages, told apart by the beginning of a question's id
  (``arabic-…``), and for tests ``tydiqa-goldp-dev-arabic.json`` or ``tydiqa-goldp-v1.1-dev.json``, as released; or
  ``tydiqa.goldp.ar.train.json`` and ``…dev.json``, as XTREME cuts them. With ``test_share``, that part of the training
  passages is not trained on; it is the split ``held-out``, for where the answers of the development set are missing.

Answers are character offsets into the context. Training data that contradicts itself is dropped and counted; a test set
must be complete, so there every fault is an error.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from weam.errors import UserError
from weam.readers import Release, base_name, is_unicode, reading
from weam.readers.archives import Entry, collect, lacking, listing, read_named


class QAExample(NamedTuple):
    """One question: ``context[start : start + len(text)] == text`` holds for each answer kept for training.

    Ids are unique in a test set only: XTREME's training files of TyDiQA-GoldP use numbers again and again.
    """

    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]


NO_ANSWER = "without answer"
EMPTY = "empty question, context or answer"
BAD_OFFSET = "answer not at its offset"
BAD_UNICODE = "invalid Unicode"

HELD_OUT = "held-out"
ONE_LANGUAGE = ("xquad", "tydiqa")
"""Formats with context and question in one language. The development set of TyDiQA-GoldP is its test set: the other one
has no public answers."""
KNOWN = ", ".join(("mlqa", *ONE_LANGUAGE))
TYDIQA = {
    "ar": "arabic",
    "bn": "bengali",
    "en": "english",
    "fi": "finnish",
    "id": "indonesian",
    "ko": "korean",
    "ru": "russian",
    "sw": "swahili",
    "te": "telugu",
}
"""Language to its name in the files and ids of TyDiQA."""
CELL = re.compile(r"(dev|test)-context-([A-Za-z-]+?)-question-([A-Za-z-]+)\.json")


def read_squad_json(stream: IO[bytes], where: str) -> list[QAExample]:
    """All questions of one SQuAD-like JSON file, in order and unchecked but for their shape."""
    try:
        data = json.loads(stream.read())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{where}: not valid JSON ({error}); fetch the file again") from None
    examples: list[QAExample] = []
    try:
        for paragraph in (paragraph for article in data["data"] for paragraph in article["paragraphs"]):
            context = _string(paragraph, "context")
            for qa in paragraph["qas"]:
                answers = tuple((_string(a, "text"), _offset(a)) for a in qa.get("answers", ()))
                examples.append(QAExample(str(qa["id"]), _string(qa, "question"), context, answers))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{where}: not SQuAD v1.1 JSON, after {len(examples)} questions: {type(error).__name__} {error}; "
            "each of data[].paragraphs[] needs context and qas[] with id, question and answers[] (text, answer_start)"
        ) from None
    return examples


def _string(row: dict[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is {value!r}, not text")
    return value


def _offset(answer: dict[str, Any]) -> int:
    value = answer["answer_start"]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"answer_start is {value!r}, not a whole number")
    return value


# Training


def read_train_questions(release: Release, language: str) -> Iterator[QAExample]:
    """All training questions of a release in ``language``, unchecked; those held out for testing are none of them."""
    release.require_language(language)
    if release.format == "squad":
        for name in release.files:
            with reading(release.path(name)), release.open(name) as stream:
                yield from read_squad_json(stream, str(release.path(name)))
    elif release.format == "tydiqa":
        for example in _read_tydiqa(release, language, "train")[0]:
            if not is_held_out(example.context, release.test_share):
                yield example
    elif release.format == "mlqa-translate-train":
        yield from _read_one(release, f"{language}_squad-translate-train-train-v1.1.json")[0]
    else:
        raise UserError(
            f"source {release.name}: format {release.format!r} has no training questions; "
            "known: squad, tydiqa, mlqa-translate-train"
        )


def is_held_out(context: str, share: float) -> bool:
    """Whether a passage is among the ``share`` (0 to 1) held out for testing.

    By its checksum: neither the order of a file nor other passages matter, and a repeated passage is on one side.
    """
    digest = hashlib.sha256(context.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def read_train(release: Release, language: str) -> tuple[list[QAExample], list[dict[str, Any]]]:
    """Training questions whose answers are where they say, and the funnel of how many were dropped and why.

    Rows of the funnel are questions; ``answers`` counts answers likewise. An answer is dropped when it is empty or its
    text is not in the context at its offset; a question is dropped, under the reason of its first answer, when none of
    its answers is left.
    """
    kept: list[QAExample] = []
    rows: dict[str, list[int]] = {reason: [0, 0] for reason in (BAD_UNICODE, EMPTY, NO_ANSWER, BAD_OFFSET)}
    read = [0, 0]
    for example in read_train_questions(release, language):
        read[0] += 1
        read[1] += len(example.answers)
        reasons = [_fault(example, text, start) for text, start in example.answers]
        for reason in filter(None, reasons):
            rows[reason][1] += 1
        answers = tuple(answer for answer, reason in zip(example.answers, reasons, strict=True) if reason is None)
        if answers:
            kept.append(example._replace(answers=answers))
        else:
            rows[reasons[0] if reasons and reasons[0] else NO_ANSWER][0] += 1
    answers_kept = sum(len(example.answers) for example in kept)
    assert read[0] == len(kept) + sum(removed for removed, _ in rows.values())
    assert read[1] == answers_kept + sum(removed for _, removed in rows.values())
    if not kept:
        counts = ", ".join(f"{reason}: {removed}" for reason, (removed, _) in rows.items() if removed)
        raise UserError(
            f"source {release.name}: none of the {read[0]} training questions in {language!r} can be used"
            f"{f' ({counts})' if counts else ''}; check the source"
        )
    steps: list[dict[str, Any]] = [{"step": "read", "rows": read[0], "answers": read[1]}]
    steps += [{"step": reason, "removed": q, "answers": a} for reason, (q, a) in rows.items()]
    steps.append({"step": "kept", "rows": len(kept), "answers": answers_kept})
    return kept, steps


def _fault(example: QAExample, text: str, start: int) -> str | None:
    if not (is_unicode(example.context) and is_unicode(example.question)):
        return BAD_UNICODE
    if not (example.context.strip() and example.question.strip() and text.strip()):
        return EMPTY
    if start < 0 or example.context[start : start + len(text)] != text:
        return BAD_OFFSET
    return None


# Testing


def read_cells(release: Release, split: str, languages: Sequence[str]) -> dict[tuple[str, ...], list[QAExample]]:
    """Test questions of all cells (context language, question language) of ``languages`` that the release has."""
    return {cell: read_test(release, split, *cell) for cell in test_cells(release, split, languages)}


def read_diagonal(release: Release, split: str, languages: Sequence[str]) -> dict[tuple[str, ...], list[QAExample]]:
    """Test questions of each language, context and question in it."""
    return {(context,): test for (context, _), test in read_cells(release, split, languages).items()}


def read_test(release: Release, split: str, context_lang: str, question_lang: str) -> list[QAExample]:
    """Test questions of one cell (MLQA: any context and question language; else the same for both).

    All golds empty means a blanked test set: an error, as is a single question without gold or with broken text.
    """
    for language in (context_lang, question_lang):
        release.require_language(language)
    if release.format in ONE_LANGUAGE:
        if context_lang != question_lang:
            raise UserError(
                f"source {release.name}: {release.format} has context and question in one language, not "
                f"{context_lang!r} with {question_lang!r}; ask for the same language twice"
            )
        _require_test(release, split)
        if split == HELD_OUT:
            examples, where = _read_held_out(release, context_lang)
        elif release.format == "tydiqa":
            examples, where = _read_tydiqa(release, context_lang, "dev")
        else:
            examples, where = _read_one(release, f"xquad.{context_lang}.json")
    elif release.format == "mlqa":
        examples, where = _read_one(release, f"{split}-context-{context_lang}-question-{question_lang}.json")
    else:
        raise UserError(f"source {release.name}: format {release.format!r} has no test questions; known: {KNOWN}")
    blank = [example for example in examples if not any(text.strip() for text, _ in example.answers)]
    if len(blank) == len(examples):
        raise UserError(
            f"{where}: all {len(examples)} gold answers are empty (blanked labels); "
            "nothing can be scored: get the release with answers, or score its dev split"
        )
    if blank:
        raise UserError(f"{where}: question {blank[0].id!r} has no gold answer; a test set must be complete")
    ids: set[str] = set()
    for example in examples:
        if example.id in ids:
            raise UserError(f"{where}: question id {example.id!r} stands there twice; ids must be unique")
        ids.add(example.id)
        if not (is_unicode(example.context) and is_unicode(example.question)):
            raise UserError(f"{where}: question {example.id!r} has a lone surrogate, which is not Unicode text")
    return examples


def test_cells(release: Release, split: str, languages: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (context language, question language) of ``languages`` that the release has in ``split``.

    Context and question in one language must be there for each of ``languages``; cross-lingual cells that are not are
    named on stderr (the other formats have none by design).
    """
    for language in languages:
        release.require_language(language)
    names = {name.removesuffix(".gz") for name in listing(release)}
    if release.format in ONE_LANGUAGE:
        _require_test(release, split)
        there = {(x, x) for x in release.languages if not names.isdisjoint(_test_names(release.format, x, split))}
    elif release.format == "mlqa":
        there = {(m[2], m[3]) for m in map(CELL.fullmatch, names) if m and m[1] == split}
    else:
        raise UserError(f"source {release.name}: format {release.format!r} has no test questions; known: {KNOWN}")
    cells = [cell for cell in itertools.product(languages, repeat=2) if cell in there]
    if not cells:
        raise UserError(
            f"source {release.name}: has no {split} questions in {', '.join(languages)}; "
            f"it has {', '.join(sorted({x for x, _ in there})) or 'none at all'}"
        )
    if lacking := [language for language in languages if (language, language) not in there]:
        raise UserError(
            f"source {release.name}: has no {split} questions in {', '.join(lacking)}; "
            f"it has {', '.join(sorted({x for x, y in there if x == y})) or 'no language with its own questions'}; "
            "leave the language out or complete the source"
        )
    absent = [f"{x}-{y}" for x, y in itertools.product(languages, repeat=2) if (x, y) not in there]
    if absent and release.format == "mlqa":
        print(
            f"source {release.name}: no {split} files for these pairs of context and question: {', '.join(absent)}",
            file=sys.stderr,
        )
    return cells


def _require_test(release: Release, split: str) -> None:
    if split == HELD_OUT and release.format == "tydiqa":
        if not release.test_share:
            raise UserError(
                f"source {release.name}: nothing is held out of its training questions; "
                "give the source a test_share (say 0.1), or score split test"
            )
    elif split != "test":
        raise UserError(
            f"source {release.name}: {release.format} is one test set; it has no split {split!r}, ask for test"
        )


def _test_names(format: str, language: str, split: str) -> tuple[str, ...]:
    """Names of the files that the test questions of a language may stand in."""
    if format == "xquad":
        return (f"xquad.{language}.json",)
    part = "train" if split == HELD_OUT else "dev"
    return (*_tydiqa_names(language, part), _tydiqa_whole(part))


def _tydiqa_names(language: str, split: str) -> tuple[str, ...]:
    return f"tydiqa.goldp.{language}.{split}.json", f"tydiqa-goldp-{split}-{TYDIQA.get(language, language)}.json"


def _tydiqa_whole(split: str) -> str:
    return f"tydiqa-goldp-v1.1-{split}.json"


def _read_one(release: Release, wanted: str) -> tuple[list[QAExample], str]:
    """The questions of the one file called ``wanted``, and where it is."""
    return read_named(release, [wanted], _read_entry)[wanted]


def _read_entry(entry: Entry) -> tuple[list[QAExample], str]:
    return read_squad_json(entry.stream, entry.where), entry.where


def _read_held_out(release: Release, language: str) -> tuple[list[QAExample], str]:
    """The training questions that are held out, and where; their place in the file makes their ids unique."""
    examples, where = _read_tydiqa(release, language, "train")
    held_out = [
        example._replace(id=f"{example.id}-{number}")
        for number, example in enumerate(examples, start=1)
        if is_held_out(example.context, release.test_share)
    ]
    if not held_out:
        raise UserError(
            f"{where}: no passage of its {len(examples)} questions falls into the held-out share of "
            f"{release.test_share}; raise the source's test_share"
        )
    return held_out, where


def _read_tydiqa(release: Release, language: str, split: str) -> tuple[list[QAExample], str]:
    """The questions of a language: its own file, else, of the file of all languages, those with its name in the id."""
    own, whole = _tydiqa_names(language, split), _tydiqa_whole(split)
    separate = collect(release, lambda path: base_name(path) in own, _read_entry)
    found = separate or collect(release, lambda path: base_name(path) == whole, _read_entry)
    if not found:
        raise lacking(release, own[0])
    if len(found) > 1:
        raise UserError(
            f"{found[1][1]}: holds the {split} questions in {language!r}, as {found[0][1]} does; "
            "leave one of them out of the source"
        )
    if separate:
        return separate[0]
    examples, where = found[0]
    prefix = f"{TYDIQA.get(language, language)}-"
    chosen = [example for example in examples if example.id.startswith(prefix)]
    if not chosen:
        raise UserError(f"{where}: has no question in {language!r} (no id begins with {prefix}); name another language")
    return chosen, where
