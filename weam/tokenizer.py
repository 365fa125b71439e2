"""Train the sub-word vocabulary of a backbone made from scratch: WordPiece for bert, SentencePiece for xlm-roberta.

The result is a Hugging Face tokenizer folder, cased and with accents kept, as mBERT's and XLM-R's own.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from weam.config import Backbone
from weam.errors import UserError
from weam.io import atomic_path, system_errors
from weam.settings import read_settings
from weam.tables import open_parquet

BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
XLMR_FIRST = ["<s>", "<pad>", "</s>", "<unk>"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", required=True, type=Path, help="text.parquet with passages (column text)")
    parser.add_argument("--settings", help="backbone settings: inline JSON or a file")
    parser.add_argument("--out", required=True, type=Path, help="tokenizer folder to make")


def run(args: argparse.Namespace) -> None:
    settings = read_settings(Backbone, args.settings)
    with atomic_path(args.out) as folder, system_errors():
        folder.mkdir()
        if settings.type == "bert":
            train_wordpiece(passages(args.text), settings.vocab_size, folder)
        else:
            train_sentencepiece(passages(args.text), settings.vocab_size, folder)


def passages(path: Path) -> Iterator[str]:
    """The column text of a Parquet file, row by row."""
    for batch in open_parquet(path, ["text"], "passages").batches():
        yield from batch.column("text").to_pylist()


def train_wordpiece(texts: Iterator[str], vocab_size: int, folder: Path) -> None:
    """Write a cased BertTokenizer with about ``vocab_size`` WordPieces (every character has one) into ``folder``.

    The trainer breaks ties by id, and numbers the inner characters (``##x``) in the order of a randomised hash table.
    They are therefore numbered beforehand, as special tokens, so that one text always gives one vocabulary.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        pieces = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        words.update(word for word, _ in pieces)
    alphabet = sorted({character for word in words for character in word})
    inner = sorted({f"##{character}" for word in words for character in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(vocab_size, len(BERT_SPECIAL) + len(alphabet) + len(inner)),
        min_frequency=2,
        show_progress=False,
        special_tokens=BERT_SPECIAL + inner,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
    )
    tokenizer.train_from_iterator((f"{word} " * count for word, count in sorted(words.items())), trainer)
    vocab = dict(sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]))
    BertTokenizer(vocab=vocab, do_lower_case=False, strip_accents=False).save_pretrained(folder)


def train_sentencepiece(texts: Iterator[str], vocab_size: int, folder: Path) -> None:
    """Write an XLMRobertaTokenizer with at most ``vocab_size`` pieces of a unigram model, in XLM-R's order of ids."""
    import sentencepiece
    from transformers import XLMRobertaTokenizer

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=texts,
            model_writer=model,
            model_type="unigram",
            vocab_size=vocab_size - 2,  # <pad> and <mask> are added below
            hard_vocab_limit=False,  # like WordPiece: fewer pieces where the text has no more
            character_coverage=1.0,
            normalization_rule_name="identity",
            num_threads=1,
            max_sentence_length=1 << 30,  # bytes; longer passages would be left out without a word
            minloglevel=2,
        )
    except RuntimeError as error:
        if "required_chars" in str(error):
            raise UserError(
                f"backbone.vocab_size {vocab_size} is fewer than the characters of the text and the special tokens; "
                "raise it"
            ) from None
        raise UserError(f"SentencePiece cannot make a vocabulary of the text ({error})") from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]
    special = set(XLMR_FIRST)
    vocab = [(name, 0.0) for name in XLMR_FIRST] + [entry for entry in pieces if entry[0] not in special]
    XLMRobertaTokenizer(vocab=[*vocab, ("<mask>", 0.0)]).save_pretrained(folder)
