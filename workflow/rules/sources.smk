"""
Sources: manifests of the data that each stage and table needs, and options of the mini world.

Needs: `cfg` and the helpers of common.smk and plan.smk. Makes: nothing. Rules: none.
"""


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
        local(str(path))
        for path in Path("data/mini").glob("*.yaml")
        if len(path.stem) > 2 or path.stem in languages
    )


MINI_SIZES = {
    "moses": ["pairs", "scarce"],
    "jsonl-zip": ["pairs", "scarce"],
    "lines": ["documents", "scarce"],
    "xlwa": ["gold_pairs"],
    "squad": ["questions"],
    "mlqa-translate-train": ["questions"],
    "mlqa": ["test_questions"],
    "xquad": ["test_questions"],
    "tydiqa": ["questions", "test_questions"],
    "lareqa": ["test_questions"],
    "xnli-mt": ["inferences"],
    "xnli": ["test_inferences"],
    "copa": ["choices"],
    "xcopa": ["test_choices"],
    "conllu": ["sentences", "test_sentences"],
    "wikiann": ["sentences", "test_sentences"],
    "tatoeba": ["test_sentences"],
    "mewsli-x": ["test_mentions"],
}
"""Format of a source of the mini world to the sizes that its files depend on, beside the seed."""


def mini_options(source):
    """Options of a download that only the mini world needs."""
    if not is_mini(source):
        return []
    entry = cfg.sources[source]
    sizes = MINI_SIZES.get(entry.format, [])
    values = cfg.mini.model_dump(mode="json", include={"seed", *sizes})
    if "scarce" in values:  # no entries of other languages
        values["scarce"] = {
            lang: share
            for lang, share in values["scarce"].items()
            if lang in entry.languages
        }
    return ["--mini", dumps(values), "--lexicons", "data/mini"]


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
    """Manifests of every source that a task's table depends on, and of a real backbone."""
    return [*manifests(table_sources(wildcards.task)), *hub_manifest()]


def all_table_manifests():
    """Manifests of every source that the table over all tasks depends on, and of a real backbone."""
    names = dict.fromkeys(name for task in cfg.tasks for name in table_sources(task))
    return [*manifests(names), *hub_manifest()]


def table_sources(task):
    """Every source that a task's table depends on."""
    task_entry(task)
    family = registry.load(task).family
    names = [] if cfg.backbone.name_or_path else list(cfg.data.monolingual)
    for setting in task_settings_run(task):
        for lang in model_languages(task, setting):
            if cfg.systems != ["mbert"]:
                names += cfg.data.parallel[lang]
            if family in families(cfg):
                names += family_sources(family, setting, lang)
    if any(joint(system) for system in cfg.systems):
        names += [name for lang in cfg.languages for name in cfg.data.parallel[lang]]
    names.append(cfg.tasks[task].source)
    return dict.fromkeys(names)
