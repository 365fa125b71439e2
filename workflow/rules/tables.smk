"""
Tables: gather scores, alignment quality and filter counts into CSV, Markdown and provenance.

Needs: results/scores/{task}/…/scores.json and items.parquet; results/align/en-{lang}/quality.json;
       results/text/{corpus}/funnel.json and training.json of one results/finetuned/… per set of training data; the
       manifests of the sources behind each table, for the provenance; data/languages.csv.
Makes: results/tables/{task}.csv, xtreme_r.csv, alignment.csv, data.csv, each with .md and .provenance.json beside it;
       results/tables/{task}.significance.csv and {task}.intervals.csv.
Rules: significance, table, xtreme_r, alignment_table, data_table
"""


rule significance:
    input:
        scores=scores,
        values=items,
    output:
        intervals="results/tables/{task}.intervals.csv",
        csv="results/tables/{task}.significance.csv",
    log:
        "results/logs/significance/{task}.log",
    benchmark:
        "results/benchmarks/significance/{task}.tsv"
    conda:
        "../../envs/weam.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        languages=lambda wildcards: ["en", *task_entry(wildcards.task).languages],
        held_out=lambda wildcards: task_entry(wildcards.task).held_out,
        settings=lambda wildcards: block(cfg.statistics),
        code=lambda wildcards: code_hash("significance", f"tasks.{wildcards.task}"),
    shell:
        """
        python -m weam significance \
            --task {wildcards.task} \
            --scores {input.scores:q} \
            --items {input.values:q} \
            --languages {params.languages:q} \
            --held-out {params.held_out:q} \
            --settings {params.settings:q} \
            --intervals {output.intervals:q} \
            --out {output.csv:q} \
            2>{log:q}
        """


rule table:
    input:
        scores=scores,
        intervals="results/tables/{task}.intervals.csv",
        significance="results/tables/{task}.significance.csv",
        manifests=table_manifests,
    output:
        csv="results/tables/{task}.csv",
        md="results/tables/{task}.md",
        provenance="results/tables/{task}.provenance.json",
    log:
        "results/logs/table/{task}.log",
    benchmark:
        "results/benchmarks/table/{task}.tsv"
    conda:
        "../../envs/torch.yaml"  # not for its own work: the provenance names these versions
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=lambda wildcards: resolved_config(),
        code=lambda wildcards: code_hash("table", f"tasks.{wildcards.task}"),
    shell:
        """
        python -m weam table \
            --task {wildcards.task} \
            --scores {input.scores:q} \
            --intervals {input.intervals:q} \
            --significance {input.significance:q} \
            --config {params.config:q} \
            --input {input.manifests:q} \
            --out {output.csv:q} \
            2>{log:q}
        """


rule xtreme_r:
    input:
        scores=lambda wildcards: zero_shot_scores() or nothing_zero_shot(),
        languages=local("data/languages.csv"),
        manifests=all_table_manifests(),
    output:
        csv="results/tables/xtreme_r.csv",
        md="results/tables/xtreme_r.md",
        provenance="results/tables/xtreme_r.provenance.json",
    log:
        "results/logs/xtreme_r/xtreme_r.log",
    benchmark:
        "results/benchmarks/xtreme_r/xtreme_r.tsv"
    conda:
        "../../envs/torch.yaml"  # not for its own work: the provenance names these versions
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=lambda wildcards: resolved_config(),
        code=code_hash("xtreme_r", *(f"tasks.{task}" for task in cfg.tasks)),
    shell:
        """
        python -m weam xtreme_r \
            --scores {input.scores:q} \
            --languages {input.languages:q} \
            --config {params.config:q} \
            --input {input.manifests:q} \
            --out {output.csv:q} \
            2>{log:q}
        """


rule alignment_table:
    input:
        quality=alignment_qualities(),
        manifests=manifests(alignment_sources()),
    output:
        csv="results/tables/alignment.csv",
        md="results/tables/alignment.md",
        provenance="results/tables/alignment.provenance.json",
    log:
        "results/logs/alignment_table/alignment.log",
    benchmark:
        "results/benchmarks/alignment_table/alignment.tsv"
    conda:
        "../../envs/weam.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=lambda wildcards: resolved_config(),
        code=code_hash("alignment_table"),
    shell:
        """
        python -m weam alignment_table \
            --quality {input.quality:q} \
            --config {params.config:q} \
            --input {input.manifests:q} \
            --out {output.csv:q} \
            2>{log:q}
        """


rule data_table:
    input:
        funnels=expand("results/text/{corpus}/funnel.json", corpus=corpora()),
        models=training_models(),
        manifests=manifests(data_sources()),
    output:
        csv="results/tables/data.csv",
        md="results/tables/data.md",
        provenance="results/tables/data.provenance.json",
    log:
        "results/logs/data_table/data.log",
    benchmark:
        "results/benchmarks/data_table/data.tsv"
    conda:
        "../../envs/weam.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        training=lambda wildcards, input: [f"{m}/training.json" for m in input.models],
        config=lambda wildcards: resolved_config(),
        code=code_hash("data_table"),
    shell:
        """
        python -m weam data_table \
            --funnel {input.funnels:q} {params.training:q} \
            --config {params.config:q} \
            --input {input.manifests:q} \
            --out {output.csv:q} \
            2>{log:q}
        """
