"""Cleaning text and finding its words, safe for every script.

Words are what the aligner aligns; each is a substring of the cleaned text, in order, and has no white space inside.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Literal

import regex  # type: ignore[import-untyped]

Segmenter = Literal["word", "char", "space"]

WHITE = r"\t\n\v\f\r\x1c-\x1f\x85"
"""Control characters that separate words; they become a space."""

INVISIBLE = regex.compile(
    rf"(?V1)[[\p{{Cc}}\p{{Cs}}[\p{{Cf}}&&\p{{Default_Ignorable_Code_Point}}]]--[{WHITE}\u200c\u200d]]"
)
JOINERS = regex.compile(r"(?<![\p{L}\p{M}])[\u200c\u200d]+|[\u200c\u200d]+(?![\p{L}\p{M}\u200c\u200d])")

CORE = r"[[\p{L}\p{M}\p{N}\u200c\u200d]--\p{Han}]"
WORD = regex.compile(
    rf"(?V1)\p{{Han}}+|{CORE}(?:{CORE}|['’׳״\-‐‑](?={CORE})|(?<=\p{{Nd}})[.,:](?=\p{{Nd}}))*|\S\p{{M}}*"
)
CHARACTER = regex.compile(rf"(?V1)\p{{Han}}|{CORE}+|\S\p{{M}}*")


def clean(text: str) -> str:
    """Remove what cannot be seen, make all white space single spaces, compose (NFC); nothing else changes.

    Control characters, byte order marks, zero-width spaces, soft hyphens, direction marks and lone surrogates go;
    zero-width joiners stay between letters, where Persian and Indic spelling needs them. Case, accents and
    compatibility forms (full-width letters, ligatures) stay.

    >>> clean("\\ufeffCafe\\u0301\\u00a0 con\\u200b  leche\\n")
    'Café con leche'
    """
    if not text.isprintable():  # no control, format or separator character is printable, but for the space
        text = INVISIBLE.sub("", text)
        if "\u200c" in text or "\u200d" in text:
            text = JOINERS.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


def segmenter(language: str, kind: Segmenter | None = None) -> Callable[[str], list[str]]:
    """The function from cleaned text to words.

    No word goes across a blank. ``word``: runs of letters, marks and digits, with apostrophes and hyphens inside
    (don't, l'amour, E-Mail) and with points, commas and colons between digits (3.14); every other sign alone. Chinese
    characters are cut by the dictionary of jieba when the language is ``zh``, else one by one. ``char``: each Chinese
    character, each run of letters and digits, each sign. ``space``: what stands between spaces.

    >>> segmenter("en")("They don't pay $3.50, OK?")
    ['They', "don't", 'pay', '$', '3.50', ',', 'OK', '?']
    >>> segmenter("zh")("我爱北京天安门。")
    ['我', '爱', '北京', '天安门', '。']
    """
    if kind == "space":
        return str.split
    if kind == "char":
        return _characters
    return _words_with_dictionary if language == "zh" else _words


def _characters(text: str) -> list[str]:
    return list(CHARACTER.findall(text))


def _words(text: str) -> list[str]:
    words: list[str] = []
    for match in WORD.findall(text):
        if _is_han(match):
            words.extend(match)
        else:
            words.append(match)
    return words


def _words_with_dictionary(text: str) -> list[str]:
    import rjieba

    words: list[str] = []
    for match in WORD.findall(text):
        if _is_han(match) and len(match) > 1:
            words.extend(rjieba.cut(match))
        else:
            words.append(match)
    return words


HAN = regex.compile(r"\p{Han}+")


def _is_han(word: str) -> bool:
    return word > "\u2e7f" and HAN.fullmatch(word) is not None
