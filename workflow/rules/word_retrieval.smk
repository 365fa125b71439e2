"""
Word retrieval: how often the translation of a word in context is its nearest neighbour, by layer, for every model before
fine-tuning and every language with gold word alignments.

Needs: results/models/backbone or results/models/{system}/{lang}/seed{pseed}, the manifest of the gold alignments.
Makes: results/word_retrieval/{system}/{lang}/seed{pseed}.json; the backbone has seed 0.
Rules: word_retrieval
"""


rule word_retrieval:
    input:
        model=pretrained_model,
        manifest=gold_manifest,
    output:
        json="results/word_retrieval/{system}/{lang}/seed{pseed}.json",
    log:
        "results/logs/word_retrieval/{system}-{lang}-seed{pseed}.log",
    benchmark:
        "results/benchmarks/word_retrieval/{system}-{lang}-seed{pseed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=0,
    params:
        launch=launch_one,
        label=lambda wildcards: dumps(
            {
                "system": wildcards.system,
                "lang": wildcards.lang,
                "seeds": {"pretrain": int(wildcards.pseed)},
            }
        ),
        device=device,
        code=code_hash("word_retrieval"),
    shell:
        """
        {params.launch} word_retrieval \
            --model {input.model:q} \
            --manifest {input.manifest:q} \
            --language {wildcards.lang} \
            --label {params.label:q} \
            --threads {threads} \
            --device {params.device} \
            --out {output.json:q} \
            2>{log:q}
        """
