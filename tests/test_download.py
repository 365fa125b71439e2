"""Downloads: a local server that drops connections, wrong checksums, mirrors, locks, the mini world."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server import serving

from weam import download, fetch, mini
from weam.checksums import sealed
from weam.cli import main
from weam.readers import Release

DATA = b"".join(b"%d\n" % (i * 7919) for i in range(40_000))
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(fetch, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setenv("no_proxy", "*")
    with serving({"/d/a.txt": DATA}) as fresh:
        fresh.url += "/d"
        yield fresh


def source(url: str, files: dict[str, Any] | None = None, **more: Any) -> str:
    entry = {"version": "v1", "format": "lines", "languages": ["en"], "licence": "l", "citation": "c"}
    return json.dumps(entry | {"url": url, "files": files or {"a.txt": {"sha256": SHA}}} | more)


def run(out: Path, settings: str, *options: str) -> int:
    return main(["download", "--name", "src", "--settings", settings, "--out", str(out / "manifest.json"), *options])


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_http(tmp_path: Path, server: Any) -> None:
    assert run(tmp_path, source(server.url)) == 0
    assert (tmp_path / "a.txt").read_bytes() == DATA
    assert left(tmp_path) == {"a.txt", "manifest.json"}
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert sealed({key: value for key, value in manifest.items() if key != "checksum"}) == manifest
    assert manifest | {"checksum": None} == {
        "source": "src",
        "version": "v1",
        "format": "lines",
        "languages": ["en"],
        "licence": "l",
        "citation": "c",
        "files": [{"name": "a.txt", "bytes": len(DATA), "sha256": SHA, "url": f"{server.url}/a.txt"}],
        "checksum": None,
    }
    assert Release(tmp_path / "manifest.json").open("a.txt").read() == DATA


def test_a_verified_file_is_kept_and_a_wrong_one_replaced(tmp_path: Path, server: Any) -> None:
    (tmp_path / "a.txt").write_bytes(DATA)
    assert run(tmp_path, source(server.url)) == 0
    assert server.requests == []
    (tmp_path / "a.txt").write_bytes(b"rotten")
    assert run(tmp_path, source(server.url)) == 0
    assert (tmp_path / "a.txt").read_bytes() == DATA


@pytest.mark.parametrize("checksum", [SHA, None])
def test_a_dropped_connection_goes_on_by_range(tmp_path: Path, server: Any, checksum: str | None) -> None:
    server.faults[:] = [("drop", 100_000), 503, ("drop", 50_000)]
    assert run(tmp_path, source(server.url, {"a.txt": {"sha256": checksum}})) == 0
    assert (tmp_path / "a.txt").read_bytes() == DATA
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]


def test_a_file_that_changes_during_the_download_is_fetched_anew(tmp_path: Path, server: Any) -> None:
    server.faults[:] = [("drop", 1000)]
    new = DATA[::-1]

    def swap(seconds: float) -> None:
        server.files["/d/a.txt"], server.etag = new, '"2"'

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch.time, "sleep", swap)
        assert run(tmp_path, source(server.url, {"a.txt": {}})) == 0
    assert (tmp_path / "a.txt").read_bytes() == new


@pytest.mark.parametrize("length", [5, 1000, len(DATA), len(DATA) + 7])
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("right", [True, False])
def test_a_part_file_of_a_killed_run(tmp_path: Path, server: Any, length: int, ranges: bool, right: bool) -> None:
    begun = (DATA + b"toolong")[:length]
    (tmp_path / ".a.txt.part").write_bytes(begun if right else bytes(length))
    server.ranges = ranges
    assert run(tmp_path, source(server.url)) == 0
    assert (tmp_path / "a.txt").read_bytes() == DATA
    assert left(tmp_path) == {"a.txt", "manifest.json"}
    assert server.requests[0][1] == f"bytes={length}-"
    if right and ranges and length <= len(DATA):
        assert len(server.requests) == 1


def test_without_a_checksum_an_old_part_file_is_not_trusted(tmp_path: Path, server: Any) -> None:
    (tmp_path / ".a.txt.part").write_bytes(b"other release")
    assert run(tmp_path, source(server.url, {"a.txt": {}})) == 0
    assert (tmp_path / "a.txt").read_bytes() == DATA


def test_tries_are_counted_from_the_last_progress(tmp_path: Path, server: Any) -> None:
    server.faults[:] = [("drop", 1000)] * 9
    assert run(tmp_path, source(server.url)) == 0
    assert len(server.requests) == 10


def test_busy_servers_are_asked_again(tmp_path: Path, server: Any) -> None:
    server.faults[:] = [429, 503, 500]
    assert run(tmp_path, source(server.url)) == 0
    assert len(server.requests) == 4


def test_busy_for_too_long(tmp_path: Path, server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server.faults[:] = [503] * 9
    assert run(tmp_path, source(server.url)) == 1
    assert len(server.requests) == 4
    last = capsys.readouterr().err.splitlines()[-1]
    assert (
        f"source src: a.txt cannot be fetched from {server.url}/a.txt (HTTP 503 Service Unavailable, 4 times)" in last
    )


def test_404_goes_to_the_next_mirror_at_once(tmp_path: Path, server: Any) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "a.txt").write_bytes(DATA)
    out = tmp_path / "out"
    mirrors = [f"{server.url}/other", folder.as_uri()]
    assert run(out, source(f"{server.url}/gone", mirrors=mirrors)) == 0
    assert [path for path, _ in server.requests] == ["/d/gone/a.txt", "/d/other/a.txt"]
    assert (out / "a.txt").read_bytes() == DATA


def test_no_place_has_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "WAITS", (0.0,))
    assert run(tmp_path, source("http://127.0.0.1:9", mirrors=[str(tmp_path / "none")])) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "from http://127.0.0.1:9/a.txt (Connection refused, 2 times); nor from" in last
    assert "none/a.txt (no such file); check the url" in last
    assert left(tmp_path) == set()


def test_the_mirror_is_asked_first(tmp_path: Path, server: Any) -> None:
    place = tmp_path / "mirror/src/v1/sub"
    place.mkdir(parents=True)
    (place / "a.txt").write_bytes(DATA)
    out = tmp_path / "out"
    settings = source(server.url, {"sub/a.txt": {"sha256": SHA}})
    assert run(out, settings, "--mirror", str(tmp_path / "mirror")) == 0
    assert server.requests == []
    assert (out / "sub/a.txt").read_bytes() == DATA
    server.files["/m/src/v1/a.txt"] = DATA
    assert run(tmp_path / "out2", source(server.url), "--mirror", server.url[:-1] + "m/") == 0
    assert [path for path, _ in server.requests] == ["/m/src/v1/a.txt"]
    assert run(tmp_path / "out3", source(server.url), "--mirror", str(tmp_path / "empty")) == 0


def test_a_bad_mirror_is_passed_over(tmp_path: Path, server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "src/v1").mkdir(parents=True)
    (tmp_path / "src/v1/a.txt").write_bytes(b"rotten")
    assert run(tmp_path / "out", source(server.url), "--mirror", str(tmp_path)) == 0
    assert (tmp_path / "out/a.txt").read_bytes() == DATA
    assert "src/v1/a.txt: has sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"sha256": "0" * 64}, f"has sha256 {SHA} where {'0' * 64} is expected"),
        ({"bytes": 12}, f"has {len(DATA)} bytes where 12 are expected"),
    ],
)
def test_mismatch(tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: dict[str, Any], fault: str) -> None:
    origin, out = tmp_path / "origin", tmp_path / "out"
    for folder in (origin, out):
        folder.mkdir()
        (folder / "a.txt").write_bytes(DATA)
        (folder / "b.txt").write_bytes(b"b")
    files = {"b.txt": {"sha256": hashlib.sha256(b"b").hexdigest()}, "a.txt": entry}
    assert run(out, source(origin.as_uri(), files)) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("weam download: error: source src: a.txt from file:///")
    assert fault in last
    assert last.endswith("; use another mirror, or correct the source's entry if the release has changed")
    assert left(out) == {"a.txt", "b.txt"}
    assert (out / "a.txt").read_bytes() == DATA


def test_too_long_an_answer_is_not_read_to_its_end(tmp_path: Path, server: Any) -> None:
    server.files["/d/a.txt"] = bytes(50_000_000)
    assert run(tmp_path, source(server.url, {"a.txt": {"bytes": 100}})) == 1
    assert left(tmp_path) == set()
    fetch.fetch(f"{server.url}/a.txt", tmp_path / "part", "a.txt", size=100)
    assert 100 < (tmp_path / "part").stat().st_size <= 100 + fetch.CHUNK


def test_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    origin, lock = tmp_path / "origin", tmp_path / "lock/src-v1.json"
    origin.mkdir()
    (origin / "a.txt").write_bytes(DATA)
    (origin / "b.txt").write_bytes(b"b")
    settings = source(str(origin), {"b.txt": {}, "a.txt": {"sha256": SHA}})
    assert run(tmp_path / "out", settings, "--lock", str(lock)) == 0
    assert json.loads(lock.read_text()) == {"b.txt": hashlib.sha256(b"b").hexdigest()}
    (origin / "b.txt").write_bytes(b"B")
    assert run(tmp_path / "out", settings, "--lock", str(lock)) == 0  # what is there is right
    assert run(tmp_path / "new", settings, "--lock", str(lock)) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"by {lock}; if the release was replaced on purpose, delete b.txt there" in last
    assert run(tmp_path / "new", source(str(origin), {"b.txt": {"sha256": hashlib.sha256(b"B").hexdigest()}})) == 0
    known = {"b.txt": {"sha256": hashlib.sha256(b"B").hexdigest()}}
    assert run(tmp_path / "table", source(str(origin), known), "--lock", str(lock)) == 0  # the table wins
    assert run(tmp_path / "none", settings) == 0  # no lock, no memory


def test_sample_dir(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "given/x").mkdir(parents=True)
    (tmp_path / "given/x/a.txt").write_bytes(DATA)
    monkeypatch.delenv("WEAM_SHARED_DATA", raising=False)
    settings = source("{sample_dir}/x")
    assert run(tmp_path / "out", settings) == 1
    error = capsys.readouterr().err
    assert "--sample-dir PATH" in error
    assert "WEAM_SHARED_DATA" in error
    assert run(tmp_path / "out", settings, "--sample-dir", str(tmp_path / "given")) == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["files"][0]["url"] == "{sample_dir}/x/a.txt"
    monkeypatch.setenv("WEAM_SHARED_DATA", str(tmp_path / "given"))
    assert run(tmp_path / "out2", settings) == 0


@pytest.mark.parametrize(
    ("url", "name", "sentence"),
    [
        ("ftp://x", "a.txt", "the url ftp://x/a.txt is not http://"),
        ("file://data/x", "a.txt", "is not absolute; write file:///PATH"),
        ("x", "../a.txt", "'../a.txt' would leave its folder"),
        ("x", "/etc/a.txt", "would leave its folder"),
        ("x", "a/../../b", "would leave its folder"),
        ("x", "", "'' would leave its folder or is no file"),
        ("x", ".", "'.' would leave its folder or is no file"),
        ("x", "a/", "would leave its folder or is no file"),
        ("x", "..", "would leave its folder or is no file"),
        ("x", "../..", "would leave its folder or is no file"),
        ("x", "manifest.json", "'manifest.json' is the name of a file that the download makes itself"),
        ("x", ".lock", "'.lock' is the name of a file that the download makes itself"),
    ],
)
def test_bad_entries(tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, name: str, sentence: str) -> None:
    assert run(tmp_path, source(url, {name: {}})) == 1
    assert sentence in capsys.readouterr().err


def test_mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def write_file(name: str, settings: Any, lexicons: Path, out: Path) -> None:
        calls.append((name, settings.pairs, lexicons))
        out.write_text(f"{settings.pairs}")

    monkeypatch.setattr(mini, "write_file", write_file, raising=False)
    settings = source("mini:", {"a.txt": {}, "b.txt": {}})
    options = ["--lexicons", "lex", "--lock", str(tmp_path / "lock.json"), "--mini"]
    assert run(tmp_path / "out", settings, *options, '{"pairs": 11}') == 0
    assert calls == [("a.txt", 11, Path("lex")), ("b.txt", 11, Path("lex"))]
    assert run(tmp_path / "out", settings, *options, '{"pairs": 12}') == 0
    assert (tmp_path / "out/b.txt").read_text() == "12"
    assert left(tmp_path) == {"a.txt", "b.txt", "manifest.json"}
    assert json.loads((tmp_path / "out/manifest.json").read_text())["files"][0]["url"] == "mini:"


def test_retry_after() -> None:
    assert fetch._retry_after("7") == 7
    assert fetch._retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert fetch._retry_after("soon") == fetch._retry_after(None) == 0


@pytest.mark.realdata
def test_sample_sources(tmp_path: Path, shared_data: Path) -> None:
    """Every entry of the table of sources for the sample data has the checksum and size of the file that is there."""
    from weam.configfile import read_sources

    sources = read_sources(Path(__file__).parents[1] / "workflow/sources")
    samples = {name: entry for name, entry in sources.items() if name.startswith("sample-")}
    assert len(samples) == 11
    for name, entry in samples.items():
        assert all(file.sha256 and file.bytes for file in entry.files.values())
        out = tmp_path / name / entry.version / "manifest.json"
        options = ["--settings", entry.model_dump_json(), "--sample-dir", str(shared_data), "--out", str(out)]
        assert main(["download", "--name", name, *options]) == 0
        assert Release(out).files == tuple(entry.files)
    assert download.SAMPLE_DIR == "WEAM_SHARED_DATA"
