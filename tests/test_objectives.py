"""The objectives against their definitions: the paper's figure, a literal dense reference, and special cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from weam import modeling
from weam.config import Weam, WordAlign
from weam.objectives import exchanged, masked_loss, word_align_loss, word_vectors
from weam.pairs import MaskedBatch, Shards, pair_batch, word_batch
from weam.subwords import Subwords, Template

CPU = torch.device("cpu")
TEMPLATE = Template([1], [2], [2], 0, 4, [0, 1, 2, 3, 4], 50, True)


class FakeShards:
    """One hand-made pair with the interface of Shards."""

    template = TEMPLATE

    def __init__(self, **columns: list[int]) -> None:
        self.columns = columns

    def row(self, column: str, index: int) -> Any:
        del index
        return np.array(self.columns[column])


def figure() -> FakeShards:
    """Figure 1: "Is it raining today ?" and 今天 下雨 吗 ?, links raining-下雨, today-今天, ?-?."""
    return FakeShards(
        source_ids=[10, 11, 12, 13, 14],
        target_ids=[20, 21, 22, 23],
        link_source=[2, 3, 4],
        link_target=[1, 0, 3],
    )


def set_masked(batch: MaskedBatch, positions: list[int], edges: list[tuple[int, int]]) -> MaskedBatch:
    """The batch with exactly these flat positions masked; edges are (position, partner)."""
    place = {position: row for row, position in enumerate(positions)}
    kept = sorted((place[a], b) for a, b in edges if a in place)
    return batch._replace(
        positions=np.array(positions),
        labels=batch.inputs.ids.reshape(-1)[positions],
        partner_row=np.array([row for row, _ in kept], dtype=np.int64),
        partner_position=np.array([b for _, b in kept], dtype=np.int64),
    )


def figure_batch() -> MaskedBatch:
    settings = Weam(mask_probability=0.999, mask_token_share=0, random_token_share=0)
    return pair_batch(figure(), np.array([0]), settings, np.random.default_rng(0))  # type: ignore[arg-type]


def test_figure_exchange_order() -> None:
    batch = figure_batch()
    assert batch.inputs.ids.tolist() == [[1, 10, 11, 12, 13, 14, 2, 20, 21, 22, 23, 2]]
    assert batch.inputs.segments is not None
    assert batch.inputs.segments.tolist() == [[0] * 7 + [1] * 5]
    order = list(range(12))
    for row, partner in zip(batch.partner_row, batch.partner_position, strict=True):
        order[batch.positions[row]] = int(partner)
    assert order == [0, 1, 2, 8, 7, 10, 6, 4, 3, 9, 5, 11]


def test_figure_rows_and_labels() -> None:
    """With masked {1, 3, 7}: L_mp reads rows 1, 3, 7; L_cp reads rows 1, 8, 4; labels are the original tokens."""
    edges = [(3, 8), (8, 3), (4, 7), (7, 4), (5, 10), (10, 5)]
    batch = set_masked(figure_batch(), [1, 3, 7], edges)
    assert batch.labels.tolist() == [10, 12, 20]
    vectors = torch.eye(12)
    aligned, swapped = exchanged(vectors, *map(torch.from_numpy, batch[3:5]), 3, "mean")
    assert aligned.tolist() == [1, 2]
    assert swapped.argmax(dim=1).tolist() == [8, 4]


def test_exchange_twice_is_identity_for_one_to_one_links() -> None:
    vectors = torch.randn(6, 4)
    rows, partners = torch.arange(6), torch.tensor([3, 5, 4, 0, 2, 1])
    _, once = exchanged(vectors, rows, partners, 6, "mean")
    _, twice = exchanged(once, rows, partners, 6, "mean")
    assert torch.equal(twice, vectors)


def test_exchange_first_takes_the_leftmost_partner() -> None:
    vectors = torch.arange(8.0).reshape(4, 2)
    rows, partners = torch.tensor([0, 2, 2]), torch.tensor([3, 1, 2])
    aligned, first = exchanged(vectors, rows, partners, 3, "first")
    assert aligned.tolist() == [0, 2]
    assert torch.equal(first, vectors[[3, 1]])
    _, mean = exchanged(vectors, rows, partners, 3, "mean")
    assert torch.equal(mean, torch.stack([vectors[3], (vectors[1] + vectors[2]) / 2]))


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Shards]:
    folder = tmp_path_factory.mktemp(request.param)
    backbone = tiny.make(folder, request.param, max_length=20)
    model = modeling.load(backbone, "masked_lm").double().eval()
    return model, Shards(folder / "pairs" / "manifest.json", "pairs", Subwords(backbone).sha256)


def dense_loss(model: Any, shards: Shards, index: Any, batch: MaskedBatch, weight: float, how: str) -> torch.Tensor:
    """The definition, literally: one pair at a time, dense alignment matrix, head on every position."""
    template = shards.template
    total = torch.zeros((), dtype=torch.float64)
    width = batch.inputs.ids.shape[1]
    masked = set(batch.positions.tolist())
    labels = dict(zip(batch.positions.tolist(), batch.labels.tolist(), strict=True))
    for number, i in enumerate(index):
        source, target = shards.row("source_ids", i), shards.row("target_ids", i)
        length = template.pair_overhead + len(source) + len(target)
        ids = torch.from_numpy(batch.inputs.ids[number, :length])[None]
        arguments = {"input_ids": ids}
        if batch.inputs.segments is not None:
            arguments["token_type_ids"] = torch.from_numpy(batch.inputs.segments[number, :length])[None]
        r = model.base_model(**arguments).last_hidden_state[0]
        links = torch.zeros(length, length, dtype=torch.float64)
        offset = len(template.prefix) + len(source) + len(template.middle)
        for a, b in zip(shards.row("link_source", i), shards.row("link_target", i), strict=True):
            links[len(template.prefix) + a, offset + b] = links[offset + b, len(template.prefix) + a] = 1
        for position in range(length):
            partners = links[position].nonzero().squeeze(1)
            if not len(partners):
                links[position, position] = 1
            elif how == "first":
                links[position, partners[1:]] = 0
        exchanged_r = (links / links.sum(1, keepdim=True)) @ r
        head = model.cls if hasattr(model, "cls") else model.lm_head
        own, swapped = head(r).log_softmax(-1), head(exchanged_r).log_softmax(-1)
        for position in range(length):
            if number * width + position in masked:
                label = labels[number * width + position]
                total = total - own[position, label] - weight * swapped[position, label]
    return total


@pytest.mark.parametrize(("weight", "how"), [(0.0, "mean"), (1.0, "mean"), (0.7, "first")])
def test_against_dense_reference(world: tuple[Any, Shards], weight: float, how: str) -> None:
    model, shards = world
    index = np.arange(0, 12)
    settings = Weam(mask_probability=0.4)
    batch = pair_batch(shards, index, settings, np.random.default_rng(3))
    assert len(batch.partner_row), "the batch must have links"
    assert max(np.bincount(batch.partner_row)) > 1, "and many-to-many ones"
    model.zero_grad()
    fast = masked_loss(model, batch, CPU, weight, how)
    fast.total.backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    slow = dense_loss(model, shards, index, batch, weight, how)
    slow.backward()
    assert fast.count == len(batch.positions)
    torch.testing.assert_close(fast.total, slow, rtol=1e-9, atol=1e-9)
    for got, parameter in zip(gradients, (p for p in model.parameters() if p.grad is not None), strict=True):
        torch.testing.assert_close(got, parameter.grad, rtol=1e-5, atol=1e-7)


def test_masks(world: tuple[Any, Shards]) -> None:
    _, shards = world
    index = np.arange(shards.rows)
    chosen = total = hidden = same = 0
    for seed in range(60):
        batch = pair_batch(shards, index, Weam(mask_probability=0.3), np.random.default_rng(seed))
        flat = batch.inputs.maskable.reshape(-1)
        assert flat[batch.positions].all(), "a special or padding position was masked"
        assert not np.isin(batch.labels, shards.template.special).any()
        values = batch.inputs.ids.reshape(-1)[batch.positions]
        random_values = values[(values != shards.template.mask) & (values != batch.labels)]
        assert not np.isin(random_values, shards.template.special).any()
        chosen, total = chosen + len(batch.positions), total + flat.sum()
        hidden += (values == shards.template.mask).sum()
        same += (values == batch.labels).sum()
    assert chosen / total == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / total))
    assert hidden / chosen == pytest.approx(0.8, abs=0.02)
    assert same / chosen == pytest.approx(0.1, abs=0.02)


def test_lambda_zero_is_tlm_bit_for_bit(tmp_path: Path) -> None:
    from weam.cli import main

    backbone = tiny.make(tmp_path)
    common = ["--model", str(backbone), "--shards", str(tmp_path / "pairs" / "manifest.json"), "--seed", "3"]
    settings = '{"max_steps": 6, "batch_size": 8%s}'
    for objective, extra in (("tlm", ""), ("weam", ', "cross_weight": 0')):
        arguments = [*common, "--settings", settings % extra, "--work", str(tmp_path / "w")]
        assert main(["pretrain", "--objective", objective, *arguments, "--out", str(tmp_path / objective)]) == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("tlm", "weam")]
    assert weights[0] == weights[1]
    assert weights[0] != (backbone / "model.safetensors").read_bytes()


def test_word_align_against_reference(world: tuple[Any, Shards]) -> None:
    """Loop over words: last sub-word, one-to-one links, [CLS] and [SEP] as links, frozen model for the regulariser."""
    model, shards = world
    index = np.arange(0, 10)
    template = shards.template
    frozen = modeling_copy(model)
    loss = word_align_loss(model, frozen, word_batch(shards, index), CPU, WordAlign(regularisation=0.5)).total
    align, stay = [], []
    for i in index:
        vectors, spans = {}, {}
        for side in ("source", "target"):
            ids = shards.row(f"{side}_ids", i)
            sequence = torch.tensor([*template.prefix, *ids.tolist(), *template.suffix])[None]
            vectors[side] = model.base_model(input_ids=sequence).last_hidden_state[0]
            if side == "source":
                initial = frozen(input_ids=sequence).last_hidden_state[0]
            spans[side] = {int(w): len(template.prefix) + p for p, w in enumerate(shards.row(f"{side}_word", i))}
        ends = [(0, 0), (len(vectors["source"]) - 1, len(vectors["target"]) - 1)]
        pairs = list(zip(shards.row("one_source", i).tolist(), shards.row("one_target", i).tolist(), strict=True))
        for a, b in [(spans["source"][a], spans["target"][b]) for a, b in pairs] + ends:
            align.append((vectors["source"][a] - vectors["target"][b]).pow(2))
        stay += [(vectors["source"][place] - initial[place]).pow(2) for place in spans["source"].values()]
    expected = torch.stack(align).mean() + 0.5 * torch.stack(stay).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)


def modeling_copy(model: Any) -> Any:
    """A frozen encoder that differs from the model, so that the regulariser is not zero."""
    import copy

    frozen = copy.deepcopy(model.base_model)
    with torch.no_grad():
        for parameter in frozen.parameters():
            parameter.add_(0.01)
    return frozen


def test_word_vectors() -> None:
    vectors = torch.arange(12.0).reshape(6, 2)
    spans = torch.tensor([[1, 3], [4, 4]])
    assert torch.equal(word_vectors(vectors, spans, "last"), vectors[[3, 4]])
    assert torch.equal(word_vectors(vectors, spans, "first"), vectors[[1, 4]])
    assert torch.equal(word_vectors(vectors, spans, "mean"), torch.stack([vectors[1:4].mean(0), vectors[4]]))
