"""fast_align against a slow model in Python, and on spoiled input."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import pytest
from aligner import PAIRS, align, as_text, call, likelihoods, parse, tension, tools
from slow_model import run as slow_run


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
@pytest.mark.parametrize("double", [False, True])
def test_equals_the_slow_model(options: str, settings: dict[str, float], reverse: bool, double: bool) -> None:
    slow = slow_run([(t, s) for s, t in PAIRS] if reverse else PAIRS, **settings)  # type: ignore[arg-type]
    more = [*["-r"] * reverse, *["--double"] * double]
    result = call("fast_align", "-i", "-", *options.split(), *more, text=as_text(PAIRS))
    assert result.returncode == 0, result.stderr
    assert likelihoods(result.stderr) == pytest.approx(slow.likelihoods, rel=1e-9 if double else 1e-6)
    if "-o" in options.replace("-dov", "-d -o -v") and settings.get("iterations", 5) > 2:
        assert tension(result.stderr) == pytest.approx(slow.tension, rel=1e-9 if double else 1e-5)
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


@pytest.mark.parametrize(("options", "settings"), [("-d -o", {"variational": False}), ("-dov", {})])
def test_posteriors_of_five_sentences(options: str, settings: dict[str, bool], tmp_path: Path) -> None:
    """A row of the table is the posteriors of a source word, summed and normalised."""
    for iterations in (2, 3, 5):
        slow = slow_run(PAIRS[:5], iterations=iterations, **settings)  # type: ignore[arg-type]
        more = ["--double", "-I", iterations, "-p", tmp_path / "table"]
        result = call("fast_align", "-i", "-", *options.split(), *more, text=as_text(PAIRS[:5]))
        assert likelihoods(result.stderr) == pytest.approx(slow.likelihoods, rel=1e-11)
        found: dict[object, dict[str, float]] = {}
        for line in (tmp_path / "table").read_text().splitlines():
            given, word, value = line.split(" ")
            found.setdefault(None if given == "<eps>" else given, {})[word] = math.exp(float(value))
        assert found.keys() == slow.table.keys()
        for given, row in slow.table.items():
            # What has died out is not written; e^-101 may be far off relative to itself.
            assert {word: value for word, value in row.items() if value > 1e-12} == pytest.approx(
                {word: value for word, value in found[given].items() if value > 1e-12}, rel=1e-9
            )


def test_digits_of_the_digamma_function(tmp_path: Path) -> None:
    """Rows with counts from 0.01 to thousands, where the two sides of the series meet."""
    pairs = [(["a"], ["x"])] * 3000 + [(["a"], ["y"])] * 7 + [(["a"], ["z"]), (["b"], ["y", "z"])]
    slow = slow_run(pairs, iterations=2, null=False)
    call("fast_align", "-i", "-", "-dv", "-N", "-I2", "--double", "-p", tmp_path / "table", text=as_text(pairs))
    for line in (tmp_path / "table").read_text().splitlines():
        given, word, value = line.split(" ")
        assert math.exp(float(value)) == pytest.approx(slow.table[given][word], rel=1e-10)


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
        (["-y"], 2, "unknown option -y"),
        (["-n", "0"], 2, "option -n (--threads) is '0', it must be a whole number of at least 1"),
        (["--symmetrise", "union"], 2, "--symmetrise needs --both PREFIX"),
        (["--both", "x", "-r"], 2, "--both makes the reverse direction too"),
        (["--both", "x", "-c", "best"], 2, "'best' is not a heuristic; known are intersect,"),
        (["--both", "x", "-p", "table"], 2, "use --save-model"),
        (["--both", "/no/such/folder/x"], 1, "/no/such/folder/x.forward: cannot be written"),
        (["--apply", "m", "-d"], 2, "the saved model brings its own settings"),
        (["--apply", "m", "--save-model", "n"], 2, "give one of them"),
        (["--apply", "/no/such/model"], 1, "/no/such/model: cannot be read (No such file or directory)"),
        (["--apply", "/"], 1, "/: cannot be read"),
        (["--save-model", "/no/such/folder/model"], 1, "/no/such/folder/model: cannot be written"),
        (["--double", "--save-model", "m"], 2, "single precision"),
        (["--iterate", "3"], 2, "unknown option --iterate"),
        (["--s", "x"], 2, "unknown option --s"),
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


def test_a_long_option_may_be_cut_short() -> None:
    assert align(GOOD, "--favor", "--opt", "--var", "--iter", "3") == align(GOOD, "-dov", "-I3")


def test_options_without_effect_are_named() -> None:
    for options, message in (
        (["-o"], "-o has"),
        (["-T", "5"], "-T has"),
        (["-a", "0.1"], "-a has"),
        (["-t", "-4"], "-t has"),
    ):
        result = call("fast_align", "-i", "-", *options, text=GOOD)
        assert result.returncode == 0
        assert f"warning: {message} an effect only with" in result.stderr.decode()
        assert call("fast_align", "-i", "-", *options, "--strict", text=GOOD).returncode == 2


def test_what_a_failed_run_leaves(tmp_path: Path) -> None:
    """Files of the run before stay; nothing else does."""
    for name in ("x.forward", "x.reverse", "model", "table"):
        (tmp_path / name).write_text("kept")
    options = ["-dov", "--both", tmp_path / "x", "--save-model", tmp_path / "model"]
    for more in (["-i", tmp_path / "no such file"], ["-i", "-", "--strict"]):
        assert call("fast_align", *options, *more, text="a |||\n").returncode == 1
    assert call("fast_align", "-i", "/", "-dov", "-p", tmp_path / "table").returncode == 1
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("x.forward", "x.reverse", "model", "table"), "kept"
    )
    (tmp_path / "link").symlink_to("model")
    assert call("fast_align", "-i", "-", "-dov", "--save-model", tmp_path / "link", text=GOOD).returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "model").read_bytes().startswith(b"WEAMFA")
    assert call("fast_align", "-i", "-", "-dov", "--save-model", "/dev/null", text=GOOD).returncode == 0
    assert Path("/dev/null").is_char_device()


def test_the_tension_does_not_break_beyond_65536_words() -> None:
    """There the swapped lengths of the reference program need more than 32 bits."""
    for more in ([], ["-r"]):
        fitted = []
        for count in (60_000, 70_000):
            text = f"{GOOD}a ||| {' '.join(['b'] * count)}\n"
            fitted.append(tension(call("fast_align", "-i", "-", "-dov", *more, text=text).stderr))
        assert fitted[0] == pytest.approx(fitted[1], abs=0.2)


def test_options_without_effect_are_accepted() -> None:
    assert align(GOOD, "-dov", "-b", "1000", "-m", "2") == align(GOOD, "-dov")
