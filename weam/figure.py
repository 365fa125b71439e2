"""Draw one figure from tables and logs: an SVG without fonts or links to elsewhere, and a PNG of the same name.

``python -m weam figure KIND --help`` shows the options of a kind.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from types import ModuleType

from weam.errors import UserError

KINDS = {
    "scores": "scores per language and system, with intervals",
    "differences": "differences between systems and a baseline, with intervals",
    "matrix": "scores by language of context and question, and differences to mBERT",
    "xtreme_r": "averages per task and per family of languages",
    "word_retrieval": "accuracy of finding a word's translation, per layer",
    "curves": "losses of pre-training",
    "alignment": "links of sample sentence pairs, beside the gold links",
    "scaling": "scores by pairs and languages of pre-training, with the fitted curves",
    "families": "differences between conditions of pre-training in languages held out",
    "funnel": "how many pairs each filter leaves",
}
"""Each kind is a module of weam.figures."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, help="; ".join(f"{kind}: {text}" for kind, text in KINDS.items()))
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of the kind, --out FILE.svg among them")


def run(args: argparse.Namespace) -> None:
    """matplotlib is imported here and not before: it takes a second."""
    from weam.figures import style

    module = _module(args.kind)
    parser = argparse.ArgumentParser(prog=f"weam figure {args.kind}", description=module.__doc__)
    module.add_arguments(parser)
    parser.add_argument("--out", required=True, type=Path, help="figure to make (.svg); the .png goes beside it")
    options = parser.parse_args(args.options)
    if options.out.suffix != ".svg":
        raise UserError(f"--out {options.out}: a figure ends in .svg; the .png beside it is named after it")
    style.save(module.draw(options), options.out)


def _module(kind: str) -> ModuleType:
    """Loaded by name: the rule of a kind (workflow/rules/figures.smk) has the hash of its module only."""
    return importlib.import_module(f"weam.figures.{kind}")
