"""The generated schema and documentation page are those of weam.config."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from weam import configdocs

ROOT = Path(__file__).resolve().parent.parent


def test_generated_files_are_up_to_date() -> None:
    assert configdocs.main(["--check"]) == 0


def test_check_says_what_is_stale_and_writing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert configdocs.main(["--check"], tmp_path) == 1
    assert "docs/configuration.md is stale" in capsys.readouterr().err
    assert configdocs.main([], tmp_path) == 0
    assert configdocs.main(["--check"], tmp_path) == 0


@pytest.mark.parametrize("path", ["config.yaml", "configs/smoke.yaml", "configs/sample.yaml"])
def test_configurations_agree_with_the_schema(path: str) -> None:
    jsonschema.validate(yaml.safe_load((ROOT / path).read_text()), json.loads(configdocs.schema()))


def test_the_page_names_every_key_and_its_default() -> None:
    page = configdocs.page()
    assert "| `heuristic` | `intersect`, `union`," in page
    assert "| `betas` | list of number, number | `[0.9, 0.999]` |" in page
    assert "## `sources.<name>`" in page
