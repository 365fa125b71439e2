"""
Helpers of the rules: slices of the configuration, lists of targets, options, resources.

Needs: `cfg`, the validated configuration (weam.config.Config) that the Snakefile makes. Makes: nothing. Rules: none.
"""

import json
from pathlib import Path

from weam.codehash import code_hash
from weam.config import FAMILY


wildcard_constraints:
    source="[A-Za-z0-9._-]+",
    version="[A-Za-z0-9._-]+",
    lang="|".join([*cfg.languages, "multi"]),
    corpus="mono|" + "|".join(f"en-{lang}" for lang in cfg.languages),
    system="mbert|tlm|word_align|weam",
    objective="tlm|word_align|weam",
    family="qa|nli",
    setting="zero-shot|translate-train",
    task="|".join(FAMILY),
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
    """The text block without the entries of other languages."""
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
    """Of the task's family, what prediction uses."""
    return block(
        getattr(cfg.finetune, FAMILY[wildcards.task]),
        keep={
            "max_length",
            "window_step",
            "max_question_length",
            "max_answer_length",
            "batch_size",
            "precision",
        },
    )


def evaluate_label(wildcards):
    """What the scores say about their origin."""
    return dumps(
        {
            "setting": wildcards.setting,
            "system": wildcards.system,
            "model_lang": "multi" if wildcards.system == "mbert" else wildcards.lang,
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


# ---- sources


def manifest(source):
    """Path of the manifest of a source."""
    return f"data/raw/{source}/{cfg.sources[source].version}/manifest.json"


def manifests(sources):
    return [manifest(source) for source in sources]


def is_mini(source):
    return cfg.sources[source].url.startswith("mini:")


def mini_lexicons(source):
    """Lexicons of a source's languages and what they share, for sources of the mini world."""
    if not is_mini(source):
        return []
    languages = cfg.sources[source].languages
    return sorted(
        str(path)
        for path in Path("data/mini").glob("*.yaml")
        if len(path.stem) > 2 or path.stem in languages
    )


def mini_options(source):
    """Options of a download that only the mini world needs."""
    if not is_mini(source):
        return []
    return ["--mini", block(cfg.mini), "--lexicons", "data/mini"]


def alignment_sources():
    """Sources of pairs and of gold alignments."""
    pairs = [source for lang in cfg.languages for source in cfg.data.parallel[lang]]
    gold = [cfg.data.gold.get(lang) for lang in cfg.languages]
    return dict.fromkeys([*pairs, *filter(None, gold)])


def text_sources():
    """Sources of everything that is cleaned."""
    return dict.fromkeys(
        source for corpus in corpora() for source in corpus_sources(corpus)
    )


def table_manifests(wildcards):
    """Manifests of every source that a task's table depends on."""
    settings = getattr(cfg.finetune, FAMILY[wildcards.task])
    names = [] if cfg.backbone.name_or_path else list(cfg.data.monolingual)
    if "zero-shot" in settings.settings:
        names += settings.train
    for lang in cfg.languages:
        names += cfg.data.parallel[lang] if cfg.systems != ["mbert"] else []
        if "translate-train" in settings.settings:
            names += settings.translate_train[lang]
    names.append(cfg.tasks[wildcards.task].source)
    return manifests(dict.fromkeys(names))


# ---- corpora and models


def corpora():
    """Every corpus that is cleaned: one of pairs per language, and running text for a backbone made from scratch."""
    pairs = [f"en-{lang}" for lang in cfg.languages]
    return pairs if cfg.backbone.name_or_path else [*pairs, "mono"]


def corpus_languages(corpus):
    return ["en", *cfg.languages] if corpus == "mono" else corpus.split("-")


def corpus_sources(corpus):
    """Sources of a corpus, in the order in which they are read."""
    if corpus == "mono":
        return cfg.data.monolingual
    return cfg.data.parallel[corpus.removeprefix("en-")]


def links(corpus, direction):
    """The link file of a corpus of pairs, as a list; none for running text."""
    return [] if corpus == "mono" else [f"results/align/{corpus}/{direction}.txt"]


def tokenizer():
    """Folder with the tokenizer: the trained one, or that of the real backbone."""
    if cfg.backbone.name_or_path:
        return "results/models/backbone"
    return "results/models/tokenizer"


def train_language(wildcards):
    return "en" if wildcards.setting == "zero-shot" else wildcards.lang


def train_sources(wildcards):
    """Sources of the training data of a family in a setting."""
    settings = getattr(cfg.finetune, wildcards.family)
    if wildcards.setting == "zero-shot":
        return settings.train
    return settings.translate_train[wildcards.lang]


def pretrained_model(wildcards):
    """Model that fine-tuning starts from."""
    if wildcards.system == "mbert":
        return "results/models/backbone"
    return f"results/models/{wildcards.system}/{wildcards.lang}/seed{wildcards.pseed}"


def finetuned_model(wildcards):
    """Model that a task is scored with."""
    path = "results/finetuned/{family}/{setting}/{system}/{lang}/seed{pseed}-{fseed}"
    return path.format(family=FAMILY[wildcards.task], **wildcards)


def scores(wildcards):
    """Score files behind a task's table: system x setting x language x seeds.

    The unmodified backbone has no seed of pre-training (0), and one zero-shot model for all languages (multi).
    """
    settings = getattr(cfg.finetune, FAMILY[wildcards.task])
    files = []
    for setting in settings.settings:
        for system in cfg.systems:
            plain = system == "mbert"
            once = plain and setting == "zero-shot"
            for lang in ["multi"] if once else cfg.languages:
                for pseed in [0] if plain else cfg.seeds.pretrain:
                    for fseed in cfg.seeds.finetune:
                        files.append(
                            f"results/scores/{wildcards.task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}/scores.json"
                        )
    return files


# ---- FastAlign


def fast_align_source():
    """Source tree or archive of FastAlign: ours, or the user's."""
    return cfg.align.source or "fast_align"


def fast_align_files():
    """Files that the build depends on."""
    source = Path(fast_align_source())
    if source.is_file():
        return [str(source)]
    if not source.is_dir():
        raise SystemExit(
            f"weam: config: key 'align.source' is {cfg.align.source!r}; there is no such folder or archive"
        )
    return sorted(
        str(path)
        for path in source.rglob("*")
        if path.suffix in (".cc", ".cpp", ".cxx", ".c", ".h", ".hpp", ".cmake")
        or path.name == "CMakeLists.txt"
    )


# ---- command lines and resources


def each(option, values):
    """`--option value` for each value, as a list; nothing for no values."""
    return [part for value in values for part in (option, value)]


def device(wildcards, resources):
    """A job uses a GPU if and only if it asked for one (see profiles)."""
    asked = resources.get("gpu", 0) or "gpu" in str(resources.get("gres", ""))
    return "auto" if asked else "cpu"


def memory(base, per_input_mb=0):
    """MB of memory: a base and a share of the input's size, more with each attempt."""
    return growing(base, per_input_mb)


def minutes(base, per_input_mb=0):
    """Minutes of run time: a base and a share of the input's size, more with each attempt."""
    return growing(base, per_input_mb)


def growing(base, per_input_mb):
    if not per_input_mb:
        return lambda wildcards, attempt: base * attempt
    return lambda wildcards, input, attempt: int(
        (base + per_input_mb * input.size_mb) * attempt
    )
