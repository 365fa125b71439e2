"""The families of choices and of tags: rows, losses against Hugging Face's own, cutting, learning."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiny
import torch

from weam import families, modeling
from weam.batches import InMemory, Rows
from weam.config import Backbone, Copa, Finetune, Tagging
from weam.errors import UserError
from weam.families import copa, ner, pos, tagging
from weam.links import words_of_subwords
from weam.processes import Processes
from weam.progress import Progress
from weam.readers.copa import ChoiceExample
from weam.readers.tagging import TaggedSentence
from weam.subwords import Subwords
from weam.tokenizer import train_sentencepiece, train_wordpiece
from weam.train import Run, train

CPU = torch.device("cpu")
WORDS = [*tiny.SOURCE, *tiny.TARGET]


class World(NamedTuple):
    """A model folder without dropout, and its tokenizer."""

    kind: str
    folder: Path
    subwords: Subwords

    def model(self, family: Any) -> Any:
        """With a new head; the scores of the usual small weights would hardly differ from each other."""
        torch.manual_seed(0)
        model = modeling.load(self.folder, family.HEAD, self.subwords, family.LABELS).eval()
        torch.nn.init.normal_(model.classifier.weight)
        return model


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("families")
    settings = Backbone(
        type=request.param, layers=2, hidden_size=32, heads=2, intermediate_size=64, vocab_size=150, dropout=0.0
    )
    generator = np.random.default_rng(0)
    texts = [*copa.QUESTIONS.values()] * 20 + [*(" ".join(generator.choice(WORDS, 8)) for _ in range(200))]
    train_tokenizer = train_wordpiece if request.param == "bert" else train_sentencepiece
    train_tokenizer(iter(texts), settings.vocab_size, folder)
    subwords = Subwords(folder)
    torch.manual_seed(0)
    modeling.from_scratch(settings, subwords).save_pretrained(folder)
    return World(request.param, folder, subwords)


def alternatives(counts: list[int]) -> list[ChoiceExample]:
    """An example for each count of choices."""
    generator = np.random.default_rng(1)

    def text() -> str:
        return " ".join(generator.choice(WORDS, generator.integers(1, 9)))

    return [
        ChoiceExample(
            str(number),
            text(),
            ("cause", "effect", "Is it raining ?")[number % 3],
            tuple(text() for _ in range(count)),
            int(generator.integers(count)),
        )
        for number, count in enumerate(counts)
    ]


def sentences(count: int, labels: tuple[str, ...], longest: int = 12) -> list[TaggedSentence]:
    """Sentences whose words always have the same tag."""
    generator = np.random.default_rng(2)
    tag = {word: labels[number % len(labels)] for number, word in enumerate(dict.fromkeys(WORDS))}
    texts = [tuple(map(str, generator.choice(WORDS, generator.integers(1, longest)))) for _ in range(count)]
    return [
        TaggedSentence(f"en:{number}", text, tuple(tag[word] for word in text)) for number, text in enumerate(texts)
    ]


def collated(family: Any, world: World, source: InMemory, model: Any, parts: list[list[int]] | None = None) -> Any:
    """The objective, and the parts of a batch of all rows with their work."""
    rows = Rows(source.table)
    index = np.arange(rows.count)
    objective = family.objective(model, world.subwords.template)
    divided = [index] if parts is None else [np.array(part) for part in parts]
    return objective, objective.collate(rows, index, divided, np.random.default_rng(0))


def loss(family: Any, world: World, source: InMemory, model: Any) -> torch.Tensor:
    objective, ((batch, _),) = collated(family, world, source, model)
    return objective.loss(batch, CPU).total


def padded(sequences: list[list[int]], template: Any) -> dict[str, torch.Tensor]:
    """Sequences as Hugging Face's tutorials have them: padded, with plain masks."""
    width = max(map(len, sequences))
    ids = [sequence + [template.pad] * (width - len(sequence)) for sequence in sequences]
    mask = [[1] * len(sequence) + [0] * (width - len(sequence)) for sequence in sequences]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def same_in_training(model: Any, inputs: dict[str, torch.Tensor], found: Callable[[], torch.Tensor]) -> None:
    """The head has its dropout; ``inputs`` have labels."""
    model.train().dropout.p = 0.5
    losses = []
    for function in (lambda: model(**inputs).loss, found, lambda: model(**inputs).loss):
        torch.manual_seed(len(losses) // 2)
        losses.append(function().item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] != pytest.approx(losses[0], rel=1e-3), "dropout makes a difference"


def choice_sequences(example: ChoiceExample, world: World) -> tuple[list[list[int]], list[list[int]]]:
    """Ids and token types of an example's sequences, by the plain definition."""
    template = world.subwords.template
    question = copa.QUESTIONS.get(example.question, example.question)
    sequences, types = [], []
    for choice in example.choices:
        premise, asked, ending = (
            encoding.ids for encoding in world.subwords.encode([example.premise, question, choice])
        )
        first = [*template.prefix, *premise, *asked, *template.middle]
        sequences.append([*first, *ending, *template.suffix])
        types.append([0] * len(first) + [1] * (len(ending) + len(template.suffix)))
    return sequences, types


def test_the_questions_of_copa_are_asked_in_words(world: World) -> None:
    example = ChoiceExample("1", "Anna sleeps .", "cause", ("Peter buys a car .", "Is it ?"), 0)
    (row,) = copa.featurise([example], world.subwords, Copa()).table.to_pylist()
    (text,) = world.subwords.encode(["Anna sleeps . What was the cause?"])
    assert row["first"] == text.ids
    first, second = world.subwords.encode(list(example.choices))
    assert row["choices"] == first.ids + second.ids
    assert row["lengths"] == [len(first.ids), len(second.ids)]
    assert row["label"] == 0


def test_a_sequence_for_each_choice(world: World) -> None:
    examples = alternatives([2, 3, 2])
    model = world.model(copa)
    _, ((batch, work),) = collated(copa, world, copa.featurise(examples, world.subwords, Copa()), model)
    wanted = [choice_sequences(example, world) for example in examples]
    sequences = [sequence for ids, _ in wanted for sequence in ids]
    rows = [row[:length].tolist() for row, length in zip(batch.inputs.ids, batch.inputs.lengths, strict=True)]
    assert rows == sequences
    if world.kind == "bert":
        types = [row[:length].tolist() for row, length in zip(batch.inputs.segments, batch.inputs.lengths, strict=True)]
        assert types == [types for _, segments in wanted for types in segments]
    else:
        assert batch.inputs.segments is None
    assert (work.examples, work.rows, work.tokens) == (3, 3, sum(map(len, sequences)))


def test_all_choices_keep_the_same_premise_and_the_whole_question(world: World) -> None:
    premise, long, short = "Anna buys a red car " * 30, "Peter sleeps while " * 30, "blue house"
    question = world.subwords.encode([copa.QUESTIONS["effect"]])[0].ids
    for choices in ((long, short), (short, short)):
        settings = Copa(max_length=80)
        source = copa.featurise([ChoiceExample("1", premise, "effect", choices, 0)], world.subwords, settings)
        (row,) = source.table.to_pylist()
        assert row["first"][-len(question) :] == question
        kept = len(row["first"]) - len(question)
        assert row["first"][:kept] == world.subwords.encode([premise])[0].ids[:kept]
        assert kept >= 5
        assert row["lengths"][1] == len(world.subwords.encode([short])[0].ids)
        longest = max(row["lengths"])
        assert len(row["first"]) + longest + world.subwords.template.pair_overhead == 80


def test_choices_always_fit(world: World) -> None:
    for length in range(8, 40, 3):
        source = copa.featurise(alternatives([2, 3, 2]), world.subwords, Copa(max_length=length))
        _, ((batch, _),) = collated(copa, world, source, world.model(copa))
        assert len(batch.inputs.lengths) == 7
        assert batch.inputs.ids.shape[1] <= length


def test_choice_loss_is_that_of_hugging_face(world: World) -> None:
    examples, model = alternatives([2, 2, 2, 2]), world.model(copa)
    flat = [choice_sequences(example, world) for example in examples]
    inputs = padded([sequence for ids, _ in flat for sequence in ids], world.subwords.template)
    if world.kind == "bert":
        width = inputs["input_ids"].shape[1]
        types = [row + [0] * (width - len(row)) for _, segments in flat for row in segments]
        inputs["token_type_ids"] = torch.tensor(types)
    shaped = {name: values.reshape(4, 2, -1) for name, values in inputs.items()}
    shaped["labels"] = torch.tensor([example.label for example in examples])
    source = copa.featurise(examples, world.subwords, Copa())
    assert loss(copa, world, source, model).item() == pytest.approx(model(**shaped).loss.item(), rel=1e-5)
    same_in_training(model, shaped, lambda: loss(copa, world, source, model))


def test_examples_with_two_and_with_three_choices(world: World) -> None:
    examples, model = alternatives([3, 2, 2, 3, 2]), world.model(copa)
    alone = [loss(copa, world, copa.featurise([example], world.subwords, Copa()), model) for example in examples]
    together = loss(copa, world, copa.featurise(examples, world.subwords, Copa()), model)
    assert together.item() == pytest.approx(sum(item.item() for item in alone) / 5, rel=1e-5)
    together.backward()  # type: ignore[no-untyped-call]
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_best_choice_is_predicted(world: World) -> None:
    examples, model = alternatives([2, 3] * 40), world.model(copa)
    with Progress("test", len(examples), "examples") as progress:
        found = copa.predict(model, examples, world.subwords, Copa(), CPU, progress)
    assert progress.done == len(examples)
    for example in examples:
        ids, types = choice_sequences(example, world)
        scores = []
        for sequence, segments in zip(ids, types, strict=True):
            extra = {"token_type_ids": torch.tensor([[segments]])} if world.kind == "bert" else {}
            with torch.inference_mode():
                scores.append(float(model(torch.tensor([[sequence]]), **extra).logits))
        assert scores[found[example.id]] == pytest.approx(max(scores), abs=1e-5)
    assert set(found.values()) == {0, 1, 2}
    assert {type(choice) for choice in found.values()} == {int}


@pytest.mark.parametrize("family", [copa, pos], ids=["copa", "pos"])
def test_the_loss_does_not_depend_on_micro_batches(world: World, family: Any) -> None:
    if family is copa:
        source = copa.featurise(alternatives([2, 3, 2, 3, 3]), world.subwords, Copa())
    else:
        source = pos.featurise(sentences(5, pos.LABELS), world.subwords, Tagging())
    model = world.model(family)
    results = []
    for parts in (None, [[0, 1, 2], [3, 4]], [[4], [2, 0], [1, 3]]):
        model.zero_grad()
        objective, batches = collated(family, world, source, model, parts)
        losses = [objective.loss(batch, CPU).total for batch, _ in batches]
        sum(losses).backward()
        gradient = torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.grad is not None])
        results.append((sum(losses).item(), gradient, np.sum([work for _, work in batches], axis=0)))
    for total, gradient, work in results[1:]:
        assert total == pytest.approx(results[0][0], rel=1e-5)
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(work, results[0][2])


def test_the_first_sub_word_of_a_word_carries_its_tag(world: World) -> None:
    sentence = TaggedSentence("zh:1", ("Anna", "今天下雨", "\u3000", "sleeps"), ("PROPN", "VERB", "X", "VERB"))
    (row,) = pos.featurise([sentence], world.subwords, Tagging()).table.to_pylist()
    token = world.subwords.tokenizer.token_to_id
    if world.kind == "bert":  # a sub-word for each sign; the ideographic space is cleaned away
        names, places = ["Anna", "今", "天", "下", "雨", "[UNK]", "sleeps"], [0, 1, 5, 6]
    else:
        tokens = [world.subwords.encode([word])[0].tokens for word in sentence.words]
        names = [name for word in tokens for name in word or ["<unk>"]]
        places = [0, 1, 1 + len(tokens[1]), 2 + len(tokens[1])]
        assert tokens[2] == []
        assert tokens[1][0].startswith("▁")
    assert row["ids"] == [token(name) for name in names]
    assert row["words"] == places
    assert [pos.LABELS[tag] for tag in row["tags"]] == ["PROPN", "VERB", "X", "VERB"]
    empty = sentence._replace(words=(*sentence.words[:2], "", "sleeps"))  # WikiANN has some
    assert pos.featurise([empty], world.subwords, Tagging()).table.to_pylist() == [row]


def test_words_are_tokenised_as_pre_training_does(world: World) -> None:
    for sentence in sentences(50, pos.LABELS):
        (row,) = pos.featurise([sentence], world.subwords, Tagging()).table.to_pylist()
        text = " ".join(sentence.words)
        (encoding,) = world.subwords.encode([text])
        assert row["ids"] == encoding.ids
        owners = words_of_subwords(text, list(sentence.words), encoding.offsets)
        assert row["words"] == [owners.index(word) for word in range(len(sentence.words))]


@pytest.mark.parametrize("length", [8, 9, 13, 128])
def test_long_sentences_are_cut_before_words(world: World, length: int) -> None:
    room = length - 2
    examples = [
        *sentences(20, ner.LABELS, 60),
        TaggedSentence("en:x", ("car", "rain" * 60, "car"), ("O", "B-LOC", "O")),
    ]
    table = ner.featurise(examples, world.subwords, Tagging(max_length=length)).table
    pieces = tagging.cut(examples, world.subwords, Tagging(max_length=length))
    assert pieces.sentence.tolist() == sorted(pieces.sentence.tolist())
    last = room
    found: dict[int, list[list[int]]] = {}
    tags: dict[int, list[str]] = {}
    for number, row in zip(pieces.sentence.tolist(), table.to_pylist(), strict=True):
        assert 0 < len(row["ids"]) <= room
        words = [row["ids"][a:b] for a, b in pairwise([*row["words"], len(row["ids"])])]
        assert row["words"][0] == 0
        assert all(words)
        assert number not in found or last + len(words[0]) > room, "the word had room in the piece before"
        last = len(row["ids"])
        found.setdefault(number, []).extend(words)
        tags.setdefault(number, []).extend(ner.LABELS[tag] for tag in row["tags"])
    for number, example in enumerate(examples):
        assert found[number] == [encoding.ids[:room] for encoding in world.subwords.encode(example.words)]
        assert tags[number] == list(example.tags)
    assert len(pieces.sentence) > len(examples) or length == 128


def test_tagging_loss_is_that_of_hugging_face(world: World) -> None:
    examples, model, template = sentences(6, pos.LABELS), world.model(pos), world.subwords.template
    sequences, labels = [], []
    for example in examples:
        ids, tags = [*template.prefix], [-100] * len(template.prefix)
        for encoding, tag in zip(world.subwords.encode(example.words), example.tags, strict=True):
            ids += encoding.ids
            tags += [pos.LABELS.index(tag)] + [-100] * (len(encoding.ids) - 1)
        sequences.append(ids + template.suffix)
        labels.append(tags + [-100] * len(template.suffix))
    inputs = padded(sequences, template)
    width = inputs["input_ids"].shape[1]
    inputs["labels"] = torch.tensor([row + [-100] * (width - len(row)) for row in labels])
    source = pos.featurise(examples, world.subwords, Tagging())
    objective, ((batch, work),) = collated(pos, world, source, model)
    assert objective.loss(batch, CPU).total.item() == pytest.approx(model(**inputs).loss.item(), rel=1e-5)
    assert work.rows == sum(len(example.words) for example in examples)
    assert work.tokens == sum(map(len, sequences))
    same_in_training(model, inputs, lambda: objective.loss(batch, CPU).total)


def test_every_word_of_a_long_sentence_gets_a_tag(world: World) -> None:
    examples, model = sentences(70, pos.LABELS), world.model(pos)
    long = TaggedSentence("en:long", tuple(WORDS * 10), ("X",) * (10 * len(WORDS)))
    examples.insert(3, long)
    settings, template = Tagging(max_length=16), world.subwords.template
    with Progress("test", len(examples), "sentences") as progress:
        found = pos.predict(model, examples, world.subwords, settings, CPU, progress)
    assert progress.done == len(examples)
    assert len(long.words) > 10 * settings.max_length
    pieces = tagging.cut(examples, world.subwords, settings)
    wanted: dict[str, list[str]] = {example.id: [] for example in examples}
    for number, row in zip(pieces.sentence, pieces.table.to_pylist(), strict=True):
        with torch.inference_mode():
            logits = model(torch.tensor([template.prefix + row["ids"] + template.suffix])).logits[0]
        best = logits[torch.tensor(row["words"]) + len(template.prefix)].argmax(1)
        wanted[examples[number].id] += [pos.LABELS[tag] for tag in best.tolist()]
    assert found == wanted
    assert {len(found[example.id]) - len(example.words) for example in examples} == {0}
    assert len(set(found["en:long"])) > 1


def test_a_foreign_tag_is_refused(world: World) -> None:
    sentence = TaggedSentence("de:7", ("Anna",), ("B-PER",))
    with pytest.raises(UserError, match=r"training sentence de:7: the tag 'B-PER' is none of ADJ, ADP"):
        pos.featurise([sentence], world.subwords, Tagging())


def fit(world: World, family: Any, examples: list[Any], settings: Finetune, folder: Path) -> Any:
    """Train as the command does."""
    model = world.model(family)
    args = argparse.Namespace(seed=1, work=folder / "work", out=folder / "model", peak_tflops=1.0)
    args.speed = args.tensorboard = None
    run = Run(args, Processes(CPU), {"stage": "finetune", "family": family.__name__.rpartition(".")[2]})
    train(
        name="test",
        unit=family.UNIT,
        model=model,
        sources=[family.featurise(examples, world.subwords, settings)],
        objective=family.objective(model, world.subwords.template),
        settings=settings,
        run=run,
    )
    run.finish()
    return model


FITTING: dict[str, Any] = {"epochs": 30, "batch_size": 10, "micro_batch": 6, "learning_rate": 3e-3}


def test_choices_are_learned(world: World, tmp_path: Path) -> None:
    examples, settings = alternatives([2, 3] * 10), Copa(**FITTING)
    model = fit(world, copa, examples, settings, tmp_path)
    with Progress("test", len(examples), "examples") as progress:
        found = copa.predict(model, examples, world.subwords, settings, CPU, progress)
    assert np.mean([found[example.id] == example.label for example in examples]) > 0.95


@pytest.mark.parametrize("family", [pos, ner], ids=["pos", "ner"])
def test_tags_are_learned(world: World, family: Any, tmp_path: Path) -> None:
    examples, settings = sentences(20, family.LABELS, 20), Tagging(max_length=16, **FITTING)
    model = fit(world, family, examples, settings, tmp_path)
    with Progress("test", len(examples), "sentences") as progress:
        found = family.predict(model, examples, world.subwords, settings, CPU, progress)
    pairs = [pair for example in examples for pair in zip(found[example.id], example.tags, strict=True)]
    assert np.mean([tag == gold for tag, gold in pairs]) > 0.95


def test_families_are_found_by_name() -> None:
    assert [len(families.load_trainable(name).LABELS) for name in ("copa", "pos", "ner")] == [0, 17, 7]
    assert families.load_trainable("pos").SETTINGS is families.load_trainable("ner").SETTINGS is Tagging
