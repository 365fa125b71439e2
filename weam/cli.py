"""The command line: ``python -m weam COMMAND``, one command per stage (= per rule of the workflow).

Each stage module has ``add_arguments(parser)`` and ``run(args)``. Only the chosen command's module is imported, so that
stages without a model start in a tenth of a second.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from weam import __version__
from weam.errors import Preempted, UserError
from weam.redact import redact

COMMANDS = {
    "sources": "list the sources of data with size, licence and state",
    "cost": "estimate operations, GPU hours and disk of a configuration",
    "download": "fetch one source (URL, file, mirror or the mini world) and verify its checksums",
    "hub": "fetch a model of the Hugging Face hub by its revision and verify its files",
    "text": "clean, filter, de-duplicate and segment corpora into words",
    "build_fast_align": "build fast_align and atools from source",
    "align": "align the words of a parallel corpus in both directions and symmetrise",
    "align_model": "train the word aligner on a part of a corpus too big for memory and save its model",
    "align_part": "align a part of a corpus with a saved model",
    "align_join": "put the parts of a corpus together that were aligned separately",
    "tokenizer": "train the sub-word vocabulary of a backbone made from scratch",
    "shards": "write Parquet shards of sub-words and their links",
    "subset": "choose a random subset of shards, nested in every larger one",
    "backbone": "train a small multilingual masked language model from scratch, or take a real one",
    "pretrain": "continue pre-training on word-aligned pairs (mlm, tlm, word_align, weam)",
    "inspect": "show tokens, links and predictions of both tasks for a few pairs",
    "card": "write the model card of a model folder, with its scores",
    "finetune": "fine-tune a model on a family of tasks",
    "evaluate": "predict and score a model in its languages",
    "predict": "answer the questions of a file of SQuAD's format with a fine-tuned model",
    "on_gpu": "run a command on GPUs of this machine that no other such command uses",
    "word_retrieval": "measure how well a model aligns the words of two languages, layer by layer",
    "significance": "intervals of a task's scores, and tests of the systems against baselines",
    "table": "gather the scores of one task into CSV, Markdown and provenance",
    "xtreme_r": "gather the scores of all tasks: averages per task, family of languages and overall",
    "study_scaling": "how a score grows with the pairs and languages of pre-training: curve, gain per doubling, trade",
    "study_families": "compare pre-training on one family of languages and on several, in languages held out",
    "alignment_table": "gather alignment quality per language pair",
    "data_table": "gather what every filter kept and removed",
    "figure": "draw a figure from tables, logs or links",
    "page": "turn the Markdown of a table into an HTML page",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(redact(message))  # it repeats arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    0 done, 1 a fault in the input, 2 one in the command line, 75 stopped by a signal: the same command goes on.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    # Importing PyTorch and Transformers makes a million objects that stay: looking for garbage among them every 700 new
    # ones takes a fifth of the time of the import.
    gc.set_threshold(50_000, 20, 100)
    # PyTorch's threads wait for each other in a loop: on a busy machine that takes the time of those waited for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parser = argparse.ArgumentParser(
        prog="weam",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Word-exchange aligning pre-training (WEAM), stage by stage.",
        epilog="commands:\n" + "\n".join(f"  {name:18}{text}" for name, text in COMMANDS.items()),
    )
    parser.add_argument("--version", action="version", version=f"weam {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    name = parser.parse_args(argv[:1]).command
    try:
        module = importlib.import_module(f"weam.{name}")
        command = _Parser(
            prog=f"weam {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        module.run(command.parse_args(argv[1:]))
    except UserError as error:
        _say(f"weam {name}: error: {error}")
        return 1
    except Preempted as stop:
        _say(f"weam {name}: {stop}; the same command goes on from there")
        return stop.status
    except BrokenPipeError:  # the reader of our output has gone: nothing more to say, and no complaint at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a missing permission: the system's sentence is the clearest
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _say(f"weam {name}: error: {where}{os.strerror(error.errno)}; make room, then give the same command again")
        else:
            _say(f"weam {name}: error: {where}{error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        _say(f"weam {name}: interrupted")
        return 130
    return 0


def _say(sentence: str) -> None:
    """Print to standard error or, where that is a log on a disk that is full, to standard output."""
    try:
        print(redact(sentence), file=sys.stderr, flush=True)
    except OSError:
        with contextlib.suppress(OSError):
            print(redact(sentence), flush=True)
