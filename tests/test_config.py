"""Faults of the configuration: one sentence with the key, the value, and what is allowed."""

from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

from weam.config import Config
from weam.config_data import Text
from weam.configfile import load, read_sources
from weam.errors import UserError
from weam.validation import read_yaml, validate

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "workflow" / "sources"
SOURCE = {
    "version": "1",
    "format": "lines",
    "languages": ["en"],
    "url": "/x",
    "files": {"a": {}},
    "licence": "none",
    "citation": "none",
}


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
        ("align.parts", 2, ["align.parts", "only with align.train_pairs; set that, or parts to 1"]),
        ("align.iteration", 5, ["unknown key 'align.iteration'", "did you mean 'iterations'?"]),
        ("finetune.qa.bach_size", 5, ["unknown key 'finetune.qa.bach_size'", "did you mean 'batch_size'?"]),
        ("tasks.mlqa.sorce", "x", ["unknown key 'tasks.mlqa.sorce'", "did you mean 'source'?"]),
        ("shards.qwertz", 5, ["unknown key 'shards.qwertz'", "known keys: max_length, rows_per_shard"]),
        ("align.iterations", 0, ["key 'align.iterations' is 0", "greater than or equal to 1"]),
        ("align.iterations", "five", ["key 'align.iterations' is 'five'", "valid integer"]),
        ("align.heuristic", "grow", ["key 'align.heuristic' is 'grow'", "'intersect'", "'grow-diag'"]),
        ("tasks.squad", {"source": "mini-mlqa"}, ["unknown task 'squad'", "did you mean 'xquad'"]),
        ("systems", ["bert"], ["'bert'", "'word_align'"]),
        ("systems", ["weam", "weam"], ["names one twice"]),
        ("languages", ["en"], ["must not name en"]),
        ("languages", ["de", "fr"], ["data.parallel has no source for language 'fr'"]),
        ("data.parallel.de", ["mini-en-dee"], ["data.parallel.de", "'mini-en-dee'", "did you mean 'mini-en-de'?"]),
        ("data.parallel.de", ["mini-en-es"], ["'mini-en-es'", "it needs en and de"]),
        ("finetune.qa.train", [], ["'finetune.qa.train' is empty"]),
        (
            "finetune.nli.translate_train",
            {},
            ["finetune.nli.translate_train has no source for any of the languages of its tasks"],
        ),
        ("finetune.nli.translate_train.fr", ["mini-xnli-mt"], ["translate_train names the unknown language 'fr'"]),
        ("tasks.mlqa.languages", ["fr"], ["'tasks.mlqa.languages' names 'fr'", "mini-mlqa", "en, de, es, zh"]),
        ("tasks.mlqa.languages", ["en"], ["'tasks.mlqa.languages' names 'en'", "always scored"]),
        ("tasks.tydiqa.split", "dev", ["'tasks.tydiqa.split' is 'dev'; tydiqa has test"]),
        ("retrieval.layer", 9, ["retrieval.layer 9 is more than backbone.layers 3"]),
        ("tasks.mlqa.held_out", ["ar"], ["'tasks.mlqa.held_out' names 'ar'", "stands in languages"]),
        ("tasks.mlqa.languages", ["de", "de"], ["names one twice"]),
        ("statistics.resamples", 10, ["statistics.resamples", "100"]),
        ("tasks.mlqa.split", "train", ["'train'", "'test', 'dev' or 'held-out'"]),
        ("seeds.pretrain", [], ["seeds.pretrain"]),
        ("seeds.pretrain", [-1], ["seeds.pretrain.0", "-1", "greater than or equal to 0"]),
        ("seeds.finetune", [1, 1], ["seeds.finetune [1, 1] names one twice"]),
        ("finetune.qa.settings", [], ["finetune.qa.settings", "at least 1"]),
        ("finetune.nli.settings", ["zero-shot", "zero-shot"], ["finetune.nli.settings", "names one twice"]),
        ("backbone.max_length", 128, ["unknown key 'backbone.max_length'"]),
        ("sources", {"a/b": SOURCE}, ["sources.a/b", "pattern"]),
        ("sources", {"..": SOURCE}, ["sources...", "pattern"]),
        ("sources", {"a": SOURCE | {"test_share": 0.1}}, ["test_share 0.1 is for sources of format tydiqa"]),
        ("sources", {"a": SOURCE | {"format": "tydiqa", "test_share": 1}}, ["sources.a.test_share", "less than 1"]),
        ("tasks.tydiqa.split", "held-out", ["'mini-tydiqa' has no test_share, so nothing is kept from training"]),
        ("tasks.mlqa.split", "held-out", ["key 'tasks.mlqa.split' is 'held-out'; mlqa has test, dev"]),
        ("sources", {"a": SOURCE | {"version": ".."}}, ["sources.a.version", "'..'", "pattern"]),
        ("languages", ["multi"], ["languages.0", "'multi'", "pattern"]),
        ("languages", ["mono"], ["languages.0", "'mono'", "pattern"]),
        ("languages", ["de/es"], ["languages.0", "'de/es'", "pattern"]),
        ("backbone.random_token_share", 0.3, ["'backbone'", "random_token_share 0.3", "more than 1 together"]),
        ("pretrain.weam.mask_token_share", 0.95, ["'pretrain.weam'", "mask_token_share 0.95", "more than 1 together"]),
        ("backbone.heads", 5, ["backbone.hidden_size 96 is no multiple of backbone.heads 5"]),
        ("shards.max_length", 600, ["shards.max_length 600 is more than backbone.max_positions 512"]),
        ("finetune.qa.max_length", 600, ["finetune.qa.max_length 600 is more than backbone.max_positions 512"]),
        ("finetune.nli.max_length", 600, ["finetune.nli.max_length 600 is more than backbone.max_positions 512"]),
        ("text.max_pairs", {"dee": 5}, ["text.max_pairs names the unknown language 'dee'", "did you mean 'de'?"]),
        ("text.segmenter", {"xx": "char"}, ["text.segmenter", "'xx'", "known languages: de, es, zh, ar, sw, he, en"]),
        ("data.gold.fr", "mini-gold", ["data.gold names the unknown language 'fr'"]),
        ("tasks.mlqa.source", "mini-xnli", ["'tasks.mlqa.source'", "'mini-xnli'", "'xnli'", "takes mlqa"]),
        ("tasks.xquad", {"source": "mini-mlqa"}, ["'tasks.xquad.source'", "'mini-mlqa'", "takes xquad"]),
        ("tasks.xnli.source", "mini-xnli-mt", ["'tasks.xnli.source'", "'xnli-mt'", "takes xnli"]),
        (
            "finetune.qa.train",
            ["mini-mlqa"],
            ["'finetune.qa.train'", "'mlqa'", "squad or tydiqa or mlqa-translate-train"],
        ),
        ("finetune.nli.translate_train.de", ["mini-xnli"], ["'finetune.nli.translate_train.de'", "takes xnli-mt"]),
        ("data.parallel.de", ["mini-gold"], ["'data.parallel.de'", "'xlwa'", "moses or jsonl-zip or tsv-zip"]),
        ("data.gold.de", "mini-en-de", ["'data.gold.de'", "'moses'", "xlwa or bicici"]),
    ],
)
def test_faults_are_one_clear_sentence(key: str, value: Any, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        load(changed(key, value), TABLE)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_languages_with_data_or_a_default_may_have_entries() -> None:
    config = changed("languages", ["de"])
    config["text"]["max_pairs"] = {"zh": 5, "de": 5}
    config["text"]["segmenter"] = {"en": "space", "zh": "char"}
    load(config, TABLE)
    del config["data"]["parallel"]["zh"], config["data"]["gold"]["zh"], config["text"]["max_pairs"]["zh"]
    del config["finetune"]["qa"]["translate_train"]["zh"], config["finetune"]["nli"]["translate_train"]["zh"]
    load(config, TABLE)


def test_languages_of_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    """The target languages that a task names, or that its source has; a task without any is left out."""
    config = changed("languages", ["de", "sw"])
    config["tasks"]["mlqa"] |= {"languages": None, "held_out": ["zh"]}
    config["tasks"]["xcopa"]["languages"] = ["zh"]
    found = load(config, TABLE).tasks
    assert (found["mlqa"].languages, found["mlqa"].held_out) == (["de", "sw"], ["zh"])
    assert found["tydiqa"].languages == ["sw"]
    assert found["udpos"].languages == ["de"]
    assert found["xquad"].languages == []  # English only
    assert "xcopa" not in found
    assert "task xcopa has no test set in de, sw; left out" in capsys.readouterr().err
    config["tasks"]["mlqa"] = None
    assert "mlqa" not in load(config, TABLE).tasks
    config = changed("languages", ["de"]) | {"systems": ["tlm", "weam"]}
    config["tasks"]["xcopa"] |= {"languages": [], "held_out": ["zh"]}
    with pytest.raises(UserError, match=r"'tasks.xcopa.held_out' has all languages .* add mbert or a joint system"):
        load(config, TABLE)


def test_a_code_with_a_script_is_a_language() -> None:
    config = changed("languages", ["zh-Hant"])
    config["data"]["parallel"]["zh-Hant"] = ["own"]
    config["sources"] = {"own": SOURCE | {"format": "moses", "languages": ["en", "zh-Hant"]}}
    config["tasks"] = {}
    assert load(config, TABLE).languages == ["zh-Hant"]


def test_sizes_of_a_real_backbone_are_not_checked() -> None:
    config = changed("backbone.name_or_path", "some/model")
    config["backbone"]["heads"] = 5
    config["shards"]["max_length"] = 600
    load(config, TABLE)


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
    folded = False  # inside of a text of several lines
    for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
        folded = folded and line.startswith("  ")
        assert folded or not line.strip() or "#" in line, f"{name}, line {number}"
        folded = folded or ": >- " in line


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


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "merge.yaml"
    path.write_text(
        "base: &base {epochs: 1, warmup: 0.1}\ntlm: &tlm\n  <<: *base\n  epochs: 2\nweam: {<<: *tlm, epochs: 3}\n"
    )
    assert read_yaml(path) == {
        "base": {"epochs": 1, "warmup": 0.1},
        "tlm": {"epochs": 2, "warmup": 0.1},
        "weam": {"epochs": 3, "warmup": 0.1},
    }


def test_a_key_twice_beside_a_merge_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "merge.yaml"
    path.write_text("base: &base {epochs: 1}\ntlm:\n  <<: *base\n  epochs: 2\n  epochs: 3\n")
    with pytest.raises(UserError, match=r"line 5: key 'epochs' stands on line 4 already"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["a: 1\n? [b, c]\n: 2\n", "a: 1\n{b: c}: 2\n"])
def test_a_key_that_is_no_word_is_an_error_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"list.yaml, line 2: a key is a list or a mapping; keys are plain words"):
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
