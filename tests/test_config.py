"""Faults of the configuration: one sentence with the key, the value, and what is allowed."""

from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

from weam.config import Config, Text, load, read_sources, read_yaml, validate
from weam.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "workflow" / "sources.yaml"


def default() -> dict[str, Any]:
    config: dict[str, Any] = read_yaml(ROOT / "config.yaml")
    return config


def changed(key: str, value: Any) -> dict[str, Any]:
    """The default configuration with one (dotted) key set."""
    config = default()
    *path, last = key.split(".")
    block = config
    for name in path:
        block = block.setdefault(name, {})
    block[last] = value
    return config


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("data.monolingual", [], ["key 'data.monolingual' is empty", "backbone.name_or_path"]),
        ("languges", ["de"], ["unknown key 'languges'", "did you mean 'languages'?"]),
        ("align.iteration", 5, ["unknown key 'align.iteration'", "did you mean 'iterations'?"]),
        ("finetune.qa.bach_size", 5, ["unknown key 'finetune.qa.bach_size'", "did you mean 'batch_size'?"]),
        ("tasks.mlqa.sorce", "x", ["unknown key 'tasks.mlqa.sorce'", "did you mean 'source'?"]),
        ("shards.qwertz", 5, ["unknown key 'shards.qwertz'", "known keys: max_length, rows_per_shard"]),
        ("align.iterations", 0, ["key 'align.iterations' is 0", "greater than or equal to 1"]),
        ("align.iterations", "five", ["key 'align.iterations' is 'five'", "valid integer"]),
        ("align.heuristic", "grow", ["key 'align.heuristic' is 'grow'", "'intersect'", "'grow-diag'"]),
        ("tasks.squad", {"source": "mini-mlqa"}, ["squad", "'mlqa'"]),
        ("systems", ["bert"], ["'bert'", "'word_align'"]),
        ("systems", ["weam", "weam"], ["names one twice"]),
        ("languages", ["en"], ["must not name en"]),
        ("languages", ["de", "fr"], ["data.parallel has no source for language 'fr'"]),
        ("data.parallel.de", ["mini-en-dee"], ["data.parallel.de", "'mini-en-dee'", "did you mean 'mini-en-de'?"]),
        ("data.parallel.de", ["mini-en-es"], ["'mini-en-es'", "it needs en and de"]),
        ("finetune.qa.train", [], ["'finetune.qa.train' is empty"]),
        ("finetune.nli.translate_train.zh", [], ["translate_train has no source for language 'zh'"]),
        ("tasks.mlqa.split", "train", ["'train'", "'test' or 'dev'"]),
        ("seeds.pretrain", [], ["seeds.pretrain"]),
    ],
)
def test_faults_are_one_clear_sentence(key: str, value: Any, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        load(changed(key, value), TABLE)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_the_default_is_the_mini_world_and_needs_no_network() -> None:
    assert all(source.url == "mini:" for source in load(default(), TABLE).sources.values())


def test_only_used_sources_are_kept() -> None:
    config = default()
    del config["tasks"]["xnli"]
    assert not any("xnli" in name for name in load(config, TABLE).sources)


def test_the_default_configuration_names_every_key() -> None:
    """Keys of blocks; the names in mappings (languages, sources) are the user's."""

    def missing(model: type[pydantic.BaseModel], data: Any, prefix: str = "") -> list[str]:
        keys: list[str] = []
        for name, field in model.model_fields.items():
            inner = field.annotation
            if name not in data:
                keys.append(prefix + name)
            elif isinstance(inner, type) and issubclass(inner, pydantic.BaseModel):
                keys += missing(inner, data[name], f"{prefix}{name}.")
        return keys

    assert missing(Config, default()) == []


@pytest.mark.parametrize("name", ["config.yaml", *sorted(p.relative_to(ROOT) for p in ROOT.glob("profiles/*/*.yaml"))])
def test_every_line_is_commented(name: str) -> None:
    for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
        assert not line.strip() or "#" in line, f"{name}, line {number}"


@pytest.mark.parametrize("name", ["smoke", "sample"])
def test_overlays_are_valid(name: str) -> None:
    def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
        for key, value in above.items():
            below[key] = merge(below.get(key) or {}, value) if isinstance(value, dict) else value
        return below

    load(merge(default(), read_yaml(ROOT / "configs" / f"{name}.yaml")), TABLE)


def test_duplicate_keys_are_an_error_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("align:\n  iterations: 5\n  lowercase: true\n  iterations: 6\n")
    with pytest.raises(UserError, match=r"twice.yaml, line 4: key 'iterations' stands on line 2 already"):
        read_yaml(path)


def test_malformed_yaml_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("languages: [de\nalign: {}\n")
    with pytest.raises(UserError, match=r"bad.yaml, line \d+: not valid YAML"):
        read_yaml(path)


def test_sources_have_licence_and_citation() -> None:
    for name, source in read_sources(TABLE).items():
        assert source.licence, name
        assert source.citation, name


def test_blocks_can_be_partial() -> None:
    assert validate(Text, yaml.safe_load("{max_words: 7}"), "text").max_words == 7
