"""Capitals, which an uncased model can't see in its tokens, reach it as token types."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, normalizers, pre_tokenizers, processors

from proxy.compress import Compressor
from proxy.compress.tokenize import Tokenizer, unpack

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "will", "ok", "##af", "##or", "(", ")", "é"]


def uncased() -> HuggingFaceTokenizer:
    inner = HuggingFaceTokenizer(
        models.WordPiece({word: i for i, word in enumerate(_WORDS)}, unk_token="[UNK]")
    )
    inner.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    inner.add_special_tokens(_WORDS[:4])
    return inner


def types_of(text: str, *, capitals: bool = True) -> list[int]:
    tokens = Tokenizer(uncased(), "[UNK]", capitals=capitals).encode(text, [(0, len(text))])
    return unpack(tokens.ids)[1].tolist()


def test_all_tokens_of_a_capital_word_are_marked_and_no_others() -> None:
    assert types_of("the Okafor (Will) will É é") == [0, 1, 1, 1, 0, 1, 0, 0, 1, 0]


def test_nothing_is_marked_for_a_model_that_was_not_trained_so() -> None:
    assert types_of("the Okafor Will", capitals=False) == [0, 0, 0, 0, 0]


def test_marks_change_no_id_and_no_offset() -> None:
    text = "Okafor (Will) unknown Unknown"
    plain = Tokenizer(uncased(), "[UNK]").encode(text, [(0, len(text))])
    marked = Tokenizer(uncased(), "[UNK]", capitals=True).encode(text, [(0, len(text))])
    assert unpack(marked.ids)[0].tolist() == plain.ids.tolist()
    assert marked.starts.tolist() == plain.starts.tolist()


def test_an_empty_text_has_no_marks() -> None:
    assert types_of("") == []


@pytest.fixture
def trained(tmp_path: Path, needs: Callable[[bool, str], None]) -> Path:
    """A random checkpoint that says that it knows capitals, as ``precis train fit`` writes one."""
    there = all(map(find_spec, ("torch", "transformers", "onnx")))
    needs(there, "torch: pip install '.[torch]'")
    import torch
    import transformers

    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=len(_WORDS), hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, num_labels=2, initializer_range=0.5, max_position_embeddings=48,
        token_types="capitals",
    )  # fmt: skip
    transformers.AutoModelForTokenClassification.from_config(config).save_pretrained(tmp_path)
    uncased().save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_model_that_knows_capitals_scores_by_them(
    trained: Path, engine: str, tmp_path: Path
) -> None:
    precision = "fp32"
    compressor = Compressor.load(
        str(trained), engine=engine, precision=precision, cache=tmp_path / "cache"
    )
    tokenizer = compressor.reader.tokenizer
    low, high = (tokenizer.encode(text, [(0, 8)]).ids for text in ("will the", "Will the"))
    assert unpack(low)[0].tolist() == unpack(high)[0].tolist()
    assert np.abs(compressor.score(low) - compressor.score(high)).max() > 1e-3


def test_both_engines_agree_on_capitals(trained: Path, tmp_path: Path) -> None:
    both = [
        Compressor.load(str(trained), engine=engine, precision="fp32", cache=tmp_path / "cache")
        for engine in ("onnx", "torch")
    ]
    ids = both[0].reader.tokenizer.encode("the Okafor will", [(0, 15)]).ids
    one, other = (compressor.score(ids) for compressor in both)
    assert np.abs(one - other).max() < 1e-5
