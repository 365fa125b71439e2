"""Are words aligned? Contextual word retrieval (Cao, Kitaev and Klein 2020, arXiv 2002.03518), layer by layer.

Of sentence pairs with gold word alignments, every English word with one partner looks for it among the words of all
sentences of the other language, and the other way round. A word in its context is the vector of its last sub-word;
nearest is by CSLS (Conneau et al. 2018, arXiv 1710.04087) with 10 neighbours. Only the partner itself is right, not
the same word elsewhere; of equally near words (alike in layer 0: the same word at the same place) the first is taken.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from weam import modeling
from weam.batches import Ints, Rows
from weam.collate import WORD_KEY, Floats, lay_out, word_spans
from weam.embeddings import first_layers, recorded, token_batches
from weam.errors import UserError
from weam.io import write_json
from weam.links import Link, whole_words, words_of_subwords
from weam.neighbours import csls_penalty, nearest
from weam.objectives import full, model_inputs, tensor
from weam.processes import add_device_arguments, set_device
from weam.progress import Progress
from weam.readers import Release
from weam.readers.gold import GoldPair, read_gold
from weam.settings import read_label
from weam.subwords import Subwords, Template

NEIGHBOURS = 10
"""The k of CSLS, as in both papers."""
MEMORY = 1 << 30
"""Bytes of word vectors that are kept together: of many words, a few layers at a time are computed."""
UNSPACED = ("zh", "ja", "th", "lo", "km", "my")
"""Languages written without spaces between words."""
SCHEMA = pa.schema([(name, pa.list_(pa.int32())) for name in ("ids", "words")] + [("whole", pa.int32())])


class Side(NamedTuple):
    """The sentences of one language. W words that are left whole."""

    rows: Rows
    """columns ``ids``, ``words`` (word of each sub-word) and ``whole`` (words before the first that was cut)"""
    keys: Ints
    """[W] ``sentence * WORD_KEY + word``, ascending"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="folder of a masked language model")
    parser.add_argument("--manifest", required=True, type=Path, help="manifest of a source of gold word alignments")
    parser.add_argument("--language", required=True, help="language that is aligned with English")
    parser.add_argument("--label", default="{}", help="JSON object copied into the result (system, seed, ...)")
    parser.add_argument("--out", required=True, type=Path, help="JSON file to make")
    add_device_arguments(parser)


def run(args: argparse.Namespace) -> None:
    label = read_label(args.label)
    device = set_device(args.device, args.threads)
    gold = read_gold(Release(args.manifest), args.language)
    subwords = Subwords(args.model)
    model = modeling.load(args.model, "masked_lm", subwords).to(device).eval()
    english, other = read_sides(gold, args.language, subwords, modeling.positions(model))
    places = linked_places(gold, english.keys, other.keys)
    links = sum(map(len, map(one_to_one, gold)))
    if not places.size:
        raise UserError(f"{args.manifest}: no word has one partner of its own; give sentences with more sure links")
    if len(places) < links:
        print(
            f"word_retrieval: {links - len(places)} of {links} links left out: their words have no sub-words of their "
            "own, or stand behind the model's last position",
            file=sys.stderr,
        )
    layers = []
    with Progress("word_retrieval", int(model.config.num_hidden_layers) + 1, "layers") as progress:
        for layer, left, right in word_layers(model, (english, other), subwords.template, device):
            forward, reverse = accuracies(left, right, places, device)
            layers.append({"layer": layer, "forward": forward, "reverse": reverse, "accuracy": (forward + reverse) / 2})
            progress.step(accuracy=layers[-1]["accuracy"])
    found = {"lang": args.language, "layers": layers, "words": len(places), "sentences": len(gold)}
    write_json(args.out, label | found)


def read_sides(gold: Sequence[GoldPair], language: str, subwords: Subwords, positions: int) -> tuple[Side, Side]:
    """Both sides of the gold sentences, tokenised as shards are: as whole sentences, each sub-word given to a word."""
    return (
        _side([pair.english for pair in gold], " ", subwords, positions),
        _side([pair.other for pair in gold], "" if language.split("-")[0] in UNSPACED else " ", subwords, positions),
    )


def _side(sentences: Sequence[list[str]], space: str, subwords: Subwords, positions: int) -> Side:
    room = positions - len(subwords.template.prefix) - len(subwords.template.suffix)
    texts = [space.join(words) for words in sentences]
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for words, text, encoding in zip(sentences, texts, subwords.encode(texts), strict=True):
        owners = words_of_subwords(text, words, encoding.offsets)
        columns["ids"].append(encoding.ids[:room])
        columns["words"].append(owners[:room])
        columns["whole"].append(whole_words(owners, room, len(words)))
    rows = Rows(pa.table(columns, schema=SCHEMA))
    every = np.arange(rows.count)
    spans = word_spans(rows.ragged("words", every), rows.integers("whole", every), 0 * every, 0)
    return Side(rows, spans.keys)


def one_to_one(pair: GoldPair) -> list[Link]:
    """Sure links of two words that have no other link, not even a possible one."""
    left, right = (Counter(link[side] for link in pair.possible) for side in (0, 1))
    return sorted((i, j) for i, j in pair.sure if left[i] == right[j] == 1)


def linked_places(gold: Sequence[GoldPair], english: Ints, other: Ints) -> Ints:
    """[P, 2] places of linked words among those of either side; links of words that are not there are left out."""
    linked = [
        (number * WORD_KEY + i, number * WORD_KEY + j) for number, pair in enumerate(gold) for i, j in one_to_one(pair)
    ]
    keys = np.array(linked, dtype=np.int64).reshape(-1, 2)
    there = np.isin(keys[:, 0], english) & np.isin(keys[:, 1], other)
    return np.stack([np.searchsorted(side, keys[there, i]) for i, side in enumerate((english, other))], axis=1)


def word_layers(
    model: Any, sides: tuple[Side, Side], template: Template, device: torch.device
) -> Iterator[tuple[int, Floats, Floats]]:
    """Every layer with the vectors of both sides' words, [W, D] of length 1."""
    encoder, layers = model.base_model, int(model.config.num_hidden_layers) + 1
    size = 4 * int(model.config.hidden_size) * sum(len(side.keys) for side in sides)
    together = max(1, MEMORY // size)
    for first in range(0, layers, together):
        chosen = range(first, min(first + together, layers))
        left, right = (_word_vectors(encoder, side, template, chosen, device) for side in sides)
        for number, layer in enumerate(chosen):
            yield layer, left[number], right[number]


@torch.inference_mode()
def _word_vectors(encoder: Any, side: Side, template: Template, layers: range, device: torch.device) -> Floats:
    """[layers, W, D]"""
    vectors = np.zeros((len(layers), len(side.keys), int(encoder.config.hidden_size)), dtype=np.float32)
    lengths = side.rows.lengths("ids") + len(template.prefix) + len(template.suffix)
    with first_layers(encoder, layers[-1]), recorded(encoder, layers) as states:
        for batch in token_batches(lengths, np.argsort(-lengths, kind="stable"), device):
            layout = lay_out(side.rows.ragged("ids", batch), None, template)
            words, whole = side.rows.ragged("words", batch), side.rows.integers("whole", batch)
            keys, spans = word_spans(words, whole, layout.first, layout.inputs.ids.shape[1])
            places = np.searchsorted(side.keys, batch[keys // WORD_KEY] * WORD_KEY + keys % WORD_KEY)
            last = tensor(spans[:, 1], device)
            encoder(**model_inputs(layout.inputs, device))
            for number, layer in enumerate(layers):
                word_WD = full(states[layer].flatten(0, 1).index_select(0, last))
                vectors[number, places] = torch.nn.functional.normalize(word_WD, dim=1).cpu().numpy()
    return vectors


def accuracies(left: Floats, right: Floats, places: Ints, device: torch.device) -> tuple[float, float]:
    """Percent of linked words (``places`` [P, 2]) whose nearest word of the other side is their partner, both ways."""
    scores = []
    for queries, candidates, (query, partner) in ((left, right, places.T), (right, left, places.T[::-1])):
        penalty = csls_penalty(queries, candidates, NEIGHBOURS, device)
        found = nearest(queries[query], candidates, 1, device, penalty)
        scores.append(100 * float((found.places[:, 0] == partner).mean()))
    return scores[0], scores[1]
