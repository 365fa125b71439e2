"""Loading, making and saving Hugging Face models, with one clear sentence when a folder is wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Literal

from weam.config import Backbone
from weam.errors import UserError
from weam.io import atomic_path, read_json, write_json, write_text
from weam.subwords import Subwords

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

Head = Literal["masked_lm", "qa", "nli"]
NLI_LABELS = ["entailment", "neutral", "contradiction"]
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def _classes(kind: str) -> dict[Head, Any]:
    if kind == "bert":
        from transformers.models.bert import modeling_bert as bert

        return {
            "masked_lm": bert.BertForMaskedLM,
            "qa": bert.BertForQuestionAnswering,
            "nli": bert.BertForSequenceClassification,
        }
    from transformers.models.xlm_roberta import modeling_xlm_roberta as xlmr

    return {
        "masked_lm": xlmr.XLMRobertaForMaskedLM,
        "qa": xlmr.XLMRobertaForQuestionAnswering,
        "nli": xlmr.XLMRobertaForSequenceClassification,
    }


def _quiet() -> None:
    """Without the library's notices on new heads and its bars for single files."""
    from transformers.utils import logging

    silence: Any = logging
    silence.set_verbosity_error()
    silence.disable_progress_bar()


def load(folder: str | Path, head: Head) -> Any:
    """Load a model with the given head; a head that the folder does not hold is initialised (seed before calling).

    Only safetensors are read: nothing is unpickled.

    Raises:
        UserError: not a model folder, weights missing or broken, or neither a bert nor an xlm-roberta model.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: not a model folder (no config.json); give a folder made by backbone or pretrain")
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in ("bert", "xlm-roberta"):
        raise UserError(f"{folder}: model type {kind!r} is not supported; use a bert or xlm-roberta model")
    if not (folder / "model.safetensors").is_file():
        raise UserError(f"{folder}: no model.safetensors; convert the weights to safetensors or fetch them again")
    _quiet()
    extra = {"id2label": dict(enumerate(NLI_LABELS)), "label2id": {n: i for i, n in enumerate(NLI_LABELS)}}
    try:
        return _classes(kind)[head].from_pretrained(folder, use_safetensors=True, **(extra if head == "nli" else {}))
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(
            f"{folder}: the weights cannot be loaded ({first}); delete the folder and make it again"
        ) from None
    except Exception as error:
        if type(error).__module__.startswith("safetensors"):
            raise UserError(
                f"{folder}/model.safetensors: broken ({error}); delete the folder and make it again"
            ) from None
        raise


def from_scratch(settings: Backbone, subwords: Subwords) -> Any:
    """A randomly initialised masked language model as the settings say (seed before calling)."""
    shared: dict[str, Any] = {
        "vocab_size": subwords.template.vocab_size,
        "num_hidden_layers": settings.layers,
        "hidden_size": settings.hidden_size,
        "num_attention_heads": settings.heads,
        "intermediate_size": settings.intermediate_size,
        "hidden_dropout_prob": settings.dropout,
        "attention_probs_dropout_prob": settings.dropout,
        "pad_token_id": subwords.template.pad,
    }
    if settings.hidden_size % settings.heads:
        raise UserError(
            f"backbone.hidden_size {settings.hidden_size} is no multiple of backbone.heads {settings.heads}; change one"
        )
    if settings.type == "bert":
        from transformers import BertConfig, BertForMaskedLM

        return BertForMaskedLM(BertConfig(max_position_embeddings=settings.max_positions, **shared))
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    positions = settings.max_positions + subwords.template.pad + 1  # the first position is pad + 1
    return XLMRobertaForMaskedLM(
        XLMRobertaConfig(
            max_position_embeddings=positions,
            type_vocab_size=1,
            bos_token_id=subwords.template.prefix[0],
            eos_token_id=subwords.template.suffix[-1],
            **shared,
        )
    )


def max_length(model: Any) -> int:
    """The longest sequence that the position embeddings allow."""
    config = model.config
    reserved = config.pad_token_id + 1 if config.model_type == "xlm-roberta" else 0
    return int(config.max_position_embeddings) - reserved


def save(model: Any, tokenizer: str | Path, out: str | Path, training: dict[str, Any], metrics: str = "") -> None:
    """Write a Hugging Face model folder with its tokenizer, ``training.json`` and ``metrics.jsonl``, atomically."""
    _quiet()
    with atomic_path(out) as folder:
        model.save_pretrained(folder)
        for name in TOKENIZER_FILES:
            if (Path(tokenizer) / name).is_file():
                shutil.copyfile(Path(tokenizer) / name, folder / name)
        write_json(folder / "training.json", training)
        write_text(folder / "metrics.jsonl", metrics)
