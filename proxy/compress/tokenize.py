"""The classifier's own tokenizer: text to token ids with character offsets, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as HuggingFaceTokenizer

Ints = npt.NDArray[np.int64]


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

    def __init__(self, inner: HuggingFaceTokenizer, unknown: str | None = None) -> None:
        inner.no_truncation()
        inner.no_padding()
        inner.encode_special_tokens = True  # "</s>" in somebody's text is text
        self._inner = inner
        self.prefix, self.suffix = _template(inner)
        self.unknown_id = inner.token_to_id(unknown) if unknown else None
        added = inner.get_added_tokens_decoder().items()
        self._special = np.array([key for key, token in added if token.special], dtype=np.int64)

    @property
    def specials(self) -> int:
        """How many special tokens stand around each window."""
        return len(self.prefix) + len(self.suffix)

    def encode(self, text: str, spans: list[tuple[int, int]]) -> Tokens:
        """Tokens of the given spans of ``text``, in order, with offsets into ``text``.

        ``text`` must be free of lone surrogates.
        """
        encodings = self._inner.encode_batch(
            [text[s:e] for s, e in spans], add_special_tokens=False
        )
        found: list[int] = []
        edges: list[npt.NDArray[np.int64]] = [np.zeros((0, 2), dtype=np.int64)]
        for (start, _), encoding in zip(spans, encodings, strict=True):
            found += encoding.ids
            edges.append(np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2) + start)
        offsets = np.concatenate(edges)
        # Normalizers that reorder combining marks may give offsets that step back.
        starts = np.minimum.accumulate(offsets[::-1, 0])[::-1]
        ids = np.array(found, dtype=np.int64)
        if self.unknown_id is not None:  # SentencePiece has "</s>" among its pieces all the same
            ids[np.isin(ids, self._special)] = self.unknown_id
        return Tokens(ids, starts, np.maximum.accumulate(offsets[:, 1]))

    def around(self, ids: Ints) -> Ints:
        """The window's ids between the special tokens, shape ``(tokens + specials,)``."""
        return np.concatenate([self.prefix, ids, self.suffix])


def _template(inner: HuggingFaceTokenizer) -> tuple[Ints, Ints]:
    encoding = inner.encode("a")
    special = np.array(encoding.special_tokens_mask, dtype=np.bool_)
    ids = np.array(encoding.ids, dtype=np.int64)
    inside = np.flatnonzero(~special)
    first, last = (inside[0], inside[-1] + 1) if len(inside) else (len(ids), len(ids))
    return ids[:first], ids[last:]
