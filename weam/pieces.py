"""Sub-words of many sentences as flat arrays.

A tokenizer that never looks across a blank need not see a frequent word a million times: what stands between two
blanks is tokenised once and remembered. Sentences with a piece that is too long to be worth it (scripts without
blanks), or that is tokenised in another way beside its neighbours, are tokenised as they stand; so are all, if the
tokenizer is of another kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from tokenizers import Encoding, Tokenizer

from weam.batches import Ints, spread
from weam.blanks import LIMIT, LONGEST, Cut
from weam.subwords import Subwords

AT_BLANKS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
"""Pre-tokenizers that always cut at blanks, and treat what stands between them alike wherever it stands."""
WITHIN = {"Punctuation", "Digits"}
"""Pre-tokenizers that may stand beside those."""
ROW = 50
"""Pieces that are tokenised together."""


class Sentences(NamedTuple):
    """Sub-words of sentences, one after the other."""

    ids: Ints
    """[sub-words]"""
    starts: Ints
    """[sub-words] characters of its sentence before each sub-word, blanks not counted"""
    lengths: Ints
    """[sentences] sub-words of each"""


class Pieces:
    """Tokenises cleaned sentences (single blanks between words) with a memory for their pieces."""

    def __init__(self, subwords: Subwords) -> None:
        self.subwords = subwords
        self.apart = cuts_at_blanks(subwords.tokenizer)
        self.known = dict[str, int]()  # piece to its place in the arrays; place 0 is for those that are too long
        self.ids = self.starts = np.empty(0, np.int64)
        # of each place; -1 sub-words: cannot be tokenised alone
        self.counts, self.firsts, self.characters = np.array([-1]), np.array([0]), np.array([0])
        self.seen = np.array([0])
        """Number of the batch in which each place was last needed."""
        self.batch = 0

    def encode(self, texts: Any) -> Sentences:
        """Sub-words of each sentence, without special tokens; the same as tokenising it as it stands.

        ``texts``: an Arrow array of strings.
        """
        if not self.apart or not len(texts):
            return self._whole(texts)
        cut = Cut.of(texts)
        if len(self.known) > LIMIT:
            self._forget()
        self.batch += 1
        found = list(map(self.known.get, cut.pieces))
        pairs = zip(cut.pieces, found, strict=True)
        if new := [piece for piece, place in pairs if place is None and len(piece) <= LONGEST]:
            self._learn(new)
            found = list(map(self.known.get, cut.pieces))
        places = np.array([place or 0 for place in found], np.int64)[cut.places]
        self.seen[places] = self.batch
        counts, firsts = self.counts[places], self.firsts[places]
        ends = np.cumsum(cut.sizes)
        begins = ends - cut.sizes
        before = np.cumsum(self.characters[places]) - self.characters[places]
        before -= np.repeat(before[begins], cut.sizes)
        ids, starts = self.ids, self.starts
        rest = np.minimum.reduceat(counts, begins) < 0
        if rest.any():  # the whole sentence stands for its first piece
            whole = self._whole(texts.filter(pa.array(rest)))
            counts = np.where(np.repeat(rest, cut.sizes), 0, counts)
            counts[begins[rest]] = whole.lengths
            firsts[begins[rest]] = len(ids) + np.cumsum(whole.lengths) - whole.lengths
            ids, starts = np.concatenate([ids, whole.ids]), np.concatenate([starts, whole.starts])
        taken = spread(firsts, counts)
        return Sentences(ids[taken], starts[taken] + np.repeat(before, counts), np.add.reduceat(counts, begins))

    def _forget(self) -> None:
        """Forget at least half of the pieces: those that were not needed for the longest time."""
        kept = self.seen > np.median(self.seen)
        kept[0] = True
        sizes = np.where(kept, np.maximum(self.counts, 0), 0)
        taken = spread(self.firsts, sizes)
        self.ids, self.starts = self.ids[taken], self.starts[taken]
        self.firsts = (np.cumsum(sizes) - sizes)[kept]
        self.counts, self.characters, self.seen = self.counts[kept], self.characters[kept], self.seen[kept]
        places = np.cumsum(kept) - 1
        self.known = {piece: int(places[place]) for piece, place in self.known.items() if kept[place]}

    def _learn(self, pieces: list[str]) -> None:
        """Tokenise new pieces; those that are not ASCII alone and beside others, which must make no difference."""
        plain = [piece for piece in pieces if piece.isascii()]
        ids, starts, counts = self._in_rows(plain)
        odd = [piece for piece in pieces if not piece.isascii()]
        alone = self.subwords.encode(odd)
        (neighbour,) = self.subwords.encode(["a"])
        for encoding, beside in zip(alone, self.subwords.encode([f"a {piece} a" for piece in odd]), strict=True):
            same = beside.ids == [*neighbour.ids, *encoding.ids, *neighbour.ids]
            counts.append(len(encoding.ids) if same else -1)
        found = _flat(encoding for encoding, count in zip(alone, counts[len(plain) :], strict=True) if count >= 0)
        first = len(self.counts)
        self.known |= zip((*plain, *odd), range(first, first + len(pieces)), strict=True)
        known = np.maximum(counts, 0)
        self.firsts = np.concatenate([self.firsts, len(self.ids) + np.cumsum(known) - known])
        self.counts = np.concatenate([self.counts, counts])
        self.seen = np.concatenate([self.seen, np.zeros(len(counts), np.int64)])
        self.characters = np.concatenate([self.characters, [len(piece) for piece in (*plain, *odd)]])
        self.ids = np.concatenate([self.ids, ids, found[0]])
        self.starts = np.concatenate([self.starts, starts, found[1]])

    def _in_rows(self, pieces: list[str]) -> tuple[Ints, Ints, list[int]]:
        """Sub-words of pieces, many of them as one sentence (one by one would take twice the time).

        Returns ids and first characters of all, and the number of each piece's.
        """
        rows = [" ".join(pieces[begin : begin + ROW]) for begin in range(0, len(pieces), ROW)]
        found = self._whole(pa.array(rows, pa.string()))
        characters = np.array([len(piece) for piece in pieces], np.int64)
        ends = np.cumsum(characters)
        row_begins = np.concatenate([[0], ends[ROW - 1 :: ROW]])[: len(rows)]
        starts = found.starts + np.repeat(row_begins, found.lengths)
        owners = np.repeat(np.arange(len(pieces)), characters)[starts]
        return found.ids, starts - (ends - characters)[owners], np.bincount(owners, minlength=len(pieces)).tolist()

    def _whole(self, column: Any) -> Sentences:
        """Sub-words of sentences that are tokenised as they stand."""
        texts = column.to_pylist()
        encodings = self.subwords.encode(texts)
        ids, starts = _flat(encodings)
        lengths = np.array([len(encoding.ids) for encoding in encodings], np.int64)
        characters = np.array([len(text) for text in texts], np.int64)
        codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
        blanks = np.concatenate([[0], np.cumsum(codes == ord(" "))])
        bases = np.repeat(np.cumsum(characters) - characters, lengths)
        return Sentences(ids, starts - (blanks[bases + starts] - blanks[bases]), lengths)


def _flat(encodings: Iterable[Encoding]) -> tuple[Ints, Ints]:
    """Ids and first characters of all sub-words."""
    ids, starts = list[int](), list[int]()
    for encoding in encodings:
        ids += encoding.ids
        starts += [start for start, _ in encoding.offsets]
    return np.array(ids, np.int64), np.array(starts, np.int64)


def cuts_at_blanks(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer treats what stands between two blanks alike at any place of a sentence."""
    if tokenizer.pre_tokenizer is None:
        return False
    if any(" " in token.content for token in tokenizer.get_added_tokens_decoder().values()):
        return False
    state: dict[str, Any] = json.loads(tokenizer.pre_tokenizer.__getstate__())
    steps = state["pretokenizers"] if state["type"] == "Sequence" else [state]
    kinds = ["at blanks" if _cuts(step) else step["type"] for step in steps]
    return "at blanks" in kinds and set(kinds) <= {"at blanks"} | WITHIN


def _cuts(step: dict[str, Any]) -> bool:
    if step["type"] == "Metaspace":
        return bool(step.get("split", True)) and step.get("prepend_scheme", "always") in ("always", "first")
    return step["type"] in AT_BLANKS
