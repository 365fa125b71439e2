"""What a configuration costs is estimated from where its data are noted; tests/test_runs.py compares it with a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pipeline import ROOT, copy_tree, overlay
from transformers import BertConfig, BertForMaskedLM

from weam import amounts, configfile, cost
from weam.cli import main
from weam.config import Config
from weam.config_data import SourceFile
from weam.errors import UserError
from weam.flops import parameters
from weam.validation import read_yaml

TABLE = ROOT / "workflow" / "sources"
MBERT = 177_974_523
"""Parameters of bert-base-multilingual-cased with its prediction head, without the pooler."""


def configured(*overlays: str) -> Config:
    layer: dict[str, object] = {}
    for name in ("config.yaml", *overlays):
        layer = configfile.overlaid(layer, read_yaml(ROOT / name))
    return configfile.load(layer, TABLE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_parameters_are_those_of_transformers() -> None:
    sizes = {"num_hidden_layers": 2, "hidden_size": 24, "intermediate_size": 40, "vocab_size": 300}
    config = BertConfig(**sizes, num_attention_heads=4, max_position_embeddings=70)
    assert parameters(config) == BertForMaskedLM(config).num_parameters()
    assert parameters(BertConfig(**cost.KNOWN["google-bert/bert-base-multilingual-cased"])) == MBERT


def test_the_size_of_the_backbone(here: Path) -> None:
    paper = configured("configs/paper.yaml")
    assert cost.architecture(paper)["vocab_size"] == 119547  # known without the net
    own = dict.fromkeys(cost.KNOWN["google-bert/bert-base-multilingual-cased"], 8)
    folder = here / "data/hub/google-bert--bert-base-multilingual-cased/3f076fdb1ab68d5b2880cb87a0886f315b8146f8"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(own))
    assert cost.architecture(paper) == own
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config.json: not the configuration of a BERT-like model"):
        cost.architecture(paper)
    other = paper.model_copy(update={"backbone": paper.backbone.model_copy(update={"name_or_path": "some/model"})})
    with pytest.raises(UserError, match=r"backbone.name_or_path some/model: .*; fetch it first \(snakemake data\)"):
        cost.architecture(other)


def test_pairs_are_counted_where_shards_are(here: Path) -> None:
    manifest = here / "results/shards/en-de/manifest.json"
    mini = configured()
    pairs = mini.mini.pairs
    assert amounts.shards(mini, manifest) == amounts.Amount(pairs, amounts.MINI["pairs"])
    subset = manifest.parent / "subset-70" / "manifest.json"
    assert amounts.shards(mini, subset).examples == 70
    scarce = amounts.shards(mini, here / "results/shards/en-sw/manifest.json").examples
    assert scarce == round(pairs * mini.mini.scarce["sw"])
    manifest.parent.mkdir(parents=True)
    counts = {"sub-words source": 600, "sub-words target": 400, "sub-word links": 9, "pairs truncated": 5}
    counts["sub-word links lost to truncation"] = 3
    found = {"rows": 100, "kind": "pairs", "template": {"prefix": [2], "middle": [3], "suffix": [3]}, "counts": counts}
    manifest.write_text(json.dumps(found))
    assert amounts.shards(mini, manifest) == amounts.Amount(100, 13, counted=True)
    assert amounts.shards(mini, subset) == amounts.Amount(70, 13, counted=True)
    manifest.write_text("{}")
    with pytest.raises(UserError, match=r"manifest\.json: not the manifest of shards"):
        amounts.shards(mini, manifest)
    with pytest.raises(UserError, match="not a name of shards"):
        amounts.shards(mini, here / "manifest.json")


def test_pairs_are_estimated_where_they_are_not(here: Path) -> None:
    paper = configured("configs/paper.yaml")
    examples = {
        lang: amounts.shards(paper, Path(f"results/shards/en-{lang}/manifest.json")).examples for lang in ["zh", "de"]
    }
    assert examples == {"zh": 2_000_000, "de": 2_000_000}  # the first is cut by text.max_pairs
    entry = paper.sources["europarl-de"].model_copy(update={"examples": None})
    bare = paper.model_copy(update={"sources": {**paper.sources, "europarl-de": entry}})
    assert (amounts.unknown(paper), amounts.unknown(bare)) == ([], [])  # of pairs, the size of the files will do
    entries = {name: bare.sources[name].model_copy(update={"examples": None}) for name in ("squad", "europarl-de")}
    nothing = {
        "europarl-es": bare.sources["europarl-es"].model_copy(update={"examples": None, "files": {"x": SourceFile()}})
    }
    none = bare.model_copy(update={"sources": {**bare.sources, **entries, **nothing}})
    assert amounts.unknown(none) == ["europarl-es", "squad"]
    by_bytes = amounts.shards(bare, Path("results/shards/en-de/manifest.json")).examples
    assert by_bytes == pytest.approx(2_000_000, rel=0.05)
    assert amounts.test(paper, "mlqa", "qa", ["en", "de"], 2).examples == 2 * (11590 + 4517)


def test_an_estimate_is_no_setting_of_a_stage() -> None:
    """Else a better number would make the download again, and all that follows."""
    for name, entry in configured("configs/paper.yaml").sources.items():
        assert "examples" not in entry.model_dump(), name


def test_the_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Operations of a pre-training by hand: 2 epochs of 2,000,000 pairs of 80 sub-words, 30 % of them masked."""
    monkeypatch.chdir(copy_tree(tmp_path))
    assert main(["cost", "--json", "--configfile", "configs/paper.yaml"]) == 0
    found = json.loads(capsys.readouterr().out)
    per_pair = 80 * 12 * 2 * (4 * 768**2 + 2 * 768 * 3072) + 12 * 4 * 768 * 80**2 + 24 * 2 * 768 * (768 + 119547)
    tlm = found["stages"]["tlm"]
    assert tlm["jobs"] == 3
    assert tlm["operations"] == pytest.approx(3 * 3 * 2 * 2e6 * per_pair)
    assert found["gpu_hours"] == pytest.approx(found["operations"] / 125e12 / 3600)
    assert found["stages"]["fine-tuning, qa"]["jobs"] == 110
    assert 1.5e11 < found["bytes"] < 2e11
    assert main(["cost", "--tflops", "250", "--configfile", "configs/paper.yaml"]) == 0
    text = capsys.readouterr().out
    assert "| fine-tuning, qa | 110 |" in text
    assert "Hours of one GPU at 250 TFLOP/s" in text
    assert "Estimated from mean lengths, not counted: pairs and passages, test data, training data of tasks." in text


def test_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    where = copy_tree(tmp_path)
    monkeypatch.chdir(where)
    assert main(["cost", "--tflops", "0"]) == 1
    assert "--tflops 0.0: must be positive" in capsys.readouterr().err
    assert main(["cost", "results/tables/mlqb.csv"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("weam cost: error: snakemake --dry-run ended with status 1: ")
    assert "mlqb" in error
    overlay(where, "align: {iterations: 0}")
    assert main(["cost", "--configfile", "overlay.yaml"]) == 1
    assert "align.iterations" in capsys.readouterr().err
