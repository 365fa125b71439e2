"""
Backbone: the unmodified multilingual model, trained from scratch, or a copy of a real one (backbone.name_or_path).

Needs: from scratch, results/models/tokenizer, results/shards/mono/manifest.json and the manifests of the sources of
       running text; of a real model its files, or the manifest of those that rule hub fetched.
Makes: results/models/backbone/ (model and tokenizer).
Rules: backbone
"""


rule backbone:
    input:
        tokenizer=[] if cfg.backbone.name_or_path else [tokenizer()],
        shards=(
            [] if cfg.backbone.name_or_path else ["results/shards/mono/manifest.json"]
        ),
        files=backbone_files(),
        hub=hub_manifest(),
        manifests=([] if cfg.backbone.name_or_path else manifests(cfg.data.monolingual)),
    output:
        model=directory("results/models/backbone"),
    log:
        stderr="results/logs/backbone/backbone.log",
        speed="results/logs/backbone/backbone.speed.jsonl",
    benchmark:
        "results/benchmarks/backbone/backbone.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
        gpu=0,
    params:
        launch=launch,
        tokenizer=lambda wildcards, input: each("--tokenizer", input.tokenizer),
        shards=lambda wildcards, input: each("--shards", input.shards),
        manifests=lambda wildcards, input: each("--source", input.manifests),
        hub=lambda wildcards, input: each("--hub", input.hub),
        settings=lambda wildcards: block(cfg.backbone),
        seed=1,
        threads=2,  # not {threads}, which -j1 lowers: the number of threads decides the last bits
        work="results/work/backbone",
        device=device,
        code=code_hash("backbone"),
    shell:
        """
        {params.launch} backbone \
            {params.tokenizer:q} \
            {params.shards:q} \
            {params.manifests:q} \
            {params.hub:q} \
            --settings {params.settings:q} \
            --seed {params.seed} \
            --threads {params.threads} \
            --device {params.device} \
            --work {params.work:q} \
            --speed {log.speed:q} \
            --out {output.model:q} \
            2>{log.stderr:q}
        """
