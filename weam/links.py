"""Pharaoh links; word links and sub-words of one pair (:mod:`weam.projection`: of many at once)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weam.batches import Ints
from weam.errors import UserError

Link = tuple[int, int]


def read_links(file: Iterable[str], path: Path, line: int, bounds: Link) -> list[Link]:
    """One line of Pharaoh links, checked against the numbers of words of both sides."""
    text = next(iter(file), None)
    if text is None:
        raise UserError(f"{path}: ends before line {line}; run the align stage again")
    links = []
    for item in text.split():
        try:
            i, j = map(int, item.split("-"))
        except ValueError:
            raise UserError(f"{path}, line {line}: {item!r} is not a link i-j; run the align stage again") from None
        if not (0 <= i < bounds[0] and 0 <= j < bounds[1]):
            raise UserError(f"{path}, line {line}: link {item} lies outside of {bounds[0]} x {bounds[1]} words")
        links.append((i, j))
    return links


def link_numbers(data: npt.NDArray[np.uint8]) -> tuple[Ints, Ints, Ints] | None:
    """Place of the dash, first and second number of each link in lines ``0-0 1-2``.

    None if anything else is in them, or a number is written in an unusual way.
    """
    digit = (data >= ord("0")) & (data <= ord("9"))
    dash = data == ord("-")
    if not (digit | dash | (data == ord(" ")) | (data == ord("\n"))).all():
        return None
    bounds = np.flatnonzero(np.diff(digit, prepend=False, append=False))
    begins, ends = bounds[::2], bounds[1::2]  # of each number
    dashes = np.flatnonzero(dash)
    if len(begins) != 2 * len(dashes) or not np.array_equal(ends[::2], dashes):
        return None
    if not np.array_equal(begins[1::2], dashes + 1) or (len(begins) and (ends - begins).max() > 9):
        return None
    if ((ends - begins > 1) & (data[begins] == ord("0"))).any():
        return None
    values = np.zeros(len(begins), np.int64)
    for place in range(int((ends - begins).max()) if len(begins) else 0):
        there = begins + place < ends
        values[there] = values[there] * 10 + (data[begins[there] + place] - ord("0"))
    return dashes, values[::2], values[1::2]


def words_of_subwords(sentence: str, words: list[str], offsets: list[tuple[int, int]]) -> list[int]:
    """The index of the word that each sub-word's first character belongs to.

    Words are found one after the other in the sentence. A sub-word that starts between words (a lone SentencePiece
    space mark) goes to the next word.
    """
    ends, place = [], 0
    for word in words:
        place = sentence.find(word, place)
        if place < 0:
            raise UserError(
                f"the word {word!r} is not found in order in the sentence {sentence[:80]!r}; run text again"
            )
        place += len(word)
        ends.append(place)
    return [min(bisect_right(ends, start), len(words) - 1) for start, _ in offsets]


def truncated_lengths(source: int, target: int, room: int) -> Link:
    """Lengths after cutting the longer side until both fit into ``room``."""
    if source + target <= room:
        return source, target
    half = room // 2
    if source <= half:
        return source, room - source
    if target <= half:
        return room - target, target
    return room - half, half


def project(links: list[Link], source_word: list[int], target_word: list[int]) -> list[Link]:
    """Word links as links between all sub-words of the one word and all sub-words of the other, sorted."""
    places_s: dict[int, list[int]] = {}
    places_t: dict[int, list[int]] = {}
    for places, words in ((places_s, source_word), (places_t, target_word)):
        for place, word in enumerate(words):
            places.setdefault(word, []).append(place)
    return sorted((a, b) for i, j in set(links) for a in places_s.get(i, ()) for b in places_t.get(j, ()))


def whole_words(words: list[int], keep: int, count: int) -> int:
    """How many of ``count`` words come before the first one that truncation to ``keep`` sub-words cut or removed."""
    return words[keep] if keep < len(words) else count
