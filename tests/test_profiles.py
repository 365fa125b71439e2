"""Every profile parses, names only rules, options and resources that exist, and forgets no rule that can use a GPU."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline import ROOT, SMOKE, copy_tree, planned, snakemake

PROFILES = sorted(path.parent.name for path in ROOT.glob("profiles/*/config.yaml"))
WITH_GPUS = [name for name in PROFILES if name != "default"]
PLUGINS = {
    "cluster-generic": "snakemake-executor-plugin-cluster-generic",
    "slurm": "snakemake-executor-plugin-slurm",
}
"""Executor to the package that has it."""
RESOURCES = {
    None: {"gpu", "own_gpu"},
    "cluster-generic": {"gpu", "cpus"},
    "slurm": {"gpu", "gres", "cpus_per_task"},
}
"""Executor to what a profile may ask for, beside mem_mb and runtime: what reads it is the workflow or the plugin."""
RULES = {
    name: text
    for path in ROOT.glob("workflow/rules/*.smk")
    for name, text in re.findall(r"^(?:rule|use rule \w+ as) (\w+)\b(.*?)(?=^\S|\Z)", path.read_text(), re.M | re.S)
}
"""Rule to what stands in it."""
GPU_RULES = {name for name, text in RULES.items() if "gpu=0" in text}


def read(name: str) -> dict[str, Any]:
    profile = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
    assert isinstance(profile, dict)
    return profile


def needs_plugin(name: str) -> None:
    package = PLUGINS.get(read(name).get("executor", ""))
    if package and not importlib.util.find_spec(package.replace("-", "_")):
        pytest.skip(f"profiles/{name} needs: pip install {package}")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def options() -> set[str]:
    """All options of Snakemake and the plugins that are installed."""
    command = [sys.executable, "-m", "snakemake", "--help"]
    return set(re.findall(r"--([a-z0-9][a-z0-9-]+)", subprocess.run(command, capture_output=True, text=True).stdout))


def test_the_profiles_are_those_of_the_documentation() -> None:
    documented = set(re.findall(r"profiles/([a-z0-9-]+)", (ROOT / "docs" / "cluster.md").read_text()))
    assert documented - {"mine"} == set(PROFILES)


def test_rules_that_can_use_a_gpu() -> None:
    """They ask for none themselves, and say to their command which device to use."""
    assert {"backbone", "pretrain", "finetune", "evaluate", "word_retrieval"} == GPU_RULES
    assert {name for name, text in RULES.items() if "device=device" in text} == GPU_RULES


@pytest.mark.parametrize("name", PROFILES)
def test_only_options_that_exist(name: str, options: set[str]) -> None:
    needs_plugin(name)
    assert set(read(name)) <= options


@pytest.mark.parametrize("name", WITH_GPUS)
def test_rules_and_resources_exist(name: str) -> None:
    profile = read(name)
    allowed = RESOURCES[profile.get("executor")] | {"mem_mb", "runtime"}
    for rule, resources in profile["set-resources"].items():
        assert rule in RULES
        assert set(resources) <= allowed
    assert set(profile.get("default-resources", {})) <= allowed
    commands = " ".join(str(value) for value in profile.values() if isinstance(value, str))
    given = set(profile.get("default-resources", {}))
    assert set(re.findall(r"\{resources\.(\w+)\}", commands)) <= given


@pytest.mark.parametrize("name", WITH_GPUS)
def test_no_rule_that_can_use_a_gpu_is_forgotten(name: str) -> None:
    asked = read(name)["set-resources"]
    assert {rule for rule, resources in asked.items() if resources.get("gpu") or resources.get("gres")} == GPU_RULES
    assert len({str(resources) for resources in asked.values()}) == 1, "not the same for all"


@pytest.mark.parametrize("name", WITH_GPUS)
def test_a_dry_run_gives_gpus(tree: Path, name: str) -> None:
    needs_plugin(name)
    jobs = planned(tree, "results/models/weam/de/seed1", *SMOKE, "--workflow-profile", f"profiles/{name}")
    devices = {job.rule: re.findall(r"--device (\w+)", job.command) for job in jobs}
    assert {rule: found for rule, found in devices.items() if found} == {"backbone": ["auto"], "pretrain": ["auto"]}


def test_an_option_that_does_not_exist_is_refused(tree: Path) -> None:
    """So that the dry runs above would find one."""
    folder = tree / "profiles" / "wrong"
    folder.mkdir()
    (folder / "config.yaml").write_text("rerun-imcomplete: true\n")
    done = snakemake(tree, "-n", *SMOKE, "--workflow-profile", "profiles/wrong", status=2)
    assert "unrecognized arguments: --rerun-imcomplete" in done.stderr


def test_the_slurm_profiles_differ_in_the_form_of_gpus_only() -> None:
    plain, gres = ((ROOT / "profiles" / name / "config.yaml").read_text() for name in ("slurm", "slurm-gres"))
    head = plain.replace("profiles/slurm (", "profiles/slurm-gres (")
    sentence = "are asked for with --{}; profiles/{} is the same with --{}."
    head = head.replace(sentence.format("gpus", "slurm-gres", "gres"), sentence.format("gres", "slurm", "gpus"))
    form = '    gres: "gpu:1" # becomes --gres=gpu:1; or "gpu:a100:1"\n'
    assert head.replace("    gpu: 1 # becomes --gpus=1\n", form) == gres
    assert gres.count(form) == len(GPU_RULES)
