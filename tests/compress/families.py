"""Tiny random checkpoints of every family, with real tokenizers trained on a few languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = {
    "english": "The committee met on Tuesday to discuss the budget, but it did not agree on "
    "$10,000 for the old library. Nobody's report was read; we'll meet again in 3.5 weeks.",
    "german": "Die Straßenbahn fährt heute nicht über den Marktplatz, weil dort größere Bäume "
    "gefällt werden. Ärgerlich, sagt Frau Müller: „Ich muss jetzt laufen.“",
    "french": "L'été dernier, nous n'avons pas trouvé de garçon de café à l'œil aussi vif ; "
    "aujourd'hui, c'est différent. Où est passée la clé ?",
    "russian": "Вчера вечером музей закрыли раньше, потому что в трёх залах погас свет. Никто не "
    "знает, когда его снова откроют.",
    "chinese": "会议决定推迟到星期五,因为报告还没有写完。图书馆的预算是一万元,没有人反对。",
    "arabic": "اجتمع المجلس أمس ولم يتخذ أي قرار بشأن الميزانية. "
    "سيجتمع مرة أخرى في الأسبوع القادم.",
    "hindi": "समिति ने कल बैठक की, लेकिन बजट पर कोई निर्णय नहीं हुआ। अगली बैठक शुक्रवार को होगी।",
    "emoji": "Well done 👍🏽 team! The family 👩‍👧 went to 🇫🇷 by train 😀😀 and "
    "came back ☂️ in the rain.",
}
_BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_WIDE = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "num_labels": 2, "initializer_range": 0.3,  # so wide that scores differ from token to token
}  # fmt: skip


def _trained(inner: Tokenizer, trainer: Any, specials: list[str], ends: str) -> Tokenizer:
    inner.train_from_iterator(list(TEXTS.values()) * 3, trainer)
    inner.add_special_tokens(specials)
    around = [(name, inner.token_to_id(name)) for name in ends.split(" $A ")]
    inner.post_processor = processors.TemplateProcessing(single=ends, special_tokens=around)
    return inner


def word_piece() -> Tokenizer:
    """As multilingual BERT's: cased, CJK characters apart."""
    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=700, special_tokens=_BERT, show_progress=False, limit_alphabet=400
    )
    return _trained(inner, trainer, _BERT, "[CLS] $A [SEP]")


def _unigram(specials: list[str], unknown: str, ends: str, *clean: Any) -> Tokenizer:
    inner = Tokenizer(models.Unigram())
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    inner.normalizer = normalizers.Sequence([*clean, normalizers.NFKC(), spaces])
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=600, special_tokens=specials, unk_token=unknown, show_progress=False
    )
    return _trained(inner, trainer, specials, ends)


def sentence_piece() -> Tokenizer:
    """As XLM-R's: Unigram after NFKC, a mark for each space."""
    return _unigram(_ROBERTA, "<unk>", "<s> $A </s>")


def sentence_piece_v3() -> Tokenizer:
    """As DeBERTa-v3's: the same, stripped, with BERT's special tokens."""
    lines = normalizers.Replace(Regex("[\n\r\t]"), " ")
    return _unigram(_BERT, "[UNK]", "[CLS] $A [SEP]", lines, normalizers.Strip())


def _bytes(specials: list[str], ends: str) -> Tokenizer:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=specials, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    return _trained(inner, trainer, specials, ends)


def byte_pairs() -> Tokenizer:
    """As RoBERTa's: byte-level BPE, offsets without the spaces."""
    inner = _bytes(_ROBERTA, "<s> $A </s>")
    inner.post_processor = processors.RobertaProcessing(
        ("</s>", inner.token_to_id("</s>")), ("<s>", inner.token_to_id("<s>")),
        trim_offsets=True, add_prefix_space=False,
    )  # fmt: skip
    return inner


def byte_pairs_modern() -> Tokenizer:
    """As ModernBERT's and DeBERTa's: byte-level BPE with BERT's special tokens."""
    inner = _bytes(_BERT, "[CLS] $A [SEP]")
    inner.normalizer = normalizers.NFC()
    return inner


@dataclass(frozen=True)
class Family:
    """One kind of encoder, and what its checkpoints should look like from outside."""

    make: Callable[[], Tokenizer]
    specials: tuple[str, str] = ("[CLS]", "[SEP]")
    window: int = 48
    config: dict[str, Any] = field(default_factory=dict)


_SHORT = {"max_position_embeddings": 48}
_OFFSET = {"max_position_embeddings": 50, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
_DISENTANGLED = {
    **_SHORT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0,
    "position_biased_input": False, "max_relative_positions": -1,
}  # fmt: skip
FAMILIES = {
    "bert": Family(word_piece, config=_SHORT),
    "distilbert": Family(word_piece, config=_SHORT),
    "roberta": Family(byte_pairs, ("<s>", "</s>"), config=_OFFSET),
    "xlm-roberta": Family(sentence_piece, ("<s>", "</s>"), config=_OFFSET),
    "deberta": Family(byte_pairs_modern, config=_DISENTANGLED),
    "deberta-v2": Family(
        sentence_piece_v3,
        config={
            **_DISENTANGLED, "position_buckets": 8, "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
        },
    ),
    # Positions for 8,192 tokens, of which LLMLingua-2's 512 are used.
    "modernbert": Family(
        byte_pairs_modern,
        window=512,
        config={
            "max_position_embeddings": 8192, "local_attention": 16, "num_hidden_layers": 4,
            "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2,
            "eos_token_id": 3,
        },
    ),
}  # fmt: skip


@cache
def tokenizer(family: str) -> Tokenizer:
    """The family's tokenizer, trained."""
    return FAMILIES[family].make()


def build(family: str, folder: Path, *, seed: int = 0, **settings: Any) -> Path:
    """Writes a checkpoint of the family into ``folder``, as transformers saves one."""
    import torch
    from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    inner = tokenizer(family)
    sizes = {"vocab_size": inner.get_vocab_size(), **_WIDE}
    if family == "distilbert":
        names = {
            "hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
        }  # fmt: skip
        sizes = {names.get(key, key): value for key, value in sizes.items()}
    config = AutoConfig.for_model(family, **{**sizes, **FAMILIES[family].config, **settings})
    AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
    # An object of its own: transformers changes what it is given.
    copy = Tokenizer.from_str(inner.to_str())
    PreTrainedTokenizerFast(tokenizer_object=copy).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(inner.to_str(), encoding="utf-8")
    return folder
