"""How much data a stage will work on: what is there is counted, the rest is estimated.

Shards note their rows and sub-words. Before they are made, numbers of examples are those of the table of sources
(``examples``) or of the mini world's sizes, and lengths are means of the kind of text in mBERT's sub-words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from weam.config import Config
from weam.errors import UserError
from weam.io import read_object

TYPICAL = {"mono": 128, "pairs": 80, "qa": 185, "nli": 40, "copa": 40, "pos": 30, "ner": 15, "retrieval": 30}
"""Mean sub-words of a sequence by what it is of, special tokens included; of questions, a window."""
MINI = {"mono": 34, "pairs": 22, "qa": 33, "nli": 24, "copa": 24, "pos": 10, "ner": 10, "retrieval": 12}
"""The same of the mini world, with a vocabulary of :data:`VOCABULARY`."""
VOCABULARY, GROWTH = 3200, 0.28
"""A smaller vocabulary makes longer sequences, by about its size to minus this power (measured at 1000 too)."""
UNKNOWN = 5000
"""Examples of a language in a source of which no number is known."""
BYTES_OF_PAIR = 105
"""Of a packed corpus, for a pair: Europarl and MultiUN of OPUS have 99 to 119."""
SEQUENCES = {"copa": 2}
"""Sequences of an example, where it is not one."""
TRAINING = {"qa": "questions", "nli": "inferences", "copa": "choices", "pos": "sentences", "ner": "sentences"}
TESTS = {"qa": "test_questions", "nli": "test_inferences", "copa": "test_choices", "retrieval": "test_sentences"}
TESTS |= {"pos": "test_sentences", "ner": "test_sentences"}
"""Family of tasks to the key of the block ``mini`` that says how many examples there are."""


class Amount(NamedTuple):
    """Examples and their mean length in sub-words; ``counted`` in shards that are there, else estimated."""

    examples: int
    length: float
    counted: bool = False


def is_mini(config: Config, source: str) -> bool:
    return config.sources[source].url.startswith("mini:")


def unknown(config: Config) -> list[str]:
    """Sources of which neither a number of examples is noted nor, of pairs, the size of the files."""
    gold, pairs = set(config.data.gold.values()), {name for names in config.data.parallel.values() for name in names}
    return sorted(
        name
        for name, entry in config.sources.items()
        if not is_mini(config, name)
        and name not in gold
        and entry.examples is None
        and (name not in pairs or None in [file.bytes for file in entry.files.values()])
    )


def length(config: Config, source: str, kind: str) -> float:
    """Mean sub-words of a sequence of this kind from a source."""
    if not is_mini(config, source):
        return float(TYPICAL[kind])
    vocabulary = VOCABULARY if config.backbone.name_or_path else config.backbone.vocab_size
    return float(MINI[kind] * (VOCABULARY / vocabulary) ** GROWTH)


def shards(config: Config, manifest: Path) -> Amount:
    """Of the shards with this manifest, or that will have it; a pair's length is that of both sides together.

    Raises:
        UserError: the manifest is there and is none of shards.
    """
    parts = re.search(r"shards/(mono|en-([^/]+))/(?:subset-(\d+)/)?manifest\.json$", str(manifest))
    if not parts:
        raise UserError(f"{manifest}: not a name of shards; it ends in shards/mono/… or shards/en-<language>/…")
    for place in dict.fromkeys((manifest, Path(str(manifest).replace(f"subset-{parts[3]}/", "")))):
        if place.is_file():
            return _counted(place, int(parts[3]) if parts[3] else None)
    if parts[1] == "mono":
        sources, kind, sizes = config.data.monolingual, "mono", config.mini.documents
    else:
        sources, kind, sizes = config.data.parallel[parts[2]], "pairs", config.mini.pairs
    rows = 0
    for source in sources:
        languages = config.sources[source].languages if kind == "mono" else [parts[2]]
        shares = [config.mini.scarce.get(lang, 1.0) for lang in languages]
        rows += round(sizes * sum(shares)) if is_mini(config, source) else _noted(config, source, languages, kind)
    if kind == "pairs":
        rows = min(rows, config.text.max_pairs.get(parts[2]) or rows)
    return Amount(min(rows, int(parts[3] or rows)), length(config, sources[0], kind))


def _counted(manifest: Path, subset: int | None) -> Amount:
    found = read_object(manifest)
    try:
        rows, template = int(found["rows"]), found["template"]
        words = sum(int(count) for name, count in found["counts"].items() if re.fullmatch("sub-words.*", name))
        words -= sum(int(count) for name, count in found["counts"].items() if "link" in name and "sub-words" in name)
        special = sum(len(template[place]) for place in ("prefix", "suffix"))
        special += len(template["middle"]) if found["kind"] == "pairs" else 0
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{manifest}: not the manifest of shards ({error}); delete it to make it again") from None
    return Amount(min(rows, subset or rows), words / max(rows, 1) + special, counted=True)


def training(config: Config, source: str, family: str, language: str) -> Amount:
    """Of training data of a family of tasks."""
    if is_mini(config, source):
        found = int(getattr(config.mini, TRAINING[family]))
    else:
        found = _noted(config, source, [language])
    return Amount(found, length(config, source, family))


def test(config: Config, source: str, family: str, languages: list[str], axes: int) -> Amount:
    """Of a task's test data in some languages, or in their combinations (``axes`` 2: of context and question)."""
    if is_mini(config, source):
        found = int(getattr(config.mini, TESTS[family])) * len(languages)
    else:
        found = _noted(config, source, languages)
    return Amount(found * len(languages) ** (axes - 1), length(config, source, family))


def _noted(config: Config, source: str, languages: list[str], kind: str = "") -> int:
    """Examples in the table of sources, else as many as the packed files of pairs promise, else :data:`UNKNOWN`."""
    entry = config.sources[source]
    if isinstance(entry.examples, dict):
        return sum(entry.examples.get(language, UNKNOWN) for language in languages)
    if entry.examples is not None:
        return entry.examples * len(languages)
    sizes = [file.bytes for file in entry.files.values()]
    if kind == "pairs" and None not in sizes:
        return sum(size or 0 for size in sizes) // BYTES_OF_PAIR
    return UNKNOWN * len(languages)
