"""Loading and making Hugging Face models, with one clear sentence when a folder is wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from weam.checksums import require_sealed, require_sum
from weam.config import Backbone
from weam.errors import UserError
from weam.io import read_json, read_object, sha256
from weam.subwords import Subwords

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"  # models are folders here; weam.hub alone reaches the network

CHECKED = ("model.safetensors", "tokenizer.json")
"""Files of a model folder whose checksums are noted in its training.json."""

Head = Literal["masked_lm", "qa", "sequence", "choice", "tokens"]
NEW: dict[Head, tuple[str, ...]] = {
    "masked_lm": (),
    "qa": ("qa_outputs.",),
    "sequence": ("classifier.", "bert.pooler."),
    "choice": ("classifier.", "bert.pooler.", "roberta.pooler."),
    "tokens": ("classifier.",),
}
"""Weights that a folder need not hold: those of the task's own head."""


def _classes(kind: str) -> dict[Head, Any]:
    if kind == "bert":
        from transformers.models.bert import modeling_bert as bert

        return {
            "masked_lm": bert.BertForMaskedLM,
            "qa": bert.BertForQuestionAnswering,
            "sequence": bert.BertForSequenceClassification,
            "choice": bert.BertForMultipleChoice,
            "tokens": bert.BertForTokenClassification,
        }
    from transformers.models.xlm_roberta import modeling_xlm_roberta as xlmr

    return {
        "masked_lm": xlmr.XLMRobertaForMaskedLM,
        "qa": xlmr.XLMRobertaForQuestionAnswering,
        "sequence": xlmr.XLMRobertaForSequenceClassification,
        "choice": xlmr.XLMRobertaForMultipleChoice,
        "tokens": xlmr.XLMRobertaForTokenClassification,
    }


def quiet() -> None:
    """Without the library's notices on new heads and its bars for single files."""
    from transformers.utils import logging

    silence: Any = logging
    silence.set_verbosity_error()
    silence.disable_progress_bar()


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def load(folder: str | Path, head: Head, subwords: Subwords | None = None, labels: Sequence[str] = ()) -> Any:
    """Load a model with the given head; a head that the folder does not hold is initialised (seed before calling).

    Only safetensors are read: nothing is unpickled. ``subwords`` is the folder's tokenizer, ``labels`` is what a head
    for sequences or tokens tells apart.

    Raises:
        UserError: not a model folder, weights missing or broken, neither a bert nor an xlm-roberta model, or fewer
            embeddings than the tokenizer has sub-words.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: not a model folder (no config.json); give a folder made by backbone or pretrain")
    kind = read_object(folder / "config.json").get("model_type")
    if kind not in ("bert", "xlm-roberta"):
        raise UserError(f"{folder}: model type {kind!r} is not supported; use a bert or xlm-roberta model")
    if (folder / "model.safetensors.index.json").is_file():
        raise UserError(
            f"{folder}: weights in several files; backbone.name_or_path takes it, and makes one file of them"
        )
    if not (folder / "model.safetensors").is_file():
        raise UserError(f"{folder}: no model.safetensors; convert the weights to safetensors or fetch them again")
    require_unchanged(folder)
    extra: dict[str, Any] = {}
    if labels:
        extra = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    model = _load(_classes(kind)[head], folder, str(folder), head, **extra)
    if subwords is not None:
        require_vocabulary(model, subwords, str(folder))
    return model


def require_vocabulary(model: Any, subwords: Subwords, where: str) -> None:
    """Refuse a tokenizer with sub-words that the model has no embedding of; ``where`` begins the sentence.

    A few embeddings may be left over (padding); half of them are not: Transformers makes an empty tokenizer where the
    files of one are missing.
    """
    size = subwords.tokenizer.get_vocab_size()
    if not size <= model.config.vocab_size <= 2 * size:
        raise UserError(
            f"{where}: the tokenizer has {size} sub-words, the model {model.config.vocab_size}; "
            "they do not belong together"
        )


def require_unchanged(folder: Path) -> None:
    """Refuse weights or a tokenizer that are not those that the folder's training.json notes, if it does."""
    note = folder / "training.json"
    found = read_json(note) if note.is_file() else None
    if not isinstance(found, dict):  # a model from elsewhere
        return
    cure = (
        f"delete {folder} and make it again; if you replaced it yourself, take sha256 and checksum out of {note.name}"
    )
    require_sealed(note, found, cure)
    sums = found.get("sha256", {})
    for name in CHECKED:
        if (folder / name).is_file() and name in sums:
            require_sum(folder / name, sums[name], note, cure)


def load_masked_lm(folder: Path, where: str) -> Any:
    """Load a masked language model from a folder: safetensors, in several files too, or PyTorch's format.

    Of the latter Transformers lets PyTorch load weights only, which runs none of the code that such a file can hold.
    ``where`` begins the sentence of an error.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder)
    except Exception as error:
        raise UserError(f"{where}: cannot be loaded ({first_line(error)}); check the name or the folder") from None
    if config.model_type not in ("bert", "xlm-roberta"):
        raise UserError(f"{where}: model type {config.model_type!r}; use bert or xlm-roberta")
    return _load(_classes(config.model_type)["masked_lm"], folder, where, "masked_lm", use_safetensors=None)


def _load(kind: Any, folder: Path, where: str, head: Head, **options: Any) -> Any:
    quiet()
    shared = {"use_safetensors": True, "attn_implementation": "sdpa", "dtype": "float32", "output_loading_info": True}
    try:
        model, report = kind.from_pretrained(folder, **(shared | options))
    except Exception as error:  # many kinds, from several libraries
        if type(error).__module__.startswith("safetensors"):
            raise UserError(f"{where}: model.safetensors is broken ({error}); make or fetch it again") from None
        reason = first_line(error)
        if "ignore_mismatched_sizes" in str(error):
            reason = "they are not of the sizes that config.json says"
        elif "Weights only load failed" in str(error):
            reason = "pytorch_model.bin holds more than weights, and code of others is not run"
        raise UserError(f"{where}: the weights cannot be loaded ({reason}); make or fetch the folder again") from None
    unused = sorted(key for key in report["unexpected_keys"] if ".encoder.layer." in key)
    if unused:
        raise UserError(f"{where}: config.json has no place for the weights {unused[0]}; they do not belong together")
    lacking = sorted(key for key in report["missing_keys"] if not key.startswith(NEW[head]))
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UserError(
            f"{where}: the weights lack {lacking[0]}{more}; give a masked language model with all its weights"
        )
    return model


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


def positions(model: Any) -> int:
    """The longest sequence that the position embeddings allow."""
    config = model.config
    reserved = config.pad_token_id + 1 if config.model_type == "xlm-roberta" else 0
    return int(config.max_position_embeddings) - reserved


def require_positions(model: Any, length: int, key: str) -> None:
    """Refuse sequences that are longer than the position embeddings allow; ``key`` is what sets their length."""
    most = positions(model)
    if length > most:
        raise UserError(f"{key} {length} is more than the {most} positions of the model; lower it")


def weights_hash(folder: Path) -> str:
    return sha256(folder / "model.safetensors")
