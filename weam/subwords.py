"""A tokenizer folder without the weight of transformers: sub-words with character offsets, and the pair template."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Encoding, Tokenizer

from weam.errors import UserError
from weam.io import read_object, sha256


class Template(NamedTuple):
    """How a model wants one or two texts: ``prefix a suffix`` or ``prefix a middle b suffix`` (lists of ids)."""

    prefix: list[int]
    middle: list[int]
    suffix: list[int]
    pad: int
    mask: int
    special: list[int]
    vocab_size: int
    segments: bool
    """Whether the second text has token type 1 (BERT), or there are no token types (XLM-R)."""

    @property
    def pair_overhead(self) -> int:
        return len(self.prefix) + len(self.middle) + len(self.suffix)


class Subwords:
    """The fast tokenizer of a Hugging Face folder.

    Raises:
        UserError: the folder has no ``tokenizer.json``, or its special tokens cannot be told.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "tokenizer.json"
        if not Path(folder).is_dir():
            raise UserError(
                f"{folder}: no such folder; give a model or tokenizer folder (a model of the hub is fetched by the "
                "backbone command)"
            )
        if not self.path.is_file():
            raise UserError(f"{self.path}: the file does not exist; a fast tokenizer (tokenizer.json) is needed")
        try:
            self.tokenizer = Tokenizer.from_file(str(self.path))
        except Exception as error:
            raise UserError(
                f"{self.path}: not a tokenizer ({error}); delete {folder} to make or fetch it again"
            ) from None
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    @cached_property
    def sha256(self) -> str:
        return sha256(self.path)

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Sub-words of each text without special tokens; ``.ids`` and ``.offsets`` (in characters)."""
        return list(self.tokenizer.encode_batch(list(texts), add_special_tokens=False))

    @cached_property
    def template(self) -> Template:
        pair = self.tokenizer.encode("a", "b")
        mask = pair.special_tokens_mask
        places = [i for i, special in enumerate(mask) if not special]
        first = [i for i in places if pair.sequence_ids[i] == 0]
        second = [i for i in places if pair.sequence_ids[i] == 1]
        names: dict[str, Any] = {}
        folder = self.path.parent
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            if (folder / name).is_file():
                names = read_object(folder / name) | names
        ids = {key: self._id(names.get(key, ""), key) for key in ("pad_token", "mask_token")}
        special = sorted({i for i, token in self.tokenizer.get_added_tokens_decoder().items() if token.special})
        return Template(
            prefix=pair.ids[: first[0]],
            middle=pair.ids[first[-1] + 1 : second[0]],
            suffix=pair.ids[second[-1] + 1 :],
            pad=ids["pad_token"],
            mask=ids["mask_token"],
            special=special,
            vocab_size=self.tokenizer.get_vocab_size(),
            segments=max(pair.type_ids) == 1,
        )

    def _id(self, token: str | dict[str, Any], key: str) -> int:
        text = str(token.get("content", "")) if isinstance(token, dict) else str(token)
        number = self.tokenizer.token_to_id(text or {"pad_token": "[PAD]", "mask_token": "[MASK]"}[key])
        if number is None:
            raise UserError(f"{self.path.parent}: no {key} ({text!r}) in the vocabulary; use a masked language model")
        return int(number)
