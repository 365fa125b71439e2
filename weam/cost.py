"""What the training runs of a configuration cost, before anyone pays for them: operations, hours of a GPU, disk.

A dry run of Snakemake says which jobs there are (--all: also those that are done). Operations are computed as training
counts them (weam.flops), from shards where these are there, else from the numbers of the table of sources and mean
lengths (weam.amounts). Hours are those of one GPU that does --tflops of useful operations. To be run where the
Snakefile is.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from weam import amounts, tasks
from weam.checkpoint import KEEP
from weam.config import Config
from weam.configfile import add_configuration, configuration
from weam.errors import UserError
from weam.flops import TRAINING, Flops, parameters
from weam.hub import path_of
from weam.io import read_object
from weam.report import markdown_table
from weam.sources import size_of

BERT = {"num_hidden_layers": 12, "hidden_size": 768, "intermediate_size": 3072, "max_position_embeddings": 512}
LARGE = {"num_hidden_layers": 24, "hidden_size": 1024, "intermediate_size": 4096, "max_position_embeddings": 514}
KNOWN = {
    "google-bert/bert-base-multilingual-cased": BERT | {"vocab_size": 119547},
    "FacebookAI/xlm-roberta-base": BERT | {"vocab_size": 250002, "max_position_embeddings": 514},
    "FacebookAI/xlm-roberta-large": LARGE | {"vocab_size": 250002},
}
"""Sizes of models of the hub, for estimates before one is fetched."""
ALIGNED = 0.9
"""Share of the masked sub-words that have an aligned one, each of which asks for a prediction more."""
BYTES = 4
"""Of a parameter in a model's file."""
STATE = 3
"""Size of a checkpoint in models: parameters and two moments."""
PER_SUBWORD = {"text": 4.0, "align": 5.7, "shards": 3.2}
"""Bytes on disk that a sub-word of the pairs takes, by stage; measured with benchmarks/shards.py."""
GPU = 125.0
"""TFLOP/s: 40 % of the peak of an A100 in bf16 (312)."""


class Job(NamedTuple):
    """A job of a dry run: its rule and the options of its command."""

    rule: str
    options: Mapping[str, list[str]]

    def one(self, name: str) -> str:
        """The value of an option that is given once."""
        return self.options[name][0]


class Cost(NamedTuple):
    """Operations of a job, bytes that it leaves on disk and bytes that it needs while it runs."""

    what: str
    operations: float
    disk: float = 0.0
    work: float = 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="what to make (default: what snakemake makes)")
    parser.add_argument("--all", action="store_true", help="count what is made already too")
    parser.add_argument("--tflops", type=float, default=GPU, help=f"useful TFLOP/s of one GPU (default: {GPU:.0f})")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    add_configuration(parser, "targets")


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    if not args.tflops > 0:
        raise UserError(f"--tflops {args.tflops}: must be positive")
    config = configuration(args, "targets")
    counted = Estimate(config)
    costs = list(counted.costs(dry_run(args.targets, args.configfile, args.all)))
    downloads = sum(size_of(name, source, Path("data/raw")).known for name, source in config.sources.items())
    groups: dict[str, list[Cost]] = {}
    for cost in costs:
        groups.setdefault(cost.what, []).append(cost)
    hours = {what: sum(c.operations for c in own) / (args.tflops * 1e12 * 3600) for what, own in groups.items()}
    total: dict[str, Any] = {"jobs": len(costs), "operations": sum(cost.operations for cost in costs)}
    total |= {"gpu_hours": sum(hours.values()), "bytes": sum(cost.disk for cost in costs)}
    total |= {"bytes_while_training": max((cost.work for cost in costs), default=0.0), "bytes_to_download": downloads}
    if args.json:
        stages = {
            what: {"jobs": len(own), "operations": sum(c.operations for c in own)} for what, own in groups.items()
        }
        print(json.dumps(total | {"stages": stages}))
        return
    lines = [
        [what, f"{len(own):,}", f"{_mean(own):.2g}", f"{hours[what] / len(own):.2g}", f"{hours[what]:.2g}", _size(own)]
        for what, own in groups.items()
    ]
    lines.append(["together", f"{len(costs):,}", "", "", f"{sum(hours.values()):.2g}", _size(costs)])
    print(markdown_table(["stage", "jobs", "operations of one", "GPU hours of one", "all, hours", "disk, GB"], lines))
    print(
        f"Hours of one GPU at {args.tflops:g} TFLOP/s. To download: at least {downloads / 1e9:.2g} GB. While a "
        f"training runs, it needs up to {total['bytes_while_training'] / 1e9:.2g} GB more for its checkpoints."
    )
    for note in counted.notes:
        print(note)


def _mean(costs: Sequence[Cost]) -> float:
    return sum(cost.operations for cost in costs) / len(costs)


def _size(costs: Sequence[Cost]) -> str:
    return f"{sum(cost.disk for cost in costs) / 1e9:.2g}"


def dry_run(targets: Sequence[str], configfiles: Sequence[Path], everything: bool) -> list[Job]:
    """The jobs of a dry run of Snakemake here; what it complains of is a :class:`UserError`."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--nocolor", *targets]
    command += ["--forceall"] if everything else []
    command += ["--configfile", *map(str, configfiles)] if configfiles else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"snakemake --dry-run ended with status {done.returncode}: {_complaint(done)}")
    jobs = []
    for block in re.split(r"\n(?=\[|(?:local)?rule )", done.stdout + done.stderr):
        rule = re.match(r"(?:local)?rule (\w+):", block)
        command_line = block.partition("Shell command:")[2]
        if rule and command_line:
            jobs.append(Job(rule[1], options(shlex.split(command_line.partition("\n\n")[0], comments=False))))
    return jobs


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    """From the line that names the error on, in one line."""
    for text in (done.stdout, done.stderr):
        if found := re.search(r"^\w*(?:Error|Exception)\b.*", text, re.MULTILINE | re.DOTALL):
            return " ".join(found[0].split())
    return " ".join(done.stderr.split()[-30:])


def options(words: Sequence[str]) -> dict[str, list[str]]:
    """``--name value …`` of a command line, joined over repetitions."""
    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word[2:]
            found.setdefault(name, [])
        elif name:
            found[name].append(word)
    return found


class Estimate:
    """Costs of jobs under a configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        sizes = SimpleNamespace(**architecture(config))
        self.flops, self.model = Flops(sizes), parameters(sizes) * BYTES
        self.rules: dict[str, Callable[[Job], Cost]] = {
            "text": self.pairs,
            "align": self.pairs,
            "shards": self.pairs,
            "backbone": self.backbone,
            "pretrain": self.pretrain,
            "finetune": self.finetune,
            "evaluate": self.evaluate,
        }
        self.guessed: set[str] = set()

    def costs(self, jobs: Sequence[Job]) -> Iterator[Cost]:
        """Of those jobs that matter, in the order of the stages."""
        for rule, of in self.rules.items():
            yield from (of(job) for job in jobs if job.rule == rule)

    @property
    def notes(self) -> list[str]:
        """What was not counted but estimated, or assumed."""
        found = []
        if self.guessed:
            found.append(f"Estimated from mean lengths, not counted: {', '.join(sorted(self.guessed))}.")
        if names := amounts.unknown(self.config):
            found.append(
                f"No number of examples is noted (sources.<name>.examples), {amounts.UNKNOWN:,} of each language are "
                f"assumed where nothing is counted: {', '.join(names)}."
            )
        return found

    def backbone(self, job: Job) -> Cost:
        """A model from scratch, or a copy of a ready one."""
        if self.config.backbone.name_or_path is not None:
            return Cost("the backbone as it is", 0, self.model)
        data = self._shards(job.options["shards"])
        return self._training("backbone", job, data, self._masked("mlm", data, self._settings(job)))

    def pretrain(self, job: Job) -> Cost:
        objective, settings, data = job.one("objective"), self._settings(job), self._shards(job.options["shards"])
        return self._training(objective, job, data, self._masked(objective, data, settings))

    def finetune(self, job: Job) -> Cost:
        family, settings = job.one("family"), self._settings(job)
        found = [
            amounts.training(self.config, Path(path).parts[-3], family, job.one("language"))
            for path in job.options["manifest"]
        ]
        self.guessed.add("training data of tasks")
        examples = min(sum(amount.examples for amount in found), settings.get("max_examples") or 2**62)
        length = min(max(amount.length for amount in found), settings.get("max_length") or 512)
        data = amounts.Amount(examples, length)
        one = TRAINING * amounts.SEQUENCES.get(family, 1) * self._sequence(length)
        return self._training(f"fine-tuning, {family}", job, data, one)

    def evaluate(self, job: Job) -> Cost:
        task = tasks.load(job.one("task"))
        source = Path(job.one("manifest")).parts[-3]
        languages = job.options["languages"]
        data = amounts.test(self.config, source, task.family or "retrieval", languages, len(task.axes))
        self.guessed.add("test data")
        sequences = amounts.SEQUENCES.get(task.family or "", 1) * data.examples
        return Cost("evaluation", sequences * self._sequence(data.length))

    def pairs(self, job: Job) -> Cost:
        """Disk of the stages before training; of text in one language nothing is said."""
        place = next((re.search(r"/(?:en-)([^/]+)/", value) for value in job.options.get("out", [])), None)
        if place is None or place[1] not in self.config.data.parallel:
            return Cost("text, links and shards", 0)
        data = amounts.shards(self.config, Path(f"results/shards/en-{place[1]}/manifest.json"))
        return Cost("text, links and shards", 0, data.examples * data.length * PER_SUBWORD[job.rule])

    def _settings(self, job: Job) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(job.one("settings"))
        return found

    def _shards(self, manifests: Sequence[str]) -> amounts.Amount:
        """All of them together."""
        found = [amounts.shards(self.config, Path(manifest)) for manifest in manifests]
        if not all(amount.counted for amount in found):
            self.guessed.add("pairs and passages")
        rows = sum(amount.examples for amount in found)
        return amounts.Amount(rows, sum(amount.examples * amount.length for amount in found) / max(rows, 1))

    def _sequence(self, length: float) -> float:
        return self.flops.encoder([length])

    def _masked(self, objective: str, data: amounts.Amount, settings: Mapping[str, Any]) -> float:
        """Operations of one example of pre-training."""
        if objective == "word_align":  # both sides apart; a frozen encoder sees the English one too
            side = self._sequence(data.length / 2)
            return TRAINING * 2 * side + side
        predicted = float(settings["mask_probability"]) * data.length
        if objective == "weam" and settings["cross_weight"]:
            predicted *= 1 + ALIGNED
        return TRAINING * (self._sequence(data.length) + self.flops.head(1) * predicted)

    def _training(self, what: str, job: Job, data: amounts.Amount, one: float) -> Cost:
        settings = self._settings(job)
        steps = math.ceil(data.examples / settings["batch_size"]) * settings["epochs"]
        steps = min(steps, settings["max_steps"] or steps)
        examples = min(steps * settings["batch_size"], data.examples * settings["epochs"])
        return Cost(what, examples * one, self.model, STATE * (KEEP + 1) * self.model)


def architecture(config: Config) -> dict[str, int]:
    """Sizes of the backbone in the words of Transformers: from the configuration, its folder, or :data:`KNOWN`."""
    own = config.backbone
    if own.name_or_path is None:
        sizes = {"num_hidden_layers": own.layers, "hidden_size": own.hidden_size, "vocab_size": own.vocab_size}
        return sizes | {"intermediate_size": own.intermediate_size, "max_position_embeddings": own.max_positions}
    folder = Path(own.name_or_path)
    if not folder.is_dir():
        folder = Path("data/hub") / path_of(own.name_or_path, own.revision)
    path = folder / "config.json"
    if not path.is_file():
        if own.name_or_path in KNOWN:
            return KNOWN[own.name_or_path]
        raise UserError(
            f"backbone.name_or_path {own.name_or_path}: its size is not known before it is fetched; fetch it first "
            "(snakemake data)"
        )
    found = read_object(path)
    try:
        return {name: int(found[name]) for name in KNOWN["google-bert/bert-base-multilingual-cased"]}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not the configuration of a BERT-like model ({error}); give another backbone"
        ) from None
