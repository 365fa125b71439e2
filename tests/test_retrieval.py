"""Retrieval by vectors of the encoder, and word retrieval: against the library's hidden states and full matrices."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiny
import torch
from releases import make_release

from weam import embeddings, modeling, neighbours, word_retrieval
from weam.cli import main
from weam.config import Retrieval
from weam.embeddings import chosen_layer, embed, first_layers
from weam.errors import UserError
from weam.families import load, retrieval
from weam.neighbours import nearest
from weam.progress import Progress
from weam.readers import Release
from weam.readers.gold import GoldPair, read_gold
from weam.readers.retrieval import RetrievalTest, Text
from weam.subwords import Subwords

Capture = pytest.CaptureFixture[str]
CPU = torch.device("cpu")


class World(NamedTuple):
    folder: Path
    model: Any
    subwords: Subwords
    hugging_face: Any
    """the library's own tokenizer"""


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A model of two layers with matrices so large that vectors of different texts lie far apart."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("retrieval")
    backbone = tiny.make(folder, request.param, steps=1)
    model = modeling.load(backbone, "masked_lm")
    torch.manual_seed(5)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.normal_(0, 0.5)
    shutil.copytree(backbone, folder / "loud")
    model.save_pretrained(folder / "loud")
    (folder / "loud" / "training.json").unlink()  # it notes the checksum of the quiet weights
    return World(
        folder / "loud", model.eval(), Subwords(folder / "loud"), AutoTokenizer.from_pretrained(folder / "loud")
    )


def sentences(count: int, seed: int = 0, longest: int = 14) -> list[str]:
    generator = random.Random(seed)
    words = tiny.SOURCE + tiny.TARGET
    return [" ".join(generator.choices(words, k=generator.randint(1, longest))) for _ in range(count)]


def as_texts(lines: list[str], prefix: str = "t") -> tuple[Text, ...]:
    return tuple(Text(f"{prefix}{number}", line) for number, line in enumerate(lines))


def hidden_states(world: World, text: str, max_length: int = 512) -> list[torch.Tensor]:
    """[L, D] of every layer, of one text alone."""
    encoded = world.hugging_face(text, truncation=True, max_length=max_length, return_tensors="pt")
    with torch.no_grad():
        states = world.model.base_model(**encoded, output_hidden_states=True).hidden_states
    return [state[0] for state in states]


def unit(vector: torch.Tensor) -> torch.Tensor:
    return vector / vector.norm()


# -- sentence vectors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_vectors_are_means_of_hidden_states(world: World, layer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embeddings.TOKENS, "cpu", 60)  # several batches
    monkeypatch.setattr(embeddings, "CHUNK", 7)
    texts = as_texts([*sentences(40), "", "car"])
    steps: list[int] = []
    found = embed(world.model, texts, world.subwords, layer, 12, CPU, steps.append)
    expected = torch.stack([unit(hidden_states(world, text.text, 12)[layer].mean(0)) for text in texts])
    assert found.vectors.dtype == np.float32
    np.testing.assert_allclose(found.vectors[found.row], expected.numpy(), atol=1e-5)
    long = [len(world.hugging_face(text.text)["input_ids"]) > 12 for text in texts]
    assert found.cut == sum(long)
    assert 5 < sum(long) < 35
    assert sum(steps) == len(texts)
    assert len(steps) > 5


def test_vectors_do_not_depend_on_the_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embeddings.TOKENS, "cpu", 70)  # texts of the same length come into different batches
    texts = as_texts(sentences(90, longest=5))
    order = np.random.default_rng(1).permutation(len(texts))
    one = embed(world.model, texts, world.subwords, 1, 64, CPU)
    other = embed(world.model, [texts[i] for i in order], world.subwords, 1, 64, CPU)
    np.testing.assert_array_equal(one.vectors[one.row][order], other.vectors[other.row])


def test_texts_of_the_same_sub_words_share_a_vector(world: World) -> None:
    found = embed(world.model, as_texts(["car", "red car", "car", "  red  car"]), world.subwords, 2, 64, CPU)
    assert found.row.tolist()[:3] == [0, 1, 0]
    assert len(found.vectors) == int(found.row.max()) + 1


def test_a_span_is_averaged_alone_in_its_context(world: World) -> None:
    """The window around it, of a text that is longer than allowed; the whole text, of one that is not."""
    words = " ".join(sentences(8, longest=10)).split()
    for number in (0, 9, len(words) // 2, len(words) - 1):
        start = len(" ".join(words[:number])) + (number > 0)
        text = Text("q", " ".join(words), (start, start + len(words[number])))
        encoding = world.hugging_face(text.text, return_offsets_mapping=True, add_special_tokens=False)
        inside = [i for i, (a, b) in enumerate(encoding["offset_mapping"]) if b > start and a < text.span[1]]
        for max_length in (12, 500):
            room = min(max_length - 2, len(encoding["input_ids"]))
            found = embed(world.model, [text], world.subwords, 2, max_length, CPU)
            vectors = []
            for begin in range(len(encoding["input_ids"]) - room + 1):
                if begin > inside[0] or inside[-1] >= begin + room:
                    continue
                ids = encoding["input_ids"][begin : begin + room]
                template = world.subwords.template
                full = torch.tensor([[*template.prefix, *ids, *template.suffix]])
                with torch.no_grad():
                    state = world.model.base_model(input_ids=full).last_hidden_state[0]
                before, after = inside[0] - begin, begin + room - 1 - inside[-1]
                span = state[1 + inside[0] - begin : 2 + inside[-1] - begin]
                at_an_end = begin == 0 or begin + room == len(encoding["input_ids"])
                vectors.append((abs(before - after) <= 1 or at_an_end, unit(span.mean(0)).numpy()))
            close = [fair for fair, vector in vectors if np.abs(vector - found.vectors[0]).max() < 1e-5]
            assert close == [True]
            assert found.cut == 0


def test_the_layers_behind_the_chosen_one_are_not_computed(world: World) -> None:
    layers = world.model.base_model.encoder.layer
    run: list[int] = []
    handles = [
        layer.register_forward_hook(lambda *_, number=number: run.append(number)) for number, layer in enumerate(layers)
    ]
    embed(world.model, as_texts(["car"]), world.subwords, 1, 64, CPU)
    assert run == [0]
    with pytest.raises(ZeroDivisionError), first_layers(world.model.base_model, 0):
        _ = 1 / 0
    hidden_states(world, "car")
    assert run == [0, 0, 1]
    for handle in handles:
        handle.remove()


def test_layer_by_default() -> None:
    class model:
        class config:
            num_hidden_layers = 12

    assert [chosen_layer(model, layer) for layer in (None, 0, 12)] == [8, 0, 12]
    for layers, expected in {1: 1, 2: 1, 3: 2, 4: 3, 24: 16}.items():
        model.config.num_hidden_layers = layers
        assert chosen_layer(model, None) == expected
    for wrong in (25, -1):
        with pytest.raises(UserError, match=rf"retrieval\.layer {wrong}: the model has layers 0 .embeddings. to 24"):
            chosen_layer(model, wrong)


def test_longer_than_the_positions(world: World) -> None:
    with pytest.raises(UserError, match=r"retrieval\.max_length 513 is more than the 512 positions"):
        embed(world.model, as_texts(["car"]), world.subwords, 1, 513, CPU)


# -- nearest neighbours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cells", "rows"), [(1 << 22, 256), (50, 3), (1, 1)])
@pytest.mark.parametrize("count", [1, 5, 20, 200])
def test_nearest_with_ties_and_in_blocks(count: int, cells: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small integers: products are exact, and many are equal."""
    monkeypatch.setattr(neighbours, "CELLS", cells)
    monkeypatch.setattr(neighbours, "QUERIES", rows)
    generator = np.random.default_rng(count)
    queries, candidates = (generator.integers(-2, 3, (size, 3)).astype(np.float32) for size in (10, 90))
    for penalty in (None, generator.integers(0, 4, 90).astype(np.float32)):
        found = nearest(queries, candidates, count, CPU, penalty)
        scores = queries @ candidates.T - (0 if penalty is None else penalty)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        np.testing.assert_array_equal(found.places, order)
        np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, order, axis=1))
        assert (np.diff(found.scores, axis=1) == 0).any() or count == 1


def test_the_products_are_never_in_memory_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    top = neighbours._top
    monkeypatch.setattr(neighbours, "_top", lambda scores, count: sizes.append(scores.numel()) or top(scores, count))
    monkeypatch.setattr(neighbours, "CELLS", 10_000)
    generator = np.random.default_rng(0)
    found = nearest(*(generator.standard_normal((size, 2), dtype=np.float32) for size in (600, 5000)), 20, CPU)
    assert sum(sizes) == 600 * 5000
    assert max(sizes) <= 10_000
    assert found.places.shape == (600, 20)


# -- the family --------------------------------------------------------------------------------------------------------


def make_test(queries: list[str], candidates: list[str], seed: int = 0) -> RetrievalTest:
    count = len(queries)
    groups = tuple(str(number) for number in range(count))
    relevant = (frozenset({"c0"}),) * count
    return RetrievalTest(as_texts(queries, "q"), as_texts(candidates, "c"), relevant, groups)


def predict(world: World, test: RetrievalTest, **settings: Any) -> dict[str, list[str]]:
    with Progress("test", len(test.queries), "queries") as progress:
        found = retrieval.predict(world.model, test, world.subwords, Retrieval(**settings), CPU, progress)
        assert progress.done == len(test.queries)
    return found


@pytest.mark.parametrize("layer", [None, 2])
def test_ranking_against_all_cosines(world: World, layer: int | None) -> None:
    test = make_test(sentences(30, 1), sentences(90, 2))
    found = predict(world, test, layer=layer, max_length=64)
    vectors = [
        torch.stack([unit(hidden_states(world, text.text)[layer or 1].mean(0)) for text in texts])
        for texts in (test.queries, test.candidates)
    ]
    cosines = (vectors[0] @ vectors[1].T).numpy()
    assert list(found) == [query.id for query in test.queries]
    for row, ranked in enumerate(found.values()):
        assert len(ranked) == len(set(ranked)) == 20
        scores = [cosines[row, int(name[1:])] for name in ranked]
        np.testing.assert_allclose(scores, np.sort(cosines[row])[::-1][:20], atol=2e-6)
    assert len({ranked[0] for ranked in found.values()}) > 5


def test_equal_candidates_stand_in_their_order(world: World) -> None:
    """Copies of all candidates, far apart, and of one more often than the list is long."""
    lines = list(dict.fromkeys(sentences(9, 2)))
    test = make_test([lines[3], lines[4]], [*lines, *lines, *lines[4:5] * 30])
    once = predict(world, make_test([lines[3], lines[4]], lines))
    twice = predict(world, test)
    expected: list[str] = []
    for name in once["q0"]:
        number = int(name[1:])
        places = [number, number + len(lines)] + [2 * len(lines) + i for i in range(30) if number == 4]
        expected += [f"c{place}" for place in places]
    assert twice["q0"] == expected[:20]
    assert twice["q1"] == ["c4", f"c{4 + len(lines)}", *(f"c{2 * len(lines) + i}" for i in range(18))]
    assert once["q0"][0] == "c3"


def test_fewer_candidates_than_places(world: World) -> None:
    found = predict(world, make_test(["car", "house", "car"], ["blue", "car", "house"]))
    assert [len(ranked) for ranked in found.values()] == [3, 3, 3]
    assert [ranked[0] for ranked in found.values()] == ["c1", "c2", "c1"]


def test_the_pool_is_embedded_once(world: World) -> None:
    encoded: list[int] = []
    handle = world.model.base_model.embeddings.register_forward_hook(
        lambda module, inputs, output: encoded.append(len(output))
    )
    pool, other = list(dict.fromkeys(sentences(50, 3))), list(dict.fromkeys(sentences(40, 4)))
    first = predict(world, make_test(["car"], pool))
    assert sum(encoded) == 1 + len(pool)
    encoded.clear()
    again = predict(world, make_test(["car", "house"], list(pool)))
    assert sum(encoded) == 2
    assert again["q0"] == first["q0"]
    encoded.clear()
    for lines, layer in ((other, None), (other, 0), (pool, 0)):
        predict(world, make_test(["car"], lines), layer=layer)
    assert sum(encoded) == 3 + 2 * len(other) + len(pool)
    handle.remove()


def test_cut_texts_are_told(world: World, capsys: Capture) -> None:
    predict(world, make_test(["car", "a red car " * 20], ["car", "house " * 30, "blue " * 40]), max_length=16)
    said = capsys.readouterr().err
    assert "retrieval: 2 of 3 candidates were cut to 16 sub-words" in said
    assert "retrieval: 1 of 2 queries were cut to 16 sub-words" in said


def test_the_module_is_a_family() -> None:
    family = load("retrieval")
    assert family.SETTINGS is Retrieval
    assert (family.HEAD, family.LABELS) == ("masked_lm", ())


# -- word retrieval ----------------------------------------------------------------------------------------------------


def write_gold(folder: Path, pairs: list[tuple[list[str], list[str], str]], language: str) -> Path:
    lines = "".join(f"{' '.join(left)}\t{' '.join(right)}\t{links}\n" for left, right, links in pairs)
    return make_release(folder, "xlwa", ["en", language], {f"en-{language}.test.tsv": lines})


def random_pairs(count: int, seed: int = 0) -> list[tuple[list[str], list[str], str]]:
    """The second side is the first with some words replaced and two exchanged."""
    generator = random.Random(seed)
    pairs = []
    for _ in range(count):
        left = generator.choices(tiny.SOURCE + tiny.TARGET, k=generator.randint(4, 12))
        right = [word if generator.random() < 0.9 else generator.choice(tiny.TARGET) for word in left]
        a, b = generator.sample(range(len(left)), 2)
        right[a], right[b] = right[b], right[a]
        links = {(i, {a: b, b: a}.get(i, i)) for i in range(len(left)) if generator.random() < 0.9}
        links |= {(generator.randrange(len(left)), generator.randrange(len(right)))}
        pairs.append((left, right, " ".join(f"{i}{generator.choice('------p')}{j}" for i, j in sorted(links))))
    return pairs


def measure(world: World, manifest: Path, language: str, *options: object) -> dict[str, Any]:
    out = manifest.parent / "words.json"
    command = ["word_retrieval", "--model", world.folder, "--manifest", manifest, "--language", language]
    assert main([str(part) for part in [*command, "--out", out, *options]]) == 0
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def words_of_all_layers(world: World, sentence: list[str], space: str) -> list[dict[int, torch.Tensor]]:
    """For every layer, the vector of the last sub-word of each word."""
    text = space.join(sentence)
    owner = [number for number, word in enumerate(sentence) for _ in word + space]
    offsets = world.hugging_face(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    layers = []
    for state in hidden_states(world, text):
        vectors: dict[int, torch.Tensor] = {}
        for place, (start, _) in enumerate(offsets):
            after_a_space = start < len(text) and text[start] == " "  # SentencePiece's mark belongs to the next word
            vectors[owner[start] + after_a_space] = unit(state[1 + place])
        layers.append(vectors)
    return layers


def full_csls(cosines: torch.Tensor) -> torch.Tensor:
    right, left = (cosines.topk(10, dim=dim).values.mean(dim) for dim in (0, 1))
    return 2 * cosines - left[:, None] - right[None]


@pytest.mark.parametrize("language", ["zh", "de"])
def test_word_retrieval_against_full_matrices(
    world: World, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``zh`` is written without spaces. Equally near words are right or wrong: there the two bounds differ."""
    monkeypatch.setitem(embeddings.TOKENS, "cpu", 100)
    manifest = write_gold(tmp_path, random_pairs(40), language)
    found = measure(world, manifest, language, "--label", '{"system": "weam", "seed": 3}')
    gold = read_gold(Release(manifest), language)
    left = [words_of_all_layers(world, pair.english, " ") for pair in gold]
    right = [words_of_all_layers(world, pair.other, "" if language == "zh" else " ") for pair in gold]
    links = []
    for number, pair in enumerate(gold):
        for i, j in sorted(pair.sure):
            alone = sum(a == i for a, _ in pair.possible) == sum(b == j for _, b in pair.possible) == 1
            if alone and i in left[number][0] and j in right[number][0]:
                links.append(((number, i), (number, j)))
    assert len(links) > 100
    assert list(found) == ["system", "seed", "lang", "layers", "words", "sentences"]
    assert (found["system"], found["seed"], found["lang"]) == ("weam", 3, language)
    assert (found["words"], found["sentences"]) == (len(links), 40)
    assert [scores["layer"] for scores in found["layers"]] == [0, 1, 2]
    for layer, scores in enumerate(found["layers"]):
        names, matrices = [], []
        for side in (left, right):
            names.append([(number, word) for number, words in enumerate(side) for word in words[layer]])
            matrices.append(torch.stack([vector for words in side for vector in words[layer].values()]))
        csls = full_csls(matrices[0] @ matrices[1].T)
        bounds: dict[str, Counter[str]] = {"forward": Counter(), "reverse": Counter()}
        for first, second in links:
            a, b = names[0].index(first), names[1].index(second)
            for direction, row in (("forward", csls[a].clone()), ("reverse", csls[:, b].clone())):
                partner = b if direction == "forward" else a
                own, row[partner] = float(row[partner]), -9
                bounds[direction]["least"] += own > row.max() + 1e-5
                bounds[direction]["most"] += own > row.max() - 1e-5
        for direction, counts in bounds.items():
            least, most = (100 * counts[bound] / len(links) for bound in ("least", "most"))
            assert least - 1e-9 <= scores[direction] <= most + 1e-9
            assert layer == 0 or least == most
        assert scores["accuracy"] == (scores["forward"] + scores["reverse"]) / 2
    assert 3 < max(scores["accuracy"] for scores in found["layers"]) < 97, "what was compared must be able to differ"


def test_identical_sides_are_aligned(world: World, tmp_path: Path) -> None:
    """Every word is there at several places, but at no place twice: embeddings and their positions tell them apart."""
    words = list(dict.fromkeys(tiny.SOURCE))
    lines = [[*words[start:], *words[:start]] for start in (0, 5, 9)]
    same, turned = " ".join(f"{i}-{i}" for i in range(len(words))), f"0-{len(words) - 1}"
    found = measure(world, write_gold(tmp_path, [(line, line, same) for line in lines], "de"), "de")
    assert found["words"] == 3 * len(words)
    assert found["layers"][0] == {"layer": 0, "forward": 100, "reverse": 100, "accuracy": 100}
    assert all(scores["accuracy"] > 80 for scores in found["layers"])
    wrong = measure(world, write_gold(tmp_path, [(line, line, turned) for line in lines], "de"), "de")
    assert wrong["words"] == 3
    assert [(scores["forward"], scores["reverse"]) for scores in wrong["layers"]] == [(0, 0)] * 3


def test_layers_one_at_a_time_are_the_same(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = write_gold(tmp_path, random_pairs(12), "zh")
    together = measure(world, manifest, "zh")
    passes: list[range] = []
    vectors = word_retrieval._word_vectors
    monkeypatch.setattr(word_retrieval, "MEMORY", 1)
    monkeypatch.setattr(word_retrieval, "_word_vectors", lambda *given: passes.append(given[3]) or vectors(*given))
    assert measure(world, manifest, "zh") == together
    assert [list(layers) for layers in passes] == [[0], [0], [1], [1], [2], [2]]


def test_one_to_one_links() -> None:
    links = frozenset({(0, 0), (1, 1), (2, 1), (3, 2), (3, 3), (4, 4), (5, 5)})
    pair = GoldPair(list("abcdef"), list("ABCDEF"), links - {(5, 5)}, links | {(4, 0)})
    assert word_retrieval.one_to_one(pair) == []
    assert word_retrieval.one_to_one(pair._replace(possible=links)) == [(0, 0), (4, 4)]


def test_words_behind_the_last_position_are_left_out(world: World, tmp_path: Path, capsys: Capture) -> None:
    long = ["car", *["blue"] * 700, "red"]
    pairs = [(long, ["汽车", "红色"], "0-0 701-1"), (["house"], ["房子"], "0-0")]
    found = measure(world, write_gold(tmp_path, pairs, "zh"), "zh")
    assert (found["words"], found["sentences"]) == (2, 2)
    assert "word_retrieval: 1 of 3 links left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([], [], "has no sentence with gold alignments for de"),
        ([(["a"], ["b", "c"], "0-0 0-1")], [], "manifest.json: no word has one partner of its own"),
        ([(["a"], ["b"], "0p0")], [], "no word has one partner of its own"),
        ([(["a"], ["b"], "0-0")], ["--label", "{"], "--label: not valid JSON"),
        ([(["a"], ["b"], "0-0")], ["--label", "[]"], "--label: holds a JSON list; give a JSON object"),
        ([(["a"], ["b"], "0-0")], ["--language", "fr"], "has no language 'fr'"),
    ],
)
def test_faults(
    world: World,
    pairs: list[tuple[list[str], list[str], str]],
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    manifest = write_gold(tmp_path, pairs, "de")
    command = ["word_retrieval", "--model", str(world.folder), "--manifest", str(manifest), "--language", "de"]
    assert main([*command, "--out", str(tmp_path / "out.json"), *options]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "out.json").exists()


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "kind", "language", "sizes"),
    [("xlwa-en-es.dev.tsv", "xlwa", "es", (105, 1000)), ("de-en-bicici-100.zip", "bicici", "de", (100, 700))],
)
def test_real_gold_alignments(
    world: World, name: str, kind: str, language: str, sizes: tuple[int, int], tmp_path: Path, shared_data: Path
) -> None:
    raw = (shared_data / "align" / name).read_bytes()
    found = measure(world, make_release(tmp_path, kind, ["en", language], {name: raw}), language)
    assert found["sentences"] == sizes[0]
    assert found["words"] > sizes[1]
    assert all(0 <= scores["accuracy"] < 50 for scores in found["layers"])
