"""The page of licences is that of the lock; known faults of locked versions are looked up where that is possible."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from weam import licences

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_is_up_to_date() -> None:
    assert licences.main(["--check"]) == 0


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("requirements.lock", "pyproject.toml", "docs/licences.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("file", "before", "after", "fault"),
    [
        ("requirements.lock", "tqdm==4.70.1", "tqdm==4.70.2", "tqdm 4.70.2 is noted as 4.70.1"),
        ("requirements.lock", "yte==1.9.4", "yte==1.9.4\nzlib-of-nobody==1.0", "zlib-of-nobody 1.0 is missing"),
        ("requirements.lock", "yte==1.9.4\n", "", "yte is not in the lock"),
        ("docs/licences.md", "| tqdm | 4.70.1 | MPL-2.0 AND", "| tqdm | 4.70.1 | 0BSD AND", "noted as 0BSD AND MIT"),
        ("docs/licences.md", "| tqdm | MPL-2.0 AND MIT | runtime |\n", "", "the table of copyleft licences"),
        ("docs/licences.md", "It contains none", "It contains some", "the text around the tables"),
    ],
)
def test_a_stale_page(
    copy: Path, capsys: pytest.CaptureFixture[str], file: str, before: str, after: str, fault: str
) -> None:
    edit(copy / file, before, after)
    assert licences.main(["--check"], copy) == 1
    said = capsys.readouterr().err
    assert fault in said
    assert said.count("\n") == 1


def test_a_package_that_is_not_installed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check leaves its licence as it is noted; the page is not written without it."""
    edit(copy / "requirements.lock", "yte==1.9.4", "yte==1.9.4\nzlib-of-nobody==1.0")
    page = copy / "docs/licences.md"
    edit(page, "\n## Not in the lock", "| zlib-of-nobody | 1.0 | GPL-3.0 | runtime |\n\n## Not in the lock")
    edit(
        page,
        "| tqdm | MPL-2.0 AND MIT | runtime |\n",
        "| tqdm | MPL-2.0 AND MIT | runtime |\n| zlib-of-nobody | GPL-3.0 | runtime |\n",
    )
    before = page.read_text()
    assert licences.main([], copy) == 1
    assert "zlib-of-nobody; run make env first" in capsys.readouterr().err
    assert page.read_text() == before


def test_no_locked_version_has_a_known_fault() -> None:
    """pip-audit asks PyPI; WEAM_PIP_AUDIT names it where it is in an environment of its own."""
    program = os.environ.get("WEAM_PIP_AUDIT") or shutil.which("pip-audit")
    if program is None:
        pytest.skip("no pip-audit: pip install it in an environment of its own and name it by WEAM_PIP_AUDIT")
    command = [
        program,
        "-r",
        "requirements.lock",
        "--no-deps",
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        pytest.skip(f"pip-audit cannot ask: {(done.stderr.strip().splitlines() or ['no answer'])[-1]}")
    known = [package for package in packages if "skip_reason" not in package]
    if not known:
        pytest.skip(f"pip-audit cannot ask: {packages[0]['skip_reason']}")
    faulty = [f"{p['name']} {p['version']}: {fault['id']}" for p in known for fault in p["vulns"]]
    assert not faulty
    assert len(known) == len(packages), [package["skip_reason"] for package in packages if package not in known]
