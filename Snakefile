"""
WEAM: word-exchange aligning pre-training, from corpora to tables.

    snakemake -j8 results/tables/mlqa.csv      the main job
    snakemake -j8                              all tables
    snakemake --report report.html             tables and figures on one page, after a run
    snakemake -j1 data                         only the downloads
"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

from weam.configfile import for_jobs, load
from weam.errors import UserError
from weam.redact import redact
from weam.validation import read_yaml


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


try:
    for path in ["config.yaml", *workflow.overwrite_configfiles]:
        read_yaml(path)  # Snakemake lets a key given twice pass
    cfg = for_jobs(load(config, Path(workflow.basedir, "workflow", "sources")))
except UserError as error:
    raise SystemExit(redact(f"weam: {error}")) from None


include: "workflow/rules/common.smk"
include: "workflow/rules/plan.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/hub.smk"
include: "workflow/rules/text.smk"
include: "workflow/rules/align.smk"
include: "workflow/rules/align_parts.smk"
include: "workflow/rules/shards.smk"
include: "workflow/rules/backbone.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/word_retrieval.smk"
include: "workflow/rules/display.smk"
include: "workflow/rules/studies_plan.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/studies.smk"


localrules:
    all,
    data,
    mlqa,
    download,
    hub,


rule all:
    default_target: True
    input:
        expand("results/tables/{task}.csv", task=cfg.tasks),
        "results/tables/xtreme_r.csv" if zero_shot_scores() else [],
        "results/tables/alignment.csv",
        "results/tables/data.csv",
        figures(),
        pages(),


rule data:
    input:
        manifests(cfg.sources),
        hub_manifest(),


rule mlqa:
    input:
        "results/tables/mlqa.csv",
