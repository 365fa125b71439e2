"""Models of the hub: fetched by revision from a hub on this machine, verified, locked; then nobody is asked again."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hub_server import SIGNATURE, TOKEN, Model, hub
from pipeline import copy_tree, environment, planned
from safetensors.torch import load, load_file, save

from weam.errors import UserError
from weam.hub import path_of
from weam.io import sha256

OLD, NEW = "a" * 40, "b" * 40
DRIVER = "import sys; from weam import cli, fetch; fetch.WAITS = (0.01, 0.01, 0.01); sys.exit(cli.main())"
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    tiny.make(folder, getattr(request, "param", "bert"))
    return folder


def repository(folder: Path) -> dict[str, bytes]:
    """The files of a model, and some of other libraries, as repositories have them."""
    names = [path.name for path in folder.iterdir() if path.name not in ("training.json", "metrics.jsonl")]
    files = {name: (folder / name).read_bytes() for name in names}
    return files | {"tf_model.h5": bytes(1000), "pytorch_model.bin": b"not asked for", ".gitattributes": b"* text\n"}


@pytest.fixture
def server(world: Path) -> Iterator[Any]:
    files = repository(world / "backbone")
    halved = {name: tensor * 0.5 for name, tensor in load(files["model.safetensors"]).items()}
    older = files | {"model.safetensors": save(halved, {"format": "pt"})}
    model = Model({"main": NEW, "v1": OLD}, {OLD: older, NEW: files})
    bare = {NEW: {"README.md": b"nothing"}}
    models = {
        "lab/model": model,
        "lab/secret": model._replace(access="private"),
        "lab/gated": model._replace(access="gated"),
        "lab/empty": Model({"main": NEW}, bare),
        "lab/weights": Model({"main": NEW}, {NEW: {"model.safetensors": b"x"}}),
    }
    with hub(models) as fresh:
        yield fresh


def new_user(home: Path, url: str, known: dict[str, str], **variables: str) -> dict[str, str]:
    """Environment of somebody who has never used the hub."""
    leave = ("HF_", "HUGGING", "TRANSFORMERS_")
    env = {name: value for name, value in known.items() if not name.startswith(leave)}
    return env | {"HF_ENDPOINT": url, "HF_HOME": str(home), "no_proxy": "*", **variables}


def weam(where: Path, url: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command, with short waits between tries."""
    env = new_user(where / "home", url, dict(os.environ), **variables)
    command = [sys.executable, "-c", DRIVER, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def fetch(where: Path, url: str, model: str = "lab/model", revision: str | None = None, **variables: str) -> Any:
    """Run the command hub; gives what it said, or the manifest."""
    arguments = ["hub", "--model", model, "--lock", where / "lock.json", "--out", where / "got" / "manifest.json"]
    done = weam(where, url, *arguments, *(["--revision", revision] if revision else []), **variables)
    token = variables.get("HF_TOKEN", TOKEN).strip()
    assert token not in done.stdout + done.stderr
    assert SIGNATURE not in done.stdout + done.stderr
    if done.returncode:
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert not (where / "got" / "manifest.json").exists()
        return done.stderr.splitlines()[-1]
    return json.loads((where / "got" / "manifest.json").read_text())


def backbone(where: Path, url: str = UNREACHABLE, **settings: object) -> subprocess.CompletedProcess[str]:
    arguments = ["backbone", "--hub", where / "got" / "manifest.json", "--settings", json.dumps(settings)]
    return weam(where, url, *arguments, "--work", where / "work", "--out", where / "model")


@pytest.mark.parametrize("world", ["bert", "xlm-roberta"], indirect=True, scope="module")
@pytest.mark.parametrize(("revision", "commit"), [(None, NEW), ("v1", OLD), (OLD, OLD)])
def test_a_model_is_fetched_by_revision_and_taken_without_a_network(
    world: Path, server: Any, tmp_path: Path, revision: str | None, commit: str
) -> None:
    record = fetch(tmp_path, server.url, revision=revision)
    assert (record["source"], record["version"], record["commit"]) == ("lab/model", revision or "main", commit)
    names = [entry["name"] for entry in record["files"]]
    assert {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"} <= set(names)
    assert not {"tf_model.h5", "pytorch_model.bin", "README.md"} & set(names)
    assert {path.name for path in (tmp_path / "got").iterdir()} == {*names, "manifest.json"}
    served = server.models["lab/model"].commits[commit]
    for entry in record["files"]:
        assert (tmp_path / "got" / entry["name"]).read_bytes() == served[entry["name"]]
        assert sha256(tmp_path / "got" / entry["name"]) == entry["sha256"]
        assert entry["url"] == f"https://huggingface.co/lab/model/resolve/{commit}/{entry['name']}"
    assert json.loads((tmp_path / "lock.json").read_text()) == record
    asked = len(server.asked)
    done = backbone(tmp_path, server.url, name_or_path="lab/model", revision=revision)
    assert done.returncode == 0, done.stderr
    assert len(server.asked) == asked
    training = json.loads((tmp_path / "model" / "training.json").read_text())
    assert (training["revision"], training["commit"], training["files"]) == (revision, commit, record["files"])
    ours, theirs = (load_file(tmp_path / place / "model.safetensors") for place in ("model", "got"))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in theirs)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "base_model: lab/model" in card
    assert commit in card


def test_later_stages_ask_nobody(world: Path, server: Any, tmp_path: Path) -> None:
    fetch(tmp_path, server.url)
    asked = len(server.asked)
    assert backbone(tmp_path, server.url, name_or_path="lab/model").returncode == 0
    shards = ["shards", "--text", world / "pairs.parquet", "--tokenizer", tmp_path / "model"]
    for name in ("links", "forward", "reverse"):
        shards += [f"--{name}", world / f"{name}.txt"]
    done = weam(tmp_path, server.url, *shards, "--out", tmp_path / "pairs" / "manifest.json")
    assert done.returncode == 0, done.stderr
    arguments = ["pretrain", "--objective", "weam", "--model", tmp_path / "model", "--settings", '{"max_steps": 1}']
    arguments += ["--shards", tmp_path / "pairs" / "manifest.json"]
    arguments += ["--work", tmp_path / "work", "--out", tmp_path / "w"]
    done = weam(tmp_path, server.url, *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "w" / "training.json").read_text())["base"]["commit"] == NEW
    assert len(server.asked) == asked


def test_what_is_here_is_not_fetched_again(server: Any, tmp_path: Path) -> None:
    fetch(tmp_path, server.url)
    first = (tmp_path / "got" / "manifest.json").read_bytes()
    (tmp_path / "got" / "manifest.json").unlink()
    fetch(tmp_path, UNREACHABLE, HF_HUB_OFFLINE="1")
    assert (tmp_path / "got" / "manifest.json").read_bytes() == first
    (tmp_path / "got" / "config.json").write_text("{}")
    (tmp_path / "got" / "manifest.json").unlink()
    server.asked.clear()
    fetch(tmp_path, server.url)
    assert (tmp_path / "got" / "manifest.json").read_bytes() == first
    assert {path.rpartition("/")[2] for _, path, _ in server.asked} == {"config.json"}


def test_the_lock_keeps_the_commit_of_a_revision_that_moves(server: Any, tmp_path: Path) -> None:
    first = fetch(tmp_path, server.url)
    server.models["lab/model"].revisions["main"] = OLD
    shutil.rmtree(tmp_path / "got")
    assert fetch(tmp_path, server.url) == first
    del server.models["lab/model"].commits[NEW]
    shutil.rmtree(tmp_path / "got")
    said = fetch(tmp_path, server.url)
    assert f"revision '{NEW}': is the commit that {tmp_path / 'lock.json'} notes, and it is gone; delete" in said


def test_a_file_that_changed_under_the_same_revision_is_named(server: Any, tmp_path: Path) -> None:
    fetch(tmp_path, server.url)
    files = server.models["lab/model"].commits[NEW]
    files["config.json"] = files["config.json"].replace(b"{", b"{ ", 1)
    shutil.rmtree(tmp_path / "got")
    said = fetch(tmp_path, server.url)
    assert f"config.json is not the file that {tmp_path / 'lock.json'} notes; if the model was replaced on" in said


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_content_that_the_hub_did_not_list(server: Any, tmp_path: Path, name: str) -> None:
    server.spoiled.add(name)
    said = fetch(tmp_path, server.url)
    assert f"{name} has checksum " in said
    assert "is expected; fetch it again" in said
    assert not (tmp_path / "got" / name).exists()
    server.spoiled.clear()
    fetch(tmp_path, server.url)


def test_busy_servers_and_cut_connections(server: Any, tmp_path: Path) -> None:
    server.faults[:] = [503, 503, ("drop", 10), ("drop", 0), 503]
    fetch(tmp_path, server.url)
    assert server.faults == []


def test_a_private_model_with_a_token_that_goes_to_the_hub_alone(server: Any, tmp_path: Path) -> None:
    record = fetch(tmp_path, server.url, "lab/secret", HF_TOKEN=TOKEN)
    assert TOKEN not in json.dumps(record) + (tmp_path / "lock.json").read_text()
    assert {token for _, path, token in server.asked if not path.startswith("/cdn/")} == {f"Bearer {TOKEN}"}
    assert {token for _, path, token in server.asked if path.startswith("/cdn/")} == {None}
    server.asked.clear()
    fetch(tmp_path / "other", server.url, "lab/gated", HF_TOKEN=TOKEN)
    assert server.asked


@pytest.mark.parametrize(
    ("model", "revision", "variables", "faults", "words"),
    [
        ("lab/none", None, {}, [], "there is no such model on 127.0.0.1, or it is private; check the name"),
        ("lab/none", None, {"HF_TOKEN": TOKEN}, [], "there is no such model on 127.0.0.1, or it is private; check"),
        ("lab/secret", None, {}, [], "for a private one set HF_TOKEN"),
        ("lab/gated", None, {}, [], "is gated; ask for access on its page"),
        ("lab/model", None, {"HF_TOKEN": "hf_badtoken999"}, [], "refuses access (HTTP 401); renew HF_TOKEN"),
        ("lab/model", None, {"HF_TOKEN": "hf_one\u20ac"}, [], "the request cannot be sent; check HF_TOKEN"),
        ("lab/model", None, {}, [403], "refuses access (HTTP 403)"),
        ("lab/model", "v9", {}, [], "revision 'v9': there is no such revision; give a commit, tag or branch"),
        ("lab/model", None, {}, [503] * 9, "127.0.0.1 answers HTTP 503; try again later"),
        ("lab/model", None, {}, [418], "127.0.0.1 answers HTTP 418; try again later"),
        ("lab/model", None, {"HF_ENDPOINT": UNREACHABLE}, [], "127.0.0.1 failed (Connection refused); check"),
        ("lab/model", None, {"HF_ENDPOINT": "nonsense"}, [], "the request cannot be sent; check HF_TOKEN and HF_END"),
        ("lab/model", None, {"HF_HUB_OFFLINE": "1"}, [], "is not in the hub's cache, and HF_HUB_OFFLINE forbids"),
        ("lab/empty", None, {}, [], "has neither model.safetensors nor pytorch_model.bin"),
        ("lab/weights", None, {}, [], "has no config.json"),
        ("https://me:pass@hub.org/lab/model", None, {}, [], "name_or_path is an address; give a folder, or the id"),
        ("../model", None, {}, [], "'../model': there is no such folder, and it is no id of a model"),
    ],
)
def test_faults_are_one_sentence(
    server: Any,
    tmp_path: Path,
    model: str,
    revision: str | None,
    variables: dict[str, str],
    faults: list[int],
    words: str,
) -> None:
    server.faults[:] = faults
    said = fetch(tmp_path, server.url, model, revision, **variables)
    assert said.startswith("weam hub: error: backbone.")
    assert words in said
    assert "pass@" not in said


def test_an_answer_of_something_else_than_a_hub(server: Any, tmp_path: Path) -> None:
    server.page = b"<html>Please log in to the network of this hotel</html>"
    assert "the answer of 127.0.0.1 is none of a hub; check HF_ENDPOINT and proxies" in fetch(tmp_path, server.url)


@pytest.mark.parametrize(
    ("model", "revision", "place"),
    [
        ("lab/model", None, "lab--model/main"),
        ("model", "refs/pr/1", "model/refs--pr--1"),
        ("lab/model", "a--b", None),
        ("lab/model", "../x", None),
        ("lab/model", "", None),
        ("a--b/model", None, None),
        ("a/b/c", None, None),
        ("", None, None),
        ("/models/bert", None, None),
    ],
)
def test_folders(model: str, revision: str | None, place: str | None) -> None:
    if place is None:
        with pytest.raises(UserError):
            path_of(model, revision)
    else:
        assert path_of(model, revision) == place


def test_files_that_change_after_the_download(server: Any, tmp_path: Path) -> None:
    fetch(tmp_path, server.url)
    config = tmp_path / "got" / "config.json"
    config.write_text(config.read_text() + " ")
    done = backbone(tmp_path, name_or_path="lab/model")
    assert f"{config}: has changed since it was fetched; delete" in done.stderr
    config.unlink()
    assert f"{config}: is missing since it was fetched" in backbone(tmp_path, name_or_path="lab/model").stderr
    done = backbone(tmp_path, name_or_path="lab/other")
    assert "of the model 'lab/model', revision 'main', not of 'lab/other', 'main'; give the right" in done.stderr
    (tmp_path / "got" / "manifest.json").write_text('{"files": [{"name": "../x", "bytes": 1, "sha256": ""}]}')
    assert "not the manifest of a model" in backbone(tmp_path, name_or_path="lab/model").stderr


def test_weights_in_several_files(server: Any, world: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    AutoModelForMaskedLM.from_pretrained(world / "backbone").save_pretrained(tmp_path / "cut", max_shard_size="20KB")
    files = repository(world / "backbone") | {p.name: p.read_bytes() for p in (tmp_path / "cut").iterdir()}
    del files["model.safetensors"]
    server.models["lab/cut"] = Model({"main": NEW}, {NEW: files})
    record = fetch(tmp_path, server.url, "lab/cut")
    assert len([entry for entry in record["files"] if entry["name"].endswith(".safetensors")]) > 1
    assert backbone(tmp_path, name_or_path="lab/cut").returncode == 0
    ours, theirs = (load_file(place / "model.safetensors") for place in (tmp_path / "model", world / "backbone"))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_weights_of_pytorch_are_loaded_but_run_no_code(server: Any, world: Path, tmp_path: Path) -> None:
    files = repository(world / "backbone")
    weights = load(files.pop("model.safetensors"))
    for name, content in (("lab/bin", weights), ("lab/evil", weights | {"x": Evil(tmp_path / "run")})):
        stream = io.BytesIO()
        torch.save(content, stream)
        server.models[name] = Model({"main": NEW}, {NEW: files | {"pytorch_model.bin": stream.getvalue()}})
    fetch(tmp_path, server.url, "lab/bin")
    done = backbone(tmp_path, name_or_path="lab/bin")
    assert done.returncode == 0, done.stderr
    ours = load_file(tmp_path / "model" / "model.safetensors")
    assert all(ours[name].equal(weights[name]) for name in ours)
    other = tmp_path / "other"
    fetch(other, server.url, "lab/evil")
    done = backbone(other, name_or_path="lab/evil")
    assert done.returncode == 1
    assert "cannot be loaded (pytorch_model.bin holds more than weights, and code" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()
    with zipfile.ZipFile(other / "got" / "pytorch_model.bin") as archive:  # it would have
        assert pickle.loads(pickle.dumps(Evil(tmp_path / "run"))) is None
        assert any(name.endswith("data.pkl") for name in archive.namelist())
    assert (tmp_path / "run").exists()


def test_the_cache_of_the_hub_is_enough_offline(server: Any, world: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "models--lab--model"
    for commit, files in server.models["lab/model"].commits.items():
        (cache / "snapshots" / commit).mkdir(parents=True)
        for name, data in files.items():
            (cache / "snapshots" / commit / name).write_bytes(data)
    (cache / "refs").mkdir()
    (cache / "refs" / "v1").write_text(OLD)
    for number, revision in enumerate(("v1", OLD)):
        where = tmp_path / str(number)
        record = fetch(where, server.url, revision=revision, HF_HUB_CACHE=str(tmp_path / "cache"), HF_HUB_OFFLINE="1")
        assert record["commit"] == OLD
        assert backbone(where, name_or_path="lab/model", revision=revision).returncode == 0
        assert (
            load_file(where / "model" / "model.safetensors").keys()
            == load_file(world / "backbone" / "model.safetensors").keys()
        )
    assert server.asked == []
    shutil.rmtree(tmp_path / "1" / "got")
    weights = cache / "snapshots" / OLD / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    said = fetch(tmp_path / "1", server.url, revision=OLD, HF_HUB_CACHE=str(tmp_path / "cache"), HF_HUB_OFFLINE="1")
    assert "model.safetensors is not the file that" in said


@pytest.mark.workflow
def test_the_workflow_fetches_a_model_once(server: Any, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree")
    (tree / "mine.yaml").write_text("backbone: {name_or_path: lab/secret, revision: v1}\n")
    args = ("results/models/backbone", "-j1", "--configfile", "mine.yaml")
    assert {job.rule for job in planned(tree, *args)} == {"hub", "backbone"}

    def run(url: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = new_user(tmp_path / "home", url, environment(), **variables)
        command = [sys.executable, "-m", "snakemake", *args]
        return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=300)

    done = run(server.url)
    assert done.returncode != 0
    assert "it is private; check the name; for a private one set HF_TOKEN" in done.stdout + done.stderr
    done = run(server.url, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    training = json.loads((tree / "results/models/backbone/training.json").read_text())
    assert (training["name_or_path"], training["commit"]) == ("lab/secret", OLD)
    made = [path for folder in ("results", "data", ".snakemake") for path in (tree / folder).rglob("*")]
    assert not [path for path in made if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert planned(tree, *args) == []
    (tree / "other.yaml").write_text("backbone: {revision: main}\n")
    assert {job.rule for job in planned(tree, *args, "other.yaml")} == {"hub", "backbone"}
    shutil.rmtree(tree / "results/models/backbone")
    (tree / "data/hub/lab--secret/v1/manifest.json").unlink()
    assert run(UNREACHABLE, HF_HUB_OFFLINE="1").returncode == 0
    assert (tree / "results/models/backbone/model.safetensors").is_file()
