"""The locked environment covers what the package asks for, and conda environments pin the same versions."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LINES = [
    line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip() and not line.startswith("#")
]
LOCK = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES)}
CONDA_ONLY = {"python", "pip", "cmake", "cxx-compiler", "make"}
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def needed(requirements: list[str]) -> set[str]:
    """Names of the closure of requirements in this environment."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        new = [
            (Requirement(text), option)
            for option in ("", *requirement.extras)
            for text in metadata.requires(name) or []
        ]
        if name not in found or requirement.extras:
            if f"{name}{sorted(requirement.extras)}" in found:
                continue
            found |= {name, f"{name}{sorted(requirement.extras)}"}
            waiting += new
    return {name for name in found if "[" not in name}


def project_requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    named = [text for extra in ("dev", "slurm", "cluster-generic") for text in extras[extra]]
    return [*project["project"]["dependencies"], *named, *project["build-system"]["requires"]]


def test_every_line_of_the_lock_is_an_exact_version_without_a_local_part() -> None:
    for line in LINES:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!]*", line), line


def test_the_lock_satisfies_the_project() -> None:
    for text in project_requirements():
        requirement = Requirement(text)
        assert LOCK[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_the_lock_is_the_closure_of_the_project() -> None:
    closure = {name for name in needed(project_requirements()) if not re.match(r"nvidia|cuda|triton", name)}
    assert closure <= set(LOCK), "not locked"
    assert set(LOCK) <= closure, "locked without need"


def test_this_environment_is_the_locked_one() -> None:
    for name, version in LOCK.items():
        assert metadata.version(name).partition("+")[0] == version, name


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_pins_are_those_of_the_lock(path: Path) -> None:
    env = yaml.safe_load(path.read_text())
    assert env["channels"] == ["conda-forge", "nodefaults"]
    for entry in env["dependencies"]:
        for text in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, _, version = text.partition("==")
            name = name.split()[0]
            if name in CONDA_ONLY:
                continue
            assert version == LOCK[canonicalize_name(CONDA_NAMES.get(name, name))], text


def test_every_conda_environment_is_used_and_exists() -> None:
    used = set(re.findall(r"envs/(\w+)\.yaml", "".join(p.read_text() for p in ROOT.glob("workflow/rules/*.smk"))))
    assert used == {path.stem for path in (ROOT / "envs").glob("*.yaml")}


def test_the_image_has_the_lock_and_the_plugins_of_its_extra() -> None:
    text = (ROOT / "envs" / "Dockerfile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"[\w-]+==[\w.]+", text)) == set(extras["kubernetes"])
    assert re.findall(r"^COPY (\S+) (\S+)$", text, re.MULTILINE) == [("requirements.lock", "/tmp/requirements.lock")]
    assert "pip install --no-cache-dir -r /tmp/requirements.lock" in text
    (version,) = re.findall(r"^FROM python:(\d+\.\d+)-", text, re.MULTILINE)
    conda = {
        entry
        for path in (ROOT / "envs").glob("*.yaml")
        for entry in yaml.safe_load(path.read_text())["dependencies"]
        if str(entry).startswith("python ")
    }
    assert conda == {f"python ={version}"}
