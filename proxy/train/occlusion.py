"""What a passage's embedding loses without each word: the computed teacher's sense of meaning.

The embedding is the mean of the encoder's last layer over a window. Leaving a word's tokens out of
that mean is free once the window is encoded, sees repetition and context, and serves better than
running the encoder again without the word (LOG.md has the comparison).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import BertModel

Floats = npt.NDArray[np.float32]


class Occluder:
    """A mean-pooled BERT sentence encoder that words are hidden from."""

    def __init__(self, encoder: Path, window: int = 160) -> None:
        """Reads an encoder directory; ``window`` is in words."""
        self.tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        model: Any = BertModel.from_pretrained(str(encoder), attn_implementation="eager")
        self.model = model.eval()
        self.window = window
        self.edges = [self.tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]")]

    def losses(self, words: Sequence[str]) -> Floats:
        """Cosine that the mean of its window loses without each word, shape ``(words,)``."""
        parts = range(0, len(words), self.window)
        found = [self._window(words[at : at + self.window]) for at in parts]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)

    def _window(self, words: Sequence[str]) -> Floats:
        encodings = self.tokenizer.encode_batch(list(words), add_special_tokens=False)
        ids, owners = [self.edges[0]], [len(words)]
        for number, encoding in enumerate(encodings):
            ids += encoding.ids
            owners += [number] * len(encoding.ids)
        ids, owners = [*ids[:511], self.edges[1]], [*owners[:511], len(words)]
        owner = torch.tensor(owners)
        with torch.inference_mode():
            last = self.model(input_ids=torch.tensor([ids])).last_hidden_state[0]  # (tokens, width)
            sums = torch.zeros(len(words) + 1, last.shape[1]).index_add_(0, owner, last)
            counts = torch.bincount(owner, minlength=len(words) + 1)
            rest = (last.sum(0) - sums) / (len(ids) - counts)[:, None].clamp(min=1)
            lost = 1 - torch.cosine_similarity(rest, last.mean(0)[None])
        return np.asarray(lost[: len(words)].numpy(), dtype=np.float32)
