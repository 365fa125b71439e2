"""Who says what: the languages that a file needs, and what all files of the mini world draw and write alike."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from weam.config_data import Mini
from weam.errors import UserError
from weam.mini import lexicon
from weam.mini.grammar import Fact, Grammar, Statement, Token, check
from weam.mini.world import Sampler, Split

T = TypeVar("T")

Utterance = Statement | tuple[Fact, int]
"""A statement; or a question: the fact that answers it, and which question for it."""
TRIES = 1000
"""So often in a row what is drawn may be known already; then the mini world has no more of it."""


class Speakers:
    """The grammars of the languages that one file needs, and samplers for what it says."""

    def __init__(self, settings: Mini, folder: Path, languages: Sequence[str]) -> None:
        self.settings = settings
        self.world = lexicon.read_world(folder)
        self.english = lexicon.read_language(folder, "en", self.world)
        self.grammars = {}
        for code in languages:
            language = self.english if code == "en" else lexicon.read_language(folder, code, self.world)
            check(self.world, language, self.english)
            self.grammars[code] = Grammar(self.world, language)

    def rng(self, key: str) -> random.Random:
        return random.Random(f"{self.settings.seed}/{key}")

    def sampler(self, key: str, split: Split) -> Sampler:
        return Sampler(self.world, self.english, self.rng(key), split)


def distinct(draw: Callable[[], T], key: Callable[[T], Iterable[Hashable]], count: int, what: str) -> list[T]:
    """``count`` draws none of whose keys is a key of another one.

    Raises :class:`UserError` when there are not so many; ``what`` names them and the size that asks for them.
    """
    drawn: list[T] = []
    seen: set[Hashable] = set()
    tries = 0
    while len(drawn) < count:
        one = draw()
        keys = set(key(one))
        if not keys.isdisjoint(seen):
            tries += 1
            if tries == TRIES:
                raise UserError(f"the mini world has only {len(drawn)} different {what}, not {count}; ask for fewer")
            continue
        tries = 0
        seen |= keys
        drawn.append(one)
    return drawn


# -- sentences ---------------------------------------------------------------------------------------------------------


def utterance(sampler: Sampler) -> list[Utterance]:
    """A sentence, or (15 %) a question, or (10 %) two sentences."""
    kind = sampler.rng.random()
    if kind < 0.15:
        fact = sampler.sentence().facts[0]
        return [(fact, sampler.question(fact))]
    if kind < 0.25:
        return list(sampler.passage(2))
    return [sampler.sentence()]


def tokens(grammar: Grammar, said: Utterance) -> list[Token]:
    """The words of a statement or a question."""
    return grammar.statement(said) if isinstance(said, Statement) else grammar.question(*said)


def text(grammar: Grammar, said: Iterable[Utterance]) -> str:
    """Running text."""
    return grammar.passage(tokens(grammar, one) for one in said).text


def text_and_spans(grammar: Grammar, said: Sequence[Utterance]) -> tuple[str, list[tuple[int, int]]]:
    """Running text and where its sentences stand: (start, end) in characters."""
    whole = text(grammar, said)
    spans: list[tuple[int, int]] = []
    end = 0
    for one in said:
        sentence = text(grammar, [one])
        start = whole.index(sentence, end)
        end = start + len(sentence)
        spans.append((start, end))
    return whole, spans


def spaced(words: Iterable[Token]) -> str:
    """Words with blanks between them, also in languages that write none."""
    return " ".join(word.text for word in words)


# -- files, without the time of day in them ----------------------------------------------------------------------------


def dump(value: Any) -> str:
    """A line of JSON."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def write_text(out: Path, content: str) -> None:
    out.write_bytes(content.encode())


def write_gzip(out: Path, content: bytes) -> None:
    with open(out, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as stream:
        stream.write(content)


def write_zip(out: Path, members: Mapping[str, str]) -> None:
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, content.encode())


def write_tar_gz(out: Path, members: Mapping[str, str]) -> None:
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            data = content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    write_gzip(out, archived.getvalue())
