"""
Text: clean, filter, de-duplicate and segment corpora into words.

Needs: data/raw/{source}/{version}/manifest.json of the corpus's sources.
Makes: results/text/{corpus}/text.parquet and funnel.json (what each filter removed); corpus is en-<lang> for pairs, or
       mono for running text in all languages.
Rules: text
"""


rule text:
    input:
        manifests=lambda wildcards: manifests(corpus_sources(wildcards.corpus)),
    output:
        text="results/text/{corpus}/text.parquet",
        funnel="results/text/{corpus}/funnel.json",
    log:
        "results/logs/text/{corpus}.log",
    benchmark:
        "results/benchmarks/text/{corpus}.tsv"
    conda:
        "../../envs/weam.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        manifests=lambda wildcards, input: each("--manifest", input.manifests),
        languages=lambda wildcards: corpus_languages(wildcards.corpus),
        monolingual=lambda wildcards: (
            ["--monolingual"] if wildcards.corpus == "mono" else []
        ),
        settings=text_settings,
        code=code_hash("text"),
    shell:
        """
        python -m weam text \
            {params.manifests:q} \
            --languages {params.languages:q} \
            {params.monolingual:q} \
            --settings {params.settings:q} \
            --out {output.text:q} \
            --funnel {output.funnel:q} \
            2>{log:q}
        """
