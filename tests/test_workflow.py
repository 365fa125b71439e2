"""The workflow parses in every documented form, and plans what the configuration asks for. Nothing is run here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pipeline import FIGURES, ROOT, SMOKE, STUDIES, copy_tree, fresh, overlay, planned, rules, snakemake

from weam.cli import COMMANDS

PARTS = {"align_model", "align_part", "align_join"}
EVERY = {"lareqa", "mewslix", "mlqa", "tatoeba", "tydiqa", "udpos", "wikiann", "xcopa", "xnli", "xquad"}
"""Tasks of the default configuration."""
STAGES = set(COMMANDS) - {"figure", "hub"} - STUDIES | FIGURES
OVER_ALL = {"alignment_table", "data_table", "page", "word_retrieval", "xtreme_r", *FIGURES}
"""Rules that the table of a single task does not need."""
TOOLS = {"sources", "cost", "inspect", "card", "on_gpu", "predict"}
"""Commands without a rule; the rule of the command hub runs for a real backbone only."""


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree where nothing has run."""
    return copy_tree(tmp_path_factory.mktemp("tree"))


def test_lint(tree: Path) -> None:
    assert "in a good condition" in snakemake(tree, "--lint").stderr


def test_snakefmt_and_length() -> None:
    files = [ROOT / "Snakefile", *sorted(ROOT.glob("workflow/rules/*.smk"))]
    done = subprocess.run([sys.executable, "-m", "snakefmt", "--check", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(files[0].read_text().splitlines()) <= 90


@pytest.mark.parametrize(
    ("args", "tasks"),
    [
        ((), EVERY),
        (("results/tables/mlqa.csv",), {"mlqa"}),
        (("results/tables/xnli.csv",), {"xnli"}),
        (("mlqa",), {"mlqa"}),
        (SMOKE, {"mlqa", "xnli", "udpos", "tatoeba"}),
        (("--configfile", "configs/sample.yaml"), {"mlqa", "xnli", "xquad", "tydiqa"}),
        (("results/tables/xquad.csv", "--configfile", "configs/sample.yaml", "--config", "sample_dir=/x"), {"xquad"}),
        (("--workflow-profile", "profiles/slurm"), EVERY),
        (("--workflow-profile", "profiles/local-gpu"), EVERY),
    ],
    ids=lambda words: " ".join(sorted(words) if isinstance(words, set) else words),
)
def test_documented_commands_plan_their_tables(tree: Path, args: tuple[str, ...], tasks: set[str]) -> None:
    jobs = fresh(tree, *args)
    assert {Path(job.output.split(",")[0]).stem for job in jobs if job.rule == "table"} == tasks
    assert rules(jobs) >= STAGES - OVER_ALL - PARTS - TOOLS
    one = [arg for arg in args if arg.endswith((".csv", "mlqa"))]
    assert rules(jobs) >= OVER_ALL or one
    assert len(jobs) <= (80 if one else 360)


def test_rules_are_the_commands(tree: Path) -> None:
    assert rules(fresh(tree)) == STAGES - PARTS - TOOLS


def test_alignment_in_parts_and_by_two_methods(tree: Path) -> None:
    jobs = planned(tree, *overlay(tree, "align: {train_pairs: 1000, parts: 3, compare: [eflomal]}"))
    assert rules(jobs) == STAGES - {"align"} - TOOLS | {"align_compare"}
    count = Counter(job.rule for job in jobs)
    assert (count["align_model"], count["align_part"], count["align_join"], count["align_compare"]) == (2, 6, 2, 2)
    (line,) = {job.command for job in jobs if "compare/eflomal/en-de" in job.output}
    assert '"method": "eflomal"' in line
    more = planned(tree, "results/align/en-de/links.txt", *overlay(tree, "align: {train_pairs: 1000, parts: 4}"))
    assert [job.rule for job in more].count("align_part") == 4


def test_logs_and_benchmarks_have_the_name_of_their_rule(tree: Path) -> None:
    text = snakemake(tree, "-n").stdout
    for rule, log, benchmark in re.findall(
        r"rule (\w+):\n(?:.*\n)*?    log: ([^,\n]+).*\n(?:.*\n)*?    benchmark: (\S+)", text
    ):
        assert log.startswith(f"results/logs/{rule}/")
        assert benchmark.startswith(f"results/benchmarks/{rule}/")


def test_the_data_target_downloads_everything_and_nothing_else(tree: Path) -> None:
    jobs = fresh(tree, "data", "-j1")
    assert rules(jobs) == {"download"}
    assert len(jobs) == len({job.output for job in fresh(tree) if job.rule == "download"})
    real = fresh(tree, "data", "-j1", "--config", "backbone={name_or_path: some/model, revision: v1}")
    assert [job.output for job in real if job.rule == "hub"] == ["data/hub/some--model/v1/manifest.json"]


def test_what_needs_the_network_is_not_submitted(tree: Path) -> None:
    (block,) = re.findall(r"\nlocalrules:\n((?:    \w+,\n)+)", (tree / "Snakefile").read_text())
    assert {"download", "hub"} <= {line.strip(" ,") for line in block.splitlines()}


def test_the_dag_is_clean_on_stdout(tree: Path) -> None:
    assert snakemake(tree, "--dag").stdout.startswith("digraph")


def test_no_path_of_this_machine_is_in_a_command(tree: Path) -> None:
    args = ("--configfile", "configs/sample.yaml", "--config", "sample_dir=/secret/place", "mirror=/secret/mirror")
    assert not [job for job in fresh(tree, *args) if "/secret" in job.command]


def test_gpu_jobs_use_a_gpu_only_where_a_profile_gives_one(tree: Path) -> None:
    plain = [job for job in fresh(tree) if "--device" in job.command]
    assert rules(plain) == {"backbone", "pretrain", "finetune", "evaluate", "word_retrieval"}
    assert all("--device cpu" in job.command for job in plain)
    assert all(job.command.startswith("python -m weam ") for job in plain)
    given = [job for job in fresh(tree, "--workflow-profile", "profiles/local-gpu") if "--device" in job.command]
    assert all("--device auto" in job.command for job in given)
    assert all(job.command.startswith("python -m weam on_gpu 1 python -m weam ") for job in given)


def test_training_on_several_gpus_starts_a_process_for_each(tree: Path) -> None:
    for resources in ("pretrain:gpu=2", "pretrain:gres='gpu:a100:2'"):
        jobs = planned(tree, "results/models/weam/de/seed1", "--set-resources", resources)
        (command,) = (job.command for job in jobs if job.rule == "pretrain")
        assert command.startswith(
            "trap '' USR1; python -m torch.distributed.run --standalone --nproc-per-node=2 -m weam pretrain "
        )
        assert "--device auto" in command
    resources = ("pretrain:gpu=2", "pretrain:own_gpu=1")
    jobs = planned(tree, "results/models/weam/de/seed1", "--set-resources", *resources)
    (command,) = (job.command for job in jobs if job.rule == "pretrain")
    assert command.startswith("trap '' USR1; python -m weam on_gpu 2 python -m torch.distributed.run --standalone ")


def test_a_joint_system_is_one_model_of_all_languages(tree: Path) -> None:
    args = ("results/tables/mlqa.csv", "--config", "systems=[mbert, weam-joint]", "pretrain={temperature: 2}")
    jobs = planned(tree, *args)
    (command,) = (job.command for job in jobs if job.rule == "pretrain")
    assert re.findall(r"--shards results/shards/(\S+)/manifest", command) == [
        "en-de",
        "en-es",
        "en-zh",
        "en-ar",
        "en-sw",
        "en-he",
    ]
    assert "--objective weam" in command
    assert "--temperature 2.0" in command
    tuned = {job.output.removeprefix("results/finetuned/qa/") for job in jobs if job.rule == "finetune"}
    assert {name for name in tuned if "joint" in name} == {
        "zero-shot/weam-joint/multi/seed1-1",
        *(f"translate-train/weam-joint/{lang}/seed1-1" for lang in ("de", "es", "zh")),
    }
    (evaluation,) = (j.command for j in jobs if j.rule == "evaluate" and "zero-shot/weam-joint" in j.output)
    assert "--languages en de es zh" in evaluation


def test_a_real_backbone_needs_no_vocabulary_and_no_running_text(tree: Path) -> None:
    jobs = fresh(tree, "--config", "backbone={name_or_path: some/model}")
    assert "tokenizer" not in rules(jobs)
    (command,) = (job.command for job in jobs if job.rule == "backbone")
    assert "--hub data/hub/some--model/main/manifest.json" in command
    assert all("data/hub/some--model/main/manifest.json" in job.command for job in jobs if job.rule == "table")
    assert not [job for job in jobs if "mono" in job.output]
    assert all("--tokenizer results/models/backbone" in job.command for job in jobs if job.rule == "shards")


def test_a_local_backbone_is_an_input(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "notes.txt"):
        (folder / name).touch()
    text = snakemake(tree, "-n", "--config", f"backbone={{name_or_path: {folder}}}").stdout
    (inputs,) = re.findall(r"rule backbone:\n    input: (.*)", text)
    assert inputs.split(", ") == [str(folder / name) for name in ("config.json", "model.safetensors", "tokenizer.json")]


def test_jobs_of_the_mini_world_get_only_the_sizes_that_they_use(tree: Path) -> None:
    sizes = {}
    for job in fresh(tree):
        if match := re.search(r"--name (\S+) .*--mini '(\{.*?\})'", job.command):
            sizes[match[1]] = set(json.loads(match[2])) - {"seed"}
    assert sizes.pop("mini-mono") == {"documents", "scarce"}
    assert sizes.pop("mini-gold") == {"gold_pairs"}
    assert sizes.pop("mini-squad") == sizes.pop("mini-squad-translated") == {"questions"}
    assert sizes.pop("mini-mlqa") == sizes.pop("mini-xquad") == sizes.pop("mini-lareqa") == {"test_questions"}
    assert sizes.pop("mini-tydiqa") == {"questions", "test_questions"}
    assert (sizes.pop("mini-copa"), sizes.pop("mini-xcopa")) == ({"choices"}, {"test_choices"})
    assert sizes.pop("mini-ud") == sizes.pop("mini-wikiann") == {"sentences", "test_sentences"}
    assert (sizes.pop("mini-tatoeba"), sizes.pop("mini-mewslix")) == ({"test_sentences"}, {"test_mentions"})
    assert sizes.pop("mini-xnli") == {"test_inferences"}
    assert sizes.pop("mini-xnli-mt") == {"inferences"}
    assert sizes == {f"mini-en-{lang}": {"pairs", "scarce"} for lang in ("de", "es", "zh", "ar", "sw", "he")}


def test_the_data_table_has_each_set_of_training_data_once(tree: Path) -> None:
    (job,) = (job for job in fresh(tree) if job.rule == "data_table")
    models = re.findall(r"results/finetuned/(\S+)/training.json", job.command)
    english, translated = "zero-shot/mbert/multi/seed0-1", "translate-train/mbert/{}/seed0-1"
    assert models == [
        *(f"qa/{english}", *(f"qa/{translated.format(lang)}" for lang in ("de", "es", "zh", "ar", "sw"))),
        *(f"nli/{english}", *(f"nli/{translated.format(lang)}" for lang in ("de", "zh"))),
        *(f"{family}/{english}" for family in ("copa", "pos", "ner")),
    ]


def test_models_and_languages_of_a_score(tree: Path) -> None:
    """A model is scored in its language and in English where there is a test set; retrieval needs no fine-tuning."""
    lines = {job.output.split("/scores.json")[0]: job.command for job in fresh(tree) if job.rule == "evaluate"}

    def of(name: str) -> tuple[str, ...]:
        command = lines[f"results/scores/{name}"]
        found = re.search(r"--model (\S+) .*--languages ([a-z ]+) --settings", command)
        assert found is not None
        return found[1].removeprefix("results/"), *found[2].split()

    assert of("tydiqa/zero-shot/mbert/multi/seed0-1") == (
        *("finetuned/qa/zero-shot/mbert/multi/seed0-1", "en", "ar", "sw"),
    )
    assert of("tydiqa/translate-train/weam/sw/seed1-1") == (
        *("finetuned/qa/translate-train/weam/sw/seed1-1", "en", "sw"),
    )
    assert of("xcopa/zero-shot/weam/sw/seed1-1") == ("finetuned/copa/zero-shot/weam/sw/seed1-1", "sw")
    assert of("tatoeba/zero-shot/weam/sw/seed1-0") == ("models/weam/sw/seed1", "sw")
    assert of("tatoeba/zero-shot/mbert/multi/seed0-0") == ("models/backbone", "zh", "sw")
    assert not [name for name in lines if "translate-train" in name and not re.search("mlqa|xquad|tydiqa|xnli", name)]


def test_languages_held_out_of_pre_training_are_scored_by_shared_models(tree: Path) -> None:
    settings = (
        "languages=[de]",
        "systems=[mbert, weam, weam-joint]",
        "tasks={mlqa: {held_out: [sw]}}",
    )
    jobs = planned(tree, "results/tables/mlqa.csv", "--config", *settings)
    spoken = {
        job.output.split("/")[4]: re.findall(r"--languages ([a-z ]+) --settings", job.command)[0]
        for job in jobs
        if job.rule == "evaluate" and "/zero-shot/" in job.output
    }
    assert spoken == {"mbert": "en de sw", "weam-joint": "en de sw", "weam": "en de"}
    assert not [job for job in jobs if job.rule == "pretrain" and "sw" in job.output]


def test_fewer_languages_than_the_tasks_of_the_default_name(tree: Path) -> None:
    """XQuAD and TyDiQA are left with English: zero-shot only, by the German models; XCOPA is left out."""
    done = snakemake(tree, "-n", "--config", "languages=[de]")
    assert "task xcopa has no test set in de; left out" in done.stderr
    jobs = planned(tree, "--config", "languages=[de]")
    folders = {job.output.split("/scores.json")[0] for job in jobs if job.rule == "evaluate"}
    assert not [name for name in folders if re.search("(xquad|tydiqa)/translate-train", name)]
    assert "results/scores/tydiqa/zero-shot/weam/de/seed1-1" in folders
    assert all(re.search(r"--languages [a-z]", job.command) for job in jobs if job.rule == "evaluate")


def test_without_zero_shot_there_is_no_table_over_all_tasks(tree: Path) -> None:
    settings = overlay(
        tree, "finetune: {qa: {settings: [translate-train]}}\ntasks: {xnli: null, udpos: null, tatoeba: null}"
    )
    assert not [job for job in planned(tree, *settings) if job.rule in ("xtreme_r", "figure_xtreme_r", "figure_matrix")]
    done = snakemake(tree, "-n", "results/tables/xtreme_r.csv", *settings, status=1)
    assert "no task is scored zero-shot" in done.stderr + done.stdout


def test_a_task_with_an_english_test_set_only(tree: Path) -> None:
    """Systems with one model per language are scored with all of them."""
    jobs = fresh(tree, "results/tables/tydiqa.csv", "--configfile", "configs/sample.yaml")
    names = {"/".join(job.output.split("/")[4:6]) for job in jobs if job.rule == "evaluate"}
    assert names >= {"mbert/multi", "weam/de", "weam/es", "weam/zh"}
    assert all("--languages en --settings" in job.command for job in jobs if job.rule == "evaluate")


def test_ready_binaries_are_not_built(tree: Path, tmp_path: Path) -> None:
    jobs = fresh(tree, "--config", f"align={{binary_dir: {tmp_path}}}")
    assert "build_fast_align" not in rules(jobs)
    assert all(f"--tools {tmp_path}" in job.command for job in jobs if job.rule == "align")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--config", "langages=[de]"), "unknown key 'langages'; did you mean 'languages'?"),
        (("--config", "languages=[de,fr]"), "data.parallel has no source for language 'fr'"),
        (
            ("--config", "align={source: nowhere}"),
            "key 'align.source' is 'nowhere'; there is no such folder or archive",
        ),
        (("--config", "align={binary_dir: nowhere}"), "key 'align.binary_dir' is 'nowhere'; there is no such folder"),
        (("results/tables/xquad.csv", *SMOKE), "key 'tasks' has no 'xquad'"),
        (
            ("results/scores/xquad/zero-shot/mbert/multi/seed0-1/scores.json", *SMOKE),
            "key 'tasks' has no 'xquad'",
        ),
        (("--config", "backbone={name_or_path: /no/model}"), "'/no/model': there is no such folder, and it is no id"),
        (("--configfile", "twice.yaml"), "twice.yaml, line 3: key 'text' stands on line 1 already"),
    ],
)
def test_faults_of_the_configuration_are_one_sentence(tree: Path, args: tuple[str, ...], words: str) -> None:
    (tree / "twice.yaml").write_text("text:\n  max_words: 5\ntext:\n  max_words: 6\n")
    done = snakemake(tree, "-n", *args, status=1)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("weam: ")]) == 1
    if args[0].startswith("--"):  # what is asked for is looked at later
        assert "Building DAG" not in done.stdout + done.stderr
