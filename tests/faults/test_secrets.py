"""Passwords and tokens, in the environment and in URLs: used where they are meant to be, printed and stored nowhere."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pipeline import ROOT, SMOKE, copy_tree, environment
from server import serving

from weam.config_data import Mini
from weam.mini import write_file
from weam.redact import redact

PASSWORD, TOKEN, OTHER = "pw-5a1t", "tok-c0de", "env-5ecret"
SECRETS = (PASSWORD, TOKEN, OTHER)
BASIC = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
DATA = b"one line\n"
FEW = {"languages": ["de"], "tasks": {"mlqa": {"languages": ["de"]}, "xnli": None, "udpos": None, "tatoeba": None}}
ENVIRONMENT = {
    "HF_TOKEN": f"hf_{OTHER}",
    "AWS_SECRET_ACCESS_KEY": OTHER,
    "https_proxy": f"http://me:{PASSWORD}@127.0.0.1:9",
    "no_proxy": "127.0.0.1",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host:8/a.txt", "https://***@host:8/a.txt"),
        ("https://secret@host", "https://***@host"),
        ("https://me:se@cret@host/a@b", "https://***@host/a@b"),
        ("https://me:sec/ret@host/a", "https://***@host/a"),
        ("https://me:sec?r#et@host/a", "https://***@host/a"),
        ("http://host:80/mail@host?token=secret&x=secret", "http://host:80/mail@host?token=***&x=***"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("https://host/get.php?f=a/b.zip&sig=secret%2F==", "https://host/get.php?f=a/b.zip&sig=***"),
        ("https://host/#access_token=secret", "https://host/#access_token=***"),
        ("from https://host/?t=secret/a.txt (404); nor", "from https://host/?t=*** (404); nor"),
        ("(https://host/?t=secret); nor s3://k:secret@b", "(https://host/?t=***); nor s3://***@b"),
        ("""{"url": "https://host/?t=secret", 'a': 'b'}""", """{"url": "https://host/?t=***", 'a': 'b'}"""),
        ("me@host: no URL, a=b&c=d", "me@host: no URL, a=b&c=d"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.fixture
def server() -> Iterator[Any]:
    """A server that wants the user and the password, but for what lies under /open."""
    with serving({}) as fresh:
        serve, fresh.refused = fresh.do_GET, []

        def do_GET(self: Any) -> None:
            given = {self.headers.get("Authorization"), self.headers.get("Proxy-Authorization")}
            if BASIC in given or self.path.startswith("/open"):
                serve(self)
            else:
                fresh.refused.append(self.path)
                self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()

        fresh.do_GET = do_GET
        fresh.host = fresh.url.removeprefix("http://")
        yield fresh


def run(where: Path, module: str, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *args],
        cwd=where,
        env=environment() | {"PYTHONPATH": str(where if (where / "weam").is_dir() else ROOT)} | ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=600,
    )


def check(done: subprocess.CompletedProcess[str], where: Path, given: tuple[str, ...] = ()) -> None:
    """No secret was printed, and none stands in a file or its name; ``given`` are files that were written with some."""
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr
        encoded = base64.b64encode(f"me:{secret}".encode())
        for path in where.rglob("*"):
            assert secret not in path.name
            if path.is_file() and not path.is_symlink() and path.name not in given:
                content = path.read_bytes()
                assert secret.encode() not in content, path
                assert encoded not in content, path


def source(url: str, data: bytes = DATA, **more: Any) -> str:
    entry = {"version": "v1", "format": "lines", "languages": ["en"], "licence": "l", "citation": "c", "url": url}
    return json.dumps(entry | {"files": {"a.txt": {"sha256": hashlib.sha256(data).hexdigest()}}} | more)


def download(where: Path, settings: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ("download", "--name", "src", "--settings", settings, "--lock", "lock.json", "--out", "raw/manifest.json")
    return run(where, "weam", *command, *options, **variables)


@pytest.mark.parametrize("by", ["url", "mirrors", "--mirror", "WEAM_MIRROR", "--sample-dir"])
def test_a_download_with_a_password(tmp_path: Path, server: Any, by: str) -> None:
    """It is sent (percent signs undone) and reaches the server; the query reaches it too."""
    server.files[f"/d/get?token={TOKEN}&f=/a.txt"] = DATA
    server.files[f"/d/get?token={TOKEN}&f=/src/v1/a.txt"] = DATA
    place = f"http://me:{PASSWORD.replace('-', '%2D')}@{server.host}/d/get?token={TOKEN}&f="
    absent = source("/nowhere")
    done = {
        "url": lambda: download(tmp_path, source(place)),
        "mirrors": lambda: download(tmp_path, source("/nowhere", mirrors=[place])),
        "--mirror": lambda: download(tmp_path, absent, "--mirror", place),
        "WEAM_MIRROR": lambda: download(tmp_path, absent, WEAM_MIRROR=place),
        "--sample-dir": lambda: download(tmp_path, source("{sample_dir}"), "--sample-dir", place),
    }[by]()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "raw/a.txt").read_bytes() == DATA
    check(done, tmp_path)
    if by == "url":
        (file,) = json.loads((tmp_path / "raw/manifest.json").read_text())["files"]
        assert file["url"] == f"http://***@{server.host}/d/get?token=***&f=/a.txt"


def test_a_proxy_with_a_password(tmp_path: Path, server: Any) -> None:
    server.files[f"http://files.test/d?key={TOKEN}&f=/a.txt"] = DATA
    settings = source(f"http://files.test/d?key={TOKEN}&f=")
    done = download(tmp_path, settings, http_proxy=f"http://me:{PASSWORD}@{server.host}")
    assert done.returncode == 0, done.stderr
    check(done, tmp_path)
    wrong = download(tmp_path / "raw", settings, http_proxy=f"http://you:{PASSWORD}@{server.host}")
    assert wrong.returncode == 1
    assert "files.test/d?key=***&f=/a.txt (HTTP 401 Unauthorized)" in wrong.stderr
    check(wrong, tmp_path)


def test_a_password_is_not_sent_where_the_server_redirects_to(tmp_path: Path, server: Any) -> None:
    with serving({}) as first:

        def away(self: Any) -> None:
            self.send_response(302)
            self.send_header("Location", f"{server.url}/d/a.txt?X-Signature={TOKEN}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        first.do_GET = away
        done = download(tmp_path, source(first.url.replace("//", f"//me:{PASSWORD}@")))
    assert done.returncode == 1
    assert server.refused == [f"/d/a.txt?X-Signature={TOKEN}"]
    check(done, tmp_path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://me:wrong-PASSWORD@HOST/d", "http://***@HOST/d/a.txt (HTTP 401 Unauthorized)"),
        ("http://me:PASSWORD@HOST/gone?t=TOKEN", "http://***@HOST/gone?t=*** (HTTP 404 Not Found)"),
        ("http://HOST/open/other?t=TOKEN&f=", "from http://HOST/open/other?t=***&f=/a.txt has sha256"),
        ("http://me:PASSWORD/x@HOST/d", "http://***@HOST/d/a.txt (not a valid URL (nonnumeric port))"),
        ("http://HOST/d d?t=TOKEN", "d d?t=*** (not a valid URL (URL can't contain control characters"),
        ("http://me:PASSWORD@[HOST/d", "(not a valid URL (Invalid IPv6 URL))"),
        ("ftp://me:PASSWORD@HOST/d?t=TOKEN", "the url ftp://***@HOST/d?t=*** is not http://"),
        ("file://me:PASSWORD@HOST/d", "the url file://***@HOST/d/a.txt is not absolute"),
        ("http://HOST/open/loop?t=TOKEN&f=", "http://HOST/open/loop?t=***&f=/a.txt (HTTP 302"),
    ],
)
def test_a_download_that_fails(tmp_path: Path, server: Any, url: str, said: str) -> None:
    server.files[f"/open/other?t={TOKEN}&f=/a.txt"] = b"another file"
    serve = server.do_GET

    def do_GET(self: Any) -> None:
        if not self.path.startswith("/open/loop"):
            serve(self)
            return
        self.send_response(302)
        self.send_header("Location", f"gopher://me:{PASSWORD}@{server.host}/?t={TOKEN}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    server.do_GET = do_GET

    def fill(text: str) -> str:
        return text.replace("HOST", server.host).replace("PASSWORD", PASSWORD).replace("TOKEN", TOKEN)

    done = download(tmp_path, source(fill(url)))
    assert done.returncode == 1
    assert fill(said) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    check(done, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--mirorr=http://me:PASSWORD@h/?t=TOKEN"], 2, "unrecognized arguments: --mirorr=http://***@h/?t=***"),
        (["--mini", "http://me:PASSWORD@h/?t=TOKEN"], 1, "--mini: 'http://***@h/?t=***' is neither"),
    ],
)
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str], status: int, said: str) -> None:
    given = [text.replace("PASSWORD", PASSWORD).replace("TOKEN", TOKEN) for text in arguments]
    done = download(tmp_path, source("mini:"), *given)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    check(done, tmp_path)


def test_a_model_hub_without_the_model(tmp_path: Path, server: Any) -> None:
    """The token goes to the hub, and nowhere else."""
    given = []

    def do_HEAD(self: Any) -> None:
        given.append(self.headers.get("Authorization"))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    server.do_HEAD = server.do_GET = do_HEAD
    command = ("hub", "--model", "somebody/no-such-model", "--out", "model/manifest.json")
    done = run(tmp_path, "weam", *command, HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / "hub"))
    assert done.returncode == 1
    assert "no-such-model" in done.stderr
    assert f"Bearer hf_{OTHER}" in given
    check(done, tmp_path)


def test_a_run_of_the_workflow(tmp_path: Path, server: Any) -> None:
    """Of a failed download, of one that works, of the table over the data with its provenance, nothing has a secret."""
    tree = copy_tree(tmp_path / "tree")
    small = Mini(pairs=60)
    write_file("de-en.txt.zip", small, ROOT / "data/mini", tmp_path / "de-en.txt.zip")
    query = f"/d?token={TOKEN}&f=/de-en.txt.zip"
    place = f"http://me:{PASSWORD}@{server.host}"
    entry = {"url": f"{place}/d?token={TOKEN}&f=", "mirrors": [f"{place}/e?token={TOKEN}"]}
    (tree / "secret.yaml").write_text(json.dumps(FEW | {"sources": {"mini-en-de": entry_of(entry)}}))
    args = ("-j2", "results/tables/data.csv", *SMOKE, "secret.yaml")
    mirror = {"WEAM_MIRROR": f"{place}/m?t={TOKEN}"}
    given = ("secret.yaml", Path(__file__).name)
    failed = run(tree, "snakemake", *args, **mirror)
    assert failed.returncode == 1
    assert f"http://***@{server.host}/d?token=***&f=/de-en.txt.zip (HTTP 404 Not Found)" in failed.stderr
    check(failed, tree, given)
    server.files[query] = (tmp_path / "de-en.txt.zip").read_bytes()
    done = run(tree, "snakemake", *args, **mirror)
    assert done.returncode == 0, done.stderr[-3000:]
    check(done, tree, given)
    provenance = json.loads((tree / "results/tables/data.provenance.json").read_text())
    assert provenance["config"]["sources"]["mini-en-de"]["url"] == f"http://***@{server.host}/d?token=***&f="
    assert provenance["config"]["mirror"] is None
    again = run(tree, "snakemake", *args)
    assert "Nothing to be done" in again.stderr
    check(again, tree, given)
    shown = run(tree, "weam", "sources", "mini-en-de", "--configfile", SMOKE[1], "secret.yaml")
    assert f"http://***@{server.host}/d?token=***&f=\n" in shown.stdout
    check(shown, tree, given)
    (tree / "secret.yaml").write_text(json.dumps({"mirror": [f"{place}/m?t={TOKEN}"]}))
    wrong = run(tree, "snakemake", *args, "-n")
    assert wrong.returncode == 1
    assert f"['http://***@{server.host}/m?t=***']" in wrong.stderr
    check(wrong, tree, given)
    warned = run(tree, "snakemake", *args[:-1], "--config", f"mirror={place}/m?t={TOKEN}", "-n")
    assert "mirror has a password or a token, which Snakemake's log or report repeats" in warned.stderr
    assert set(os.listdir(tree / "data/raw/mini-en-de/v1")) == {"manifest.json", "de-en.txt.zip"}


def entry_of(places: dict[str, Any]) -> dict[str, Any]:
    """The source mini-en-de, to be fetched."""
    facts = {"version": "v1", "format": "moses", "languages": ["en", "de"], "files": {"de-en.txt.zip": {}}}
    return facts | {"licence": "Apache-2.0", "citation": "generated"} | places
