"""A reader and a fake classifier for tests that ask nothing of the weights."""

from __future__ import annotations

from functools import cache

from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, normalizers, pre_tokenizers, processors

from proxy.compress.compressor import Compressor
from proxy.compress.draft import Reader
from proxy.compress.scorer import FakeScorer
from proxy.compress.tokenize import Tokenizer

_PIECES = "the of and to is that a in it for with as was on word number compress ##ing ##s".split()


@cache
def reader(window: int = 32, languages: tuple[str, ...] = ()) -> Reader:
    """An uncased WordPiece reader that knows some words and every ASCII character."""
    letters = [chr(code) for code in range(33, 127)]
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{c}" for c in letters), *_PIECES]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(names))}
    inner = HuggingFaceTokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=specials
    )
    return Reader(Tokenizer(inner, "[UNK]"), window, languages)


@cache
def fake(window: int = 32, threads: int = 2) -> Compressor:
    """A compressor whose choice means nothing but is always the same."""
    return Compressor(FakeScorer(), reader(window), threads=threads)
