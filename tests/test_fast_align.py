"""fast_align and atools against a slow model in Python, hand-made matrices, and spoiled input."""

from __future__ import annotations

import random
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from aligner import ROOT, align, call, tools
from slow_model import run as slow_run
from slow_model import symmetrise as slow_symmetrise

from weam import build_fast_align
from weam.cli import main

Pair = tuple[list[str], list[str]]
HEURISTICS = ("intersect", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and")


def make_pairs(count: int = 200, seed: int = 5) -> list[Pair]:
    """Sentences of frequent and rare words, translated word by word with insertions, deletions and swaps."""
    generator = random.Random(seed)
    pairs = []
    for _ in range(count):
        source = [f"w{min(int(generator.paretovariate(0.7)), 80)}" for _ in range(generator.randint(1, 14))]
        target = []
        for word in source:
            target += ["the"] * (generator.random() < 0.15) + [word.upper()] * (generator.random() < 0.9)
        for k in range(len(target) - 1):
            if generator.random() < 0.2:
                target[k], target[k + 1] = target[k + 1], target[k]
        pairs.append((source, target or ["the"]))
    return pairs


PAIRS = make_pairs()


def as_text(pairs: list[Pair]) -> str:
    return "".join(f"{' '.join(source)} ||| {' '.join(target)}\n" for source, target in pairs)


def parse(line: str) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in (link.split("-") for link in line.split())]


def likelihoods(log: bytes) -> list[float]:
    return [float(value) for value in re.findall(rb"log_e likelihood: (\S+)", log)]


def tension(log: bytes) -> float:
    return float(re.findall(rb"final tension: (\S+)", log)[-1])


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("-d -o -v", {}),
        ("-dov -I 3", {"iterations": 3}),
        ("-I1 -dov", {"iterations": 1}),
        ("-d -v -T 7", {"optimize": False, "tension": 7.0}),
        ("-v", {"diagonal": False}),
        ("", {"diagonal": False, "variational": False}),
        ("-d -o", {"variational": False}),
        ("-d -o -v -q 0.2 -a 0.1", {"p0": 0.2, "alpha": 0.1}),
        ("-v -N", {"diagonal": False, "null": False}),
        ("-d -o -v -N", {"null": False}),
        (
            "--favor_diagonal --optimize-tension --variational_bayes --iterations=4 --p0 0.1 --alpha 0.02 "
            "--diagonal_tension 3",
            {"iterations": 4, "p0": 0.1, "alpha": 0.02, "tension": 3.0},
        ),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_equals_the_slow_model(options: str, settings: dict[str, float], reverse: bool) -> None:
    slow = slow_run([(t, s) for s, t in PAIRS] if reverse else PAIRS, **settings)  # type: ignore[arg-type]
    result = call("fast_align", "-i", "-", *options.split(), *["-r"] * reverse, text=as_text(PAIRS))
    assert result.returncode == 0, result.stderr
    assert likelihoods(result.stderr) == pytest.approx(slow.likelihoods, rel=2e-8)
    if "-o" in options.replace("-dov", "-d -o -v") and settings.get("iterations", 5) > 2:
        assert tension(result.stderr) == pytest.approx(slow.tension, rel=1e-5)
    lines = result.stdout.decode().splitlines()
    assert len(lines) == len(PAIRS)
    expected = [[(j, i) for i, j in line] if reverse else line for line in slow.links]
    differing = sum(len(set(parse(line)) ^ set(links)) for line, links in zip(lines, expected, strict=True))
    # A tie is decided by the last bit, which the slow model rounds otherwise; a moved link counts twice.
    assert differing <= 2 * slow.ties
    if "-d" in options or "--favor" in options:
        assert slow.ties < 0.05 * sum(len(links) for links in slow.links) or settings.get("iterations") == 1
    if reverse:
        assert all(parse(line) == sorted(parse(line), key=lambda link: link[0]) for line in lines)


def test_the_lines_on_stderr_that_other_tools_read() -> None:
    log = call("fast_align", "-i", "-", "-dov", text=as_text(PAIRS)).stderr.decode()
    ratio = sum(len(target) / len(source) for source, target in PAIRS) / len(PAIRS)
    line = next(line for line in log.splitlines() if line.startswith("expected target length = source length * "))
    assert float(line.split()[-1]) == pytest.approx(ratio, rel=1e-5)
    assert len(re.findall("final tension: [0-9.]+$", log, re.M)) == 3
    assert "ITERATION 5 (FINAL)" in log


def test_is_the_same_on_every_run() -> None:
    assert align(as_text(PAIRS), "-dov") == align(as_text(PAIRS), "-d", "-o", "-v")


def test_ties() -> None:
    assert align("a a ||| b b\n", "-v", "-N") == ["0-0 0-1"]  # the lowest source position
    assert align("a b ||| c d\n", "-v", "-I", "1") == [""]  # the empty word before all
    assert align("a b ||| c d\n", "-v", "-I", "1", "-r", "-N") == ["0-0 1-0"]


def test_scores() -> None:
    lines = align(as_text(PAIRS), "-dov", "-s")
    plain = align(as_text(PAIRS), "-dov")
    assert [line.split("|||")[0].strip() for line in lines] == plain
    assert all(float(line.split(" ||| ")[1]) < 0 for line in lines)


def test_a_saved_table_gives_the_links_of_training(tmp_path: Path) -> None:
    table = tmp_path / "table"
    for reverse in ([], ["-r"]):
        trained = align(as_text(PAIRS), "-dov", "-p", table, *reverse)
        scored = align(as_text(PAIRS), "-dov", "-s", *reverse)
        forced = align(as_text(PAIRS), "-d", "-f", table, *reverse)
        fields = [line.split("|||") for line in forced]
        pairs = zip(fields, trained, strict=True)
        differing = sum(len(set(parse(field[2])) ^ set(parse(line))) for field, line in pairs)
        # exp(log p) is not p to the last bit, which decides between equal words at the same distance
        assert differing <= 2 * slow_run([(t, s) for s, t in PAIRS] if reverse else PAIRS).ties
        assert [f"{a.strip()} ||| {b.strip()}" for a, b, *_ in fields] == as_text(PAIRS).splitlines()
        assert [float(field[3]) for field in fields] == pytest.approx(
            [float(line.split("|||")[1]) for line in scored], rel=1e-5
        )
    rows = [line.split(" ") for line in table.read_text().splitlines()]
    assert all(len(row) == 3 and float(row[2]) <= 0 for row in rows)
    assert any(row[0] == "<eps>" for row in rows)


def test_beam_threshold_and_the_words_no_table_has(tmp_path: Path) -> None:
    align(as_text(PAIRS), "-dov", "-p", tmp_path / "all")
    align(as_text(PAIRS), "-dov", "-p", tmp_path / "best", "-t", "-4")
    everything, best = ((tmp_path / name).read_text().splitlines() for name in ("all", "best"))
    assert set(best) < set(everything)
    top: dict[str, float] = {}
    for given, _, value in (line.split() for line in everything):
        top[given] = max(float(value), top.get(given, -1e9))
    assert set(best) == {line for line in everything if float(line.split()[2]) >= top[line.split()[0]] - 4}
    (line,) = align("never seen ||| nie gesehen\n", "-d", "-f", tmp_path / "best")
    assert line.startswith("never seen ||| nie gesehen ||| ")


def test_tension_and_ratio_of_the_command_line_win_over_the_saved_ones(tmp_path: Path) -> None:
    align(as_text(PAIRS), "-dov", "-p", tmp_path / "table")
    saved, given, other = (
        align(as_text(PAIRS), "-d", "-f", tmp_path / "table", *more) for more in ([], ["-T", "12"], ["-m", "3"])
    )
    assert saved != given
    assert [line.rsplit("|||", 1)[0] for line in saved] == [line.rsplit("|||", 1)[0] for line in other]
    assert saved != other


def test_forced_alignment_answers_line_by_line(tmp_path: Path) -> None:
    align(as_text(PAIRS), "-dov", "-p", tmp_path / "table")
    command = [str(tools() / "fast_align"), "-i", "-", "-d", "-f", str(tmp_path / "table")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"w1 w2 ||| W1 W2\n", b"w3 ||| W3\n"):
            process.stdin.write(line)
            assert process.stdout.readline().startswith(line.strip())
        process.stdin.close()
        assert process.wait(10) == 0


GOOD = as_text(PAIRS[:30])


@pytest.mark.parametrize("bad", [b"", b"   ", b"a b c", b"a |||", b"||| b", b" ||| ", b"|||", b"\t", b"a\t"])
def test_a_line_without_a_side_changes_nothing_else(bad: bytes) -> None:
    lines = GOOD.encode().splitlines()
    spoiled = b"\n".join([*lines[:7], bad, *lines[7:], b""])
    result = call("fast_align", "-i", "-", "-dov", text=spoiled)
    links = result.stdout.decode().split("\n")[:-1]
    assert result.returncode == 0
    assert links.pop(7) == ""
    assert links == align(GOOD, "-dov")
    assert b"standard input: 1 line has no words on a side and got no links" in result.stderr
    assert re.search(rb": line 8\n", result.stderr)


def test_the_count_of_lines_without_a_side() -> None:
    result = call("fast_align", "-i", "-", "-dov", text="a b ||| c\n" + "\n" * 7 + "a ||| c\n")
    assert result.stdout == result.stdout.splitlines()[0] + b"\n" * 8 + result.stdout.splitlines()[8] + b"\n"
    assert b"7 lines have no words" in result.stderr
    assert b"lines 2 3 4 5 6 ..." in result.stderr


@pytest.mark.parametrize(
    "variant",
    [
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.encode().removesuffix(b"\n"),
        GOOD.replace(" ||| ", "\t").encode(),
        GOOD.replace(" ||| ", "  \t||| ").replace("w", "  w").encode(),
        GOOD.replace("w1", "w\0x").encode(),
        GOOD.encode().replace(b"w1", b"w\xff\xfe"),
        GOOD.replace("w1", "w\u2028\u00a0\u0085x").encode(),
    ],
)
def test_text_in_other_clothes_has_the_same_links(variant: bytes) -> None:
    expected = GOOD.replace("w1", "w\0x") if b"\0" in variant else GOOD
    assert align(variant, "-dov") == align(expected, "-dov")


def test_bytes_pass_through_a_table(tmp_path: Path) -> None:
    align(b"\xff\x00a ||| \xfe\n", "-dov", "-p", tmp_path / "table")
    assert b"\xff\x00a \xfe " in (tmp_path / "table").read_bytes()


def test_empty_input_and_a_very_long_line() -> None:
    assert align("", "-dov") == []
    assert align("\n\n", "-dov") == ["", ""]
    assert align("a ||| b\n", "-dov") in ([""], ["0-0"])
    words = [str(k % 50) for k in range(40_000)]
    lines = align(f"{' '.join(words)} ||| a b\na ||| b\n", "-dovr")
    assert len(lines) == 2
    assert len(lines[0].split()) > 30_000


def test_a_second_separator_is_a_word() -> None:
    assert max(j for _, j in parse(align("a ||| b ||| c\n", "-dvN")[0])) == 2


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["-I", "abc"], 2, "option -I (--iterations) is 'abc', it must be a whole number of at least 1"),
        (["-I", "0"], 2, "at least 1"),
        (["-I", "-3"], 2, "at least 1"),
        (["-I", "5x"], 2, "'5x'"),
        (["-I", "99999999999"], 2, "whole number"),
        (["-q", "1.5"], 2, "option -q (--p0) is '1.5', it must be a number from 0 to 0.999999"),
        (["-q", "nan"], 2, "'nan'"),
        (["-a", "0"], 2, "option -a (--alpha)"),
        (["-T", "99"], 2, "from 0.1 to 14"),
        (["-t", "3"], 2, "up to 0"),
        (["-m", "0"], 2, "--mean_srclen_multiplier"),
        (["-b", "0"], 2, "--thread_buffer_size"),
        (["-x"], 2, "unknown option -x"),
        (["--iteration", "3"], 2, "unknown option --iteration"),
        (["--reverse=1"], 2, "option --reverse takes no value"),
        (["-I"], 2, "option -I needs a value"),
        (["file"], 2, "'file' is not an option"),
        (["-p", "a", "-f", "b"], 2, "give one of them"),
        (["-f", "/no/such/table"], 1, "/no/such/table: cannot be read (No such file or directory)"),
        (["-p", "/no/such/folder/table"], 1, "/no/such/folder/table: cannot be written"),
        (["-i", "/no/such/file"], 1, "/no/such/file: cannot be read (No such file or directory); check the path"),
        (["-i", "/"], 1, "/: cannot be read (Is a directory)"),
        (["-i", ""], 2, "option -i (--input) is required"),
    ],
)
def test_one_sentence_for_each_fault(options: list[str], status: int, message: str) -> None:
    result = call("fast_align", "-i", "-", *options, text=GOOD)
    last = result.stderr.decode().splitlines()[-1]
    assert result.returncode == status
    assert last.startswith("fast_align: error: ")
    assert message in last
    assert b"terminate" not in result.stderr


@pytest.mark.parametrize("table", ["", "a b\n", "a b x\n", "a b -1 c\n", "a b nan\n", "a b 0.5\n"])
def test_a_malformed_table(table: str, tmp_path: Path) -> None:
    (tmp_path / "table").write_text("x y -1\n" + table if table else "")
    result = call("fast_align", "-i", "-", "-f", tmp_path / "table", text=GOOD)
    assert result.returncode == 1
    assert ("line 2" if table else "empty") in result.stderr.decode()


def test_full_disk() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as full:
        command = [str(tools() / "fast_align"), "-i", "-"]
        result = subprocess.run(command, input=GOOD.encode(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert b"is the disk full?" in result.stderr


@pytest.mark.parametrize("program", ["fast_align", "atools"])
def test_help_and_version(program: str) -> None:
    for options in (["--help"], ["-h"], ["--version"]):
        result = call(program, *options)
        assert result.returncode == 0
        assert result.stderr == b""
        assert program.encode() in result.stdout
    assert b"examples:" in call(program, "--help").stdout
    bare = call(program)
    assert bare.returncode == 2
    assert b"usage:" in bare.stderr


def test_options_without_effect_are_accepted() -> None:
    assert align(GOOD, "-dov", "-b", "1000", "-m", "2") == align(GOOD, "-dov")


def atools(forward: str, reverse: str, heuristic: str) -> str:
    result = call("atools", "-i", "-", "-j", "-", "-c", heuristic, text=f"{forward}\n{reverse}\n")
    assert result.returncode == 0, result.stderr
    return result.stdout.decode().removesuffix("\n")


@pytest.mark.parametrize(
    ("forward", "reverse", "expected"),
    [
        # Both agree on 0-0; 1-1 touches it by a corner; 3-3 stands alone with both words free; 3-0's target is taken.
        (
            "0-0 1-1 3-3",
            "0-0 3-0",
            {
                "intersect": "0-0",
                "union": "0-0 1-1 3-0 3-3",
                "grow-diag": "0-0 1-1",
                "grow-diag-final": "0-0 1-1 3-3",
                "grow-diag-final-and": "0-0 1-1 3-3",
            },
        ),
        # 2-0 has a free source word but a taken target word: only grow-diag-final takes it.
        (
            "0-0 2-0",
            "0-0",
            {
                "intersect": "0-0",
                "union": "0-0 2-0",
                "grow-diag": "0-0",
                "grow-diag-final": "0-0 2-0",
                "grow-diag-final-and": "0-0",
            },
        ),
        # A chain along the diagonal grows within one pass; 0-1 comes before 1-1 in the order of neighbours.
        (
            "0-0 1-1 2-2",
            "0-0 0-1 2-2",
            {
                "intersect": "0-0 2-2",
                "union": "0-0 0-1 1-1 2-2",
                "grow-diag": "0-0 0-1 1-1 2-2",
                "grow-diag-final": "0-0 0-1 1-1 2-2",
                "grow-diag-final-and": "0-0 0-1 1-1 2-2",
            },
        ),
        # The forward direction comes first at the end: 0-2 takes target word 2 from 1-2.
        (
            "5-5 0-2",
            "5-5 1-2",
            {
                "intersect": "5-5",
                "union": "0-2 1-2 5-5",
                "grow-diag": "5-5",
                "grow-diag-final": "0-2 1-2 5-5",
                "grow-diag-final-and": "0-2 5-5",
            },
        ),
        ("", "0-0", dict.fromkeys(HEURISTICS, "0-0") | {"intersect": "", "grow-diag": ""}),
        ("", "", dict.fromkeys(HEURISTICS, "")),
    ],
)
def test_symmetrisation_of_hand_made_matrices(forward: str, reverse: str, expected: dict[str, str]) -> None:
    assert {heuristic: atools(forward, reverse, heuristic) for heuristic in HEURISTICS} == expected


@pytest.mark.parametrize("heuristic", HEURISTICS)
def test_symmetrisation_of_random_matrices(heuristic: str, tmp_path: Path) -> None:
    generator = random.Random(3)
    sides: list[list[set[tuple[int, int]]]] = [[], []]
    for _ in range(300):
        for side in sides:
            density = generator.choice((0.1, 0.2, 0.4))
            side.append({(i, j) for i in range(8) for j in range(8) if generator.random() < density})
    for name, side in zip("fr", sides, strict=True):
        text = "".join(
            " ".join(f"{i}-{j}" for i, j in generator.sample(sorted(line), len(line))) + "\n" for line in side
        )
        (tmp_path / name).write_text(text)
    result = call("atools", "-i", tmp_path / "f", "-j", tmp_path / "r", "-c", heuristic)
    lines = [set(parse(line)) for line in result.stdout.decode().splitlines()]
    assert lines == [slow_symmetrise(f, r, heuristic, 8) for f, r in zip(*sides, strict=True)]


@pytest.mark.parametrize(
    ("forward", "reverse", "heuristic", "status", "message"),
    [
        ("0-0\n1-1\n", "0-0\n", "union", 1, "f has a line 2, but "),
        ("0-0\n", "0-0\n1-1\n2-2\n", "union", 1, "r has a line 2, but "),
        ("0-0\n0-x\n", "0-0\n1-1\n", "union", 1, "f, line 2: '0-x' is not a link"),
        ("0-0\n", "00\n", "union", 1, "r, line 1: '00' is not a link"),
        ("0-0\n", "-1-0\n", "union", 1, "'-1-0' is not a link"),
        ("0-0\n", "0-99999999999\n", "union", 1, "is not a link"),
        ("0-0\n", "0-0\n", "grow", 2, "'grow' is not a heuristic; known are intersect, union, grow-diag,"),
    ],
)
def test_faults_of_links(forward: str, reverse: str, heuristic: str, status: int, message: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text(forward)
    (tmp_path / "r").write_text(reverse)
    result = call("atools", "-i", tmp_path / "f", "-j", tmp_path / "r", "-c", heuristic)
    assert result.returncode == status
    assert message in result.stderr.decode()
    assert len(result.stderr.splitlines()) == 1


def test_links_with_carriage_returns_huge_positions_and_no_last_newline(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbf0-0 4000000000-4000000000\r\n0-1")
    (tmp_path / "r").write_bytes(b"0-0 4000000000-4000000000\r\n0-1\r\n")
    result = call("atools", "-i", tmp_path / "f", "-j", tmp_path / "r", "-c", "grow-diag-final")
    assert result.stdout == b"0-0 4000000000-4000000000\n0-1\n"


# --- the stage that builds the programs ---


def pack(path: Path, folder: str = "tree/") -> Path:
    files = [file for file in sorted((ROOT / "fast_align").rglob("*")) if file.is_file()]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, folder + str(file.relative_to(ROOT / "fast_align")))
    else:
        with tarfile.open(path, "w:gz") as packed:
            for file in files:
                packed.add(file, folder + str(file.relative_to(ROOT / "fast_align")))
    return path


@pytest.mark.parametrize("name", ["source.zip", "source.tar.gz"])
def test_unpack(name: str, tmp_path: Path) -> None:
    tree = build_fast_align.unpack(pack(tmp_path / name), tmp_path / "out")
    assert tree == tmp_path / "out" / "tree"
    assert (tree / "src" / "model.cpp").read_bytes() == (ROOT / "fast_align" / "src" / "model.cpp").read_bytes()
    assert build_fast_align.is_ours(tree)


def evil(folder: Path, kind: str) -> Path:
    if kind in ("../evil", "/tmp/evil", "a/../../evil"):
        with zipfile.ZipFile(folder / "evil.zip", "w") as archive:
            archive.writestr(kind, "x")
        return folder / "evil.zip"
    path = folder / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(member)
    if kind == "cut":
        path.write_bytes(pack(folder / "whole.tar.gz").read_bytes()[:2000])
    elif kind == "text":
        path.write_text("not an archive")
    elif kind == "bare":
        with tarfile.open(path, "w:gz") as packed:
            packed.addfile(tarfile.TarInfo("README"))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("../evil", "outside the archive's folder"),
        ("/tmp/evil", "outside the archive's folder"),
        ("a/../../evil", "outside the archive's folder"),
        ("link", "not a plain file"),
        ("cut", "not a readable"),
        ("text", "not a readable"),
        ("bare", "has no CMakeLists.txt"),
    ],
)
def test_archives_that_are_refused(kind: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["build_fast_align", "--source", str(evil(tmp_path, kind)), "--out", str(tmp_path / "bin")])
    error = capsys.readouterr().err
    assert status == 1
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "bin").exists()


def other_tree(folder: Path, code: str = "int main() { return 0; }", names: str = "fast_align atools") -> Path:
    """Sources of another program with the same command line."""
    folder.mkdir()
    (folder / "main.cpp").write_text(code)
    targets = "".join(f"add_executable({name} main.cpp)\n" for name in names.split())
    (folder / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.5)\nproject(other CXX)\n{targets}")
    return folder


def build(source: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    return main(["build_fast_align", "--source", str(source), "--out", str(out)]), capsys.readouterr().err


def needs_cmake() -> None:
    if build_fast_align.find_cmake() is None or build_fast_align.find_generator() is None:
        pytest.skip("CMake is not installed")


def test_building_other_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_cmake()
    status, error = build(other_tree(tmp_path / "tree"), tmp_path / "bin", capsys)
    assert (status, error) == (0, "")
    assert subprocess.run([tmp_path / "bin" / "atools"], check=False).returncode == 0
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["atools", "fast_align"]


def test_a_build_that_fails_shows_the_compiler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_cmake()
    status, error = build(other_tree(tmp_path / "a", "int main() { nonsense }"), tmp_path / "bin", capsys)
    assert status == 1
    assert "failed" in error.splitlines()[0]
    assert "nonsense" in error
    status, error = build(other_tree(tmp_path / "b", names="fast_align"), tmp_path / "bin", capsys)
    assert status == 1
    assert "made no program atools" in error


def test_without_cmake(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_fast_align, "find_cmake", lambda: None)
    status, error = build(other_tree(tmp_path / "other"), tmp_path / "bin", capsys)
    assert status == 1
    assert "needs CMake" in error
    monkeypatch.setenv("CXX", "no-such-compiler")
    status, error = build(ROOT / "fast_align", tmp_path / "bin", capsys)
    assert status == 1
    assert "no-such-compiler" in error
    monkeypatch.delenv("CXX")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        status, error = build(ROOT / "fast_align", tmp_path / "bin", capsys)
    assert status == 1
    assert "apt-get install g++" in error
    status, error = build(tmp_path / "nowhere", tmp_path / "bin", capsys)
    assert status == 1
    assert "does not exist" in error


def test_compiling_without_cmake_gives_the_same_links(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_fast_align, "find_cmake", lambda: None)
    assert build(ROOT / "fast_align", tmp_path / "bin", capsys) == (0, "")
    command = [str(tmp_path / "bin" / "fast_align"), "-i", "-", "-dov"]
    result = subprocess.run(command, input=as_text(PAIRS).encode(), capture_output=True, check=True)
    assert result.stdout.decode().splitlines() == align(as_text(PAIRS), "-dov")


def test_cmake_install(tmp_path: Path) -> None:
    needs_cmake()
    cmake = str(build_fast_align.find_cmake())
    work = str(tmp_path / "build")
    for command in (
        [cmake, "-S", str(ROOT / "fast_align"), "-B", work, "-DCMAKE_BUILD_TYPE=Debug"],
        [cmake, "--build", work],
        [cmake, "--install", work, "--prefix", str(tmp_path / "prefix")],
    ):
        subprocess.run(command, check=True, capture_output=True)
    programs = [tmp_path / "prefix" / "bin" / name for name in ("fast_align", "atools")]
    assert all(subprocess.run([program, "--version"], check=False).returncode == 0 for program in programs)
    command = [str(programs[0]), "-i", "-", "-dov"]
    result = subprocess.run(command, input=as_text(PAIRS).encode(), capture_output=True, check=True)
    assert result.stdout.decode().splitlines() == align(as_text(PAIRS), "-dov")  # not a matter of optimisation
