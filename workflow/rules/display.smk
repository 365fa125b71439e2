"""
Display: which figures and pages the configuration asks for, and what the report calls them.

Needs: `cfg` and the helpers of common.smk and plan.smk. Makes: nothing. Rules: none.
"""


wildcard_constraints:
    table="[a-z0-9_]+",


def figure_code(kind):
    """The hash of the code of one kind of figure, which is loaded by name."""
    return code_hash("figure", f"figures.{kind}")


def figures():
    """Every figure (.svg) that the configuration gives something to show for."""
    names = [f"scores-{task}" for task in cfg.tasks]
    names += [f"differences-{task}" for task in cfg.tasks if compared()]
    names += [
        f"matrix-{task}"
        for task in cfg.tasks
        if task in matrix_tasks() and scored_zero_shot(task)
    ]
    names += ["xtreme_r"] if zero_shot_scores() else []
    names += [f"alignment-{lang}" for lang in cfg.languages if cfg.data.gold.get(lang)]
    names += ["word-retrieval"] if word_retrievals() else []
    names += ["curves"] if trained_models() else []
    return [f"results/figures/{name}.svg" for name in [*names, "funnel"]]


def pages():
    """The tables as people read them."""
    averages = ["xtreme_r"] if zero_shot_scores() else []
    return [
        f"results/tables/{name}.html"
        for name in [*cfg.tasks, *averages, "alignment", "data"]
    ]


def compared():
    """Whether there is a baseline and another system."""
    return len(cfg.systems) > 1 and bool(
        set(cfg.systems) & set(cfg.statistics.baselines)
    )


def matrix_tasks():
    """Tasks with a language of the context and one of the question."""
    return [task for task in registry.names() if len(registry.load(task).axes) == 2]


def scored_zero_shot(task):
    return "zero-shot" in task_settings_run(task)


def to_show(figure, files, key, cure):
    """The input of a figure; one that has nothing to show cannot be asked for."""
    if not files:
        raise SystemExit(
            f"weam: config: key {key!r} leaves nothing to show in the figure {figure}; {cure}"
        )
    return files


def differences_input(wildcards):
    task_entry(wildcards.task)
    return to_show(
        f"differences-{wildcards.task}",
        [f"results/tables/{wildcards.task}.significance.csv"] if compared() else [],
        "systems",
        f"name a baseline ({', '.join(cfg.statistics.baselines) or 'none is set'}) and another system",
    )


def matrix_input(wildcards):
    task = wildcards.task
    task_entry(task)
    return to_show(
        f"matrix-{task}",
        [f"results/tables/{task}.csv"] if scored_zero_shot(task) else [],
        f"finetune.{registry.load(task).family}.settings",
        "add zero-shot",
    )


def xtreme_r_input(wildcards):
    return to_show(
        "xtreme_r",
        ["results/tables/xtreme_r.csv"] if zero_shot_scores() else [],
        "tasks",
        "name a task that is scored zero-shot",
    )


def word_retrieval_input(wildcards):
    return to_show(
        "word-retrieval",
        word_retrievals(),
        "data.gold",
        "name a source of gold word alignments for one of the languages",
    )


def alignment_input(wildcards):
    lang = wildcards.lang
    return to_show(
        f"alignment-{lang}",
        [f"results/align/en-{lang}/gold.jsonl"] if cfg.data.gold.get(lang) else [],
        "data.gold",
        f"name a source of gold word alignments for {lang!r}",
    )


def curves_input(wildcards):
    return to_show(
        "curves",
        trained_models(),
        "systems",
        "name a system beside mbert, which is trained elsewhere",
    )


def trained_models():
    """Folders of all models that are pre-trained here."""
    models = [] if cfg.backbone.name_or_path else ["results/models/backbone"]
    for system in cfg.systems:
        if system != "mbert":
            for lang in ["multi"] if joint(system) else cfg.languages:
                models += [
                    f"results/models/{system}/{lang}/seed{pseed}"
                    for pseed in cfg.seeds.pretrain
                ]
    return models


def shown_as(kind, about=None):
    """What the report's list of results calls a figure; one per task or language is about that."""

    def labels(wildcards):
        if "task" in wildcards.keys():
            return {"figure": kind, "of": registry.load(wildcards.task).title}
        return {"figure": kind, "of": about or f"English and {wildcards.lang}"}

    return labels


def table_name(table):
    """What a table is called in print."""
    others = {
        "xtreme_r": "XTREME-R: averages",
        "alignment": "word alignment",
        "data": "data",
        "scaling": "study: scaling",
        "families": "study: families of languages",
    }
    return others.get(table) or registry.load(table).title
