"""Every stage of the workflow with what one job of it makes, and trees in which all of them have run."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from pipeline import SMOKE

SMALL = """\
languages: [de]
backbone: {checkpoint_steps: 5}
pretrain: {weam: {checkpoint_steps: 3}}
finetune: {qa: {settings: [zero-shot], checkpoint_steps: 3}}
tasks: {mlqa: {languages: [de]}, xnli: null, udpos: null, tatoeba: {languages: [de], held_out: [sw]}}
studies:
  scaling: {languages: [[de]], pairs: [50, 100], amount: 3, seeds: {pretrain: [1]}, task: mlqa}
  families:
    conditions: {indo-european: [de], afro-asiatic: [], mixed: [], control: [], control-afro-asiatic: []}
    pairs: 100
    steps: 3
    seeds: {pretrain: [1]}
    held_out: [sw]
    tasks: [tatoeba]
"""
"""The smoke configuration with few jobs, whose trainings write several checkpoints."""
PARTS = "align: {train_pairs: 200, parts: 2}\n"
WHOLE = (*SMOKE, "small.yaml")
IN_PARTS = (*WHOLE, "parts.yaml")
LINKS = "results/align/en-de/links.txt"


class Stage(NamedTuple):
    """A rule, what one of its jobs makes, and the configuration's files."""

    rule: str
    target: str
    options: tuple[str, ...] = WHOLE

    @property
    def folder(self) -> Path:
        """What is to be removed for it to be made from nothing: files beside a manifest are no declared outputs."""
        target = Path(self.target)
        return target.parent if target.name == "manifest.json" else target


STAGES = [
    Stage("download", "data/raw/mini-en-de/v1/manifest.json"),
    Stage("build_fast_align", "results/tools/fast_align"),
    Stage("text", "results/text/en-de/text.parquet"),
    Stage("align", LINKS),
    Stage("align_model", "results/align/en-de/model", IN_PARTS),
    Stage("align_part", "results/align/en-de/parts/1-of-2/counts.json", IN_PARTS),
    Stage("align_join", LINKS, IN_PARTS),
    Stage("tokenizer", "results/models/tokenizer"),
    Stage("shards", "results/shards/en-de/manifest.json"),
    Stage("backbone", "results/models/backbone"),
    Stage("pretrain", "results/models/weam/de/seed1"),
    Stage("finetune", "results/finetuned/qa/zero-shot/weam/de/seed1-1"),
    Stage("evaluate", "results/scores/mlqa/zero-shot/weam/de/seed1-1/scores.json"),
    Stage("word_retrieval", "results/word_retrieval/weam/de/seed1.json"),
    Stage("significance", "results/tables/mlqa.significance.csv"),
    Stage("table", "results/tables/mlqa.csv"),
    Stage("xtreme_r", "results/tables/xtreme_r.csv"),
    Stage("alignment_table", "results/tables/alignment.csv"),
    Stage("data_table", "results/tables/data.csv"),
    Stage("figure_scores", "results/figures/scores-mlqa.svg"),
    Stage("figure_differences", "results/figures/differences-mlqa.svg"),
    Stage("figure_matrix", "results/figures/matrix-mlqa.svg"),
    Stage("figure_xtreme_r", "results/figures/xtreme_r.svg"),
    Stage("figure_word_retrieval", "results/figures/word-retrieval.svg"),
    Stage("figure_alignment", "results/figures/alignment-de.svg"),
    Stage("figure_curves", "results/figures/curves.svg"),
    Stage("figure_funnel", "results/figures/funnel.svg"),
    Stage("page", "results/tables/mlqa.html"),
    Stage("subset", "results/shards/en-de/subset-50/manifest.json"),
    Stage("study_scaling", "results/tables/scaling.csv"),
    Stage("study_families", "results/tables/families.csv"),
    Stage("figure_scaling", "results/figures/scaling.svg"),
    Stage("figure_families", "results/figures/families.svg"),
]


class Trees(NamedTuple):
    """Trees in which every stage has run, undisturbed: with the corpus aligned whole, and in parts."""

    whole: Path
    in_parts: Path

    def of(self, stage: Stage) -> Path:
        return self.in_parts if stage.options == IN_PARTS else self.whole


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def contents(tree: Path) -> dict[str, str]:
    """SHA-256 of every file of data and results, of hidden ones too, but for logs and times."""
    found = {}
    for top in ("data", "results"):
        for folder, _, names in os.walk(tree / top):
            where = Path(folder).relative_to(tree)
            if where.parts[:2] in (("results", "logs"), ("results", "benchmarks")):
                continue
            for name in names:
                if not name.startswith(".snakemake_timestamp"):
                    found[str(where / name)] = hashlib.sha256((tree / where / name).read_bytes()).hexdigest()
    return found


def seconds(tree: Path, rule: str) -> float:
    """The longest time that a job of the rule took, as its benchmark file says."""
    files = (tree / "results" / "benchmarks" / rule).glob("*.tsv")
    return max(float(file.read_text().splitlines()[1].split()[0]) for file in files)
