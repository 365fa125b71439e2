"""
Shards: train the vocabulary, then turn words and links into Parquet shards of sub-words.

Needs: results/text/{corpus}/text.parquet, for pairs results/align/{corpus}/{links,forward,reverse}.txt; the tokenizer of a real backbone
       comes from results/models/backbone.
Makes: results/models/tokenizer/, results/shards/{corpus}/manifest.json with its part-*.parquet beside it (the manifest
       stands for them).
Rules: tokenizer, shards
"""


rule tokenizer:
    input:
        text="results/text/mono/text.parquet",
    output:
        tokenizer=directory("results/models/tokenizer"),
    log:
        "results/logs/tokenizer/tokenizer.log",
    benchmark:
        "results/benchmarks/tokenizer/tokenizer.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000, per_input_mb=20),
        runtime=growing(30, per_input_mb=1),
    params:
        settings=lambda wildcards: block(cfg.backbone, keep={"type", "vocab_size"}),
        code=code_hash("tokenizer"),
    shell:
        """
        python -m weam tokenizer \
            --text {input.text:q} \
            --settings {params.settings:q} \
            --out {output.tokenizer:q} \
            2>{log:q}
        """


rule shards:
    input:
        text="results/text/{corpus}/text.parquet",
        links=lambda wildcards: links(wildcards.corpus, "links"),
        fwd=lambda wildcards: links(wildcards.corpus, "forward"),
        rev=lambda wildcards: links(wildcards.corpus, "reverse"),
        tokenizer=tokenizer(),
    output:
        manifest="results/shards/{corpus}/manifest.json",
    log:
        "results/logs/shards/{corpus}.log",
    benchmark:
        "results/benchmarks/shards/{corpus}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30, per_input_mb=1),
    params:
        links=lambda wildcards, input: each("--links", input.links)
        + each("--forward", input.fwd)
        + each("--reverse", input.rev),
        settings=lambda wildcards: block(cfg.shards),
        code=code_hash("shards"),
    shell:
        """
        python -m weam shards \
            --text {input.text:q} \
            {params.links:q} \
            --tokenizer {input.tokenizer:q} \
            --settings {params.settings:q} \
            --out {output.manifest:q} \
            2>{log:q}
        """
