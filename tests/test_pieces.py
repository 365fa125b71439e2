"""Sub-words found piece by piece are those of the sentences as they stand, whatever they are made of."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from weam import blanks, pieces
from weam.blanks import Cut
from weam.cli import main
from weam.pieces import Pieces, cuts_at_blanks
from weam.subwords import Subwords
from weam.words import clean

ODD = [*"ab.,'-09ßéß中文あم한ไท", "\u0301", "\u200d", "\u200c", "\ufdfa", "\u00a8", "\u3000", "ﬁ", "\u093f"]
ODD += ["\U0001f469\u200d\U0001f52c", "\U0001f3fd"]
ODD += ["the", "Anna", "sleeps", "[MASK]", "<mask>", "[UNK]", "▁", "½", "\u0345", "Ⅷ", "\u1100\u1161", "x" * 40]


def sentences(count: int, seed: int) -> list[str]:
    """Cleaned sentences of ordinary words and of strange ones."""
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        words = ["".join(draw.choices(ODD, k=draw.choice((1, 1, 2, 3, 9)))) for _ in range(draw.randrange(12))]
        texts.append(clean(" ".join([*words, *draw.choices(tiny.SOURCE, k=draw.randrange(5))])))
    return [*texts, "", "a"]


def equal(pieces: Pieces, texts: list[str]) -> bool:
    column = pa.array(texts, pa.string())
    return all(np.array_equal(*both) for both in zip(pieces.encode(column), pieces._whole(column), strict=True))


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = {"id": list(range(400)), "language": ["en"] * 400, "text": sentences(398, 1)}
    tiny.pq.write_table(pa.table(texts), folder / "text.parquet")
    settings = f'{{"type": "{request.param}", "vocab_size": 400}}'
    arguments = ["tokenizer", "--text", str(folder / "text.parquet"), "--settings", settings]
    assert main([*arguments, "--out", str(folder / "made")]) == 0
    return folder / "made"


def test_our_tokenizers(tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Pieces(Subwords(tokenizer))
    assert found.apart
    for seed in range(2, 12):
        assert equal(found, sentences(300, seed))
    monkeypatch.setattr(pieces, "LIMIT", 50)
    assert equal(found, sentences(300, 12))
    before = len(found.known)
    assert equal(found, sentences(30, 13)), "after forgetting"
    assert len(found.known) < before


def nfkc(folder: Path) -> Tokenizer:
    """A tokenizer with XLM-R's normalisation, which turns some characters into several with blanks among them."""
    import io

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as proto

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(500, 20)),
        model_writer=model,
        vocab_size=300,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
    )
    spec = proto.ModelProto.FromString(model.getvalue())
    vocabulary = [(piece.piece, piece.score) for piece in spec.pieces]
    made = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    charsmap = normalizers.Precompiled(spec.normalizer_spec.precompiled_charsmap)
    made.normalizer = normalizers.Sequence([charsmap, normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return made


def wrapped(made: Tokenizer) -> Pieces:
    subwords = object.__new__(Subwords)
    subwords.tokenizer = made
    return Pieces(subwords)


def test_normalisation_of_xlm_r(tmp_path: Path) -> None:
    found = wrapped(nfkc(tmp_path))
    assert found.apart
    for seed in range(30, 40):
        assert equal(found, sentences(300, seed))
    assert (found.counts[1:] < 0).any(), "no piece depended on its neighbours: that path was not tested"


@pytest.mark.parametrize(
    "step",
    [
        None,
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Metaspace(prepend_scheme="never"),
        pre_tokenizers.Metaspace(split=False),
        pre_tokenizers.Punctuation(),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel()]),
    ],
)
def test_other_tokenizers_see_whole_sentences(tmp_path: Path, step: Any) -> None:
    made = nfkc(tmp_path)
    made.pre_tokenizer = step
    assert not cuts_at_blanks(made)
    assert equal(wrapped(made), sentences(50, 1))


def test_a_token_with_a_blank(tmp_path: Path) -> None:
    made = nfkc(tmp_path)
    assert cuts_at_blanks(made)
    made.add_tokens(["New York"])
    assert not cuts_at_blanks(made)


def test_cut() -> None:
    cut = Cut.of(pa.array(["to be or", "", "be"]))
    assert [cut.pieces[place] for place in cut.places] == ["to", "be", "or", "", "be"]
    assert len(cut.pieces) == 4
    assert cut.sizes.tolist() == [3, 1, 1]
    assert blanks.LONGEST < 40, "the long words above are to be too long"
