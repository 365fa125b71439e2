"""
WEAM: word-exchange aligning pre-training, from corpora to tables.

    snakemake -j8 results/tables/mlqa.csv      the main job
    snakemake -j8                              all tables
    snakemake --report report.html             tables and figures on one page, after a run
    snakemake -j1 data                         only the downloads
"""

import os
import shutil
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

from weam.configfile import load
from weam.errors import UserError
from weam.redact import conceal, redact
from weam.validation import read_yaml


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


try:
    for path in ["config.yaml", *workflow.overwrite_configfiles]:
        read_yaml(path)  # Snakemake lets a key given twice pass
    cfg = load(config, Path(workflow.basedir, "workflow", "sources"))
except UserError as error:
    raise SystemExit(redact(f"weam: {error}")) from None

# Jobs use the Python that runs Snakemake, also where its environment is not activated (not so with --sdm conda).
if Path(shutil.which("python") or "").parent != Path(sys.executable).parent:
    os.environ.update(
        PATH=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    )
# Paths of this machine and secrets in URLs reach the downloads by the environment: they are in no parameter.
cfg = cfg.model_copy(update={"sources": conceal(cfg.sources)})
if cfg.mirror and redact(cfg.mirror) != cfg.mirror:
    print(
        "weam: config: mirror has a password or a token, which Snakemake's log or report repeats; "
        "give it as the environment variable WEAM_MIRROR instead",
        file=sys.stderr,
    )
site = {"WEAM_SHARED_DATA": cfg.sample_dir, "WEAM_MIRROR": cfg.mirror}
os.environ.update({name: path for name, path in site.items() if path})


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
include: "workflow/rules/figures.smk"


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
