"""The command that lists sources: sizes, states, overlays; and the tables of sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from weam import sources
from weam.cli import main
from weam.config_data import Source, SourceFile
from weam.configfile import read_sources
from weam.errors import UserError

ROOT = Path(__file__).parents[1]
ENTRY = Source(
    version="v1",
    format="moses",
    languages=["en", "de"],
    url="https://example.org/a",
    files={"a.zip": SourceFile(bytes=3), "b.zip": SourceFile(bytes=1_500_000)},
    licence="CC0",
    citation="Nobody 2020",
)


def put(raw: Path, name: str, files: dict[str, bytes], listed: dict[str, int] | None = None) -> None:
    folder = raw / name / "v1"
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    if listed is not None:
        entries = ", ".join(f'{{"name": "{file}", "bytes": {size}}}' for file, size in listed.items())
        (folder / "manifest.json").write_text(f'{{"files": [{entries}]}}')


def test_states(tmp_path: Path) -> None:
    assert sources.state("s", ENTRY, tmp_path) == ""
    put(tmp_path, "s", {"a.zip": b"abc"})
    assert sources.state("s", ENTRY, tmp_path) == "partly (1 of 2 files)"
    put(tmp_path, "s", {"b.zip": b"de"}, {"a.zip": 3, "b.zip": 2})
    assert sources.state("s", ENTRY, tmp_path) == "changed"  # not the size of the table
    put(tmp_path, "s", {"b.zip": b"d" * 1_500_000}, {"a.zip": 3, "b.zip": 1_500_000})
    assert sources.state("s", ENTRY, tmp_path) == "here"
    put(tmp_path, "s", {"b.zip": b"d"})
    assert sources.state("s", ENTRY, tmp_path) == "changed"
    put(tmp_path, "s", {}, {"a.zip": 3})  # of an older entry with one file
    assert sources.state("s", ENTRY, tmp_path) == "changed"
    (tmp_path / "s" / "v1" / "manifest.json").write_text('{"files": [{}]}')
    for damage in ('{"files": [{}]}', "{", "[]", "[" * 100_000, '{"files": [{"name": "a.zip", "bytes": 1e999}]}'):
        (tmp_path / "s" / "v1" / "manifest.json").write_text(damage)
        assert sources.state("s", ENTRY, tmp_path) == "damaged manifest.json"
        assert str(sources.size_of("s", ENTRY, tmp_path)) == "1.5 MB"  # of the table


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ([3], "3 B"),
        ([999], "999 B"),
        ([1_500_000, 3], "1.5 MB"),
        ([999_600], "1.0 MB"),
        ([99_950_000_000], "100 GB"),
        ([1_500_000, None], "≥ 1.5 MB"),
        ([None], "?"),
        ([], "0 B"),
    ],
)
def test_sizes(tmp_path: Path, sizes: list[int | None], text: str) -> None:
    files = {str(number): SourceFile(bytes=size) for number, size in enumerate(sizes)}
    entry = ENTRY.model_copy(update={"files": files})
    assert str(sources.size_of("s", entry, tmp_path)) == text


def test_sizes_of_files_that_are_here(tmp_path: Path) -> None:
    entry = ENTRY.model_copy(update={"files": {"a.zip": SourceFile()}})
    put(tmp_path, "s", {"a.zip": b"x" * 2000}, {"a.zip": 2000})
    assert str(sources.size_of("s", entry, tmp_path)) == "2.0 kB"


def test_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    raw = ["--raw", str(tmp_path)]
    assert main(["sources", *raw]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["source", "version", "languages", "size", "state", "licence"]
    assert [line.split()[0] for line in lines[1:-2]] == sorted(line.split()[0] for line in lines[1:-2])
    assert all("generated" in line and "Apache-2.0" in line for line in lines[1:-2])
    assert lines[-1] == f"{len(lines) - 3} sources, 0 here; nothing in all"
    assert main(["sources", *raw, "--configfile", "configs/sample.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "sample-mlqa" in shown
    assert "mini-" not in shown
    assert shown.splitlines()[-1].endswith("0 here; 19 MB in all")
    assert main(["sources", *raw, "--all"]) == 0
    every = capsys.readouterr().out
    assert {"mini-mlqa", "sample-mlqa", "europarl-de"} <= {line.split()[0] for line in every.splitlines() if line}
    assert main(["sources", *raw, "tydiqa"]) == 0
    one = capsys.readouterr().out
    for fact in ("arXiv 2003.05002", "58004076 bytes", "not downloaded"):
        assert fact in one
    assert main(["sources", *raw, "tydqia"]) == 1
    assert "there is no source 'tydqia'; did you mean 'tydiqa'?" in capsys.readouterr().err


def test_faults_of_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a folder without any \*.yaml"):
        read_sources(tmp_path)
    text = (
        "s: {version: v1, format: moses, languages: [en], url: x, files: {}, licence: none, citation: none}\n"
        "t: {version: v1, format: moses, languages: [en], url: x, files: {}, licence: none, citation: none}\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    assert list(read_sources(tmp_path)) == list(read_sources(tmp_path / "a.yaml")) == ["s", "t"]
    (tmp_path / "b.yaml").write_text(text.splitlines()[1])
    with pytest.raises(UserError, match=r"b.yaml: source 't' stands in .*a.yaml too"):
        read_sources(tmp_path)
    (tmp_path / "b.yaml").write_text("- t\n")
    with pytest.raises(UserError, match=r"b.yaml: not a table of sources, but list"):
        read_sources(tmp_path)
    (tmp_path / "b.yaml").write_text("# nothing yet\n")
    assert list(read_sources(tmp_path)) == ["s", "t"]
    for name in ("..", "a/b", "", "a b"):
        (tmp_path / "b.yaml").write_text(text.splitlines()[1].replace("t:", f"'{name}':", 1))
        with pytest.raises(UserError, match=r"b.yaml: the name '.*' of a source is part of a path; write"):
            read_sources(tmp_path)
    (tmp_path / "b.yaml").write_text("1: {}\n")
    with pytest.raises(UserError, match=r"b.yaml: the name 1 of a source is not text"):
        read_sources(tmp_path)


def test_overlays_are_joined_before_they_are_laid_on_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Snakemake does: a null in the first one does not take the block of the configuration away."""
    monkeypatch.chdir(ROOT)
    (tmp_path / "more.yaml").write_text("tasks: {xquad: {languages: [zh]}}")
    assert main(["sources", "--configfile", "configs/paper.yaml", str(tmp_path / "more.yaml")]) == 0
    assert "mini-xquad" in capsys.readouterr().out
    assert main(["sources", "--configfile", "configs/paper.yaml", "squad"]) == 1
    assert "--configfile squad: there is no such file; names of sources stand before" in capsys.readouterr().err
    assert main(["sources", "squad", "--configfile", "configs/paper.yaml"]) == 0
    capsys.readouterr()
    assert main(["sources", "--raw", str(tmp_path / "raw"), "--configfile", "configs/paper-xlmr.yaml"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("and the model FacebookAI/xlm-roberta-base of the hub (not downloaded; folder ")
    assert last.endswith("hub/FacebookAI--xlm-roberta-base/e73636d4f797dec63c3081bb6ed5c7b0bb3f2089)")
    (tmp_path / "more.yaml").write_text("[]")
    assert main(["sources", "--configfile", str(tmp_path / "more.yaml")]) == 1
    assert "not a configuration, but list" in capsys.readouterr().err


def test_released_sources_say_how_much_they_are() -> None:
    """A size or a checksum for nearly every file: the others are named here, for want of a published one."""
    bare = {
        name
        for name, source in read_sources(ROOT / "workflow" / "sources").items()
        if not source.url.startswith("mini:")
        and any(file.sha256 is None and file.bytes is None for file in source.files.values())
    }
    assert bare == {"translation2019zh", "siqa-xtreme-r", "mewslix"}
