"""
Plan: which corpora, models and scores the configuration asks for, as paths; what a job with given wildcards needs.

Needs: `cfg` and the helpers of common.smk. Makes: nothing. Rules: none.
"""


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


def family_languages(family, setting):
    """Languages with models of their own that are fine-tuned on a family in a setting."""
    tasks = [task for task in cfg.tasks if registry.load(task).family == family]
    wanted = {lang for task in tasks for lang in model_languages(task, setting)}
    return [lang for lang in cfg.languages if lang in wanted]


def training_sets():
    """Family, setting and language of every set of training data; zero-shot, all languages share one in English."""
    sets = []
    for family, settings in families(cfg).items():
        for setting in settings.settings:
            langs = family_languages(family, setting)
            sets += [
                (family, setting, lang)
                for lang in (langs[:1] if setting == "zero-shot" else langs)
            ]
    return sets


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


def task_entry(task):
    """The entry of a task in the configuration; a task that is not there has no scores and no table."""
    if task not in cfg.tasks:
        raise SystemExit(
            f"weam: config: key 'tasks' has no {task!r}, so it has no table; "
            f"add it or ask for one of: {', '.join(cfg.tasks) or 'none'}"
        )
    return cfg.tasks[task]


def task_settings(task):
    """The block of the configuration that a task's family is trained and predicts with."""
    family = registry.load(task).family
    return cfg.retrieval if family == "retrieval" else getattr(cfg.finetune, family)


def task_settings_run(task):
    """Settings that a task is scored in."""
    return getattr(task_settings(task), "settings", ["zero-shot"])


def english(task):
    """Whether a task is scored in English."""
    there = cfg.sources[task_entry(task).source].languages
    return registry.load(task).english and "en" in there


def model_languages(task, setting):
    """
    Languages for which a system with one model per language has one, in a setting; zero-shot all, if English is all
    that is scored.
    """
    chosen = task_entry(task).languages
    if setting == "translate-train":
        known = translated(cfg, registry.load(task).family)
        chosen = [lang for lang in chosen if lang in known]
    elif not chosen and english(task):
        chosen = cfg.languages
    return [lang for lang in cfg.languages if lang in chosen]


def test_languages(wildcards):
    """Languages that a model is scored in: English, if there is a test set, and its own, or all of the task."""
    entry = task_entry(wildcards.task)
    own = [lang for lang in entry.languages if wildcards.lang in (lang, "multi")]
    other = entry.held_out if wildcards.lang == "multi" else []
    return [*(["en"] if english(wildcards.task) else []), *own, *other]


def joint(system):
    """Whether a system is pre-trained on several languages at once: all of them, or those of a mixture of a study."""
    return system.endswith("-joint") or is_mixture(system)


def mixture_of(system):
    """Languages, pairs and training of a mixture (weam.mixture)."""
    try:
        found = parse_mixture(system)
    except UserError as error:
        raise SystemExit(f"weam: {error}") from None
    for lang in found.languages:
        if lang not in cfg.languages:
            raise SystemExit(
                f"weam: there is no {system}: {lang!r} is not among the languages of the configuration "
                f"({', '.join(cfg.languages)}); add it, or take it out of the study"
            )
    return found


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
    if is_mixture(wildcards.system):
        return mixture_of(wildcards.system).languages
    return cfg.languages if joint(wildcards.system) else [wildcards.lang]


def pretrain_shards(wildcards):
    """All pairs, or for a mixture as many of each language as it says."""
    subset = ""
    if is_mixture(wildcards.system):
        subset = f"subset-{mixture_of(wildcards.system).pairs}/"
    return [
        f"results/shards/en-{lang}/{subset}manifest.json"
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


def objective(wildcards):
    """What a system learns: the first part of its name."""
    return wildcards.system.partition("-")[0]


def pretrain_settings(wildcards):
    """The objective's block; a mixture says itself how long it is trained."""
    settings = getattr(cfg.pretrain, objective(wildcards))
    if is_mixture(wildcards.system):
        settings = settings.model_copy(update=mixture_of(wildcards.system).optimisation)
    return block(settings)


def temperature(wildcards):
    """Of joint systems; languages of a mixture have equally many pairs, so that it changes nothing."""
    if is_mixture(wildcards.system) or not joint(wildcards.system):
        return []
    return ["--temperature", cfg.pretrain.temperature]


def pretrained_model(wildcards):
    """Model that fine-tuning starts from."""
    if wildcards.system == "mbert":
        return "results/models/backbone"
    lang = "multi" if joint(wildcards.system) else wildcards.lang
    return f"results/models/{wildcards.system}/{lang}/seed{wildcards.pseed}"


def evaluated_model(wildcards):
    """Model that a task is scored with; without fine-tuning for retrieval."""
    family = registry.load(wildcards.task).family
    if family == "retrieval":
        return pretrained_model(wildcards)
    path = "results/finetuned/{family}/{setting}/{system}/{lang}/seed{pseed}-{fseed}"
    return path.format(family=family, **wildcards)


def evaluations(task):
    """Folders of the scores behind a task's table: system x setting x language x seeds.

    The unmodified backbone has no seed of pre-training (0), retrieval none of fine-tuning. The backbone and joint
    systems have one zero-shot model for all languages (multi).
    """
    tuned = registry.load(task).family in families(cfg)
    folders = []
    for setting in task_settings_run(task):
        for system in cfg.systems:
            once = shared(system) and setting == "zero-shot"
            for lang in ["multi"] if once else model_languages(task, setting):
                for pseed in [0] if system == "mbert" else cfg.seeds.pretrain:
                    for fseed in cfg.seeds.finetune if tuned else [0]:
                        folders.append(
                            f"results/scores/{task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}"
                        )
    return folders


def scores(wildcards):
    return [f"{folder}/scores.json" for folder in evaluations(wildcards.task)]


def items(wildcards):
    return [f"{folder}/items.parquet" for folder in evaluations(wildcards.task)]


def nothing_zero_shot():
    raise SystemExit(
        "weam: config: no task is scored zero-shot, so there is no table over all tasks; add one under 'tasks', or "
        "zero-shot to the settings of its family"
    )


def zero_shot_scores():
    """Zero-shot scores of all tasks."""
    return [
        f"{folder}/scores.json"
        for task in cfg.tasks
        for folder in evaluations(task)
        if f"/{task}/zero-shot/" in folder
    ]


def hub_manifest():
    """Manifest of the real backbone, if it is one of the hub."""
    name = cfg.backbone.name_or_path
    if not name or Path(name).is_dir():
        return []
    try:
        return [f"data/hub/{path_of(name, cfg.backbone.revision)}/manifest.json"]
    except UserError as error:
        raise SystemExit(f"weam: config: {error}") from None


def backbone_files():
    """Files of a real backbone in a local folder."""
    folder = Path(cfg.backbone.name_or_path or "")
    if not cfg.backbone.name_or_path or not folder.is_dir():
        return []
    names = ["config.json", "model.safetensors", "tokenizer.json"]
    return [local(str(folder / name)) for name in names if (folder / name).is_file()]


def word_retrievals():
    """Measurements of all models in all languages that they were made for and that have gold alignments."""
    return [
        f"results/word_retrieval/{system}/{lang}/seed{pseed}.json"
        for system in dict.fromkeys(["mbert", *cfg.systems])
        for lang in cfg.languages
        if cfg.data.gold.get(lang)
        for pseed in ([0] if system == "mbert" else cfg.seeds.pretrain)
    ]


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
        return [local(str(source))]
    if not source.is_dir():
        raise SystemExit(
            f"weam: config: key 'align.source' is {cfg.align.source!r}; there is no such folder or archive"
        )
    return sorted(
        local(str(path))
        for path in source.rglob("*")
        if path.suffix in (".cc", ".cpp", ".cxx", ".c", ".h", ".hpp", ".cmake")
        or path.name == "CMakeLists.txt"
    )
