"""The order of examples: every row once per epoch, a function of the seed, resumable, mixed, read piece by piece."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from weam import batches
from weam.batches import InMemory, Mixture, Ragged, Rows, Stream, ahead, length_batches, spread


class Blocks:
    """Rows 0, 1, 2, ... in blocks of uneven sizes; counts what is read."""

    texts = ("ids",)

    def __init__(self, sizes: list[int], first: int = 0) -> None:
        self.blocks = np.array(sizes)
        self.starts = first + np.cumsum([0, *sizes])
        self.read_rows = 0

    def read(self, blocks: Any) -> pa.Table:
        assert list(blocks) == sorted(blocks)
        numbers = np.concatenate([np.arange(self.starts[b], self.starts[b + 1]) for b in blocks])
        self.read_rows += len(numbers)
        lengths = np.random.default_rng(0).integers(5, 100, size=100_000)[numbers]
        return pa.table({"row": numbers, "ids": [[0] * n for n in lengths]})


def drawn(mixture: Mixture, steps: int, first: int = 0) -> list[list[int]]:
    """Batches ``first`` to ``steps``."""
    taken = islice(mixture.batches(first), steps - first)
    return [rows.integers("row", index).tolist() for rows, index in taken]


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "WINDOW_ROWS", 300)


def test_every_row_comes_once_per_epoch() -> None:
    mixture = Mixture([Blocks([100] * 9 + [57, 100, 3])], 1, 16)
    assert mixture.steps == 67
    batches = drawn(mixture, 2 * 67)
    for epoch in (batches[:67], batches[67:]):
        assert sorted(flat(epoch)) == list(range(1060))
        assert sorted(map(len, epoch))[:2] == [4, 16], "one batch is smaller"
    assert batches[:67] != batches[67:]


def test_order_is_a_function_of_the_seed() -> None:
    orders = [drawn(Mixture([Blocks([100] * 10)], seed, 16), 63) for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    longer = drawn(Mixture([Blocks([100] * 10)], 1, 16), 100)
    assert longer[:63] == orders[0], "how long training lasts does not change where it begins"


def test_rows_of_a_window_come_from_distant_places() -> None:
    stream = Stream(Blocks([10] * 1000), 1, 0)
    window = np.array(stream.take(0, 300)[0].column("row").to_pylist())
    assert np.corrcoef(window, np.arange(300))[0, 1] < 0.2, "the rows are not in their order"
    assert len(np.unique(window // 1000)) >= 9, "and from all over the corpus"


@pytest.mark.parametrize("first", [0, 1, 31, 32, 33, 70, 124, 260])
@pytest.mark.parametrize("count", [1, 3])
def test_batches_can_start_anywhere(first: int, count: int) -> None:
    def mixture() -> Mixture:
        sources = [Blocks([50] * (8 + number), 10_000 * number) for number in range(count)]
        return Mixture(sources, 3, 8, temperature=2)

    whole = drawn(mixture(), 300)
    assert drawn(mixture(), 300, first) == whole[first:]


def test_a_resumed_run_reads_only_what_it_needs() -> None:
    source = Blocks([100] * 100)
    drawn(Mixture([source], 1, 16), 625, 600)
    assert source.read_rows < 1500


def test_only_one_window_is_read_at_a_time() -> None:
    source = Blocks([100] * 100)
    next(Mixture([source], 1, 4).batches())
    assert source.read_rows == 300


def test_padding_is_little() -> None:
    mixture = Mixture([Blocks([1000])], 1, 16)
    real = padded = 0
    for rows, index in islice(mixture.batches(), 63):
        lengths = rows.lengths("ids")[index]
        assert list(lengths) == sorted(lengths)
        real, padded = real + lengths.sum(), padded + len(index) * lengths.max()
    assert padded / real < 1.15


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 0.9), (2.0, 0.75), (1e9, 0.5)])
def test_temperature_evens_out_the_mixture(temperature: float, share: float) -> None:
    large, small = Blocks([900]), Blocks([100], 10_000)
    mixture = Mixture([large, small], 1, 16, temperature)
    assert mixture.shares[0] == pytest.approx(share)
    got = np.concatenate(drawn(mixture, 20 * mixture.steps))
    assert np.mean(got < 10_000) == pytest.approx(share, abs=4 * np.sqrt(0.25 / len(got)))
    counts = Counter(got[got >= 10_000].tolist())
    assert max(counts.values()) - min(counts.values()) <= 1, "each source comes epoch by epoch"


def test_batches_mix_the_sources() -> None:
    mixture = Mixture([Blocks([500]), Blocks([500], 10_000)], 1, 16)
    assert all(0 < sum(row < 10_000 for row in batch) < 16 for batch in drawn(mixture, 60))


def test_ragged_rows() -> None:
    rows = Rows(pa.table({"a": [[1, 2], [], [3, 4, 5]], "b": [7, 8, 9]}))
    got = rows.ragged("a", np.array([2, 1, 0, 2]))
    assert got.values.tolist() == [3, 4, 5, 1, 2, 3, 4, 5]
    assert got.lengths.tolist() == [3, 0, 2, 3]
    assert got.owners.tolist() == [0, 0, 0, 2, 2, 3, 3, 3]
    assert rows.integers("b", np.array([1, 0])).tolist() == [8, 7]
    assert spread(np.array([5, 9, 0]), np.array([2, 0, 3])).tolist() == [5, 6, 0, 1, 2]
    sliced = Rows(pa.table({"a": [[0], [1, 2], [3]]}).slice(1, 2))
    assert sliced.ragged("a", np.array([0, 1])).values.tolist() == [1, 2, 3]
    assert isinstance(got, Ragged)


def test_in_memory_source() -> None:
    source = InMemory(pa.table({"ids": [[1], [2, 2]], "row": [0, 1]}), ("ids",))
    assert sorted(flat(drawn(Mixture([source], 1, 2), 2))) == [0, 0, 1, 1]


def test_made_ahead_in_the_same_order() -> None:
    assert list(ahead(iter(range(20)))) == list(range(20))

    def failing() -> Any:
        yield 1
        raise ValueError("broken")

    items = ahead(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_prediction_takes_every_example_once() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, size=100)
    assert sorted(np.concatenate(length_batches(lengths, 7)).tolist()) == list(range(100))
