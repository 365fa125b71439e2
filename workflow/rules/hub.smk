"""
Hub: fetch the real model that backbone.name_or_path names on the Hugging Face hub, by its revision, and verify its files.

Needs: the network, once; HF_TOKEN for a private model. The folder says which model: owner--name/revision.
Makes: data/hub/{model}/{revision}/manifest.json, and beside it the files it lists. They are no declared outputs, so that
       a failed job keeps what it has; data/lock/ remembers commit and checksums.
Rules: hub
"""


rule hub:
    output:
        manifest="data/hub/{model}/{revision}/manifest.json",
    log:
        "results/logs/hub/{model}-{revision}.log",
    benchmark:
        "results/benchmarks/hub/{model}-{revision}.tsv"
    wildcard_constraints:
        model="[A-Za-z0-9._-]+",
        revision="[A-Za-z0-9._-]+",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(240),
    params:
        name=lambda wildcards: wildcards.model.replace("--", "/"),
        revision=lambda wildcards: wildcards.revision.replace("--", "/"),
        code=code_hash("hub"),
    shell:
        """
        python -m weam hub \
            --model {params.name:q} \
            --revision {params.revision:q} \
            --lock data/lock/{wildcards.model}-{wildcards.revision}.json \
            --out {output.manifest:q} \
            2>{log:q}
        """
