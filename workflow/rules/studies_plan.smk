"""
Plan of the studies (config key studies): which mixtures and scores each one needs, as paths; faults are one sentence.

Needs: `cfg` and the helpers of common.smk, plan.smk, sources.smk and display.smk. Makes: nothing. Rules: none.
"""


def scaling_mixtures():
    """Every set of languages with every number of pairs, as names of systems."""
    study = cfg.studies.scaling
    if not study.languages:
        no_study("scaling.languages", "name sets of languages")
    return [
        mixture(study.objective, languages, pairs, study.constant, study.amount).name
        for languages in study.languages
        for pairs in study.pairs
    ]


def families_mixtures():
    """One system per condition, with its share of the pairs for each of its languages."""
    study = cfg.studies.families
    if not study.named:
        no_study("families.conditions", "name conditions and their languages")
    return [
        mixture(
            study.objective,
            languages,
            study.pairs // len(languages),
            "steps",
            study.steps,
        ).name
        for languages in study.named.values()
    ]


def no_study(key, cure):
    raise SystemExit(
        f"weam: config: key 'studies.{key}' is empty, so there is no such study; {cure}"
    )


def study_task(key, task):
    """A task of a study: an entry of tasks that is scored zero-shot."""
    if task not in cfg.tasks:
        raise SystemExit(
            f"weam: config: key 'studies.{key}' names the task {task!r}, which is not among tasks "
            f"({', '.join(cfg.tasks) or 'none'}); add it there, or choose another one"
        )
    if not scored_zero_shot(task):
        family = registry.load(task).family
        raise SystemExit(
            f"weam: config: key 'studies.{key}' names the task {task!r}, which is not scored zero-shot; "
            f"add zero-shot to finetune.{family}.settings"
        )
    return task


def study_tasks():
    """Tasks of the study of families; every held-out language has to be scored by one, every task in one."""
    study = cfg.studies.families
    tasks = [study_task("families.tasks", task) for task in study.tasks]
    spoken = {
        task: {*cfg.tasks[task].languages, *cfg.tasks[task].held_out} for task in tasks
    }
    for task in tasks:
        if not spoken[task] & set(study.held_out):
            raise SystemExit(
                f"weam: config: key 'studies.families.tasks' names {task!r}, which is scored in none of held_out "
                f"({', '.join(study.held_out)}); add one of them to tasks.{task}, or take the task out"
            )
    for lang in study.held_out:
        if not any(lang in languages for languages in spoken.values()):
            raise SystemExit(
                f"weam: config: key 'studies.families.held_out' names {lang!r}, in which no task of the study is "
                "scored; add it to one under tasks, or take it out"
            )
    return tasks


def study_scores(task, systems, seeds):
    """Folders of the scores of the backbone and of the mixtures in one task."""
    tuned = registry.load(task).family in families(cfg)
    return [
        f"results/scores/{task}/zero-shot/{system}/multi/seed{pseed}-{fseed}"
        for system in ["mbert", *systems]
        for pseed in ([0] if system == "mbert" else seeds.pretrain)
        for fseed in (seeds.finetune if tuned else [0])
    ]


def scaling_scores():
    study = cfg.studies.scaling
    task = study_task("scaling.task", study.task)
    return study_scores(task, scaling_mixtures(), study.seeds)


def families_scores():
    study = cfg.studies.families
    mixtures = families_mixtures()
    return [
        folder
        for task in study_tasks()
        for folder in study_scores(task, mixtures, study.seeds)
    ]


def files_in(folders, name):
    """An input function: the file of this name in each folder, looked for only when the study is asked for."""
    return lambda wildcards: [f"{folder}/{name}" for folder in folders()]


def study_manifests(mixtures, tasks):
    """Manifests of every source behind a study, and of a real backbone."""
    names = [] if cfg.backbone.name_or_path else list(cfg.data.monolingual)
    for system in mixtures:
        for lang in mixture_of(system).languages:
            names += cfg.data.parallel[lang]
    for task in tasks:
        family = registry.load(task).family
        if family in families(cfg):
            names += family_sources(family, "zero-shot", "en")
        names.append(cfg.tasks[task].source)
    return [*manifests(dict.fromkeys(names)), *hub_manifest()]


def study_results(wildcards):
    """Tables, pages and figures of the studies that the configuration has."""
    names = ["scaling"] if cfg.studies.scaling.languages else []
    names += ["families"] if cfg.studies.families.named else []
    kinds = ["results/tables/{name}.html", "results/figures/{name}.svg"]
    return expand(kinds, name=names)
