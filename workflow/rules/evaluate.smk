"""
Evaluate: predict with a model and score it by the official metric, all its languages in one job.

Needs: results/finetuned/{family}/{setting}/{system}/{lang}/seed{pseed}-{fseed}, for retrieval tasks the model before
       fine-tuning; the manifest of the task's test data.
Makes: results/scores/{task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}/scores.json, and beside it items.parquet (the
       values of every item) and predictions/.
Rules: evaluate
"""


rule evaluate:
    input:
        model=evaluated_model,
        manifest=lambda wildcards: manifest(task_entry(wildcards.task).source),
    output:
        scores="results/scores/{task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}/scores.json",
        values="results/scores/{task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}/items.parquet",
        predictions=directory(
            "results/scores/{task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}/predictions"
        ),
    log:
        "results/logs/evaluate/{task}-{setting}-{system}-{lang}-seed{pseed}-{fseed}.log",
    benchmark:
        "results/benchmarks/evaluate/{task}-{setting}-{system}-{lang}-seed{pseed}-{fseed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=0,
    params:
        launch=launch_one,
        split=lambda wildcards: task_entry(wildcards.task).split,
        languages=test_languages,
        settings=evaluate_settings,
        label=evaluate_label,
        device=device,
        code=lambda wildcards: code_hash(
            "evaluate",
            f"tasks.{wildcards.task}",
            f"families.{registry.load(wildcards.task).family}",
        ),
    shell:
        """
        {params.launch} evaluate \
            --task {wildcards.task} \
            --model {input.model:q} \
            --manifest {input.manifest:q} \
            --split {params.split} \
            --languages {params.languages:q} \
            --settings {params.settings:q} \
            --label {params.label:q} \
            --threads {threads} \
            --device {params.device} \
            --out {output.scores:q} \
            --items {output.values:q} \
            --predictions {output.predictions:q} \
            2>{log:q}
        """
