"""
Helpers of the rules: slices of the configuration, lists of targets, options, resources.

Needs: `cfg`, the validated configuration (weam.config.Config) that the Snakefile makes. Makes: nothing. Rules: none.
"""

import json
import re
from pathlib import Path

from weam.codehash import code_hash
from weam.config import FAMILY


wildcard_constraints:
    source="[A-Za-z0-9._-]+",
    version="[A-Za-z0-9._-]+",
    lang="|".join([*cfg.languages, "multi"]),
    corpus="mono|" + "|".join(f"en-{lang}" for lang in cfg.languages),
    system="mbert|(mlm|tlm|word_align|weam)(-joint)?",
    method="fast_align|eflomal",
    family="qa|nli",
    setting="zero-shot|translate-train",
    task="|".join(FAMILY),
    part="[0-9]+",
    parts="[0-9]+",
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
        getattr(cfg.finetune, FAMILY[wildcards.task]),
        keep={
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


MINI_SIZES = {
    "moses": "pairs",
    "jsonl-zip": "pairs",
    "lines": "documents",
    "xlwa": "gold_pairs",
    "squad": "questions",
    "mlqa-translate-train": "questions",
    "mlqa": "test_questions",
    "xnli-mt": "inferences",
    "xnli": "test_inferences",
}
"""Format of a source of the mini world to the size that its files depend on, beside the seed."""


def mini_options(source):
    """Options of a download that only the mini world needs."""
    if not is_mini(source):
        return []
    size = MINI_SIZES.get(cfg.sources[source].format)
    sizes = block(cfg.mini, keep={"seed", size} if size else None)
    return ["--mini", sizes, "--lexicons", "data/mini"]


def alignment_sources():
    """Sources of pairs and of gold alignments."""
    pairs = [source for lang in cfg.languages for source in cfg.data.parallel[lang]]
    gold = [cfg.data.gold.get(lang) for lang in cfg.languages]
    return dict.fromkeys([*pairs, *filter(None, gold)])


def data_sources():
    """Sources of everything that is cleaned, and of the training data of the families that are scored."""
    names = [source for corpus in corpora() for source in corpus_sources(corpus)]
    for family, setting, lang in training_sets():
        names += family_sources(family, setting, lang)
    return dict.fromkeys(names)


def table_manifests(wildcards):
    """Manifests of every source that a task's table depends on."""
    settings = task_family(wildcards)
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
    """Languages of a corpus; a code may have a hyphen."""
    if corpus == "mono":
        return ["en", *cfg.languages]
    return ["en", corpus.removeprefix("en-")]


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
    return family_sources(wildcards.family, wildcards.setting, wildcards.lang)


def family_sources(family, setting, lang):
    """Sources of the training data of a family in a setting."""
    settings = getattr(cfg.finetune, family)
    return settings.train if setting == "zero-shot" else settings.translate_train[lang]


def training_sets():
    """Family, setting and language of every set of training data; zero-shot, all languages share one in English."""
    return [
        (family, setting, lang)
        for family in dict.fromkeys(FAMILY[task] for task in cfg.tasks)
        for setting in getattr(cfg.finetune, family).settings
        for lang in (cfg.languages[:1] if setting == "zero-shot" else cfg.languages)
    ]


def training_models():
    """One fine-tuned model per set of training data: that of the first system and the first seeds."""
    plain = shared(cfg.systems[0])
    pseed = 0 if cfg.systems[0] == "mbert" else cfg.seeds.pretrain[0]
    seeds = f"seed{pseed}-{cfg.seeds.finetune[0]}"
    models = []
    for family, setting, lang in training_sets():
        model_lang = "multi" if plain and setting == "zero-shot" else lang
        models.append(
            f"results/finetuned/{family}/{setting}/{cfg.systems[0]}/{model_lang}/{seeds}"
        )
    return models


def task_entry(wildcards):
    """The entry of a task in the configuration; a task that is not there has no scores and no table."""
    if wildcards.task not in cfg.tasks:
        raise SystemExit(
            f"weam: config: key 'tasks' has no {wildcards.task!r}, so it has no table; "
            f"add it or ask for one of: {', '.join(cfg.tasks) or 'none'}"
        )
    return cfg.tasks[wildcards.task]


def task_family(wildcards):
    """The fine-tuning block of a task of the configuration."""
    task_entry(wildcards)
    return getattr(cfg.finetune, FAMILY[wildcards.task])


def joint(system):
    return system.endswith("-joint")


def shared(system):
    """Whether a system is one model of all languages."""
    return system == "mbert" or joint(system)


def pretrain_languages(wildcards):
    """Languages that continued pre-training learns from."""
    if joint(wildcards.system) != (wildcards.lang == "multi"):
        raise SystemExit(
            f"weam: there is no {wildcards.system} for {wildcards.lang}; a joint system has the language multi, "
            "another one of its own"
        )
    return cfg.languages if joint(wildcards.system) else [wildcards.lang]


def pretrain_shards(wildcards):
    return [
        f"results/shards/en-{lang}/manifest.json"
        for lang in pretrain_languages(wildcards)
    ]


def pretrain_manifests(wildcards):
    """Manifests of the sources of the pairs, for the model card."""
    names = [
        source
        for lang in pretrain_languages(wildcards)
        for source in cfg.data.parallel[lang]
    ]
    return manifests(dict.fromkeys(names))


def pretrain_settings(wildcards):
    return block(getattr(cfg.pretrain, wildcards.system.removesuffix("-joint")))


def temperature(wildcards):
    return each(
        "--temperature", [cfg.pretrain.temperature] if joint(wildcards.system) else []
    )


def pretrained_model(wildcards):
    """Model that fine-tuning starts from."""
    if wildcards.system == "mbert":
        return "results/models/backbone"
    lang = "multi" if joint(wildcards.system) else wildcards.lang
    return f"results/models/{wildcards.system}/{lang}/seed{wildcards.pseed}"


def finetuned_model(wildcards):
    """Model that a task is scored with."""
    path = "results/finetuned/{family}/{setting}/{system}/{lang}/seed{pseed}-{fseed}"
    return path.format(family=FAMILY[wildcards.task], **wildcards)


def scores(wildcards):
    """Score files behind a task's table: system x setting x language x seeds.

    The unmodified backbone has no seed of pre-training (0). It and joint systems have one zero-shot model for all
    languages (multi).
    """
    settings = task_family(wildcards)
    files = []
    for setting in settings.settings:
        for system in cfg.systems:
            plain = system == "mbert"
            once = shared(system) and setting == "zero-shot"
            for lang in ["multi"] if once else cfg.languages:
                for pseed in [0] if plain else cfg.seeds.pretrain:
                    for fseed in cfg.seeds.finetune:
                        files.append(
                            f"results/scores/{wildcards.task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}/scores.json"
                        )
    return files


def backbone_files():
    """Files of a real backbone in a local folder; those of one that is downloaded are not known."""
    folder = Path(cfg.backbone.name_or_path or "")
    if not cfg.backbone.name_or_path or not folder.is_dir():
        return []
    names = ["config.json", "model.safetensors", "tokenizer.json"]
    return [str(folder / name) for name in names if (folder / name).is_file()]


# ---- FastAlign


def gold_manifest(wildcards):
    """Manifest of the gold alignments of a language, if it has some."""
    return manifests(filter(None, [cfg.data.gold.get(wildcards.lang)]))


def align_parts(wildcards):
    """Counts of all parts of a corpus that is aligned in parts."""
    return expand(
        "results/align/en-{lang}/parts/{part}-of-{parts}/counts.json",
        lang=wildcards.lang,
        part=range(cfg.align.parts),
        parts=cfg.align.parts,
    )


def align_settings(method):
    """What an alignment depends on beside its text."""
    settings = cfg.align.model_copy(update={"method": method})
    return block(settings, drop={"source", "binary_dir", "compare", "parts"})


def alignment_qualities():
    """quality.json of every pair, and of the methods to be compared."""
    others = [method for method in cfg.align.compare if method != cfg.align.method]
    folders = [
        "results/align",
        *(f"results/align/compare/{method}" for method in others),
    ]
    return expand("{folder}/en-{lang}/quality.json", folder=folders, lang=cfg.languages)


def fast_align_tools():
    """Folder of the programs: ours, or the user's."""
    if cfg.align.binary_dir and not Path(cfg.align.binary_dir).is_dir():
        raise SystemExit(
            f"weam: config: key 'align.binary_dir' is {cfg.align.binary_dir!r}; there is no such folder"
        )
    return cfg.align.binary_dir or "results/tools/fast_align"


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


def launch(wildcards, resources):
    """The start of a training command: one process, or one for each of several GPUs."""
    count = gpus(resources)
    if count > 1:
        # a scheduler's SIGUSR1 is for the processes, which write a checkpoint; torchrun would die of it
        return f"trap '' USR1; python -m torch.distributed.run --standalone --nproc-per-node={count} -m weam"
    return "python -m weam"


def growing(base, per_input_mb=0):
    """MB of memory or minutes: a base and a share of the input's size, more with each attempt."""
    if not per_input_mb:
        return lambda wildcards, attempt: base * attempt
    return lambda wildcards, input, attempt: int(
        (base + per_input_mb * input.size_mb) * attempt
    )
