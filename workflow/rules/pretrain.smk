"""
Pretrain: continue pre-training of the backbone on word-aligned pairs. A system is an objective (one model per language
and seed), or <objective>-joint (one model per seed, lang multi, on a mixture of all languages), or a mixture of a study
(weam.mixture: also lang multi).

Needs: results/models/backbone, results/shards/en-{lang}/manifest.json (of a mixture en-{lang}/subset-{rows}/manifest.json),
       the manifests of the pairs' sources.
Makes: results/models/{system}/{lang}/seed{pseed}/. Checkpoints go to results/work/pretrain/, outside the outputs.
Rules: pretrain
"""


rule pretrain:
    input:
        model="results/models/backbone",
        shards=pretrain_shards,
        manifests=pretrain_manifests,
    output:
        model=directory("results/models/{system}/{lang}/seed{pseed}"),
    log:
        stderr="results/logs/pretrain/{system}-{lang}-seed{pseed}.log",
        speed="results/logs/pretrain/{system}-{lang}-seed{pseed}.speed.jsonl",
    benchmark:
        "results/benchmarks/pretrain/{system}-{lang}-seed{pseed}.tsv"
    wildcard_constraints:
        system=f"(mlm|tlm|word_align|weam)(-joint)?|{MIXTURE}",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(720),
        gpu=0,
    params:
        launch=launch,
        objective=objective,
        shards=lambda wildcards, input: each("--shards", input.shards),
        temperature=temperature,
        manifests=lambda wildcards, input: each("--source", input.manifests),
        settings=pretrain_settings,
        work="results/work/pretrain/{system}/{lang}/seed{pseed}",
        device=device,
        code=code_hash("pretrain"),
    shell:
        """
        {params.launch} pretrain \
            --objective {params.objective} \
            --model {input.model:q} \
            {params.shards:q} \
            {params.temperature} \
            {params.manifests:q} \
            --settings {params.settings:q} \
            --seed {wildcards.pseed} \
            --threads {threads} \
            --device {params.device} \
            --work {params.work:q} \
            --speed {log.speed:q} \
            --out {output.model:q} \
            2>{log.stderr:q}
        """
