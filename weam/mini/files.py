"""Write the mini world in the file formats of the real releases, byte for byte the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from weam.config_data import Mini
from weam.errors import UserError
from weam.io import atomic_path
from weam.mini import choices, inference, lexicon, parallel, questions, retrieval, tagging
from weam.mini.speakers import Speakers

Which = Callable[[re.Match[str], Path], list[str]]
"""The languages that a file needs, by its name and the folder of lexicons."""
Write = Callable[[Speakers, Sequence[str], Path], None]


def write_file(name: str, settings: Mini, lexicons: Path, out: Path) -> None:
    """Write one release file of the mini world.

    name: as in workflow/sources, e.g. ``de-en.txt.zip``; a language code in it needs its file in ``lexicons``.
    settings: sizes and seed. lexicons: the folder data/mini. out: the path to write, atomically.

    Raises :class:`UserError` for a name that is no file of the mini world and for faults in the lexicons.
    """
    lexicons = Path(lexicons)
    for pattern, write, which in _FILES:
        match = re.fullmatch(pattern, name)
        if match is None:
            continue
        codes = which(match, lexicons)
        known = lexicon.languages(lexicons)
        if unknown := [code for code in codes if code not in known]:
            raise UserError(f"{lexicons}: has no {unknown[0]}.yaml, which {name} needs; languages: {', '.join(known)}")
        with atomic_path(out) as temporary:
            write(Speakers(settings, lexicons, codes), codes, temporary)
        return
    raise UserError(f"mini world: {name!r} is none of its files; files are named as in workflow/sources")


def _all(match: re.Match[str], folder: Path) -> list[str]:
    return lexicon.languages(folder)


def _english(match: re.Match[str], folder: Path) -> list[str]:
    return ["en"]


def _others(match: re.Match[str], folder: Path) -> list[str]:
    return [code for code in lexicon.languages(folder) if code != "en"]


def _own(match: re.Match[str], folder: Path) -> list[str]:
    return [match[1]]


def _pair(match: re.Match[str], folder: Path) -> list[str]:
    return ["en", *(code for code in match.groups() if code != "en")]


def _iso_pair(match: re.Match[str], folder: Path) -> list[str]:
    code = next((code for code in _others(match, folder) if retrieval.iso_639_3(folder, code) == match[1]), match[1])
    return ["en", code]


_CODE = "([a-z]{2,3})"
_FILES: tuple[tuple[str, Write, Which], ...] = (
    (rf"(en)-{_CODE}\.txt\.zip", parallel.write_moses, _pair),
    (rf"{_CODE}-(en)\.txt\.zip", parallel.write_moses, _pair),
    (r"translation2019zh\.zip", parallel.write_json_lines, lambda match, folder: ["en", "zh"]),
    (rf"mono\.{_CODE}\.txt\.gz", parallel.write_monolingual, _own),
    (rf"en-{_CODE}\.test\.tsv", parallel.write_gold, _pair),
    (r"train-v1\.1\.json", questions.write_squad, _english),
    (r"mlqa-translate-train\.tar\.gz", questions.write_translate_train, _others),
    (r"MLQA_V1\.zip", questions.write_mlqa, _all),
    (rf"xquad\.{_CODE}\.json", questions.write_xquad, _own),
    (rf"{_CODE}\.json", partial(questions.write_xquad, sentences=True), _own),
    (rf"tydiqa\.goldp\.{_CODE}\.train\.json", partial(questions.write_tydiqa, split="train"), _own),
    (rf"tydiqa\.goldp\.{_CODE}\.dev\.json", partial(questions.write_tydiqa, split="dev"), _own),
    (r"XNLI-1\.0\.zip", inference.write_xnli, _all),
    (r"XNLI-MT-1\.0\.zip", inference.write_xnli_mt, _all),
    (r"COPA\.zip", choices.write_copa, _english),
    (rf"val\.{_CODE}\.jsonl", partial(choices.write_xcopa, split="dev"), _own),
    (rf"test\.{_CODE}\.jsonl", partial(choices.write_xcopa, split="test"), _own),
    (r"ud-treebanks-mini\.zip", tagging.write_treebanks, _all),
    (rf"{_CODE}\.tar\.gz", tagging.write_wikiann, _own),
    (r"tatoeba\.([a-z]{3})-eng\.\1", partial(retrieval.write_tatoeba, english=False), _iso_pair),
    (r"tatoeba\.([a-z]{3})-eng\.eng", partial(retrieval.write_tatoeba, english=True), _iso_pair),
    (r"candidate_set_entities\.jsonl", retrieval.write_candidates, _all),
    (r"wikinews_mentions-dev\.jsonl", partial(retrieval.write_mentions, split="dev"), _all),
    (r"wikinews_mentions-test\.jsonl", partial(retrieval.write_mentions, split="test"), _all),
)
