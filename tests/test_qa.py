"""Question answering: windows, targets and answers by character offsets, n-best lists, and the predict command."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import normalizers, pre_tokenizers

from weam.batches import Rows
from weam.collate import lay_out
from weam.config import Qa
from weam.errors import UserError
from weam.families import qa
from weam.metrics.items import score
from weam.metrics.qa import items
from weam.progress import Progress
from weam.readers.qa import QAExample, read_squad_json
from weam.spans import best_spans
from weam.subwords import Subwords
from weam.tokenizer import train_sentencepiece, train_wordpiece

CPU = torch.device("cpu")
CONTEXTS = {
    "en": "Anna buys a red car (the blue one is Peter's), isn't it? In 1998, 3.5% slept — naïvely.  Twice!",
    "zh": "今天下雨吗?安娜买了3辆红色的汽车和蓝色房子;彼得(Peter)在1998年睡觉。《蓝色》 是 一本书。",
    "ar": "اشترت آنّا سيّارةً حمراء في عام ١٩٩٨، وباع بيتر (Peter) البيتَ الأزرق. هل تُمطر اليوم؟",
}


KINDS = ["bert", "xlm-roberta", "blanks"]


def tokenizer(folder: Path, kind: str, texts: Sequence[str], size: int) -> Subwords:
    """Learned from the texts; ``size`` 0: every character is a sub-word. ``blanks``: a sub-word may begin with white
    space, or be nothing else, as where SentencePiece takes a text as a whole."""
    if kind == "bert":
        train_wordpiece(iter(texts), size, folder)
    else:
        alphabet = len({character for text in texts for character in text if not character.isspace()})
        train_sentencepiece(iter(texts), size or alphabet + 6, folder)
    subwords = Subwords(folder)
    if kind == "blanks":
        subwords.tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return subwords


@pytest.fixture(scope="module", params=KINDS)
def characters(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subwords:
    """Every character is a sub-word."""
    folder = tmp_path_factory.mktemp("characters")
    return tokenizer(folder, request.param, [*CONTEXTS.values(), "abcdefghijklmnopqrstuvwxyz ?"] * 3, 0)


@pytest.fixture(scope="module", params=KINDS)
def pieces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subwords:
    """Sub-words of several characters."""
    return tokenizer(tmp_path_factory.mktemp("pieces"), request.param, [*CONTEXTS.values()] * 3, 150)


Logits = Callable[[Any], tuple[Any, Any]]


class Steered:
    """A model whose scores a test sets: ids of a sequence without padding to its start and end logits."""

    def __init__(self, logits: Logits) -> None:
        self.logits = logits
        self.positions: list[int] = []

    def __call__(self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None) -> Any:
        self.positions.append(input_ids.numel())
        starts, ends = torch.full((2, *input_ids.shape), 99.0)  # of padding: nothing may come from there
        lengths = [input_ids.shape[1]] * len(input_ids)
        if attention_mask is not None:
            lengths = attention_mask[:, 0, 0].sum(dim=1).tolist()
        for row, length in enumerate(lengths):
            start, end = self.logits(input_ids[row, :length].numpy())
            starts[row, :length], ends[row, :length] = torch.as_tensor(start), torch.as_tensor(end)
        return SimpleNamespace(start_logits=starts, end_logits=ends)


def drawn(ids: Any) -> tuple[Any, Any]:
    """Any logits, which depend on the sequence alone; special tokens have the highest."""
    generator = np.random.default_rng(zlib.crc32(ids.tobytes()))
    starts, ends = generator.normal(size=(2, len(ids))).astype(np.float32)
    starts[0] = ends[0] = ends[-1] = 50
    return starts, ends


def equal(ids: Any) -> tuple[Any, Any]:
    return np.zeros(len(ids)), np.zeros(len(ids))


def oracle(examples: Sequence[QAExample], subwords: Subwords, settings: Qa) -> Steered:
    """Finds the targets of training."""
    rows = Rows(qa.featurise(examples, subwords, settings).table)
    every = np.arange(rows.count)
    inputs = lay_out(rows.ragged("question", every), rows.ragged("context", every), subwords.template).inputs
    targets = np.stack([rows.integers("start", every), rows.integers("end", every)], axis=1)
    known: dict[bytes, tuple[int, int]] = {}
    for ids, length, (start, end) in zip(inputs.ids, inputs.lengths, targets, strict=True):
        assert known.setdefault(ids[:length].tobytes(), (start, end)) == (start, end)

    def logits(ids: Any) -> tuple[Any, Any]:
        place = np.arange(len(ids))
        start, end = known[ids.tobytes()]
        return 9.0 * (place == start) - place / 2**20, 9.0 * (place == end) - place / 2**20  # few ties

    return Steered(logits)


def predict(model: Any, examples: Sequence[QAExample], subwords: Subwords, settings: Qa, nbest: int = 1) -> qa.Answers:
    with Progress("test", None, "questions") as progress:
        answers = qa.predict(model, examples, subwords, settings, CPU, progress, nbest)
    assert progress.done == len(examples)
    return answers


def windows(examples: Sequence[QAExample], subwords: Subwords, settings: Qa) -> list[tuple[int, int, int]]:
    """Example, first sub-word in its context and the one after the last, of every window."""
    cut = qa.cut(examples, subwords, settings)
    lengths = cut.contexts.ids.lengths
    first = (np.cumsum(lengths) - lengths)[cut.context[cut.example]]
    begin = cut.begin - first
    return list(zip(cut.example.tolist(), begin.tolist(), (begin + cut.length).tolist(), strict=True))


# Windows


def letters(count: int) -> str:
    return " ".join("abcdefghijklmnopqrstuvwxyz"[i % 26] for i in range(count))


def test_windows_start_every_step_which_is_no_overlap(tmp_path: Path) -> None:
    subwords = tokenizer(tmp_path, "bert", [letters(30) + " ?"], 0)
    example = QAExample("1", "?", letters(60), ())
    room = 32 - 3 - 1
    for step, starts in {
        10: [0, 10, 20, 30, 40],  # an overlap of 10 would be 0, 18, 36
        28: [0, 28, 56],
        1000: [0, 28, 56],  # nothing is left out between two windows
        16: [0, 16, 32],
    }.items():
        settings = Qa(max_length=32, window_step=step)
        assert windows([example], subwords, settings) == [(0, a, min(a + room, 60)) for a in starts], step
    for size, count in {0: 1, 1: 1, 28: 1, 29: 2, 38: 2, 39: 3}.items():
        settings = Qa(max_length=32, window_step=10)
        found = windows([example._replace(context=letters(size)), example], subwords, settings)
        assert [end for number, _, end in found if number == 0][-1] == size, "the last window ends with the context"
        assert len(found) == count + 5


def test_the_room_depends_on_the_question(characters: Subwords) -> None:
    examples = [QAExample(str(n), "abcdefghij"[:n], CONTEXTS["en"], ()) for n in (0, 1, 10)]
    settings = Qa(max_length=32, window_step=7, max_question_length=8)
    cut = qa.cut(examples, characters, settings)
    layout = cut.layout(np.arange(len(cut.example)), characters.template)
    assert layout.second is not None
    lengths = cut.questions.lengths[cut.example] + characters.template.pair_overhead + cut.length
    assert np.array_equal(layout.inputs.lengths, lengths)
    assert lengths.max() == 32
    whole = characters.encode([CONTEXTS["en"]])[0].ids
    for (_, a, b), ids, place in zip(
        windows(examples, characters, settings), layout.inputs.ids, layout.second, strict=True
    ):
        assert ids[place : place + b - a].tolist() == whole[a:b]
    with pytest.raises(UserError, match=r"max_length 32 leaves no room beside a question of 29 sub-words"):
        qa.cut([examples[0]._replace(question="a" * 50)], characters, Qa(max_length=32, max_question_length=29))


def answers_of(context: str) -> list[tuple[str, int]]:
    """Every text of up to 12 characters that neither begins nor ends with white space."""
    spans = [(a, b) for a in range(len(context)) for b in range(a + 1, min(a + 12, len(context)) + 1)]
    return [(context[a:b], a) for a, b in spans if context[a:b] == context[a:b].strip()]


@pytest.mark.parametrize("language", CONTEXTS)
def test_answers_in_a_window_are_found_back(characters: Subwords, language: str) -> None:
    """From offset to target to span to text, in small windows."""
    context = CONTEXTS[language]
    settings = Qa(max_length=36, window_step=8)
    for number, (text, start) in enumerate(answers_of(context)):
        if number % 7 == 0:
            example = QAExample("1", "?", context, ((text, start),))
            model = oracle([example], characters, settings)
            (best,) = predict(model, [example], characters, settings).nbest["1"]
            assert (best.text, best.start, best.end) == (text, start, start + len(text))
            assert best.score == pytest.approx(18, abs=1e-3)


@pytest.mark.parametrize("language", CONTEXTS)
def test_whole_sub_words_are_taken(pieces: Subwords, language: str) -> None:
    context, settings = CONTEXTS[language], Qa(max_length=36, window_step=8)
    offsets = pieces.encode([context])[0].offsets
    for number, (text, start) in enumerate(answers_of(context)):
        if number % 7 == 0:
            touched = [(a, b) for a, b in offsets if a < start + len(text) and b > start]
            example = QAExample("1", "?", context, ((text, start),))
            (best,) = predict(oracle([example], pieces, settings), [example], pieces, settings).nbest["1"]
            assert best.text == context[touched[0][0] : touched[-1][1]].strip()
            assert best.text == context[best.start : best.end]
            assert text in best.text


def test_white_space_is_what_python_takes_for_it() -> None:
    assert [chr(code) for code in range(0x110000) if chr(code).isspace()] == [
        chr(code) for code in np.flatnonzero(qa.SPACES)
    ]


def test_counts(characters: Subwords) -> None:
    def example(question: str, context: str, *answers: tuple[str, int]) -> QAExample:
        return QAExample("", question, context, answers)

    overhead = characters.template.pair_overhead
    settings = Qa(max_length=32 + overhead, window_step=16, max_question_length=4, max_answer_length=5)
    mark = len(characters.encode(["?"])[0].ids)
    context = letters(32 - mark + 16)  # two windows
    joined = context.replace(" ", "")
    examples = [
        example("?", context, ("a", 0)),
        example("?", joined, (joined[:20], 0)),  # whole in the first, cut by the second
        example("?", joined, (joined[8:], 8)),  # longer than a window
        example("?", context),
        example("?", context, ("a", 2), ("b", 1000)),  # only the first counts
        example("?", context, ("a", len(context) + 1)),  # not in another context either
        example("?", joined, ("a", -1)),
        example("abcdefgh", "a"),
        example("", ""),
        example("  ", " \n\u3000"),
    ]
    counts = qa.featurise(examples, characters, settings).counts
    assert counts["questions"] == len(examples)
    assert counts["windows"] == len(windows(examples, characters, settings))
    assert counts["in_several_windows"] == 7
    assert counts["cut_questions"] == 1
    assert counts["empty_questions"] == 2
    assert counts["empty_contexts"] == 2
    assert counts["without_answer"] == 6
    assert counts["in_no_window"] == 1
    assert counts["long_answers"] == 2
    rows = Rows(qa.featurise(examples, characters, settings).table)
    targets = rows.integers("start", np.arange(rows.count))
    found = windows(examples, characters, settings)
    assert [(number, a) for (number, a, _), start in zip(found, targets, strict=True) if start] == [
        (0, 0),
        (1, 0),
        (4, 0),
    ]
    parts = [(1, 1), (2, 0), (2, 1)]  # of which example, in which of its windows
    if mark == 2:  # a sub-word of its own before "?": less room, and a third window
        parts.append((2, 2))
    assert counts["cut_by_windows"] == len(parts)


# Spans and n-best lists


def test_best_spans_against_brute_force() -> None:
    generator = np.random.default_rng(0)
    starts, ends = generator.integers(0, 4, size=(2, 30, 12)).astype(np.float32)  # many ties
    allowed = generator.random((30, 12)) < 0.7
    allowed[0] = False
    for longest, count in product((1, 4, 50), (1, 3, 1000)):
        spans = best_spans(starts, ends, allowed, longest, count)
        found = list(zip(*(column.tolist() for column in spans), strict=True))
        for row in range(30):
            every = [
                (row, i, j, starts[row, i] + ends[row, j])
                for i, j in product(range(12), repeat=2)
                if i <= j < i + longest and allowed[row, i] and allowed[row, j]
            ]
            scores = sorted((entry[3] for entry in every), reverse=True)
            least = scores[min(count, len(scores)) - 1] if scores else 0
            assert [entry for entry in found if entry[0] == row] == [entry for entry in every if entry[3] >= least]


def by_hand(example: QAExample, subwords: Subwords, settings: Qa, logits: Logits, count: int) -> list[tuple[Any, ...]]:
    """The n-best list (text, score, start, end), window by window and span by span."""
    template, context = subwords.template, example.context
    question = subwords.encode([example.question])[0].ids[: settings.max_question_length]
    encoding = subwords.encode([context])[0]
    best: dict[tuple[int, int], float] = {}
    for _, a, b in windows([example], subwords, settings):
        prefix = template.prefix + question + template.middle
        starts, ends = logits(np.array(prefix + encoding.ids[a:b] + template.suffix))
        for i, j in product(range(a, b), repeat=2):
            if not i <= j < i + settings.max_answer_length:
                continue
            edges = [context[slice(*encoding.offsets[k])].strip() for k in (i, j)]
            begin, end = encoding.offsets[i][0], encoding.offsets[j][1]
            begin += len(context[begin:end]) - len(context[begin:end].lstrip())
            end -= len(context[begin:end]) - len(context[begin:end].rstrip())
            if all(edges):
                value = float(starts[len(prefix) + i - a] + ends[len(prefix) + j - a])
                best[begin, end] = max(best.get((begin, end), -np.inf), value)
    order = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    return [(context[a:b], value, a, b) for (a, b), value in order[:count]]


@pytest.mark.parametrize("logits", [drawn, equal])
@pytest.mark.parametrize("longest", [1, 6])
def test_nbest_against_brute_force(pieces: Subwords, logits: Logits, longest: int) -> None:
    """All windows together, each place once, ties by place; a character that is several sub-words included."""
    odd = "  x\u00a0 \u2603\u2603\U0001f600\U0001f600 ab  "
    texts = [*CONTEXTS.values(), CONTEXTS["en"] * 2, odd, "", "a", " a b "]
    examples = [QAExample(str(number), "ab ?", text, ()) for number, text in enumerate(texts)]
    settings = Qa(max_length=32, window_step=5, max_answer_length=longest)
    answers = predict(Steered(logits), examples, pieces, settings, nbest=20)
    for example in examples:
        found = answers.nbest[example.id]
        assert [(a.text, a.score, a.start, a.end) for a in found] == by_hand(example, pieces, settings, logits, 20)
        assert found == [] or sum(a.probability for a in found) == pytest.approx(1)
        weights = [np.exp(a.score - found[0].score) for a in found]
        assert [a.probability for a in found] == pytest.approx([w / sum(weights) for w in weights])
        assert len({(a.start, a.end) for a in found}) == len(found)
        assert answers[example.id] == (found[0].text if found else "")
    assert predict(Steered(logits), examples, pieces, settings) == answers, "the first of the list is the answer"
    assert answers.counts["empty_answers"] == answers.counts["empty_contexts"] == 1


def test_sub_words_of_the_same_characters_are_one_place(tmp_path: Path) -> None:
    """Normalisation makes several characters, here sub-words, of one: none of the n-best is lost to the others."""
    subwords = tokenizer(tmp_path, "bert", ["a f i 1 2 3 ⁄ ? ffi"], 0)
    subwords.tokenizer.normalizer = normalizers.NFKC()
    context = "ﬃ 1 ﬃ 2 ﬃ 3"
    assert subwords.encode([context])[0].offsets.count((0, 1)) == 3
    example, settings = QAExample("1", "?", context, ()), Qa(max_length=32, max_answer_length=12)
    for count in (2, 7, 100):
        for logits in (drawn, equal):
            found = predict(Steered(logits), [example], subwords, settings, count).nbest["1"]
            expected = by_hand(example, subwords, settings, logits, count)
            assert [(a.text, a.score, a.start, a.end) for a in found] == expected
            assert len(found) == min(count, 21), "six places to begin or end with"


def test_ties_go_to_the_earlier_and_shorter_answer(pieces: Subwords) -> None:
    example = QAExample("1", "?", CONTEXTS["en"] * 3, ())
    for step in (3, 7, 20):
        (best,) = predict(Steered(equal), [example], pieces, Qa(max_length=32, window_step=step)).nbest["1"]
        first = pieces.encode([CONTEXTS["en"]])[0].offsets[0]
        assert (best.start, best.end) == first


def test_batches_change_nothing(pieces: Subwords, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text * times for text in CONTEXTS.values() for times in (1, 2, 5)]
    examples = [QAExample(str(number), "?" * (number % 4), text, ()) for number, text in enumerate(texts)]
    settings = Qa(max_length=40, window_step=9)
    found = []
    for tokens in (1, 100, 10**6):
        monkeypatch.setitem(qa.BATCH_TOKENS, "cpu", tokens)
        for order in (examples, examples[::-1]):
            model = Steered(drawn)
            answers = predict(model, order, pieces, settings, nbest=5)
            found.append({example.id: answers.nbest[example.id] for example in examples})
            assert max(model.positions) <= max(tokens + 4 * 40, 40)
    assert all(lists == found[0] for lists in found)


def test_contexts_of_100_times_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is found anywhere; the spans of a batch are in memory, not those of all windows."""
    subwords = tokenizer(tmp_path, "bert", ["a b ? answer"] * 3, 100)
    monkeypatch.setitem(qa.BATCH_TOKENS, "cpu", 4096)
    words = ["a", "b"] * 50 * 384
    words[-3] = "answer"
    context = " ".join(words)
    place = context.index("answer")
    examples = [QAExample("1", "?", context, (("answer", place),)), QAExample("2", "?", "b answer", (("answer", 2),))]
    settings = Qa()
    (target,) = subwords.encode(["answer"])[0].ids

    def logits(ids: Any) -> tuple[Any, Any]:
        starts, ends = drawn(ids)
        return starts + 20 * (ids == target), ends + 20 * (ids == target)

    model = Steered(logits)
    qa.cut(examples, subwords, settings)
    tracemalloc.start()
    qa.cut(examples, subwords, settings)
    cutting = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    answers = predict(model, examples, subwords, settings, nbest=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    count = answers.counts["windows"]
    assert count == 1 + 1 + -(-(len(words) - 380) // 128)
    assert answers.nbest["1"][0][::3] == ("answer", place)
    assert answers["2"] == "answer"
    assert answers.counts["in_several_windows"] == 1
    assert max(model.positions) <= 4096
    scores = count * 380 * settings.max_answer_length * 4
    assert peak < cutting + scores / 3
    tracemalloc.start()
    predict(Steered(equal), examples, subwords, settings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < cutting + 2 * scores, "nor are all candidates, be they ties"


def test_diverged_models_are_told(pieces: Subwords) -> None:
    def logits(ids: Any) -> tuple[Any, Any]:
        return np.full(len(ids), np.nan), np.zeros(len(ids))

    with pytest.raises(UserError, match="its training diverged"):
        predict(Steered(logits), [QAExample("1", "?", "a b", ())], pieces, Qa())


# Gold against gold


DROPPED = "\u200b \n"
"""What stands at the end of some gold answers and is no sub-word: BERT's normalisation drops zero-width spaces."""


def gold(examples: Sequence[QAExample], subwords: Subwords, language: str) -> tuple[float, ...]:
    """F1 and EM of what the oracle finds, in windows that hold every answer."""
    examples = [e._replace(question=f"{n} {e.question}") for n, e in enumerate(examples)]  # some are there twice
    longest = 40 + max(len(text) for example in examples for text, _ in example.answers[:1])  # XLM-R: blanks count
    settings = Qa(max_length=512 + longest, window_step=400, max_answer_length=longest, max_question_length=100)
    answers = predict(oracle(examples, subwords, settings), examples, subwords, settings)
    assert answers.counts["without_answer"] == answers.counts["in_no_window"] == answers.counts["long_answers"] == 0
    for example in examples:
        text, start = example.answers[0]
        (best,) = answers.nbest[example.id]
        assert (best.start, best.end) == (start, start + len(text.rstrip(DROPPED)))
    return score("mean", items(examples, answers, "mlqa", language).values)


def read(path: Path) -> list[QAExample]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        return read_squad_json(stream, str(path))


@pytest.mark.realdata
@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_gold_answers_of_xquad_are_predicted(shared_data: Path, tmp_path: Path, kind: str) -> None:
    """100 EM from featurisation through spans to text, where every character is a sub-word."""
    examples = read(shared_data / "xquad" / "xquad.zh.json")
    assert gold(examples, tokenizer(tmp_path, kind, texts_of(examples), 0), "zh") == (100, 100)


@pytest.mark.realdata
@pytest.mark.parametrize(("context", "question"), list(product(("en", "de", "es", "zh"), repeat=2)))
def test_gold_answers_of_mlqa_are_predicted(shared_data: Path, tmp_path: Path, context: str, question: str) -> None:
    examples = read(shared_data / "mlqa" / "dev" / f"dev-context-{context}-question-{question}.json.gz")
    f1, em = gold(examples, tokenizer(tmp_path, "bert", texts_of(examples), 0), context)
    lost = sum(example.answers[0][0].endswith("\u200b") for example in examples)
    assert (lost > 0) == (context == "es"), "no model with BERT's normalisation can predict these"
    assert em == pytest.approx(100 * (1 - lost / len(examples)))
    assert f1 == 100 or lost


def texts_of(examples: Sequence[QAExample]) -> list[str]:
    return ["0123456789", *(text for example in examples for text in (example.question, example.context))]
