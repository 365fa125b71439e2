"""The whole configuration of a run, checked against the table of sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weam.config import FAMILY, Config, Source
from weam.errors import UserError
from weam.validation import hint, read_yaml, validate


def read_sources(path: str | Path) -> dict[str, Source]:
    """Read the table of sources (workflow/sources.yaml)."""
    return {name: validate(Source, entry, f"{path}: source {name!r}") for name, entry in read_yaml(path).items()}


FORMATS: dict[str, tuple[str, ...]] = {
    "data.parallel": ("moses", "jsonl-zip", "tsv-zip"),
    "data.gold": ("xlwa", "bicici"),
    "finetune.qa": ("squad", "tydiqa", "mlqa-translate-train"),
    "finetune.nli": ("xnli-mt",),
    "tasks.mlqa": ("mlqa",),
    "tasks.xquad": ("xquad",),
    "tasks.xnli": ("xnli",),
}
"""Beginning of a key to the formats of the sources that it may name."""


def _check_format(key: str, name: str, source: Source) -> None:
    for block, formats in FORMATS.items():
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
    known = read_sources(table) | cfg.sources
    used: dict[str, Source] = {}
    for key, names in _source_names(cfg):
        for name in names:
            if name not in known:
                raise UserError(
                    f"config: key {key!r} names the unknown source {name!r}; {hint(name, known, 'sources')}"
                )
            used[name] = known[name]
            _check_format(key, name, known[name])
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
    for family, settings in (("qa", cfg.finetune.qa), ("nli", cfg.finetune.nli)):
        if not any(FAMILY[task] == family for task in cfg.tasks):
            continue
        if not settings.train and "zero-shot" in settings.settings:
            raise UserError(f"config: key 'finetune.{family}.train' is empty; name a source of English training data")
        if "translate-train" in settings.settings:
            for language in cfg.languages:
                if not settings.translate_train.get(language):
                    raise UserError(
                        f"config: finetune.{family}.translate_train has no source for language {language!r}; "
                        f"add one or take translate-train out of finetune.{family}.settings"
                    )
    return cfg.model_copy(update={"sources": dict(sorted(used.items()))})


def _source_names(cfg: Config) -> list[tuple[str, list[str]]]:
    names: list[tuple[str, list[str]]] = [("data.monolingual", cfg.data.monolingual)]
    for language in cfg.languages:
        names.append((f"data.parallel.{language}", cfg.data.parallel[language]))
        if gold := cfg.data.gold.get(language):
            names.append((f"data.gold.{language}", [gold]))
    for family, settings in (("qa", cfg.finetune.qa), ("nli", cfg.finetune.nli)):
        if any(FAMILY[task] == family for task in cfg.tasks):
            names.append((f"finetune.{family}.train", settings.train))
            if "translate-train" in settings.settings:
                for language in cfg.languages:
                    names.append(
                        (f"finetune.{family}.translate_train.{language}", settings.translate_train.get(language, []))
                    )
    names.extend((f"tasks.{task}.source", [entry.source]) for task, entry in cfg.tasks.items())
    return names
