"""
Studies: nested subsets of the shards, and tables and figures of how scores grow with pairs and languages (scaling) and
of one family of languages against several (families). `snakemake studies` makes both; no other target needs them.

Needs: results/shards/en-{lang}/manifest.json; results/scores/{task}/zero-shot/{system}/multi/…/scores.json and
       items.parquet of the backbone and of the mixtures (weam.mixture); data/languages.csv.
Makes: results/shards/{corpus}/subset-{rows}/manifest.json; results/tables/scaling.csv and families.csv, each with .md and
       .provenance.json beside it; results/figures/scaling and families (.svg and .png).
Rules: subset, study_scaling, study_families, figure_scaling, figure_families, studies
"""


rule subset:
    input:
        manifest="results/shards/{corpus}/manifest.json",
    output:
        manifest="results/shards/{corpus}/subset-{rows}/manifest.json",
    log:
        "results/logs/subset/{corpus}-{rows}.log",
    benchmark:
        "results/benchmarks/subset/{corpus}-{rows}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code_hash("subset"),
    shell:
        """
        python -m weam subset \
            --shards {input.manifest:q} \
            --rows {wildcards.rows} \
            --out {output.manifest:q} \
            2>{log:q}
        """


rule study_scaling:
    input:
        scores=files_in(scaling_scores, "scores.json"),
        values=files_in(scaling_scores, "items.parquet"),
        manifests=lambda wildcards: study_manifests(
            scaling_mixtures(), [cfg.studies.scaling.task]
        ),
    output:
        csv="results/tables/scaling.csv",
        md="results/tables/scaling.md",
        provenance="results/tables/scaling.provenance.json",
    log:
        "results/logs/study_scaling/scaling.log",
    benchmark:
        "results/benchmarks/study_scaling/scaling.tsv"
    conda:
        "../../envs/torch.yaml"  # not for its own work: the provenance names these versions
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        config=lambda wildcards: resolved_config(),
        code=lambda wildcards: code_hash(
            "study_scaling", f"tasks.{cfg.studies.scaling.task}"
        ),
    shell:
        """
        python -m weam study_scaling \
            --scores {input.scores:q} \
            --items {input.values:q} \
            --config {params.config:q} \
            --input {input.manifests:q} \
            --out {output.csv:q} \
            2>{log:q}
        """


rule study_families:
    input:
        scores=files_in(families_scores, "scores.json"),
        values=files_in(families_scores, "items.parquet"),
        languages=local("data/languages.csv"),
        manifests=lambda wildcards: study_manifests(
            families_mixtures(), cfg.studies.families.tasks
        ),
    output:
        csv="results/tables/families.csv",
        md="results/tables/families.md",
        provenance="results/tables/families.provenance.json",
    log:
        "results/logs/study_families/families.log",
    benchmark:
        "results/benchmarks/study_families/families.tsv"
    conda:
        "../../envs/torch.yaml"  # not for its own work: the provenance names these versions
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        config=lambda wildcards: resolved_config(),
        code=lambda wildcards: code_hash(
            "study_families", *(f"tasks.{t}" for t in cfg.studies.families.tasks)
        ),
    shell:
        """
        python -m weam study_families \
            --scores {input.scores:q} \
            --items {input.values:q} \
            --languages {input.languages:q} \
            --config {params.config:q} \
            --input {input.manifests:q} \
            --out {output.csv:q} \
            2>{log:q}
        """


rule figure_scaling:
    input:
        table="results/tables/scaling.csv",
    output:
        svg=report(
            "results/figures/scaling.svg",
            caption="../report/scaling.rst",
            category="Studies",
            labels=shown_as("scaling", "pairs and languages"),
        ),
        png="results/figures/scaling.png",
    log:
        "results/logs/figure_scaling/scaling.log",
    benchmark:
        "results/benchmarks/figure_scaling/scaling.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        title=lambda wildcards: registry.load(cfg.studies.scaling.task).title,
        confidence=cfg.statistics.confidence,
        code=figure_code("scaling"),
    shell:
        """
        python -m weam figure scaling \
            --table {input.table:q} \
            --title {params.title:q} \
            --confidence {params.confidence} \
            --out {output.svg:q} \
            2>{log:q}
        """


rule figure_families:
    input:
        table="results/tables/families.csv",
    output:
        svg=report(
            "results/figures/families.svg",
            caption="../report/families.rst",
            category="Studies",
            labels=shown_as("families of languages", "languages held out"),
        ),
        png="results/figures/families.png",
    log:
        "results/logs/figure_families/families.log",
    benchmark:
        "results/benchmarks/figure_families/families.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        confidence=cfg.statistics.confidence,
        names=lambda wildcards: each(
            "--name",
            [f"{t}={registry.load(t).title}" for t in cfg.studies.families.tasks],
        ),
        code=figure_code("families"),
    shell:
        """
        python -m weam figure families \
            --table {input.table:q} \
            {params.names:q} \
            --confidence {params.confidence} \
            --out {output.svg:q} \
            2>{log:q}
        """


rule studies:
    input:
        study_results,
    localrule: True
