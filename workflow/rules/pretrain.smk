"""
Pretrain: continue pre-training of the backbone on word-aligned pairs, one model per objective, language and seed.

Needs: results/models/backbone, results/shards/en-{lang}/manifest.json.
Makes: results/models/{objective}/{lang}/seed{pseed}/. Checkpoints go to results/work/pretrain/, outside the outputs.
Rules: pretrain
"""


rule pretrain:
    input:
        model="results/models/backbone",
        shards="results/shards/en-{lang}/manifest.json",
    output:
        model=directory("results/models/{objective}/{lang}/seed{pseed}"),
    log:
        "results/logs/pretrain/{objective}-{lang}-seed{pseed}.log",
    benchmark:
        "results/benchmarks/pretrain/{objective}-{lang}-seed{pseed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(720),
        gpu=0,
    params:
        settings=lambda wildcards: block(getattr(cfg.pretrain, wildcards.objective)),
        work="results/work/pretrain/{objective}/{lang}/seed{pseed}",
        device=device,
        code=code_hash("pretrain"),
    shell:
        """
        python -m weam pretrain \
            --objective {wildcards.objective} \
            --model {input.model:q} \
            --shards {input.shards:q} \
            --settings {params.settings:q} \
            --seed {wildcards.pseed} \
            --threads {threads} \
            --device {params.device} \
            --work {params.work:q} \
            --out {output.model:q} \
            2>{log:q}
        """
