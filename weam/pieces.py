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
        self._forget()

    def _forget(self) -> None:
        self.known = dict[str, int]()  # piece to its place in the arrays; place 0 is for those that are too long
        self.ids = self.starts = np.empty(0, np.int64)
        # of each place; -1 sub-words: cannot be tokenised alone
        self.counts, self.firsts, self.characters = np.array([-1]), np.array([0]), np.array([0])

    def encode(self, texts: Any) -> Sentences:
        """Sub-words of each sentence, without special tokens; the same as tokenising it as it stands.

        ``texts``: an Arrow array of strings.
        """
        if not self.apart or not len(texts):
            return self._whole(texts)
        cut = Cut.of(texts)
        if len(self.known) > LIMIT:
            self._forget()
        self._learn([piece for piece in cut.pieces if piece not in self.known and len(piece) <= LONGEST])
        places = np.array([self.known.get(piece, 0) for piece in cut.pieces], np.int64)[cut.places]
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

    def _learn(self, pieces: list[str]) -> None:
        """Tokenise new pieces; those that are not ASCII also beside others, which must make no difference."""
        if not pieces:
            return
        encodings = self.subwords.encode(pieces)
        counts = np.array([len(encoding.ids) for encoding in encodings])
        doubtful = [place for place, piece in enumerate(pieces) if not piece.isascii()]
        beside = self.subwords.encode([f"a {pieces[place]} a" for place in doubtful])
        (neighbour,) = self.subwords.encode(["a"])
        for place, encoding in zip(doubtful, beside, strict=True):
            if encoding.ids != [*neighbour.ids, *encodings[place].ids, *neighbour.ids]:
                counts[place] = -1
        found = [(encoding if count >= 0 else None) for encoding, count in zip(encodings, counts, strict=True)]
        ids, starts = _flat(encoding for encoding in found if encoding is not None)
        self.known |= zip(pieces, range(len(self.counts), len(self.counts) + len(pieces)), strict=True)
        known = np.maximum(counts, 0)
        self.firsts = np.concatenate([self.firsts, len(self.ids) + np.cumsum(known) - known])
        self.counts = np.concatenate([self.counts, counts])
        self.characters = np.concatenate([self.characters, [len(piece) for piece in pieces]])
        self.ids, self.starts = np.concatenate([self.ids, ids]), np.concatenate([self.starts, starts])

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
