"""Alignment of Tatoeba against gold: error rates as measured before, and beside an independent implementation."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from aligner import Pair, tools
from releases import make_release
from test_align import write_text

from weam.cli import main
from weam.metrics.aer import score_links
from weam.readers import Release
from weam.readers.gold import read_gold

pytestmark = pytest.mark.realdata
# language: archive and member of the pairs, format and file of the gold links
SOURCES = {
    "de": ("deu-eng.zip", "deu.txt", "bicici", "de-en-bicici-100.zip"),
    "es": ("spa-eng.zip", "spa-eng/spa.txt", "xlwa", "xlwa-en-es.dev.tsv"),
}


@pytest.fixture(scope="module", params=["de", "es"])
def aligned(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Pair], Path, Any]:
    """Language, pairs (words in lower case), the manifest of the gold links, and what the align stage made of it."""
    language, folder = request.param, tmp_path_factory.mktemp("aligned")
    archive, member, kind, file = SOURCES[language]
    with zipfile.ZipFile(shared_data / "manythings" / archive) as packed:
        rows = packed.read(member).decode("utf-8").split("\n")[:30_000]
    sides = [[re.findall(r"\w+|[^\w\s]", side.lower()) for side in row.split("\t")[:2]] for row in rows]
    pairs: list[Pair] = [(first, second) for first, second in sides]
    gold = make_release(folder / "gold", kind, ["en", language], {file: (shared_data / "align" / file).read_bytes()})
    command = ["align", "--text", write_text(folder / "text.parquet", pairs, 5000), "--languages", "en", language]
    command += ["--tools", tools(), "--out", folder / "links.txt", "--quality", folder / "q.json", "--gold", gold]
    assert main([*map(str, command)]) == 0
    return language, pairs, gold, json.loads((folder / "q.json").read_text())["gold"]


def test_error_rates_are_those_measured(aligned: tuple[str, list[Pair], Path, Any]) -> None:
    measured = {"de": (0.390, 0.357, 0.362), "es": (0.353, 0.344, 0.324)}
    found = [aligned[3][direction]["aer"] for direction in ("forward", "reverse", "symmetrised")]
    assert found == pytest.approx(measured[aligned[0]], abs=0.005)


def test_an_independent_implementation_has_the_same_error_rates(aligned: tuple[str, list[Pair], Path, Any]) -> None:
    """sil-thot's FastAlign: within 0.3 points in each direction."""
    thot = pytest.importorskip("thot.alignment", reason="sil-thot is not installed (pip install sil-thot)")
    language, pairs, manifest, ours = aligned
    gold = read_gold(Release(manifest), language)
    known = [([w.lower() for w in pair.english], [w.lower() for w in pair.other]) for pair in gold]
    for direction in ("forward", "reverse"):
        model = thot.FastAlignModel()
        model.variational_bayes = True
        for pair in [*pairs, *known]:
            source, target = pair if direction == "forward" else pair[::-1]
            model.add_sentence_pair(source, target, 1)
        model.start_training()
        for _ in range(4):  # our fifth iteration only aligns
            model.train()
        model.end_training()
        triples = []
        for (english, other), pair in zip(known, gold, strict=True):
            source, target = (english, other) if direction == "forward" else (other, english)
            _, matrix = model.get_best_alignment(source, target)
            links = {(i, j) for i in range(len(source)) for j in range(len(target)) if matrix[i, j]}
            triples.append((links if direction == "forward" else {(j, i) for i, j in links}, pair.sure, pair.possible))
        assert score_links(triples).aer == pytest.approx(ours[direction]["aer"], abs=0.003), direction
