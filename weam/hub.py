"""Fetch a model of the Hugging Face hub by its revision, verify its files and list them in a manifest.

Only what is needed is fetched: configuration, weights (safetensors, where the model has them), tokenizer. ``--lock``
names a file that keeps the manifest of the first download: later ones take the same commit, must get the same bytes,
and ask nobody while the files are here. With HF_HUB_OFFLINE=1 files come from the hub's cache on this machine. The
hub's own environment variables (HF_ENDPOINT, HF_TOKEN, HF_HOME) hold. No other command reaches the network for a model.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from weam import fetch
from weam.errors import UserError
from weam.io import read_object, sha256, write_json
from weam.locks import locked

T = TypeVar("T")

MAIN = "main"
COMMIT = re.compile("[0-9a-f]{40}")
ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
NAME = re.compile(r"\w[\w.-]*")
LOCK = ".lock"
TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "sentencepiece.bpe.model"),
)
WEIGHTS = (("model", "safetensors"), ("pytorch_model", "bin"))
"""Best first."""
UNSENDABLE = ("LocalProtocolError", "UnsupportedProtocol", "InvalidURL")
"""Errors of the hub library's HTTP client, which is not always the same package."""


class File(NamedTuple):
    """A file that the hub lists; ``checksum`` is its sha256 (64 digits) or the id of its git blob (40), or None."""

    name: str
    bytes: int | None
    checksum: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="id of the model on the hub, as owner/name")
    parser.add_argument("--revision", default=MAIN, help="commit, tag or branch; default: main")
    parser.add_argument("--lock", type=Path, help="file that keeps the manifest of the first download; default: none")
    parser.add_argument("--out", type=Path, required=True, help="manifest.json; the files are put beside it")


def run(args: argparse.Namespace) -> None:
    path_of(args.model, args.revision)
    folder: Path = args.out.parent
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, LOCK, "downloads"):
        known = _read(args.lock, args.model, args.revision) if args.lock and args.lock.exists() else None
        record = _fetched(args.model, args.revision, folder, known, args.lock)
        if args.lock and not known:
            write_json(args.lock, record)
        write_json(args.out, record)


def path_of(model: str, revision: str | None) -> str:
    """Folder of a model below data/hub, ``owner--name/revision``; a slash of a revision becomes ``--`` too.

    Raises :class:`UserError` for what is no id of a model or no revision.
    """
    revision = MAIN if revision is None else revision
    if "://" in model:  # not shown: it may hold a password
        raise UserError("backbone.name_or_path is an address; give a folder, or the id of a model as owner/name")
    if not ID.fullmatch(model) or "--" in model or ".." in model or model.endswith((".", ".git")):
        raise UserError(
            f"backbone.name_or_path {model!r}: there is no such folder, and it is no id of a model on the hub "
            "(owner/name); check the name or the folder"
        )
    if not REVISION.fullmatch(revision) or "--" in revision or ".." in revision or revision.endswith("/"):
        raise UserError(f"backbone.revision {revision!r}: not a commit, tag or branch; correct it")
    return f"{model.replace('/', '--')}/{revision.replace('/', '--')}"


def verified(manifest: Path, model: str, revision: str | None) -> dict[str, Any]:
    """The manifest of a fetched model, whose files are all beside it with the bytes that it lists.

    Raises :class:`UserError` where it is of another model or revision, or a file is missing or has changed.
    """
    record = _read(manifest, model, revision or MAIN)
    for entry in record["files"]:
        if not _is_here(manifest.parent, entry):
            state = "has changed" if (manifest.parent / entry["name"]).exists() else "is missing"
            raise UserError(
                f"{manifest.parent / entry['name']}: {state} since it was fetched; delete {manifest} and fetch the "
                "model again (snakemake data)"
            )
    return record


def _read(path: Path, model: str, revision: str) -> dict[str, Any]:
    record = read_object(path)
    try:
        entries = [(str(entry["name"]), int(entry["bytes"]), str(entry["sha256"])) for entry in record["files"]]
        named = all(NAME.fullmatch(name) for name, _, _ in entries)
        if not (entries and named and isinstance(record["commit"], str)):
            raise ValueError("no files, no commit or a wrong name")
        found = record["source"], record["version"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not the manifest of a model ({error}); delete it and fetch the model again") from None
    if found != (model, revision):
        raise UserError(
            f"{path}: of the model {found[0]!r}, revision {found[1]!r}, not of {model!r}, {revision!r}; "
            "give the right manifest"
        )
    return record


def _is_here(folder: Path, entry: dict[str, Any]) -> bool:
    path = folder / entry["name"]
    return path.is_file() and not _fault(path, File(entry["name"], entry["bytes"], entry["sha256"]))


def _fetched(
    model: str, revision: str, folder: Path, known: dict[str, Any] | None, lock: Path | None
) -> dict[str, Any]:
    """Bring all files of a model to ``folder``; ``known`` is what ``lock`` notes, if there is a lock."""
    if known and all(_is_here(folder, entry) for entry in known["files"]):
        return known
    from huggingface_hub import constants, utils

    library: Any = utils
    library.logging.set_verbosity_error()  # its warnings show addresses with signatures
    library.disable_progress_bars()
    asker = _Asker(model, known["commit"] if known else revision, lock if known else None)
    if constants.is_offline_mode():
        commit, files = asker.cached(folder)
    else:
        if known:
            commit = known["commit"]
            files = [File(entry["name"], entry["bytes"], entry["sha256"]) for entry in known["files"]]
        else:
            commit, files = asker.listed()
        for file in files:
            asker.download(commit, file, folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the library's notes on its downloads
    if known:
        for entry in known["files"]:
            if not _is_here(folder, entry):
                raise asker.changed(entry["name"])
        return known
    entries = [
        {
            "name": file.name,
            "bytes": (folder / file.name).stat().st_size,
            "sha256": sha256(folder / file.name),
            "url": f"https://huggingface.co/{model}/resolve/{commit}/{file.name}",
        }
        for file in files
    ]
    return {"source": model, "version": revision, "format": "hub", "commit": commit, "files": entries}


class _Asker:
    """Asks the hub for one model at one revision; ``lock`` is the file that the revision, a commit, comes from."""

    def __init__(self, model: str, revision: str, lock: Path | None) -> None:
        self.model, self.revision, self.lock = model, revision, lock
        self.where = f"backbone.name_or_path {model!r}, revision {revision!r}"

    def listed(self) -> tuple[str, list[File]]:
        """The commit, and the files that are needed."""
        from huggingface_hub import HfApi

        info = self._ask(lambda: HfApi().model_info(self.model, revision=self.revision, files_metadata=True))
        there = {}
        for entry in info.siblings or []:
            checksum = entry.lfs.sha256 if entry.lfs else entry.blob_id
            there[entry.rfilename] = File(entry.rfilename, entry.size, checksum)
        if not COMMIT.fullmatch(info.sha or "") or (COMMIT.fullmatch(self.revision) and info.sha != self.revision):
            raise UserError(f"{self.where}: the answer is of commit {info.sha!r}; check HF_ENDPOINT")
        return str(info.sha), [there[name] for name in self._needed(there)]

    def download(self, commit: str, file: File, folder: Path) -> None:
        """Fetch a file unless it is here already, and verify it."""
        from huggingface_hub import hf_hub_download

        path = folder / file.name
        if path.is_file() and file.checksum and not _fault(path, file):
            return
        path.unlink(missing_ok=True)
        print(f"hub: {file.name}, {'?' if file.bytes is None else file.bytes} bytes", file=sys.stderr)
        self._ask(lambda: hf_hub_download(self.model, file.name, revision=commit, local_dir=folder))
        if fault := _fault(path, file):
            path.unlink()
            if self.lock:
                raise self.changed(file.name)
            raise UserError(f"{self.where}: {file.name} {fault}; fetch it again, and check HF_ENDPOINT and proxies")

    def cached(self, folder: Path) -> tuple[str, list[File]]:
        """Copy the files from the hub's cache on this machine; the commit, and which they are."""
        from huggingface_hub import hf_hub_download

        cached = hf_hub_download
        config = self._ask(lambda: cached(self.model, "config.json", revision=self.revision, local_files_only=True))
        snapshot = Path(config).parent
        names = self._needed({path.name for path in snapshot.iterdir()})
        for name in names:
            shutil.copyfile(snapshot / name, folder / name)
        return snapshot.name, [File(name, None, None) for name in names]

    def changed(self, name: str) -> UserError:
        return UserError(
            f"{self.where}: {name} is not the file that {self.lock} notes; if the model was replaced on purpose, "
            f"delete {self.lock}"
        )

    def _needed(self, there: Iterable[str]) -> list[str]:
        """Of the files of a model those to fetch."""
        there = set(there)
        for stem, ending in WEIGHTS:
            whole = f"{stem}.{ending}"
            parts = sorted(name for name in there if re.fullmatch(rf"{stem}-\d+-of-\d+\.{ending}", name))
            weights = [whole] if whole in there else [f"{whole}.index.json", *parts]
            if there.issuperset(weights):
                break
        else:
            raise UserError(
                f"{self.where}: has neither model.safetensors nor pytorch_model.bin; give a model with PyTorch weights"
            )
        if "config.json" not in there:
            raise UserError(f"{self.where}: has no config.json; give a model of the library Transformers")
        return ["config.json", *(name for name in TOKENIZER if name in there), *weights]

    def _ask(self, request: Callable[[], T]) -> T:
        """Do a request, again after faults that may pass; all that is wrong in the end is a :class:`UserError`."""
        for wait in (*fetch.WAITS, None):
            try:
                return request()
            except Exception as error:
                reason, cure, passing = self._judged(error)
                if wait is None or not passing:
                    raise UserError(f"{self.where}: {reason}; {cure}") from None
                print(f"hub: {self.model}: {reason}; next try in {wait:g} s", file=sys.stderr)
                time.sleep(wait)
        raise AssertionError

    def _judged(self, error: BaseException) -> tuple[str, str, bool]:
        """What is wrong, what to do, and whether it may pass.

        Messages of the libraries are not repeated: they have several lines, and may show tokens and signed addresses.
        """
        from huggingface_hub import constants
        from huggingface_hub import errors as hub_errors

        errors: Any = hub_errors
        host = urlsplit(constants.ENDPOINT).hostname or "the hub"
        if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
            return self._judged(error.__cause__)
        if isinstance(error, (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError)):
            return (
                "is not in the hub's cache, and HF_HUB_OFFLINE forbids to fetch it",
                "fetch it where there is a network, or set name_or_path to a folder with the model",
                False,
            )
        if isinstance(error, errors.GatedRepoError):
            return "is gated", "ask for access on its page, and set HF_TOKEN to a token of yours", False
        if isinstance(error, errors.RepositoryNotFoundError):
            return (
                f"there is no such model on {host}, or it is private",
                "check the name; for a private one set HF_TOKEN to a token that may read it",
                False,
            )
        if isinstance(error, errors.RevisionNotFoundError):
            if self.lock:
                return (f"is the commit that {self.lock} notes, and it is gone", f"delete {self.lock}", False)
            return "there is no such revision", "give a commit, tag or branch of the model", False
        if isinstance(error, errors.HfHubHTTPError):
            status = error.response.status_code
            if status in (401, 403):
                return f"{host} refuses access (HTTP {status})", "renew HF_TOKEN or its rights", False
            return f"{host} answers HTTP {status}", "try again later", status in fetch.RETRIED
        if isinstance(error, UnicodeError) or type(error).__name__ in UNSENDABLE:
            return "the request cannot be sent", "check HF_TOKEN and HF_ENDPOINT for stray signs", False
        if isinstance(error, errors.HTTPError):
            return f"the connection to {host} failed ({_cause(error)})", "check the network and HF_ENDPOINT", True
        if isinstance(error, (errors.FileMetadataError, ValueError)):
            return f"the answer of {host} is none of a hub", "check HF_ENDPOINT and proxies", False
        if isinstance(error, OSError) and error.errno is not None:  # of the system: a full disk, a missing permission
            raise error
        return f"the transfer failed ({type(error).__name__})", "try again later", True


def _cause(error: BaseException) -> str:
    """The system's words for a broken connection, else the kind of the error."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__


def _fault(path: Path, file: File) -> str | None:
    """What is wrong with a fetched file, or None."""
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        return f"has {size} bytes where {file.bytes} are expected"
    if file.checksum is None:
        return None
    if len(file.checksum) == 40:  # of git: small files
        found = hashlib.sha1(b"blob %d\0" % size + path.read_bytes(), usedforsecurity=False).hexdigest()
    else:
        found = sha256(path)
    return None if found == file.checksum else f"has checksum {found} where {file.checksum} is expected"
