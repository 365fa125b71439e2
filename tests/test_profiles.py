"""Every profile parses, names only rules, options and resources that exist, and forgets no rule that can use a GPU."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from pipeline import ROOT, SMOKE, copy_tree, planned, snakemake

PROFILES = sorted(path.parent.name for path in ROOT.glob("profiles/*/config.yaml"))
WITH_GPUS = [name for name in PROFILES if name != "default"]
PLUGINS = {
    "cluster-generic": ["snakemake-executor-plugin-cluster-generic"],
    "kubernetes": ["snakemake-executor-plugin-kubernetes", "snakemake-storage-plugin-s3"],
    "slurm": ["snakemake-executor-plugin-slurm"],
}
"""Executor to the packages that its profile needs."""
RESOURCES = {
    None: {"gpu", "own_gpu"},
    "cluster-generic": {"gpu", "cpus"},
    "kubernetes": {"gpu", "gpu_manufacturer", "scale"},
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
    for package in PLUGINS.get(read(name).get("executor", ""), []):
        if not importlib.util.find_spec(package.replace("-", "_")):
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


def test_the_extras_of_plugins_are_those_that_profiles_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    needed = {name: [Requirement(text).name for text in extras[name]] for name in PLUGINS}
    assert needed == PLUGINS


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


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an S3 on this machine, with the bucket of profiles/kubernetes."""
    server = pytest.importorskip("moto.server", reason="needs: pip install 'moto[server]'").ThreadedMotoServer(port=0)
    server.start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    host, port = server.get_host_and_port()
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    bucket = read("kubernetes")["default-storage-prefix"].split("/")[2]
    client = importlib.import_module("boto3").client("s3", endpoint_url=address, region_name="us-east-1")
    client.create_bucket(Bucket=bucket)
    yield address
    server.stop()


@pytest.mark.parametrize("name", WITH_GPUS)
def test_a_dry_run_gives_gpus(tree: Path, name: str, request: pytest.FixtureRequest) -> None:
    needs_plugin(name)
    place = ["--storage-s3-endpoint-url", request.getfixturevalue("s3")] if name == "kubernetes" else []
    jobs = planned(tree, "results/models/weam/de/seed1", *SMOKE, "--workflow-profile", f"profiles/{name}", *place)
    devices = {job.rule: re.findall(r"--device (\w+)", job.command) for job in jobs}
    assert {rule: found for rule, found in devices.items() if found} == {"backbone": ["auto"], "pretrain": ["auto"]}


def test_one_machine_with_its_results_in_s3(tree: Path, s3: str) -> None:
    """Files of the repository are read from it, all else is stored; a second run finds it there."""
    needs_plugin("kubernetes")
    place = ("--default-storage-provider", "s3", "--default-storage-prefix", "s3://my-bucket/one")
    place += ("--storage-s3-endpoint-url", s3)
    targets = ("results/models/tokenizer", "results/align/en-de/links.txt")
    snakemake(tree, *targets, "-j2", *SMOKE, *place)
    assert not (tree / "results/models").exists()
    shutil.rmtree(tree / ".snakemake/storage")
    assert planned(tree, *targets, *SMOKE, *place) == []


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
