"""
Evaluate: predict with a fine-tuned model and score it by the official metric, all its languages in one job.

Needs: results/finetuned/{family}/{setting}/{system}/{lang}/seed{pseed}-{fseed}, the manifest of the task's test data.
Makes: results/scores/{task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}/scores.json, and beside it predictions/.
Rules: evaluate
"""


rule evaluate:
    input:
        model=finetuned_model,
        manifest=lambda wildcards: manifest(task_entry(wildcards).source),
    output:
        scores="results/scores/{task}/{setting}/{system}/{lang}/seed{pseed}-{fseed}/scores.json",
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
        split=lambda wildcards: task_entry(wildcards).split,
        languages=lambda wildcards: (
            ["en", *cfg.languages]
            if wildcards.lang == "multi"
            else ["en", wildcards.lang]
        ),
        settings=evaluate_settings,
        label=evaluate_label,
        device=device,
        code=code_hash("evaluate"),
    shell:
        """
        python -m weam evaluate \
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
            --predictions {output.predictions:q} \
            2>{log:q}
        """
