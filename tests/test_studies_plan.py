"""What the studies expand to: which runs, from which subsets, shared by which studies. Nothing is run here."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from pipeline import STUDIES, Job, copy_tree, fresh, rules, snakemake

from weam.config import Config
from weam.configfile import load
from weam.errors import UserError
from weam.validation import read_yaml, validate

TABLES = ("results/tables/scaling.csv", "results/tables/families.csv")
SCALING = ("results/tables/scaling.csv", "--configfile", "configs/xtreme-r.yaml", "configs/scaling.yaml")
FAMILIES = ("results/tables/families.csv", "--configfile", "configs/xtreme-r.yaml", "configs/families.yaml")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree where nothing has run."""
    return copy_tree(tmp_path_factory.mktemp("studies"))


def count(jobs: list[Job], *names: str) -> tuple[int, ...]:
    found = Counter(job.rule for job in jobs)
    return tuple(found[name] for name in names)


TRAINING = ("subset", "backbone", "pretrain", "finetune", "evaluate", "study_scaling", "study_families")


def test_no_other_run_needs_a_study(tree: Path) -> None:
    for target in ((), ("results/tables/mlqa.csv",), ("results/tables/xtreme_r.csv",)):
        assert not rules(fresh(tree, *target)) & STUDIES


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        # 3 sets x 4 sizes x 2 seeds, and the backbone fine-tuned; subsets: de and es 4 each, zh and ar 4 each
        (TABLES[:1], (16, 1, 24, 25, 25, 1, 0)),
        # 5 conditions x 2 seeds and the backbone; qa, copa and ner; these and retrieval are scored
        (TABLES[1:], (6, 1, 10, 33, 44, 0, 1)),
        # de.1200 and de_es.600 are the same models in both, and so are what is fine-tuned on questions and its scores
        (TABLES, (17, 1, 30, 53, 64, 1, 1)),
    ],
)
def test_the_default_expands(tree: Path, targets: tuple[str, ...], expected: tuple[int, ...]) -> None:
    assert count(fresh(tree, *targets), *TRAINING) == expected


def test_real_size_of_scaling(tree: Path) -> None:
    jobs = fresh(tree, *SCALING)
    # 3 x 5 mixtures x 5 seeds; 4 languages with 5 subsets; the backbone is fetched, fine-tuned and scored too
    assert count(jobs, *TRAINING, "align", "shards", "hub") == (20, 1, 75, 76, 76, 1, 0, 4, 4, 1)
    (last,) = (
        job.command for job in jobs if "pretrain/weam-mix.ar_de_es_zh.1000000.epochs1/multi/seed5" in job.command
    )
    assert re.findall(r"--shards (\S+)", last) == [
        f"results/shards/en-{lang}/subset-1000000/manifest.json" for lang in ("ar", "de", "es", "zh")
    ]
    assert '"epochs": 1, ' in last
    assert '"max_steps": null' in last
    (scored,) = (
        j.command for j in jobs if j.rule == "evaluate" and "/weam-mix.ar.62500.epochs1/multi/seed1-1" in j.output
    )
    assert "--languages en ar sw bn fi id ko ru te" in scored


def test_real_size_of_families(tree: Path) -> None:
    jobs = fresh(tree, *FAMILIES)
    # 4 conditions x 5 seeds; qa, copa, pos, ner (x 21 with the backbone); these and retrieval are scored
    assert count(jobs, *TRAINING, "align", "shards", "hub") == (5, 1, 20, 84, 105, 0, 1, 3, 3, 1)
    models = {job.output.split("/")[2] for job in jobs if job.rule == "pretrain"}
    assert models == {f"weam-mix.{name}.steps31250" for name in
                      ("de.1000000", "ar.1000000", "ar_de.500000", "de_es.500000")}  # fmt: skip
    (scored,) = (j.command for j in jobs if j.rule == "evaluate" and "wikiann/zero-shot/weam-mix.ar.1" in j.output
                 and "seed1-" in j.output)  # fmt: skip
    assert re.search(r"--languages en ar de es zh gu jv ka kk my qu sw yo --settings", scored)


def test_commands_of_a_mixture(tree: Path) -> None:
    jobs = fresh(tree, *TABLES)
    commands = [j.command for j in jobs if "models/weam-mix.ar_de.600.steps120/multi/seed2" in j.output]
    (command,) = (text for text in commands if " pretrain " in text)
    assert re.findall(r"--shards (\S+)", command) == [
        "results/shards/en-ar/subset-600/manifest.json",
        "results/shards/en-de/subset-600/manifest.json",
    ]
    assert "--objective weam " in command
    assert "--temperature" not in command
    assert '"epochs": 120, ' in command
    assert '"max_steps": 120' in command
    (subset,) = (job.command for job in jobs if job.output == "results/shards/en-ar/subset-600/manifest.json")
    assert "--shards results/shards/en-ar/manifest.json --rows 600 " in subset


def test_a_smoke_run_has_no_need_of_the_studies_languages(tree: Path) -> None:
    """Studies of languages that a configuration lacks are faults of these studies only."""
    done = snakemake(tree, "-n", TABLES[0], "--configfile", "configs/sample.yaml", status=1)
    assert "not among the languages of the configuration" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("scaling: {languages: []}", "key 'studies.scaling.languages' is empty"),
        ("scaling: {task: xquadd}", "key 'studies.scaling.task' names the task 'xquadd', which is not among tasks"),
        ("scaling: {languages: [[it]]}", "'it' is not among the languages of the configuration"),
    ],
)
def test_faults_of_scaling(tree: Path, key: str, words: str) -> None:
    done = snakemake(tree, "-n", TABLES[0], "--config", f"studies={{{key}}}", status=1)
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (
            "families: {conditions: {indo-european: [], afro-asiatic: [], mixed: [], control: [], "
            "control-afro-asiatic: []}}",
            "conditions' is empty",
        ),
        ("families: {tasks: [tydiqa, mlqa]}", "names 'mlqa', which is scored in none of held_out (sw)"),
        ("families: {held_out: [sw, zz]}", "held_out' names 'zz', in which no task of the study is scored"),
    ],
)
def test_faults_of_families(tree: Path, key: str, words: str) -> None:
    done = snakemake(tree, "-n", TABLES[1], "--config", f"studies={{{key}}}", status=1)
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("block", "changes", "words"),
    [
        ("families", {"pairs": 1201}, "pairs 1201 cannot be divided evenly between the 2 languages of condition mixed"),
        ("families", {"held_out": ["sw", "ar"]}, "condition afro-asiatic learns from ar, which is held_out"),
        ("families", {"tasks": []}, "conditions need held_out languages to be scored in and tasks"),
        ("families", {"conditions": {"one": ["de", "es"], "two": ["es", "de"]}}, "one and two have the same languages"),
        ("scaling", {"pairs": [300, 150]}, "pairs [300, 150] do not rise"),
        ("scaling", {"pairs": [150, 150]}, "names one twice"),
        ("scaling", {"pairs": []}, "pairs is empty"),
        ("scaling", {"languages": [["de"], ["es", "zh"]]}, "does not have all of the set ['de'] before it"),
        ("scaling", {"constant": "pairs"}, "'steps' or 'epochs'"),
    ],
)
def test_faults_at_load_are_one_sentence(block: str, changes: dict[str, object], words: str) -> None:
    config = read_yaml("config.yaml")
    config["studies"][block] |= changes
    with pytest.raises(UserError) as caught:
        validate(Config, config, "config")
    assert words in str(caught.value)
    assert str(caught.value).startswith("config: key 'studies.")
    assert load(read_yaml("config.yaml"), "workflow/sources").studies.scaling.languages
