"""Texts like a given one with other words in them, for a pupil to hear its teacher on.

A pupil remembers what its teacher said of the texts there are, and guesses at words that it never
met in them (27.4 in LOG.md has the gap). So content words are swapped for others of the vocabulary,
of the same look: capitals stay capitals and digits digits. No text of this kind makes sense, but a
teacher has scores for it all the same, and the pupil has nothing to remember.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

from proxy.compress.tokenize import Tokenizer
from proxy.errors import ConfigError
from proxy.train.words import STOPWORDS, is_content, words_of

SWAPPED = (0.1, 0.5)
"""The least and the highest share of a text's content words that are swapped."""
LOWERED = 0.08
"""Share of the variants in lower case: text is written so, too."""
_LONGER = 0.25
"""Share of the new words that get an ending from among the vocabulary's pieces."""


class Vocabulary:
    """Words of a vocabulary, and the endings that WordPiece has among its pieces.

    Raises ConfigError where it has no words.
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        pieces = list(pieces)
        starts = [piece[1:] for piece in pieces if piece[:1] in ("Ġ", "▁")]
        words = starts or [piece for piece in pieces if not piece.startswith("##")]
        self.words = sorted(
            {w for w in words if len(w) > 2 and _plain(w) and w.lower() not in STOPWORDS}
        )
        if not self.words:
            raise ConfigError(["the classifier's vocabulary has no words to make variants with"])
        bare = (piece[2:] for piece in pieces if piece.startswith("##"))
        self.endings = sorted(piece for piece in bare if len(piece) > 1 and _plain(piece))

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Vocabulary:
        """The words that a classifier's tokenizer has in one piece."""
        return cls(tokenizer.pieces())

    def draw(self, dice: random.Random) -> str:
        """Any word, each as likely as every other."""
        word = dice.choice(self.words)
        return word + dice.choice(self.endings) if self._longer(dice) else word

    def _longer(self, dice: random.Random) -> bool:
        return bool(self.endings) and dice.random() < _LONGER


def _plain(piece: str) -> bool:
    return piece.isascii() and piece.isalpha()


def vary(row: dict[str, Any], vocabulary: Vocabulary, dice: random.Random) -> dict[str, Any]:
    """The row with other words in its text; its labels are 0, since nobody gave them yet."""
    text, share = row["text"], dice.uniform(*SWAPPED)
    parts: list[str] = []
    at = 0
    for start, end in row["words"]:
        word = text[start:end]
        if is_content(word) and dice.random() < share:
            parts += text[at:start], _like(word, vocabulary, dice)
            at = end
    varied = "".join([*parts, text[at:]])
    if dice.random() < LOWERED:
        varied = varied.lower()
    words = [list(span) for span in words_of(varied)]
    return row | {"text": varied, "words": words, "labels": [0.0] * len(words)}


def _like(word: str, vocabulary: Vocabulary, dice: random.Random) -> str:
    if any(character.isdigit() for character in word):
        return "".join(dice.choice("0123456789") if c.isdigit() else c for c in word)
    other = vocabulary.draw(dice)
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other.capitalize() if word[:1].isupper() else other


def several(
    rows: Iterable[dict[str, Any]], vocabulary: Vocabulary, copies: int, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Each row as it is, and so many variants of it. The same rows and seed give the same ones."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    for row in rows:
        yield row
        for _ in range(copies):
            yield vary(row, vocabulary, dice)
