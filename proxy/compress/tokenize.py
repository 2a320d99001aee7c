"""The classifier's own tokenizer: text to token ids with character offsets, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as HuggingFaceTokenizer

from proxy.compress.wordpiece import Rows, WordPiece
from proxy.spans import edges_of

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CAPITAL = 1 << 32
"""Set in the id of a token whose word starts with a capital letter, where the model wants to know.

Such a model gets 1 as that token's type. It rides on the id, so that whatever hands windows on or
remembers their scores needs to know nothing of it.
"""

_AT_ONCE = 8_192
"""Pairs turned into an array at once: meanwhile no other thread runs, such as the event loop's."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one text without special tokens. All arrays have shape ``(tokens,)``."""

    ids: Ints
    starts: Ints
    """Character offsets of the text that the token came from."""
    ends: Ints

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer:
    """A checkpoint's tokenizer.json, with the special tokens that its own template puts around.

    They are read off the tokenizer and never guessed from the model's name (llmlingua #181: XLM-R
    ran with ``[CLS]``; #168: a renamed folder failed).
    """

    def __init__(
        self, inner: HuggingFaceTokenizer, unknown: str | None = None, *, capitals: bool = False
    ) -> None:
        """``capitals``: mark capitals in the ids, for an uncased model trained with them."""
        inner.no_truncation()
        inner.no_padding()
        inner.encode_special_tokens = True  # "</s>" in somebody's text is text
        self._inner = inner
        self.prefix, self.suffix = _template(inner)
        self.unknown_id = inner.token_to_id(unknown) if unknown else None
        added = inner.get_added_tokens_decoder().items()
        self.wordpiece = WordPiece.of(inner)
        """Where the tokenizer is of that kind: tells the same in a fraction of the time."""
        self._special = np.array([key for key, token in added if token.special], dtype=np.int64)
        self._inside = _inside_words(inner) if capitals else None

    @property
    def specials(self) -> int:
        """How many special tokens stand around each window."""
        return len(self.prefix) + len(self.suffix)

    def pieces(self) -> list[str]:
        """The vocabulary, as the tokenizer writes it (``##ing``)."""
        return list(self._inner.get_vocab())

    def encode(self, text: str, spans: list[tuple[int, int]]) -> Tokens:
        """Tokens of the given spans of ``text``, in order, with offsets into ``text``.

        ``text`` must be free of lone surrogates.
        """
        chunks = self.wordpiece
        rows = self._read(text, spans) if chunks is None else _read_chunks(chunks, text, spans)
        ids, offsets = rows[:, 0].astype(np.int64), rows[:, 1:].astype(np.int64)
        # Normalizers that reorder combining marks may give offsets that step back.
        starts = np.minimum.accumulate(offsets[::-1, 0])[::-1]
        if self.unknown_id is not None:  # SentencePiece has "</s>" among its pieces all the same
            ids[np.isin(ids, self._special)] = self.unknown_id
        if self._inside is not None:
            ids[capitals(text, starts, self._inside[ids])] |= CAPITAL
        return Tokens(ids, starts, np.maximum.accumulate(offsets[:, 1]))

    def _read(self, text: str, spans: list[tuple[int, int]]) -> Rows:
        """Id, start and end of each token, shape ``(tokens, 3)``, as any tokenizer tells them."""
        encodings = self._inner.encode_batch(
            [text[s:e] for s, e in spans], add_special_tokens=False
        )
        found = [np.zeros((0, 3), dtype=np.int32)]
        for (start, _), encoding in zip(spans, encodings, strict=True):
            ids, pairs = encoding.ids, encoding.offsets
            for at in range(0, len(pairs), _AT_ONCE):
                piece = np.array(pairs[at : at + _AT_ONCE], dtype=np.int32) + start
                head = np.array(ids[at : at + _AT_ONCE], dtype=np.int32)
                found.append(np.concatenate([head[:, None], piece], axis=1))
        return np.concatenate(found)

    def around(self, ids: Ints) -> Ints:
        """The window's ids between the special tokens, shape ``(tokens + specials,)``."""
        return np.concatenate([self.prefix, ids, self.suffix])


def _read_chunks(wordpiece: WordPiece, text: str, spans: list[tuple[int, int]]) -> Rows:
    """Id, start and end of each token, shape ``(tokens, 3)``; the spans are read as one text."""
    rows = wordpiece.read(" ".join([text[start:end] for start, end in spans]))
    edges = edges_of(spans)
    sizes = edges[:, 1] - edges[:, 0] + 1
    places = np.cumsum(sizes) - sizes
    of = np.searchsorted(places, rows[:, 1], side="right") - 1
    rows[:, 1:] += (edges[:, 0] - places)[of][:, None].astype(np.int32)
    return rows


def unpack(ids: Ints) -> tuple[Ints, Ints]:
    """The ids as the vocabulary has them, and each token's type: 1 for a capital."""
    return ids & (CAPITAL - 1), ids >> 32


def capitals(text: str, starts: Ints, inside: Bools) -> Bools:
    """Tokens of words that start with a capital letter, shape ``(tokens,)``.

    ``inside``: tokens that go on with the word of the token before.
    """
    if not len(starts):
        return np.zeros(0, dtype=np.bool_)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)[starts]
    upper = (codes >= ord("A")) & (codes <= ord("Z"))
    wide = np.flatnonzero(codes >= 128)
    kinds, kind = np.unique(codes[wide], return_inverse=True)
    upper[wide] = np.array([chr(code).isupper() for code in kinds], dtype=np.bool_)[kind]
    head = np.maximum.accumulate(np.where(inside, 0, np.arange(len(starts))))
    return np.asarray(upper[head])


def _inside_words(inner: HuggingFaceTokenizer) -> Bools:
    """For each id of a WordPiece vocabulary whether it goes on with a word ("##ing")."""
    vocabulary = inner.get_vocab()
    inside = np.zeros(max(vocabulary.values()) + 1, dtype=np.bool_)
    inside[[key for token, key in vocabulary.items() if token.startswith("##")]] = True
    return inside


def _template(inner: HuggingFaceTokenizer) -> tuple[Ints, Ints]:
    encoding = inner.encode("a")
    special = np.array(encoding.special_tokens_mask, dtype=np.bool_)
    ids = np.array(encoding.ids, dtype=np.int64)
    inside = np.flatnonzero(~special)
    first, last = (inside[0], inside[-1] + 1) if len(inside) else (len(ids), len(ids))
    return ids[:first], ids[last:]
