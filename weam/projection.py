"""Word links as links between sub-words, for many pairs at once (:mod:`weam.links` has it for one pair).

A sub-word belongs to the word that its first character belongs to. Rows of a batch stand one after the other in flat
arrays; ``lengths`` say where the next one begins.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from weam.batches import Ints, spread
from weam.errors import UserError
from weam.links import link_numbers, read_links
from weam.pieces import Pieces

Bools = npt.NDArray[np.bool_]

MAX_WORDS = 65535
"""Most words of a sentence; their places are kept as uint16."""


class Side(NamedTuple):
    """One side of some pairs."""

    ids: Ints
    """[sub-words]"""
    words: Ints
    """[sub-words] word of each, from 0 in its sentence"""
    lengths: Ints
    """[rows] sub-words of each sentence"""
    counts: Ints
    """[rows] words of each sentence"""

    @property
    def bases(self) -> Ints:
        """[rows] sub-words before each sentence."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def word_bases(self) -> Ints:
        """[rows] words before each sentence."""
        return np.cumsum(self.counts) - self.counts

    def places(self) -> Ints:
        """[sub-words] place of each in its sentence."""
        return np.arange(len(self.ids)) - np.repeat(self.bases, self.lengths)

    def of_words(self) -> tuple[Ints, Ints]:
        """[words] place of the first sub-word of each word in its sentence, and the number of its sub-words."""
        owners = self.words + np.repeat(self.word_bases, self.lengths)
        sizes = np.bincount(owners, minlength=int(self.counts.sum()))
        return np.cumsum(sizes) - sizes - np.repeat(self.bases, self.counts), sizes


class Links(NamedTuple):
    """Links of some pairs, sorted by row."""

    rows: Ints
    source: Ints
    target: Ints

    def where(self, kept: Bools) -> Links:
        return Links(*(column[kept] for column in self))


def side(batch: Any, name: str, pieces: Pieces, path: Path) -> Side:
    """Sub-words of the sentences ``name`` of a batch of text.parquet, each with its word.

    Raises:
        UserError: the words of a row are not its sentence without blanks.
    """
    sentences, lists = batch.column(name), batch.column(f"{name}_words")
    spelt = pc.binary_join(lists, "")
    bare = pc.replace_substring(sentences, " ", "")
    if not pc.all(pc.equal(spelt, bare)).as_py():
        for number, sentence, words in zip(
            batch.column("id").to_pylist(), sentences.to_pylist(), lists.to_pylist(), strict=True
        ):
            if "".join(words) != sentence.replace(" ", ""):
                raise UserError(
                    f"{path}, id {number}: the words of {name} are not those of the sentence {sentence[:80]!r}; "
                    f"delete {path} to run the text stage again"
                )
    counts = _ints(pc.list_value_length(lists))
    characters = _ints(pc.utf8_length(pc.list_flatten(lists)))
    found = pieces.encode(sentences)
    owner = np.repeat(np.arange(len(characters)), characters)  # [characters] word of each
    ends = np.concatenate([[0], np.cumsum(characters)])[np.cumsum(counts)]
    bases = np.concatenate([[0], ends[:-1]])
    places = np.minimum(found.starts + np.repeat(bases, found.lengths), np.repeat(ends, found.lengths) - 1)
    words = owner[places] - np.repeat(np.cumsum(counts) - counts, found.lengths)
    return Side(found.ids, words, found.lengths, counts)


def _ints(column: Any) -> Ints:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)


def take_links(file: IO[bytes], path: Path, first: int, source: Ints, target: Ints) -> Links:
    """The next lines of a file of Pharaoh links: one for each of the pairs with so many words on either side.

    ``first`` is the number of lines before them. Links are sorted, and each is there once.

    Raises:
        UserError: there are fewer lines, or one is not of links inside its pair.
    """
    lines = list(islice(file, len(source)))
    data = np.frombuffer(b"".join(lines), np.uint8)
    found = link_numbers(data)
    if found is not None and len(lines) == len(source) and (not lines or lines[-1].endswith(b"\n")):
        ends = np.flatnonzero(data == ord("\n"))
        rows = np.searchsorted(ends, found[0])
        links = Links(rows, found[1], found[2])
        if ((links.source < source[rows]) & (links.target < target[rows])).all():
            return _sorted(links)
    texts = [line.decode(errors="replace") for line in lines]  # say what is wrong, or take what is merely unusual
    read = [
        read_links(iter(texts[row : row + 1]), path, first + row + 1, (int(source[row]), int(target[row])))
        for row in range(len(source))
    ]
    flat = [(row, i, j) for row, some in enumerate(read) for i, j in some]
    return _sorted(Links(*np.array(flat, np.int64).reshape(-1, 3).T))


def _sorted(links: Links) -> Links:
    keys = _pack(links)
    if (np.diff(keys) > 0).all():
        return links
    keys.sort()
    return _unpack(keys[np.diff(keys, prepend=-1) > 0])


def _pack(links: Links) -> Ints:
    """One number per link, in their order; of a batch of up to 2**30 rows, and places below 2**16."""
    return (links.rows << 32) | (links.source << 16) | links.target


def _unpack(keys: Ints) -> Links:
    return Links(keys >> 32, (keys >> 16) & 0xFFFF, keys & 0xFFFF)


def project_links(links: Links, source: Side, target: Side, keep_s: Ints, keep_t: Ints) -> tuple[Links, int]:
    """Links of words as links between all sub-words of the one word and all of the other.

    Returns those between the first ``keep_s`` and ``keep_t`` sub-words of each pair, sorted, and the number of all.
    """
    (first_s, size_s), (first_t, size_t) = source.of_words(), target.of_words()
    i, j = links.source + source.word_bases[links.rows], links.target + target.word_bases[links.rows]
    sizes = size_s[i] * size_t[j]
    within = spread(np.zeros(len(sizes), np.int64), sizes)
    wide = np.repeat(size_t[j], sizes)
    rows = np.repeat(links.rows, sizes)
    s = np.repeat(first_s[i], sizes) + within // wide
    t = np.repeat(first_t[j], sizes) + within % wide
    inside = (s < keep_s[rows]) & (t < keep_t[rows])
    return _unpack(np.sort(_pack(Links(rows, s, t).where(inside)))), len(rows)


def one_to_one_links(forward: Links, reverse: Links, source: Side, target: Side, keep_s: Ints, keep_t: Ints) -> Links:
    """Links in both directions whose two words have no other such link (Cao, Kitaev and Klein 2020), word by word;
    both words must have sub-words, and all of them among the first ``keep_s`` and ``keep_t``."""
    both = _unpack(np.intersect1d(_pack(forward), _pack(reverse), assume_unique=True))
    kept = np.ones(len(both.rows), np.bool_)
    for sentences, words, keep in ((source, both.source, keep_s), (target, both.target, keep_t)):
        firsts, sizes = sentences.of_words()
        places = words + sentences.word_bases[both.rows]
        kept &= np.bincount(places, minlength=len(sizes))[places] == 1
        kept &= (sizes[places] > 0) & (firsts[places] + sizes[places] <= keep[both.rows])
    return both.where(kept)


def truncated(source: Ints, target: Ints, room: int) -> tuple[Ints, Ints]:
    """:func:`truncated_lengths` of many pairs."""
    half = room // 2
    short_s, short_t = source <= half, target <= half
    keep_s = np.where(short_s, source, np.where(short_t, room - target, room - half))
    keep_t = np.where(short_s, room - source, np.where(short_t, target, half))
    fits = source + target <= room
    return np.where(fits, source, keep_s), np.where(fits, target, keep_t)


def whole_at_start(sentences: Side, keep: Ints) -> Ints:
    """:func:`whole_words` of many sentences."""
    cut = keep < sentences.lengths
    words = sentences.counts.copy()
    words[cut] = sentences.words[(sentences.bases + keep)[cut]]
    return words
