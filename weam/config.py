"""The configuration: typed models that are the one truth for the command line, the Snakefile, the schema and the docs.

Layers, later ones win: the defaults below, ``config.yaml``, ``--configfile`` overlays, ``--config key=value``.
Unknown keys are errors with a suggestion. The configuration holds science; threads, memory and site paths belong in
Snakemake profiles.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
import yaml
from pydantic import Field, model_validator

from weam.errors import UserError

Aligner = Literal["fast_align", "eflomal"]
Heuristic = Literal["intersect", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and"]
Setting = Literal["zero-shot", "translate-train"]
Objective = Literal["tlm", "word_align", "weam"]
Family = Literal["qa", "nli"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
"""Part of a path: not only dots."""
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]
Seed = Annotated[int, Field(ge=0)]


class Model(pydantic.BaseModel):
    """Closed and immutable: an unknown key is an error."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SourceFile(Model):
    """One file of a source."""

    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="expected checksum; null: recorded at first download"
    )
    bytes: int | None = Field(None, ge=0, description="expected size")


class Source(Model):
    """Where one release of one dataset comes from."""

    version: Name = Field(description="release; part of the path under data/raw")
    format: str = Field(description="name of the reader that understands the files")
    languages: list[str] = Field(description="language codes in the files")
    url: str = Field(description="folder of the files: http(s)://, file://, a path, or mini: for the mini world")
    mirrors: list[str] = Field(default_factory=list, description="other folders with the same files, tried in order")
    files: dict[str, SourceFile] = Field(description="file name, relative to the url, to its checksum and size")
    licence: str = Field(description="licence as stated by the source")
    citation: str = Field(description="what to cite")


class Data(Model):
    """Which sources feed which stage."""

    parallel: dict[str, list[str]] = Field(
        default_factory=dict, description="target language to sources of English-target pairs"
    )
    monolingual: list[str] = Field(
        default_factory=list, description="sources of running text, for a backbone made from scratch"
    )
    gold: dict[str, str | None] = Field(
        default_factory=dict, description="target language to a source of gold word alignments, or null"
    )


class Mini(Model):
    """Sizes of the generated mini world."""

    seed: int = Field(1, ge=0, description="seed of the generator")
    pairs: int = Field(3000, ge=10, description="sentence pairs per target language")
    documents: int = Field(8000, ge=10, description="monolingual passages per language")
    questions: int = Field(3000, ge=10, description="training questions (English and each translation)")
    test_questions: int = Field(
        200, ge=5, description="test questions per context-question language pair; dev has a quarter"
    )
    inferences: int = Field(3000, ge=9, description="training sentence pairs of the inference task")
    test_inferences: int = Field(450, ge=9, description="test sentence pairs per language; dev has a third")
    gold_pairs: int = Field(200, ge=5, description="sentence pairs with gold word alignments per target language")


class Text(Model):
    """Cleaning and filtering of parallel and running text."""

    min_words: int = Field(1, ge=1, description="fewest words on a side")
    max_words: int = Field(100, ge=1, description="most words on a side")
    max_ratio: float = Field(
        4.0, ge=1, description="largest ratio of the two sides' lengths, as (longer + 3) / (shorter + 3) words"
    )
    deduplicate: bool = Field(True, description="keep the first of identical pairs (or passages)")
    segmenter: dict[str, Literal["word", "char", "space"]] = Field(
        default={"zh": "word"},
        description="how words are found: word (by dictionary in zh, else Unicode words and signs), char, space",
    )
    max_pairs: dict[str, int] = Field(
        default_factory=dict, description="language to the number of pairs kept; none: all"
    )


class Align(Model):
    """Word alignment and symmetrisation."""

    method: Aligner = Field(
        "fast_align",
        description="fast_align (Dyer et al. 2013), or eflomal (Östling and Tiedemann 2016; a package of its own)",
    )
    train_pairs: int | None = Field(
        None,
        ge=1,
        description="train fast_align on so many evenly spread pairs and apply the model to all; null: train on all",
    )
    parts: int = Field(1, ge=1, description="with train_pairs: jobs that share the pairs between them")
    compare: list[Aligner] = Field(
        [], description="other methods that alignment.csv shows too; no later stage uses them"
    )
    source: str | None = Field(
        None, description="another FastAlign source tree or archive (CMake), built by the same rule"
    )
    binary_dir: str | None = Field(None, description="folder with ready fast_align and atools; nothing is built")
    iterations: int = Field(5, ge=1, description="EM iterations; the last one only aligns")
    favor_diagonal: bool = Field(True, description="diagonal prior")
    optimize_tension: bool = Field(True, description="fit the strength of the diagonal prior")
    variational_bayes: bool = Field(True, description="sparse Dirichlet prior on translation probabilities")
    null_probability: float = Field(0.08, gt=0, lt=1, description="p0, the prior of aligning to nothing")
    lowercase: bool = Field(True, description="align lower-cased words")
    heuristic: Heuristic = Field("grow-diag-final-and", description="symmetrisation")


class Shards(Model):
    """Parquet shards of sub-words and links."""

    max_length: int = Field(
        128, ge=8, description="most sub-words of a pair, special tokens included; the longer side is cut"
    )
    rows_per_shard: int = Field(100_000, ge=1, description="rows per Parquet part")


class Optimisation(Model):
    """One training run."""

    epochs: int = Field(1, ge=1, description="passes over the data")
    max_steps: int | None = Field(None, ge=1, description="stop after this many steps; null: after the epochs")
    batch_size: int = Field(32, ge=1, description="examples per step")
    learning_rate: float = Field(5e-5, gt=0, description="peak learning rate of AdamW")
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps with a rising learning rate")
    schedule: Literal["linear", "constant"] = Field("linear", description="after the warm-up")
    betas: tuple[float, float] = Field((0.9, 0.999), description="of AdamW")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW, not on biases and layer norms")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are scaled down to this norm")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: autocast, fp32 master weights")
    checkpoint_steps: int = Field(500, ge=1, description="steps between checkpoints for resuming")


class Masking(Optimisation):
    """Masked prediction."""

    mask_probability: float = Field(0.3, gt=0, lt=1, description="share of sub-words that are predicted")
    mask_token_share: float = Field(0.8, ge=0, le=1, description="of these, the share replaced by the mask token")
    random_token_share: float = Field(
        0.1, ge=0, le=1, description="of these, the share replaced by a random token; the rest stay"
    )


class Tlm(Masking):
    """Translation language modelling (Conneau and Lample 2019; no language embeddings, positions not reset)."""

    epochs: int = Field(2, ge=1, description="passes over the data")


class Weam(Tlm):
    """Word-exchange aligning (Yang et al. 2021)."""

    cross_weight: float = Field(1.0, ge=0, description="lambda, weight of the cross-lingual prediction; 0 is TLM")
    exchange: Literal["mean", "first"] = Field(
        "mean", description="what an aligned sub-word receives from its partners"
    )


class WordAlign(Optimisation):
    """Pulling aligned word vectors together (Cao, Kitaev and Klein 2020)."""

    epochs: int = Field(1, ge=1, description="passes over the data")
    schedule: Literal["linear", "constant"] = Field("constant", description="after the warm-up")
    betas: tuple[float, float] = Field((0.9, 0.98), description="of AdamW")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW, not on biases and layer norms")
    regularisation: float = Field(1.0, ge=0, description="mu, weight of staying close to the initial English vectors")
    word_vector: Literal["last", "first", "mean"] = Field("last", description="which sub-word stands for a word")
    max_words: int = Field(64, ge=1, description="pairs with a longer side are left out, and counted")


class Backbone(Masking):
    """The unmodified multilingual model ("mbert"): a real one, or a small one trained from scratch."""

    name_or_path: str | None = Field(None, description="local folder or hub id; null: train from scratch as below")
    type: Literal["bert", "xlm-roberta"] = Field(
        "bert", description="architecture; also decides WordPiece or SentencePiece"
    )
    vocab_size: int = Field(6000, ge=100, description="sub-words to learn")
    layers: int = Field(3, ge=1, description="encoder layers")
    hidden_size: int = Field(128, ge=8, description="width")
    heads: int = Field(4, ge=1, description="attention heads")
    intermediate_size: int = Field(512, ge=8, description="width of the feed-forward layers")
    max_positions: int = Field(512, ge=16, description="longest sequence")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout everywhere")
    mask_probability: float = Field(0.15, gt=0, lt=1, description="share of sub-words that are predicted")


class Finetune(Optimisation):
    """Fine-tuning on one family of tasks."""

    train: list[str] = Field(default_factory=list, description="sources of English training data")
    translate_train: dict[str, list[str]] = Field(
        default_factory=dict, description="language to sources of training data translated into it"
    )
    settings: list[Setting] = Field(
        default=["zero-shot", "translate-train"], min_length=1, description="which settings are run"
    )
    max_examples: int | None = Field(None, ge=1, description="use only the first examples; null: all")
    learning_rate: float = Field(3e-5, gt=0, description="peak learning rate of AdamW")
    epochs: int = Field(3, ge=1, description="passes over the data")
    max_length: int = Field(128, ge=8, description="sub-words per sequence, special tokens included")


class Qa(Finetune):
    """Extractive question answering."""

    max_length: int = Field(384, ge=32, description="sub-words per window, special tokens included")
    window_step: int = Field(
        128,
        ge=1,
        description="sub-words from the start of one window to the start of the next (a step, not an overlap)",
    )
    max_question_length: int = Field(64, ge=4, description="sub-words of the question that are kept")
    max_answer_length: int = Field(30, ge=1, description="most sub-words of an answer")


class Nli(Finetune):
    """Natural language inference."""

    learning_rate: float = Field(2e-5, gt=0, description="peak learning rate of AdamW")
    epochs: int = Field(2, ge=1, description="passes over the data")


class FinetuneFamilies(Model):
    """Fine-tuning per family; all tasks of a family share the fine-tuned model."""

    qa: Qa = Field(default_factory=Qa, description="question answering (mlqa, xquad)")
    nli: Nli = Field(default_factory=Nli, description="inference (xnli)")


class Task(Model):
    """One table."""

    source: str = Field(description="source of the test files")
    split: Literal["test", "dev"] = Field("test", description="which part of the source is scored")


class Pretrain(Model):
    """Continued pre-training, one block per objective; those listed in systems are run."""

    tlm: Tlm = Field(default_factory=Tlm, description="mBERT+TLM")
    word_align: WordAlign = Field(default_factory=WordAlign, description="word-aligned mBERT")
    weam: Weam = Field(default_factory=Weam, description="mBERT+WEAM")


class Seeds(Model):
    """A table cell is the mean over all pairs of one seed from each list."""

    pretrain: list[Seed] = Field(
        default_factory=lambda: [1], min_length=1, description="seeds of continued pre-training"
    )
    finetune: list[Seed] = Field(default_factory=lambda: [1], min_length=1, description="seeds of fine-tuning")


class Config(Model):
    """Everything a user can set."""

    languages: list[Language] = Field(
        default_factory=lambda: ["de", "es", "zh"],
        min_length=1,
        description="target languages; English is always the source",
    )
    systems: list[Literal["mbert", "tlm", "word_align", "weam"]] = Field(
        default=["mbert", "tlm", "word_align", "weam"], min_length=1, description="rows of the tables"
    )
    seeds: Seeds = Field(default_factory=Seeds, description="random seeds")
    sample_dir: str | None = Field(
        None,
        description="folder that replaces {sample_dir} in source URLs; null: the environment variable WEAM_SHARED_DATA",
    )
    mirror: str | None = Field(
        None,
        description="folder or URL prefix tried before every source's own URL, as <mirror>/<source>/<version>/<file>",
    )
    sources: dict[Name, Source] = Field(
        default_factory=dict, description="sources of your own, added to workflow/sources.yaml"
    )
    data: Data = Field(default_factory=Data, description="which sources feed which stage")
    mini: Mini = Field(default_factory=Mini, description="sizes of the generated mini world")
    text: Text = Field(default_factory=Text, description="cleaning and filtering")
    align: Align = Field(default_factory=Align, description="word alignment")
    shards: Shards = Field(default_factory=Shards, description="Parquet shards")
    backbone: Backbone = Field(default_factory=Backbone, description="the unmodified multilingual model")
    pretrain: Pretrain = Field(default_factory=Pretrain, description="continued pre-training")
    finetune: FinetuneFamilies = Field(default_factory=FinetuneFamilies, description="fine-tuning")
    tasks: dict[Literal["mlqa", "xquad", "xnli"], Task] = Field(default_factory=dict, description="tables to make")

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        lists: dict[str, Sequence[Any]] = {
            "languages": self.languages,
            "systems": self.systems,
            "seeds.pretrain": self.seeds.pretrain,
            "seeds.finetune": self.seeds.finetune,
            "finetune.qa.settings": self.finetune.qa.settings,
            "finetune.nli.settings": self.finetune.nli.settings,
        }
        for key, values in lists.items():
            if len(set(values)) != len(values):
                raise ValueError(f"{key} {values} names one twice; name each once")
        if self.align.train_pairs is not None and self.align.method != "fast_align":
            raise ValueError("align.train_pairs works with align.method fast_align only; set it to null")
        if "en" in self.languages:
            raise ValueError("languages must not name en: English is always the source side")
        for language in self.languages:
            if not self.data.parallel.get(language):
                raise ValueError(
                    f"data.parallel has no source for language {language!r}; "
                    f"add one or take {language!r} out of languages"
                )
        self._check_language_keys()
        self._check_masking()
        self._check_sizes()
        return self

    def _check_language_keys(self) -> None:
        known = list(dict.fromkeys([*self.languages, *self.data.parallel, "en"]))
        tables: dict[str, Mapping[str, Any]] = {
            "text.segmenter": self.text.segmenter,
            "text.max_pairs": self.text.max_pairs,
            "data.gold": self.data.gold,
        }
        defaults = Text().segmenter
        for key, table in tables.items():
            for language in table:
                if language in known or (key == "text.segmenter" and language in defaults):
                    continue
                raise ValueError(
                    f"{key} names the unknown language {language!r}; {_hint(language, known, 'languages')}"
                )

    def _check_masking(self) -> None:
        blocks: dict[str, Masking] = {
            "backbone": self.backbone,
            "pretrain.tlm": self.pretrain.tlm,
            "pretrain.weam": self.pretrain.weam,
        }
        for key, block in blocks.items():
            total = block.mask_token_share + block.random_token_share
            if total > 1 + 1e-9:
                raise ValueError(
                    f"{key}.mask_token_share {block.mask_token_share} and {key}.random_token_share "
                    f"{block.random_token_share} are more than 1 together; lower one"
                )

    def _check_sizes(self) -> None:
        """Of a backbone made from scratch; a real one is known only once it is loaded."""
        if self.backbone.name_or_path is not None:
            return
        width, heads, positions = self.backbone.hidden_size, self.backbone.heads, self.backbone.max_positions
        if width % heads:
            raise ValueError(f"backbone.hidden_size {width} is no multiple of backbone.heads {heads}; change one")
        lengths = {
            "shards.max_length": self.shards.max_length,
            "finetune.qa.max_length": self.finetune.qa.max_length,
            "finetune.nli.max_length": self.finetune.nli.max_length,
        }
        for key, length in lengths.items():
            if length > positions:
                raise ValueError(f"{key} {length} is more than backbone.max_positions {positions}; change one")


FAMILY: dict[str, Family] = {"mlqa": "qa", "xquad": "qa", "xnli": "nli"}
"""Task to the family whose fine-tuned models it is scored with."""

M = TypeVar("M", bound=pydantic.BaseModel)


def validate(model: type[M], data: Mapping[str, Any], where: str) -> M:
    """Build ``model`` from ``data``; a fault becomes a :class:`UserError` with key, value and what is allowed."""
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise UserError(f"{where}: {_sentence(model, error)}") from None


def _sentence(model: type[pydantic.BaseModel], error: pydantic.ValidationError) -> str:
    faults = error.errors()
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    key = ".".join(str(part) for part in fault["loc"])
    more = f" ({len(faults) - 1} more after this)" if len(faults) > 1 else ""
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, fault["loc"][:-1])
        return f"unknown key {key!r}; {_hint(str(fault['loc'][-1]), known, 'keys')}{more}"
    message = fault["msg"].removeprefix("Value error, ")
    if not key:
        return f"{message}{more}"
    if key.endswith("[key]"):
        key = key.removesuffix(".[key]")
    return f"key {key!r} is {fault['input']!r}; {message[0].lower()}{message[1:]}{more}"


def _hint(name: str, known: Iterable[str], what: str) -> str:
    """What may have been meant, else all that is known."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known {what}: {', '.join(known)}"


def _keys_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """Names allowed at ``location`` inside ``model``; dictionary keys and list positions are stepped over."""
    for part in location:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = fields[str(part)].annotation
        while not hasattr(model, "model_fields") and getattr(model, "__args__", None):
            model = next((a for a in reversed(model.__args__) if hasattr(a, "model_fields")), model.__args__[-1])
    return list(getattr(model, "model_fields", {}))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML where a key given twice in one mapping is an error; a key that overrides a merged one (``<<``) is none."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        assert isinstance(node, yaml.MappingNode)
        name = node.start_mark.name
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise UserError(f"{name}, line {line}: a key is a list or a mapping; keys are plain words")
            if key_node.tag in ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"):
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise UserError(f"{name}, line {line}: key {key!r} stands on line {seen[key]} already; keep one")
            seen[key] = line
        return node


def read_yaml(path: str | Path) -> Any:
    """Read YAML; malformed text and duplicate keys are a :class:`UserError` with file and line."""
    try:
        with open(path, encoding="utf-8") as stream:
            return yaml.load(stream, _UniqueKeyLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not valid UTF-8; save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML ({getattr(error, 'problem', error)})") from None


def read_sources(path: str | Path) -> dict[str, Source]:
    """Read the table of sources (workflow/sources.yaml)."""
    return {name: validate(Source, entry, f"{path}: source {name!r}") for name, entry in read_yaml(path).items()}


FORMATS: dict[str, tuple[str, ...]] = {
    "data.parallel": ("moses", "jsonl-zip", "tsv-zip"),
    "data.gold": ("xlwa", "bicici"),
    "finetune.qa": ("squad", "tydiqa", "mlqa-translate-train"),
    "finetune.nli": ("xnli-mt",),
    "tasks.mlqa": ("mlqa",),
    "tasks.xquad": ("xquad",),
    "tasks.xnli": ("xnli",),
}
"""Beginning of a key to the formats of the sources that it may name."""


def _check_format(key: str, name: str, source: Source) -> None:
    for block, formats in FORMATS.items():
        if key.startswith(f"{block}.") and source.format not in formats:
            raise UserError(
                f"config: key {key!r} names source {name!r} of format {source.format!r}; "
                f"it takes {' or '.join(formats)}"
            )


def load(config: Mapping[str, Any], table: str | Path) -> Config:
    """Validate a merged configuration and resolve the names of its sources against the table.

    Returns the configuration with ``sources`` holding every source that it uses, and nothing else.
    """
    cfg = validate(Config, config, "config")
    known = read_sources(table) | cfg.sources
    used: dict[str, Source] = {}
    for key, names in _source_names(cfg):
        for name in names:
            if name not in known:
                raise UserError(
                    f"config: key {key!r} names the unknown source {name!r}; {_hint(name, known, 'sources')}"
                )
            used[name] = known[name]
            _check_format(key, name, known[name])
    for language in cfg.languages:
        for name in cfg.data.parallel[language]:
            if not {"en", language} <= set(used[name].languages):
                raise UserError(
                    f"config: source {name!r} in data.parallel.{language} has languages {used[name].languages}; "
                    f"it needs en and {language}"
                )
    if cfg.backbone.name_or_path is None and not cfg.data.monolingual:
        raise UserError(
            "config: key 'data.monolingual' is empty; name sources of running text to train the backbone on, "
            "or set backbone.name_or_path to a ready model"
        )
    for family, settings in (("qa", cfg.finetune.qa), ("nli", cfg.finetune.nli)):
        if not any(FAMILY[task] == family for task in cfg.tasks):
            continue
        if not settings.train and "zero-shot" in settings.settings:
            raise UserError(f"config: key 'finetune.{family}.train' is empty; name a source of English training data")
        if "translate-train" in settings.settings:
            for language in cfg.languages:
                if not settings.translate_train.get(language):
                    raise UserError(
                        f"config: finetune.{family}.translate_train has no source for language {language!r}; "
                        f"add one or take translate-train out of finetune.{family}.settings"
                    )
    return cfg.model_copy(update={"sources": dict(sorted(used.items()))})


def _source_names(cfg: Config) -> list[tuple[str, list[str]]]:
    names: list[tuple[str, list[str]]] = [("data.monolingual", cfg.data.monolingual)]
    for language in cfg.languages:
        names.append((f"data.parallel.{language}", cfg.data.parallel[language]))
        if gold := cfg.data.gold.get(language):
            names.append((f"data.gold.{language}", [gold]))
    for family, settings in (("qa", cfg.finetune.qa), ("nli", cfg.finetune.nli)):
        if any(FAMILY[task] == family for task in cfg.tasks):
            names.append((f"finetune.{family}.train", settings.train))
            if "translate-train" in settings.settings:
                for language in cfg.languages:
                    names.append(
                        (f"finetune.{family}.translate_train.{language}", settings.translate_train.get(language, []))
                    )
    names.extend((f"tasks.{task}.source", [entry.source]) for task, entry in cfg.tasks.items())
    return names
