"""The configuration: typed models that are the one truth for the command line, the Snakefile, the schema and the docs.

Layers, later ones win: the defaults below, ``config.yaml``, ``--configfile`` overlays, ``--config key=value``.
Unknown keys are errors with a suggestion. The configuration holds science; threads, memory and site paths belong in
Snakemake profiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from weam.config_base import Language, Model, Name, Seed, Seeds
from weam.config_data import Align, Data, Mini, Shards, Source, Text
from weam.config_studies import Studies
from weam.validation import hint

Setting = Literal["zero-shot", "translate-train"]
System = Literal[
    "mbert", "mlm", "tlm", "word_align", "weam", "mlm-joint", "tlm-joint", "word_align-joint", "weam-joint"
]
"""An objective alone: one model per language. With ``-joint``: one model of all languages."""
Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimisation(Model):
    """One training run."""

    epochs: int = Field(1, ge=1, description="passes over the data")
    max_steps: int | None = Field(None, ge=1, description="stop after this many steps; null: after the epochs")
    batch_size: int = Field(32, ge=1, description="examples per step, of all processes together")
    micro_batch: int | None = Field(
        None, ge=1, description="examples per pass through the model (gradients add up); null: all of a step's"
    )
    learning_rate: float = Field(5e-5, gt=0, description="peak learning rate of AdamW")
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps with a rising learning rate")
    schedule: Literal["linear", "constant"] = Field("linear", description="after the warm-up")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="of AdamW")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW, not on biases and layer norms")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are scaled down to this norm")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: autocast, fp32 master weights")
    compile: bool = Field(False, description="torch.compile the encoder (a minute at the start)")
    checkpoint_steps: int = Field(500, ge=1, description="steps between checkpoints for resuming")


class Masking(Optimisation):
    """Masked prediction."""

    mask_probability: float = Field(0.3, gt=0, lt=1, description="share of sub-words that are predicted")
    mask_token_share: float = Field(0.8, ge=0, le=1, description="of these, the share replaced by the mask token")
    random_token_share: float = Field(
        0.1, ge=0, le=1, description="of these, the share replaced by a random token; the rest stay"
    )

    @model_validator(mode="after")
    def _shares(self) -> Masking:
        if self.mask_token_share + self.random_token_share > 1 + 1e-9:
            raise ValueError(
                f"mask_token_share {self.mask_token_share} and random_token_share {self.random_token_share} are more "
                "than 1 together; lower one"
            )
        return self


class Mlm(Masking):
    """Masked language modelling on the two sides of pairs as sequences of their own: a control without translations."""

    epochs: int = Field(2, ge=1, description="passes over the data")
    mask_unit: Literal["subword", "word"] = Field("subword", description="what is masked as a whole")


class Tlm(Mlm):
    """Translation language modelling (Conneau and Lample 2019; no language embeddings, positions not reset)."""


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
    betas: tuple[Beta, Beta] = Field((0.9, 0.98), description="of AdamW")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW, not on biases and layer norms")
    regularisation: float = Field(1.0, ge=0, description="mu, weight of staying close to the initial English vectors")
    word_vector: Literal["last", "first", "mean"] = Field("last", description="which sub-word stands for a word")
    max_words: int = Field(64, ge=1, description="pairs with a longer side are left out, and counted")


class Backbone(Masking):
    """The unmodified multilingual model ("mbert"): a real one, or a small one trained from scratch."""

    name_or_path: str | None = Field(None, description="local folder or hub id; null: train from scratch as below")
    revision: str | None = Field(None, description="commit, tag or branch of a hub id; null: main")
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


class Copa(Finetune):
    """Choosing the more plausible of some alternatives."""

    learning_rate: float = Field(2e-5, gt=0, description="peak learning rate of AdamW")
    epochs: int = Field(5, ge=1, description="passes over the data")


class Tagging(Finetune):
    """A tag for every word."""

    learning_rate: float = Field(2e-5, gt=0, description="peak learning rate of AdamW")
    epochs: int = Field(10, ge=1, description="passes over the data")


class FinetuneFamilies(Model):
    """Fine-tuning per family; all tasks of a family share the fine-tuned model."""

    qa: Qa = Field(default_factory=Qa, description="question answering (mlqa, xquad, tydiqa)")
    nli: Nli = Field(default_factory=Nli, description="inference (xnli)")
    copa: Copa = Field(default_factory=Copa, description="choice of a cause or result (xcopa)")
    pos: Tagging = Field(default_factory=Tagging, description="parts of speech (udpos)")
    ner: Tagging = Field(default_factory=Tagging, description="names (wikiann)")


class Retrieval(Model):
    """Retrieval by the vectors of the encoder as it is (tatoeba, lareqa, mewslix)."""

    layer: int | None = Field(
        None, ge=0, description="layer whose vectors are averaged (0: embeddings); null: two thirds of the layers"
    )
    max_length: int = Field(128, ge=8, description="sub-words of a text, special tokens included; longer ones are cut")


class Statistics(Model):
    """Intervals and tests of the tables."""

    resamples: int = Field(10_000, ge=100, description="bootstrap resamples")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")
    baselines: list[System] = Field(
        default=["mbert", "tlm"], description="systems that every other one is compared with, where they are run"
    )
    seed: Seed = Field(1, description="seed of the resamples")


class Task(Model):
    """One table."""

    source: str = Field(description="source of the test files")
    split: Literal["test", "dev", "held-out"] = Field(
        "test", description="which part of the source is scored; held-out: what its test_share keeps from training"
    )
    languages: list[Language] | None = Field(
        None, description="which of the target languages are scored, beside English; null: those that the source has"
    )
    held_out: list[Language] = Field(
        default_factory=list,
        description="other languages to score, zero-shot, not seen in continued pre-training (mbert, joint systems)",
    )


class Pretrain(Model):
    """Continued pre-training, one block per objective; those listed in systems are run."""

    temperature: float = Field(
        1.0,
        ge=1,
        description="joint training: a language with n pairs is sampled in proportion to n ** (1 / temperature)",
    )
    mlm: Mlm = Field(default_factory=Mlm, description="mBERT+MLM on the sides of the pairs, a control")
    tlm: Tlm = Field(default_factory=Tlm, description="mBERT+TLM")
    word_align: WordAlign = Field(default_factory=WordAlign, description="word-aligned mBERT")
    weam: Weam = Field(default_factory=Weam, description="mBERT+WEAM")


class Config(Model):
    """Everything a user can set."""

    languages: list[Language] = Field(
        default_factory=lambda: ["de", "es", "zh"],
        min_length=1,
        description="target languages; English is always the source",
    )
    systems: list[System] = Field(
        default=["mbert", "tlm", "word_align", "weam"],
        min_length=1,
        description="rows of the tables: mbert, an objective (a model per language), or <objective>-joint (one model)",
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
        default_factory=dict, description="sources of your own, added to workflow/sources"
    )
    data: Data = Field(default_factory=Data, description="which sources feed which stage")
    mini: Mini = Field(default_factory=Mini, description="sizes of the generated mini world")
    text: Text = Field(default_factory=Text, description="cleaning and filtering")
    align: Align = Field(default_factory=Align, description="word alignment")
    shards: Shards = Field(default_factory=Shards, description="Parquet shards")
    backbone: Backbone = Field(default_factory=Backbone, description="the unmodified multilingual model")
    pretrain: Pretrain = Field(default_factory=Pretrain, description="continued pre-training")
    finetune: FinetuneFamilies = Field(default_factory=FinetuneFamilies, description="fine-tuning")
    retrieval: Retrieval = Field(default_factory=Retrieval, description="retrieval without fine-tuning")
    tasks: dict[Name, Task] = Field(default_factory=dict, description="tables to make (docs/evaluation.md lists all)")
    statistics: Statistics = Field(default_factory=Statistics, description="intervals and tests of the tables")
    studies: Studies = Field(default_factory=Studies, description="experiments of many runs (docs/studies.md)")

    @field_validator("tasks", mode="before")
    @classmethod
    def _without_null(cls, tasks: Any) -> Any:
        """A task that an overlay sets to null is not there."""
        if not isinstance(tasks, Mapping):
            return tasks
        return {name: task for name, task in tasks.items() if task is not None}

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        lists: dict[str, Sequence[Any]] = {
            "languages": self.languages,
            "systems": self.systems,
            "seeds.pretrain": self.seeds.pretrain,
            "seeds.finetune": self.seeds.finetune,
            "statistics.baselines": self.statistics.baselines,
        }
        lists |= {f"finetune.{name}.settings": block.settings for name, block in self.finetune}
        for name, task in self.tasks.items():
            lists[f"tasks.{name}.languages and held_out"] = [*(task.languages or []), *task.held_out]
        for key, values in lists.items():
            if len(set(values)) != len(values):
                raise ValueError(f"{key} {values} names one twice; name each once")
        if self.align.train_pairs is not None and self.align.method != "fast_align":
            raise ValueError("align.train_pairs works with align.method fast_align only; set it to null")
        if self.align.parts > 1 and self.align.train_pairs is None:
            raise ValueError("align.parts shares pairs out only with align.train_pairs; set that, or parts to 1")
        if "en" in self.languages:
            raise ValueError("languages must not name en: English is always the source side")
        for language in self.languages:
            if not self.data.parallel.get(language):
                raise ValueError(
                    f"data.parallel has no source for language {language!r}; "
                    f"add one or take {language!r} out of languages"
                )
        self._check_language_keys()
        self._check_sizes()
        return self

    def _check_language_keys(self) -> None:
        known = list(dict.fromkeys([*self.languages, *self.data.parallel, "en"]))
        tables: dict[str, Mapping[str, Any]] = {
            "text.segmenter": self.text.segmenter,
            "text.max_pairs": self.text.max_pairs,
            "data.gold": self.data.gold,
        }
        tables |= {f"finetune.{name}.translate_train": block.translate_train for name, block in self.finetune}
        defaults = Text().segmenter
        for key, table in tables.items():
            for language in table:
                if language in known or (key == "text.segmenter" and language in defaults):
                    continue
                raise ValueError(f"{key} names the unknown language {language!r}; {hint(language, known, 'languages')}")

    def _check_sizes(self) -> None:
        """Of a backbone made from scratch; a real one is known only once it is loaded."""
        if self.backbone.name_or_path is not None:
            return
        width, heads, positions = self.backbone.hidden_size, self.backbone.heads, self.backbone.max_positions
        if width % heads:
            raise ValueError(f"backbone.hidden_size {width} is no multiple of backbone.heads {heads}; change one")
        lengths = {
            "shards.max_length": self.shards.max_length,
            "retrieval.max_length": self.retrieval.max_length,
        }
        lengths |= {f"finetune.{name}.max_length": block.max_length for name, block in self.finetune}
        layer, layers = self.retrieval.layer, self.backbone.layers
        if layer is not None and layer > layers:
            raise ValueError(f"retrieval.layer {layer} is more than backbone.layers {layers}; change one")
        for key, length in lengths.items():
            if length > positions:
                raise ValueError(f"{key} {length} is more than backbone.max_positions {positions}; change one")
