"""
Helpers of the rules: slices of the configuration, lists of targets, options, resources.

Needs: `cfg`, the validated configuration (weam.config.Config) that the Snakefile makes. Makes: nothing. Rules: none.
"""

import json
import re
from pathlib import Path

from weam import tasks as registry
from weam.codehash import code_hash
from weam.config import FinetuneFamilies
from weam.configfile import families, translated
from weam.hub import path_of
from weam.mixture import PATTERN as MIXTURE
from weam.mixture import is_mixture, mixture
from weam.mixture import parse as parse_mixture


wildcard_constraints:
    source="[A-Za-z0-9._-]+",
    version="[A-Za-z0-9._-]+",
    lang="|".join([*cfg.languages, "multi"]),
    corpus="mono|" + "|".join(f"en-{lang}" for lang in cfg.languages),
    system=f"mbert|(mlm|tlm|word_align|weam)(-joint)?|{MIXTURE}",
    method="fast_align|eflomal",
    family="|".join(FinetuneFamilies.model_fields),
    setting="zero-shot|translate-train",
    task="|".join(registry.names()),
    part="[0-9]+",
    parts="[0-9]+",
    rows="[1-9][0-9]*",
    pseed="[0-9]+",
    fseed="[0-9]+",


# ---- slices of the configuration: each rule gets what it uses, as one line of JSON with sorted keys. Rules take them
#      by lambda, so that Snakemake does not look for wildcards in the braces.


def dumps(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def block(model, keep=None, drop=None):
    """A block of the configuration, or some keys of it, as JSON."""
    return dumps(model.model_dump(mode="json", include=keep, exclude=drop))


def text_settings(wildcards):
    """Of the text block, what the corpus uses: for running text deduplicate, for pairs no entry of other languages."""
    if wildcards.corpus == "mono":
        return block(cfg.text, keep={"deduplicate"})
    languages = corpus_languages(wildcards.corpus)
    values = cfg.text.model_dump(mode="json")
    values["segmenter"] = {
        lang: how for lang, how in values["segmenter"].items() if lang in languages
    }
    values["max_pairs"] = {
        lang: count
        for lang, count in values["max_pairs"].items()
        if wildcards.corpus == f"en-{lang}"
    }
    return dumps(values)


def finetune_settings(wildcards):
    """The family's block without the names of sources (they are inputs) and without what only prediction uses."""
    return block(
        getattr(cfg.finetune, wildcards.family),
        drop={
            "train",
            "translate_train",
            "settings",
            "max_answer_length",
        },
    )


def evaluate_settings(wildcards):
    """Of the task's family, what prediction uses; a family without one of the keys goes without it."""
    return block(
        task_settings(wildcards.task),
        keep={
            "layer",
            "max_length",
            "window_step",
            "max_question_length",
            "max_answer_length",
        },
    )


def evaluate_label(wildcards):
    """What the scores say about their origin."""
    return dumps(
        {
            "setting": wildcards.setting,
            "system": wildcards.system,
            "model_lang": "multi" if shared(wildcards.system) else wildcards.lang,
            "train_lang": train_language(wildcards),
            "seeds": {
                "pretrain": int(wildcards.pseed),
                "finetune": int(wildcards.fseed),
            },
        }
    )


def resolved_config():
    """The whole configuration, for the provenance of tables, without the paths of this machine."""
    return block(cfg, drop={"sample_dir", "mirror"})


# ---- command lines and resources


def each(option, values):
    """`--option value` for each value, as a list; nothing for no values."""
    return [part for value in values for part in (option, value)]


def gpus(resources):
    """How many GPUs a job asked for: gres="gpu:2", "gpu:a100:2", "gpu" if it is set, else gpu=2."""
    asked = re.findall(
        r"\bgpu(?::[A-Za-z][^:,(]*)?(?::(\d+))?", str(resources.get("gres", ""))
    )
    if asked:
        return sum(int(count or 1) for count in asked)
    return int(resources.get("gpu", 0) or 0)


def device(wildcards, resources):
    """A job uses a GPU if and only if it asked for one (see profiles)."""
    return "auto" if gpus(resources) else "cpu"


def on_gpu(resources):
    """What starts a command on GPUs that no other job has; nothing where a scheduler sees to that, or without GPUs."""
    count = gpus(resources) if resources.get("own_gpu") else 0
    return f"python -m weam on_gpu {count} " if count else ""


def launch(wildcards, resources):
    """The start of a training command: one process, or one for each of several GPUs."""
    count = gpus(resources)
    if count > 1:
        # a scheduler's SIGUSR1 is for the processes, which write a checkpoint; torchrun would die of it
        return f"trap '' USR1; {on_gpu(resources)}python -m torch.distributed.run --standalone --nproc-per-node={count} -m weam"
    return launch_one(wildcards, resources)


def launch_one(wildcards, resources):
    """The start of a command that is one process, on a GPU too."""
    return f"{on_gpu(resources)}python -m weam"


def growing(base, per_input_mb=0):
    """MB of memory or minutes: a base and a share of the input's size, more with each attempt."""
    if not per_input_mb:
        return lambda wildcards, attempt: base * attempt
    return lambda wildcards, input, attempt: int(
        (base + per_input_mb * input.size_mb) * attempt
    )
