"""The objectives against their definitions: the paper's figure, a literal dense reference, and special cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import tiny
import torch

from weam import head, modeling
from weam.batches import Rows
from weam.collate import Edges, MaskedBatch, masked_part, pair_edges
from weam.config import Masking, Mlm, Tlm, Weam, WordAlign
from weam.corpus import Shards
from weam.flops import Flops
from weam.objectives import (
    MaskedPrediction,
    WordAlignment,
    exchanged,
    word_vectors,
)
from weam.subwords import Subwords, Template

CPU = torch.device("cpu")
TEMPLATE = Template([1], [2], [2], 0, 4, [0, 1, 2, 3, 4], 50, True)
ALL = ("word", "words", "whole")


class Model:
    """Enough of a model for collating."""

    class config:
        num_hidden_layers = hidden_size = intermediate_size = vocab_size = 1


def figure() -> Rows:
    """Figure 1: "Is it raining today ?" and 今天 下雨 吗 ?, links raining-下雨, today-今天, ?-?."""
    columns = {
        "source_ids": [10, 11, 12, 13, 14],
        "target_ids": [20, 21, 22, 23],
        "link_source": [2, 3, 4],
        "link_target": [1, 0, 3],
    }
    return Rows(pa.table({name: [values] for name, values in columns.items()}))


def figure_batch(masked: list[int]) -> MaskedBatch:
    """The figure with exactly these positions masked (but not hidden)."""
    rows, one = figure(), np.array([0])
    objective = MaskedPrediction(Model(), TEMPLATE, Weam(mask_token_share=0, random_token_share=0), "weam")
    layout, masks = objective.masks(rows, one, np.random.default_rng(0))
    chosen = np.isin(np.arange(12), masked)[None]
    batch = masked_part(masks._replace(chosen=chosen), one)
    links = (rows.ragged("link_source", one), rows.ragged("link_target", one))
    return batch._replace(edges=pair_edges(layout, links, batch, one, "mean"))


def test_figure_exchange_order() -> None:
    batch = figure_batch(list(range(12)))
    assert batch.inputs.ids.tolist() == [[1, 10, 11, 12, 13, 14, 2, 20, 21, 22, 23, 2]]
    assert batch.inputs.segments is not None
    assert batch.inputs.segments.tolist() == [[0] * 7 + [1] * 5]
    order = np.arange(12)
    order[batch.positions[batch.edges.aligned[batch.edges.row]]] = batch.edges.position
    assert order.tolist() == [0, 1, 2, 8, 7, 10, 6, 4, 3, 9, 5, 11]


def test_figure_rows_and_labels() -> None:
    """With masked {1, 3, 7}: L_mp reads rows 1, 3, 7; L_cp reads rows 1, 8, 4; labels are the original tokens."""
    batch = figure_batch([1, 3, 7])
    assert batch.positions.tolist() == [1, 3, 7]
    assert batch.labels.tolist() == [10, 12, 20]
    assert batch.edges.aligned.tolist() == [1, 2]
    assert exchanged(torch.eye(12), batch, CPU).argmax(dim=1).tolist() == [8, 4]


def with_edges(pairs: list[tuple[int, int]], rows: int, how: str) -> MaskedBatch:
    """A batch of one sequence whose first ``rows`` positions are masked; source and target places coincide."""

    class layout:
        first = second = np.array([0])

    batch = figure_batch(list(range(12)))
    batch = batch._replace(positions=np.arange(rows))
    left, right = (pa.table({"x": [list(side)]}) for side in zip(*pairs, strict=True))
    links = tuple(Rows(table).ragged("x", np.array([0])) for table in (left, right))
    return batch._replace(edges=pair_edges(layout, links, batch, np.array([0]), how))  # type: ignore[arg-type]


def test_exchange_twice_is_identity_for_one_to_one_links() -> None:
    vectors = torch.randn(12, 4)
    batch = with_edges([(0, 3), (1, 5), (2, 4)], 6, "mean")
    assert len(batch.edges.aligned) == 6
    once = exchanged(vectors, batch, CPU)
    assert torch.equal(once, vectors[[3, 5, 4, 0, 2, 1]])
    assert torch.equal(exchanged(torch.cat([once, vectors[6:]]), batch, CPU), vectors[:6])


def test_exchange_first_takes_the_leftmost_partner() -> None:
    vectors = torch.arange(24.0).reshape(12, 2)
    pairs = [(0, 7), (2, 9), (2, 8)]
    first, mean = with_edges(pairs, 3, "first"), with_edges(pairs, 3, "mean")
    assert first.edges.aligned.tolist() == mean.edges.aligned.tolist() == [0, 2]
    assert torch.equal(exchanged(vectors, first, CPU), vectors[[7, 8]])
    assert torch.equal(exchanged(vectors, mean, CPU), torch.stack([vectors[7], (vectors[8] + vectors[9]) / 2]))


class World(NamedTuple):
    model: Any
    rows: Rows
    template: Template
    folder: Path
    values: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Pairs that were cut to 20 sub-words, with links of many words to many."""
    folder = tmp_path_factory.mktemp(request.param)
    backbone = tiny.make(folder, request.param, max_length=20)
    model = modeling.load(backbone, "masked_lm").double().eval()
    columns = [f"{side}_{what}" for side in ("source", "target") for what in ALL]
    columns += ["link_source", "link_target", "one_source", "one_target"]
    shards = Shards(folder / "pairs" / "manifest.json", Subwords(backbone).sha256, "pairs", columns=columns)
    assert shards.manifest["counts"]["sub-word links lost to truncation"] > 0
    table = shards.read(np.arange(len(shards.blocks)))
    return World(model, Rows(table), shards.template, folder, table.to_pylist())


def dense_loss(world: World, index: Any, masks: Any, weight: float, how: str) -> torch.Tensor:
    """The definition, literally: one pair at a time, dense alignment matrix, head on every position."""
    model, template = world.model, world.template
    total = torch.zeros((), dtype=torch.float64)
    for number, i in enumerate(index):
        source, target = world.values[i]["source_ids"], world.values[i]["target_ids"]
        length = template.pair_overhead + len(source) + len(target)
        arguments = {"input_ids": torch.from_numpy(masks.inputs.ids[number, :length])[None]}
        if template.segments:
            first = len(template.prefix) + len(source) + len(template.middle)
            arguments["token_type_ids"] = (torch.arange(length) >= first).long()[None]
        r = model.base_model(**arguments).last_hidden_state[0]
        links = torch.zeros(length, length, dtype=torch.float64)
        offset = len(template.prefix) + len(source) + len(template.middle)
        for a, b in zip(world.values[i]["link_source"], world.values[i]["link_target"], strict=True):
            links[len(template.prefix) + a, offset + b] = links[offset + b, len(template.prefix) + a] = 1
        for position in range(length):
            partners = links[position].nonzero().squeeze(1)
            if not len(partners):
                links[position, position] = 1
            elif how == "first":
                links[position, partners[1:]] = 0
        exchanged_r = (links / links.sum(1, keepdim=True)) @ r
        predict = model.cls if hasattr(model, "cls") else model.lm_head
        own, swapped = predict(r).log_softmax(-1), predict(exchanged_r).log_softmax(-1)
        original = [*template.prefix, *source, *template.middle, *target, *template.suffix]
        for position in range(length):
            if masks.chosen[number, position]:
                total = total - own[position, original[position]] - weight * swapped[position, original[position]]
    return total


def gradients(model: Any) -> list[torch.Tensor]:
    found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return found


@pytest.mark.parametrize("cut", [1, 3], ids=["whole", "in parts"])
@pytest.mark.parametrize(("weight", "how"), [(0.0, "mean"), (1.0, "mean"), (0.7, "first")])
def test_against_dense_reference(
    world: World, monkeypatch: pytest.MonkeyPatch, weight: float, how: Any, cut: int
) -> None:
    """Loss and gradients, also when the batch is cut into parts and the logits into pieces."""
    monkeypatch.setitem(head.CHUNK_LOGITS, "cpu", 7 * world.template.vocab_size)
    index = np.arange(0, 12)
    settings = Weam(mask_probability=0.4, cross_weight=weight, exchange=how)
    objective = MaskedPrediction(world.model, world.template, settings, "weam")
    parts = [np.arange(start, 12, cut) for start in range(cut)]
    batches = [batch for batch, _ in objective.collate(world.rows, index, parts, np.random.default_rng(3))]
    if weight and how == "mean":
        assert max(np.bincount(np.concatenate([batch.edges.row for batch in batches]))) > 1, "no many-to-many links"
    world.model.zero_grad()
    losses = [objective.loss(batch, CPU) for batch in batches]
    fast = sum(loss.total for loss in losses)
    fast.backward()  # type: ignore[union-attr]
    got = gradients(world.model)
    _, masks = objective.masks(world.rows, index, np.random.default_rng(3))
    slow = dense_loss(world, index, masks, weight, how) / masks.chosen.sum()
    slow.backward()
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)
    named = {key: sum(loss.parts[key] for loss in losses) for key in objective.names}
    torch.testing.assert_close(named["mp"] + weight * named.get("cp", 0), slow, rtol=1e-9, atol=1e-9)
    expected = gradients(world.model)
    assert len(got) == len(expected) > 20
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_cross_entropy_in_pieces(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    h, w, bias = (
        torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True)
        for size in ((11, 5), (23, 5), (23,))
    )
    targets = torch.randint(23, (11,), generator=generator)
    weights = torch.rand(11, generator=generator, dtype=torch.float64)

    plain = torch.nn.functional.cross_entropy(h @ w.T + bias, targets, reduction="none")
    total, losses = head.linear_cross_entropy(h, w, bias, targets, weights, rows)
    torch.testing.assert_close(losses, plain)
    torch.testing.assert_close(total, (plain * weights).sum())
    expected = torch.autograd.grad(3 * (plain * weights).sum(), (h, w, bias))
    got = torch.autograd.grad(3 * total, (h, w, bias), retain_graph=True)
    torch.testing.assert_close(got, expected)
    with pytest.raises(RuntimeError, match="once"):
        total.backward()
    assert not losses.requires_grad


def test_cross_entropy_under_autocast_is_close() -> None:
    torch.manual_seed(0)
    h, w, bias = torch.randn(50, 64, requires_grad=True), torch.randn(999, 64, requires_grad=True), torch.zeros(999)
    targets, weights = torch.randint(999, (50,)), torch.full((50,), 0.02)
    plain = head.linear_cross_entropy(h, w, bias, targets, weights)[0]
    (slope,) = torch.autograd.grad(plain, w)
    with torch.autocast("cpu", torch.bfloat16):
        low = head.linear_cross_entropy(h, w, bias, targets, weights)[0]
    (low_slope,) = torch.autograd.grad(low, w)
    assert low.dtype == low_slope.dtype == torch.float32
    assert low.item() != plain.item()
    assert low.item() == pytest.approx(plain.item(), rel=0.01)
    assert torch.nn.functional.cosine_similarity(low_slope.flatten(), slope.flatten(), 0) > 0.999


def test_no_masked_rows_is_no_loss(world: World) -> None:
    index = np.arange(3)
    objective = MaskedPrediction(world.model, world.template, Weam(mask_probability=1e-9), "weam")
    ((batch, work),) = objective.collate(world.rows, index, [index], np.random.default_rng(0))
    loss = objective.loss(batch, CPU)
    loss.total.backward()
    assert loss.total.item() == work.rows == 0
    assert not any(gradient.any() for gradient in gradients(world.model))


def test_gradients_repeat_with_several_threads(world: World) -> None:
    """Partners that many sub-words receive from get their gradients in one order."""
    batch = with_edges([(i % 9, 9 + i % 3) for i in range(9)], 12, "mean")
    batch = batch._replace(
        edges=Edges(
            np.arange(2000) % 12,
            np.sort(np.arange(20_000) % 2000),
            np.arange(20_000) % 7,
            np.ones(20_000, dtype=np.float32),
        )
    )
    batch = batch._replace(edges=batch.edges._replace(aligned=np.arange(2000)))
    threads, slopes = torch.get_num_threads(), []
    try:
        torch.set_num_threads(4)
        for _ in range(20):
            vectors = torch.linspace(0, 1, 12 * 64).reshape(12, 64).requires_grad_()
            weights = torch.linspace(-1, 1, 2000 * 64).reshape(2000, 64)
            (exchanged(vectors, batch, CPU) * weights).sum().backward()
            assert vectors.grad is not None
            slopes.append(vectors.grad)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(slope, slopes[0]) for slope in slopes)


@pytest.mark.parametrize("objective", ["mlm", "tlm", "weam"])
def test_masks(world: World, objective: str) -> None:
    index = np.arange(world.rows.count)
    kinds: dict[str, type[Masking]] = {"mlm": Mlm, "tlm": Tlm, "weam": Weam}
    task = MaskedPrediction(world.model, world.template, kinds[objective](mask_probability=0.3), objective)
    chosen = total = hidden = same = 0
    for seed in range(60):
        ((batch, work),) = task.collate(world.rows, index, [index], np.random.default_rng(seed))
        layout, _ = task.masks(world.rows, index, np.random.default_rng(seed))
        assert len(layout.inputs.ids) == len(index) * (2 if objective == "mlm" else 1)
        assert layout.plain.reshape(-1)[batch.positions].all(), "a special or padding position was masked"
        assert layout.inputs.ids.reshape(-1)[batch.positions].tolist() == batch.labels.tolist()
        assert not np.isin(layout.inputs.ids[layout.plain], world.template.special).any()
        assert batch.predicted == len(batch.positions)
        assert work.tokens == batch.inputs.attention.sum()
        values = batch.inputs.ids.reshape(-1)[batch.positions]
        random_values = values[(values != world.template.mask) & (values != batch.labels)]
        assert not np.isin(random_values, world.template.special).any()
        chosen, total = chosen + len(batch.positions), total + layout.plain.sum()
        hidden += (values == world.template.mask).sum()
        same += (values == batch.labels).sum()
    assert chosen / total == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / total))
    assert hidden / chosen == pytest.approx(0.8, abs=0.02)
    assert same / chosen == pytest.approx(0.1, abs=0.02)


def test_masks_do_not_depend_on_how_a_batch_is_cut(world: World) -> None:
    index = np.arange(10)
    objective = MaskedPrediction(world.model, world.template, Weam(), "weam")
    cuts = ([index], [index[:4], index[4:]], [index[::2], index[1::2]])
    seen = []
    for parts in cuts:
        pieces = objective.collate(world.rows, index, parts, np.random.default_rng(1))
        tokens = {}
        for part, (batch, _) in zip(parts, pieces, strict=True):
            for row, place in enumerate(part):
                tokens[int(place)] = batch.inputs.ids[row, : batch.inputs.lengths[row]].tolist()
        seen.append((tokens, sum(work.rows for _, work in pieces), pieces[0][0].predicted))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("objective", ["mlm", "tlm"])
def test_whole_words_are_masked(world: World, objective: str) -> None:
    index = np.arange(world.rows.count)
    settings = Tlm(mask_probability=0.5, mask_unit="word")
    task = MaskedPrediction(world.model, world.template, settings, objective)
    layout, masks = task.masks(world.rows, index, np.random.default_rng(0))
    assert layout.second is None or objective == "tlm"
    shares = []
    for number, values in enumerate(world.values):
        sides = {"source": (number, layout.first[number])}
        if layout.second is not None:
            sides["target"] = (number, layout.second[number])
        else:
            sides["target"] = (number + len(index), layout.first[number + len(index)])
        for side, (row, start) in sides.items():
            words = np.array(values[f"{side}_word"])
            chosen = masks.chosen[row, start : start + len(words)]
            for word in np.unique(words):
                assert len(set(chosen[words == word].tolist())) == 1, "a word is masked in part"
                shares.append(chosen[words == word][0])
    several = [max(np.bincount(row[f"{side}_word"])) for row in world.values for side in ("source", "target")]
    assert max(several) > 1, "no word of several sub-words"
    assert np.mean(shares) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(shares)))


@pytest.mark.parametrize(
    "more", ["", ', "mask_unit": "word", "micro_batch": 3', ', "precision": "bf16"'], ids=["default", "words", "bf16"]
)
def test_lambda_zero_is_tlm_bit_for_bit(tmp_path: Path, more: str) -> None:
    from weam.cli import main

    backbone = tiny.make(tmp_path)
    common = ["--model", str(backbone), "--shards", str(tmp_path / "pairs" / "manifest.json"), "--seed", "3"]
    settings = '{"max_steps": 6, "batch_size": 8%s%s}'
    for objective, extra in (("tlm", ""), ("weam", ', "cross_weight": 0')):
        arguments = [*common, "--settings", settings % (more, extra), "--work", str(tmp_path / "w")]
        assert main(["pretrain", "--objective", objective, *arguments, "--out", str(tmp_path / objective)]) == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("tlm", "weam")]
    assert weights[0] == weights[1]
    assert weights[0] != (backbone / "model.safetensors").read_bytes()


def test_word_align_against_reference(world: World) -> None:
    """Loop over words: last sub-word, one-to-one links, [CLS] and [SEP] as links, frozen model for the regulariser."""
    model, template = world.model, world.template
    index = np.arange(0, 10)
    settings = WordAlign(regularisation=0.5)
    objective = WordAlignment(model, template, settings)
    with torch.no_grad():
        for parameter in objective.frozen.parameters():
            parameter.add_(0.01)  # so that the regulariser is not zero
    align, stay = [], []
    for i in index:
        vectors, spans = {}, {}
        for side in ("source", "target"):
            ids = world.values[i][f"{side}_ids"]
            sequence = torch.tensor([*template.prefix, *ids, *template.suffix])[None]
            vectors[side] = model.base_model(input_ids=sequence).last_hidden_state[0]
            if side == "source":
                initial = objective.frozen(input_ids=sequence).last_hidden_state[0]
            whole = world.values[i][f"{side}_whole"]
            words = enumerate(world.values[i][f"{side}_word"])
            spans[side] = {word: len(template.prefix) + place for place, word in words if word < whole}
        ends = [(0, 0), (len(vectors["source"]) - 1, len(vectors["target"]) - 1)]
        pairs = list(zip(world.values[i]["one_source"], world.values[i]["one_target"], strict=True))
        for a, b in [(spans["source"][a], spans["target"][b]) for a, b in pairs] + ends:
            align.append((vectors["source"][a] - vectors["target"][b]).pow(2))
        stay += [(vectors["source"][place] - initial[place]).pow(2) for place in spans["source"].values()]
    expected = torch.stack(align).mean() + 0.5 * torch.stack(stay).mean()
    model.zero_grad()
    expected.backward()
    slopes = gradients(model)
    for parts in ([index], [index[:3], index[3:]], [index[::2], index[1::2]]):
        losses = [
            objective.loss(batch, CPU)
            for batch, _ in objective.collate(world.rows, index, parts, np.random.default_rng(0))
        ]
        total = sum(loss.total for loss in losses)
        torch.testing.assert_close(total, expected.detach(), rtol=1e-9, atol=1e-9)
        total.backward()  # type: ignore[union-attr]
        for one, other in zip(gradients(model), slopes, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-9)
    assert all(parameter.grad is None for parameter in objective.frozen.parameters())


def test_word_align_leaves_out_long_pairs(world: World) -> None:
    index = np.arange(world.rows.count)
    objective = WordAlignment(world.model, world.template, WordAlign(max_words=6))
    longest = [max(row["source_words"], row["target_words"]) for row in world.values]
    pieces = objective.collate(world.rows, index, [index[:20], index[20:]], np.random.default_rng(0))
    assert 0 < sum(work.examples for _, work in pieces) == sum(words <= 6 for words in longest) < len(index)
    none = WordAlignment(world.model, world.template, WordAlign(max_words=1))
    assert none.collate(world.rows, index, [index], np.random.default_rng(0)) == []


def test_flops_are_those_of_the_design() -> None:
    """mBERT: 174.6 MFLOP per token at length 128, 184.8 MFLOP per predicted row."""

    class config:
        num_hidden_layers, hidden_size, intermediate_size, vocab_size = 12, 768, 3072, 119547

    flops = Flops(config)
    assert flops.encoder(np.array([128])) / 128 == pytest.approx(174.6e6, rel=1e-3)
    assert flops.head(1) == pytest.approx(184.8e6, rel=1e-3)


def test_word_vectors() -> None:
    vectors = torch.arange(12.0).reshape(6, 2)
    spans = torch.tensor([[1, 3], [4, 4]])
    assert torch.equal(word_vectors(vectors, spans, "last"), vectors[[3, 4]])
    assert torch.equal(word_vectors(vectors, spans, "first"), vectors[[1, 4]])
    assert torch.equal(word_vectors(vectors, spans, "mean"), torch.stack([vectors[1:4].mean(0), vectors[4]]))
