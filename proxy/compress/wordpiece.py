"""WordPiece, a chunk between spaces at a time: what is alike in a text is read once.

Nothing of a BERT tokenizer looks past a space or a line's end, so a text's tokens are those of its
chunks, one after the other. Knows nothing of ids that mean something.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, normalizers, pre_tokenizers

Rows = npt.NDArray[np.int32]
"""Shape ``(tokens, 3)``: id, and where the token starts and ends, in characters."""

_PIECE = 32_000
"""Characters read at once: meanwhile no other thread runs, such as the event loop's."""
_ROW = 3 * np.dtype(np.int32).itemsize
_REMEMBERED = 1 << 15
"""Chunks remembered at most."""
_SHORT = 24
"""Characters of the longest chunk that is remembered."""


class WordPiece:
    """A BERT tokenizer without special tokens.

    Between texts it remembers plain words of its own vocabulary alone, with the marks around them:
    what a secret or a rare name falls into is never among them.
    """

    def __init__(self, inner: HuggingFaceTokenizer) -> None:
        self._inner = inner
        self._known: dict[str, bytes] = {"": b""}
        words = inner.get_vocab()
        self._plain = np.zeros(max(words.values()) + 1, dtype=np.bool_)
        self._plain[[key for word, key in words.items() if len(word) < 2 or word.isalpha()]] = True

    @classmethod
    def of(cls, inner: HuggingFaceTokenizer) -> WordPiece | None:
        """None where the tokenizer is of another kind."""
        bert = (
            isinstance(inner.normalizer, normalizers.BertNormalizer)
            and isinstance(inner.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
            and isinstance(inner.model, models.WordPiece)
        )
        # Others are looked for in the text as they are, over spaces too.
        special = all(token.special for token in inner.get_added_tokens_decoder().values())
        return cls(inner) if bert and special else None

    def read(self, text: str) -> Rows:
        """The tokens of the text, in order."""
        rows = [self._read_piece(text[start:end], start) for start, end in _pieces(text)]
        return np.concatenate(rows) if rows else np.zeros((0, 3), dtype=np.int32)

    def _read_piece(self, piece: str, start: int) -> Rows:
        chunks = piece.replace("\n", " ").split(" ")
        distinct = dict.fromkeys(chunks)
        found = {chunk: self._known[chunk] for chunk in distinct if chunk in self._known}
        found.update(self._read_anew([chunk for chunk in distinct if chunk not in found]))
        packed = list(map(found.__getitem__, chunks))
        rows = np.frombuffer(b"".join(packed), dtype=np.int32).reshape(-1, 3).copy()
        sizes = np.fromiter(map(len, chunks), np.int32, len(chunks)) + 1
        counts = np.fromiter(map(len, packed), np.int32, len(chunks)) // _ROW
        rows[:, 1:] += np.repeat(start + np.cumsum(sizes) - sizes, counts)[:, None]
        return rows

    def _read_anew(self, chunks: list[str]) -> Iterator[tuple[str, bytes]]:
        """Each chunk with its rows, packed; all are read in one go."""
        # A batch of one: unlike a single text, it lets other threads run meanwhile.
        (encoding,) = self._inner.encode_batch([" ".join(chunks)], add_special_tokens=False)
        sizes = np.fromiter(map(len, chunks), np.int64, len(chunks)) + 1
        past = np.cumsum(sizes)
        rows = np.empty((len(encoding), 3), dtype=np.int32)
        rows[:, 0] = encoding.ids
        rows[:, 1:] = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        of = np.searchsorted(past, rows[:, 1], side="right")
        rows[:, 1:] -= (past - sizes)[of][:, None].astype(np.int32)
        edges = np.searchsorted(of, np.arange(len(chunks) + 1)).tolist()
        odd = np.concatenate([[0], np.cumsum(~self._plain[rows[:, 0]])])[edges]
        plain = (np.diff(odd) == 0).tolist()
        data = rows.tobytes()
        for at, chunk in enumerate(chunks):
            packed = data[edges[at] * _ROW : edges[at + 1] * _ROW]
            if plain[at] and len(chunk) <= _SHORT and len(self._known) < _REMEMBERED:
                self._known[chunk] = packed
            yield chunk, packed


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Spans of the text that end before a space or a line's end, and lack nothing but these."""
    start = 0
    while start < len(text):
        end = text.find(" ", start + _PIECE)
        end = len(text) if end < 0 else end
        line = text.find("\n", start + _PIECE, end)
        end = end if line < 0 else line
        yield start, end
        start = end + 1
