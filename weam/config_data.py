"""Blocks of the configuration on data: sources, the mini world, text, alignment, shards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from weam.config_base import Model, Name

Aligner = Literal["fast_align", "eflomal"]
Heuristic = Literal["intersect", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and"]


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
    test_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the passages of the training files that is never trained on and can be scored as "
        "split held-out, chosen by checksum (format tydiqa); null: none",
    )
    examples: int | dict[str, int] | None = Field(
        None,
        exclude=True,  # what a file holds by estimate is no reason to make anything again
        description="pairs, questions or sentences, about; for training where the files have such, of each language or "
        "by language; for estimates only",
    )
    licence: str = Field(description="licence as stated by the source")
    citation: str = Field(description="what to cite")

    @field_validator("files")
    @classmethod
    def _below(cls, files: dict[str, SourceFile]) -> dict[str, SourceFile]:
        for name in files:
            if {"", ".", ".."} & set(name.split("/")) or "\0" in name:
                raise ValueError(f"{name!r} would leave its folder or is no file; name files relative to url")
            if name in ("manifest.json", ".lock"):
                raise ValueError(f"{name!r} is the name of a file that the download makes itself; rename the file")
        return files

    @model_validator(mode="after")
    def _shared(self) -> Source:
        if self.test_share is not None and self.format != "tydiqa":
            raise ValueError(
                f"test_share {self.test_share} is for sources of format tydiqa, this one is {self.format}; take it out"
            )
        return self


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
    choices: int = Field(1000, ge=2, description="training examples of choosing between two alternatives")
    test_choices: int = Field(200, ge=2, description="test examples of it per language; dev has a quarter")
    sentences: int = Field(1500, ge=1, description="training sentences with parts of speech, or with names")
    test_sentences: int = Field(
        200, ge=1, description="test sentences of both, and sentences to find translations of, per language"
    )
    test_mentions: int = Field(100, ge=1, description="mentions of persons to find descriptions of, per language")
    gold_pairs: int = Field(200, ge=5, description="sentence pairs with gold word alignments per target language")
    scarce: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=dict, description="language to the share of these pairs and passages that it has; none: all"
    )


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
