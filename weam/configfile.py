"""The whole configuration of a run, checked against the table of sources."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weam import tasks
from weam.config import Config, Finetune, Task
from weam.config_base import PATH_PART
from weam.config_data import Source
from weam.errors import UserError
from weam.redact import conceal, redact
from weam.validation import hint, read_yaml, validate


def read_sources(path: str | Path) -> dict[str, Source]:
    """Read the table of sources: a YAML file, or a folder of them (workflow/sources)."""
    table: dict[str, Source] = {}
    origin: dict[str, Path] = {}
    files = sorted(Path(path).glob("*.yaml")) if Path(path).is_dir() else [Path(path)]
    for file in files:
        entries = read_yaml(file) or {}
        if not isinstance(entries, dict):
            raise UserError(f"{file}: not a table of sources, but {type(entries).__name__}; it has lines 'name: entry'")
        for name, entry in entries.items():
            if not isinstance(name, str):
                raise UserError(f"{file}: the name {name!r} of a source is not text; put it in quotes")
            if not re.fullmatch(PATH_PART, name):
                raise UserError(
                    f"{file}: the name {name!r} of a source is part of a path; write it with letters, digits and ._-"
                )
            if name in table:
                raise UserError(f"{file}: source {name!r} stands in {origin[name]} too; rename one of them")
            table[name], origin[name] = validate(Source, entry, f"{file}: source {name!r}"), file
    if not files:
        raise UserError(f"{path}: a folder without any *.yaml; it should hold the tables of sources")
    return table


FORMATS: dict[str, tuple[str, ...]] = {
    "data.parallel": ("moses", "jsonl-zip", "tsv-zip"),
    "data.gold": ("xlwa", "bicici"),
    "finetune.qa": ("squad", "tydiqa", "mlqa-translate-train"),
    "finetune.nli": ("xnli-mt", "multinli"),
    "finetune.copa": ("copa", "siqa"),
    "finetune.pos": ("conllu",),
    "finetune.ner": ("wikiann",),
}
"""Beginning of a key to the formats of the sources that it may name; those of tasks are in their registry."""


def families(cfg: Config) -> dict[str, Finetune]:
    """The families of the tasks that are fine-tuned, and their settings."""
    wanted = {tasks.load(name).family for name in cfg.tasks}
    return {name: block for name, block in cfg.finetune if name in wanted}


def translated(cfg: Config, family: str) -> list[str]:
    """Languages of a family's tasks that there is translated training data for; ``load`` has resolved the tasks."""
    wanted = {
        language
        for name, task in cfg.tasks.items()
        if tasks.load(name).family == family
        for language in task.languages or []
    }
    sources = families(cfg)[family].translate_train
    return [language for language in cfg.languages if language in wanted and sources.get(language)]


def _check_format(key: str, name: str, source: Source) -> None:
    known = FORMATS
    if key.startswith("tasks."):
        task = key.split(".")[1]
        known = {f"tasks.{task}": tasks.load(task).formats}
    for block, formats in known.items():
        if key.startswith(f"{block}.") and source.format not in formats:
            raise UserError(
                f"config: key {key!r} names source {name!r} of format {source.format!r}; "
                f"it takes {' or '.join(formats)}"
            )


def load(config: Mapping[str, Any], table: str | Path) -> Config:
    """Validate a merged configuration and resolve the names of its sources against the table.

    Returns the configuration with ``sources`` holding every source that it uses, and nothing else.
    """
    cfg = validate(Config, config, "config")
    for name in cfg.tasks:
        if name not in tasks.names():
            raise UserError(
                f"config: key 'tasks' names the unknown task {name!r}; {hint(name, tasks.names(), 'tasks')}"
            )
    known = read_sources(table) | cfg.sources
    cfg = cfg.model_copy(update={"tasks": _with_languages(cfg, known)})
    used: dict[str, Source] = {}
    for key, names in _source_names(cfg):
        for name in names:
            used[name] = _find(key, name, known)
    for language in cfg.languages:
        for name in cfg.data.parallel[language]:
            if not {"en", language} <= set(used[name].languages):
                raise UserError(
                    f"config: source {name!r} in data.parallel.{language} has languages {used[name].languages}; "
                    f"it needs en and {language}"
                )
    if cfg.backbone.name_or_path is None and not cfg.data.monolingual:
        raise UserError(
            "config: key 'data.monolingual' is empty; name sources of running text to train the backbone on, "
            "or set backbone.name_or_path to a ready model"
        )
    for family, settings in families(cfg).items():
        if not settings.train and "zero-shot" in settings.settings:
            raise UserError(f"config: key 'finetune.{family}.train' is empty; name a source of English training data")
        if "translate-train" in settings.settings and not translated(cfg, family):
            raise UserError(
                f"config: finetune.{family}.translate_train has no source for any of the languages of its tasks; "
                f"add one or take translate-train out of finetune.{family}.settings"
            )
    return cfg.model_copy(update={"sources": dict(sorted(used.items()))})


def _find(key: str, name: str, known: Mapping[str, Source]) -> Source:
    if name not in known:
        raise UserError(f"config: key {key!r} names the unknown source {name!r}; {hint(name, known, 'sources')}")
    _check_format(key, name, known[name])
    return known[name]


def _with_languages(cfg: Config, known: Mapping[str, Source]) -> dict[str, Task]:
    """The tasks with the target languages that each is scored in; those without any test set are left out, and told."""
    found = {}
    for name, task in cfg.tasks.items():
        there = _find(f"tasks.{name}.source", task.source, known).languages
        if task.split not in tasks.load(name).splits:
            raise UserError(
                f"config: key 'tasks.{name}.split' is {task.split!r}; {name} has {', '.join(tasks.load(name).splits)}"
            )
        if task.split == "held-out" and known[task.source].test_share is None:
            raise UserError(
                f"config: key 'tasks.{name}.split' is held-out; source {task.source!r} has no test_share, so nothing "
                "is kept from training: give it one (say 0.1), or score split test"
            )
        for key, chosen in (("languages", task.languages or []), ("held_out", task.held_out)):
            for language in chosen:
                if language not in there or language == "en":
                    raise UserError(
                        f"config: key 'tasks.{name}.{key}' names {language!r}; source {task.source!r} has "
                        f"{', '.join(there)} (English is always scored where it is there)"
                    )
        if both := [language for language in task.held_out if language in cfg.languages]:
            raise UserError(f"config: key 'tasks.{name}.held_out' names {both[0]!r}, which stands in languages")
        wanted = there if task.languages is None else task.languages
        chosen = [language for language in cfg.languages if language in wanted]
        english = "en" in there and tasks.load(name).english
        if not chosen and not english and task.held_out and all(_alone(system) for system in cfg.systems):
            raise UserError(
                f"config: key 'tasks.{name}.held_out' has all languages of the task, in which systems with one model "
                "per language cannot be scored: add mbert or a joint system"
            )
        if chosen or task.held_out or english:
            found[name] = task.model_copy(update={"languages": chosen})
            if not chosen and not task.held_out:
                print(f"weam: config: task {name} is scored in English only", file=sys.stderr)
        else:
            print(f"weam: config: task {name} has no test set in {', '.join(cfg.languages)}; left out", file=sys.stderr)
    return found


def _alone(system: str) -> bool:
    """Whether a system has one model per language."""
    return system != "mbert" and not system.endswith("-joint")


def _source_names(cfg: Config) -> list[tuple[str, list[str]]]:
    names: list[tuple[str, list[str]]] = [("data.monolingual", cfg.data.monolingual)]
    for language in cfg.languages:
        names.append((f"data.parallel.{language}", cfg.data.parallel[language]))
        if gold := cfg.data.gold.get(language):
            names.append((f"data.gold.{language}", [gold]))
    for family, settings in families(cfg).items():
        names.append((f"finetune.{family}.train", settings.train))
        if "translate-train" in settings.settings:
            for language in translated(cfg, family):
                names.append((f"finetune.{family}.translate_train.{language}", settings.translate_train[language]))
    names.extend((f"tasks.{task}.source", [entry.source]) for task, entry in cfg.tasks.items())
    return names


def for_jobs(cfg: Config) -> Config:
    """Put into the environment what jobs find there, and take secrets out of what Snakemake records.

    Jobs use the Python that runs Snakemake, also where its environment is not activated (not so with --sdm conda).
    Paths of this machine and secrets in URLs reach the downloads by the environment: they are in no parameter.
    """
    here = Path(sys.executable).parent
    if Path(shutil.which("python") or "").parent != here:
        os.environ["PATH"] = f"{here}:{os.environ.get('PATH', '')}"
    if cfg.mirror and redact(cfg.mirror) != cfg.mirror:
        print(
            "weam: config: mirror has a password or a token, which Snakemake's log or report repeats; "
            "give it as the environment variable WEAM_MIRROR instead",
            file=sys.stderr,
        )
    site = {"WEAM_SHARED_DATA": cfg.sample_dir, "WEAM_MIRROR": cfg.mirror}
    os.environ.update({name: value for name, value in site.items() if value})
    return cfg.model_copy(update={"sources": conceal(cfg.sources)})


def add_configuration(parser: argparse.ArgumentParser, before: str) -> None:
    """Options of commands that read the configuration as Snakemake does; arguments called ``before`` precede them."""
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        metavar="OVERLAY",
        help=f"overlays on it, as for snakemake; {before} stand before it",
    )
    parser.add_argument("--table", type=Path, default=Path("workflow/sources"), help="the table of sources")


def configuration(args: argparse.Namespace, before: str) -> Config:
    """The configuration of these options."""
    overlays: dict[str, Any] = {}
    for path in args.configfile:  # as Snakemake does: joined first, then laid on the configuration
        if not path.is_file():
            raise UserError(f"--configfile {path}: there is no such file; {before} stand before --configfile")
        overlays = overlaid(overlays, _layer(path))
    return load(overlaid(_layer(args.config), overlays), args.table)


def _layer(path: Path) -> dict[str, Any]:
    layer = read_yaml(path)
    if not isinstance(layer, dict):
        raise UserError(f"{path}: not a configuration, but {type(layer).__name__}; it has lines 'key: value'")
    return layer


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two layers of a configuration as one: blocks are merged key by key, all else is replaced, as Snakemake does."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = overlaid(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
