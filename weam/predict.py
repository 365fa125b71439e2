"""Answer the questions of any file of SQuAD's format with a model that was fine-tuned on question answering.

The output, ``{id: answer}``, is what the scorers of SQuAD, MLQA, XQuAD and TyDiQA-GoldP take. Gold answers may be
absent, as in hidden test sets; they are used for nothing but counts.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from weam import modelfolder, modeling
from weam.config import Qa
from weam.errors import UserError
from weam.families import qa
from weam.io import read_object, write_json
from weam.processes import add_device_arguments, set_device
from weam.progress import Progress
from weam.readers import is_unicode, open_file, reading
from weam.readers.qa import QAExample, read_squad_json
from weam.settings import read_settings
from weam.subwords import Subwords
from weam.validation import validate

N_BEST = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="model folder, fine-tuned on qa")
    parser.add_argument("--questions", required=True, type=Path, help="file of SQuAD's format (.json or .json.gz)")
    parser.add_argument(
        "--settings", help="finetune.qa settings: inline JSON or a file (default: those of the model's fine-tuning)"
    )
    parser.add_argument("--out", required=True, type=Path, help="predictions.json to make: id to answer")
    parser.add_argument(
        "--nbest",
        type=Path,
        help="file to make: id to the best answers with score, probability and place in characters",
    )
    parser.add_argument("--nbest-size", type=_size, default=N_BEST, help="answers per question in it (%(default)s)")
    add_device_arguments(parser)


def _size(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000")
    return int(text)


def run(args: argparse.Namespace) -> None:
    files = [path.resolve() for path in (args.questions, args.out, args.nbest) if path is not None]
    if len(set(files)) != len(files):
        raise UserError("--questions, --out and --nbest: two of them are the same file; give three different ones")
    device = set_device(args.device, args.threads)
    modelfolder.require_finetuned(args.model, "qa")
    settings = read_settings(Qa, args.settings) if args.settings else own_settings(args.model)
    examples = read_questions(args.questions)
    subwords = Subwords(args.model)
    model = modeling.load(args.model, qa.HEAD, subwords).to(device).eval()
    modeling.require_positions(model, settings.max_length, "finetune.qa.max_length")
    size = args.nbest_size if args.nbest else 1
    with Progress("predict", len(examples), "questions") as progress:
        answers = qa.predict(model, examples, subwords, settings, device, progress, size)
    if args.nbest:
        write_json(args.nbest, {name: [answer._asdict() for answer in found] for name, found in answers.nbest.items()})
    write_json(args.out, answers)
    counts = (f"{name.replace('_', ' ')} {count}" for name, count in answers.counts.items())
    print(f"predict: {', '.join(counts)}", file=sys.stderr)


def own_settings(model: Path) -> Qa:
    """The settings that a model was fine-tuned with."""
    path = model / "training.json"
    found: Any = read_object(path).get("settings", {})
    return validate(Qa, found if isinstance(found, dict) else {}, str(path))


def read_questions(path: Path) -> list[QAExample]:
    """All questions of a file, in order.

    Raises:
        UserError: not SQuAD's format, no questions, a text that is not Unicode, or an id that stands there twice.
    """
    if not path.is_file():
        raise UserError(f"{path}: the file does not exist; give a file of SQuAD's format")
    with reading(path), open_file(path) as stream:
        examples = read_squad_json(stream, str(path))
    if not examples:
        raise UserError(f"{path}: has no questions; check the file")
    for example in examples:
        if not (is_unicode(example.context) and is_unicode(example.question)):
            raise UserError(f"{path}: question {example.id!r} has a lone surrogate, which is not Unicode text")
    twice = [name for name, count in Counter(example.id for example in examples).items() if count > 1]
    if twice:
        raise UserError(
            f"{path}: {len(twice)} ids stand there more than once, the first is {twice[0]!r} (so do those of TyDiQA's "
            "training files), and predictions are told apart by id; make the ids unique"
        )
    return examples
