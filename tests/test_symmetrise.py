"""atools against hand-made matrices and a slow model in Python."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from aligner import HEURISTICS, call, parse
from slow_model import symmetrise as slow_symmetrise


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
