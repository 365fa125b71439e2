"""A hub of models on this machine: the part of the Hugging Face hub's interface that its library asks for downloads.

As the real one it answers questions about a revision with the commit and the checksums of the files, sends small files
itself, and redirects to signed addresses of another host for weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from server import Server, serving

TOKEN = "hf_goodtoken0123456789"
SIGNATURE = "Signature=secretsignature"
WEIGHTS = (".safetensors", ".bin", ".h5")


class Model(NamedTuple):
    """Revisions to commits, commits to files; ``access``: public, private (404 for others) or gated."""

    revisions: dict[str, str]
    commits: dict[str, dict[str, bytes]]
    access: str = "public"


class Refused(Exception):
    """An answer without content: status and what the hub says in its headers."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(status)
        self.status, self.headers = status, {"X-Error-Code": code, "X-Error-Message": message}


class HubServer(Server):
    """``models`` by id; ``asked``: method, path and token of each request. ``faults`` as those of :class:`Server`, but
    only weights are cut.

    ``spoiled``: names of files that arrive with one byte changed. ``page``: what is sent instead of any answer.
    """

    models: dict[str, Model]
    asked: list[tuple[str, str, str | None]]
    spoiled: set[str]
    page: bytes | None = None

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.startswith("/api/") and not self.path.startswith("/api/models/"):
            self.reply(404, {}, b"")  # the library asks for other things too, now and then
            return
        token = self.headers.get("Authorization")
        self.asked.append((self.command, self.path, token))
        fault = self.faults[0] if self.faults else None
        if isinstance(fault, int):
            self.faults.pop(0)
            self.reply(fault, {}, b"")
            return
        try:
            status, headers, body = self.answer(token)
        except Refused as refused:
            status, headers, body = refused.status, refused.headers, b""
        start = 0
        if status == HTTPStatus.OK and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        cut = self.faults.pop(0)[1] if fault and self.path.startswith("/cdn/") else None
        self.reply(status, headers, body[start:], cut)

    def reply(self, status: int, headers: Mapping[str, str], body: bytes, sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:sent])

    def answer(self, token: str | None) -> tuple[int, dict[str, str], bytes]:
        if self.page is not None:
            return 200, {"Content-Type": "text/html"}, self.page
        if token not in (None, f"Bearer {TOKEN}"):
            raise Refused(401, message="Invalid credentials in Authorization header")
        path = unquote(urlsplit(self.path).path).lstrip("/")
        if path.startswith("cdn/"):
            _, name, commit, file = path.split("/")
            return 200, {}, self.content(name.replace("~", "/"), commit, file)
        if path.startswith("api/models/"):
            name, _, revision = path.removeprefix("api/models/").partition("/revision/")
            commit, files = self.found(name, revision or "main", token, gated=False)
            siblings = [sibling(file, data) for file, data in files.items()]
            value = {"_id": "1", "id": name, "sha": commit, "siblings": siblings, "private": False}
            return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
        name, _, rest = path.partition("/resolve/")
        revision, _, file = rest.partition("/")
        commit, files = self.found(name, revision, token, gated=True)
        if file not in files:
            raise Refused(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{checksum(file, files[file])}"'}
        if not file.endswith(WEIGHTS):
            return 200, headers, self.content(name, commit, file)
        headers |= {"X-Linked-Size": str(len(files[file])), "X-Linked-ETag": headers["ETag"]}
        other = f"http://localhost:{self.server.server_address[1]}"  # not the same host as 127.0.0.1
        return 302, headers | {"Location": f"{other}/cdn/{name.replace('/', '~')}/{commit}/{file}?{SIGNATURE}"}, b""

    def found(self, name: str, revision: str, token: str | None, gated: bool) -> tuple[str, dict[str, bytes]]:
        model = self.models.get(name)
        if model is None or (model.access == "private" and token is None):
            raise Refused(404 if token else 401, "RepoNotFound", "Repository not found")
        if gated and model.access == "gated" and token is None:
            raise Refused(401, "GatedRepo", "Access to this model is restricted")
        commit = model.revisions.get(revision, revision)
        if commit not in model.commits:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit, model.commits[commit]

    def content(self, name: str, commit: str, file: str) -> bytes:
        data = self.models[name].commits[commit][file]
        return data[:-1] + bytes([data[-1] ^ 1]) if file in self.spoiled else data


def checksum(file: str, data: bytes) -> str:
    if file.endswith(WEIGHTS):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sibling(file: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": file, "size": len(data), "blobId": "0" * 40}
    if file.endswith(WEIGHTS):
        entry["lfs"] = {"sha256": checksum(file, data), "size": len(data), "pointerSize": 134}
    else:
        entry["blobId"] = checksum(file, data)
    return entry


def hub(models: dict[str, Model]) -> Any:
    """Serve models; gives the server's class as :func:`server.serving` does."""
    kind = type("Hub", (HubServer,), {"models": models, "asked": [], "spoiled": set()})
    return serving({}, kind)
