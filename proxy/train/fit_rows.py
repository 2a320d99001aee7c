"""Cuts labelled rows into windows of tokens, split by document. Knows nothing of training."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer

from proxy.compress.tokenize import Tokenizer as Edges
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.train.fit import Settings

IGNORE = -1.0
"""Label of tokens that do not count: padding, special tokens, what no word covers."""


@dataclass
class Windows:
    """All windows, padded: ids, labels of shape ``(windows, window)``, weights ``(windows,)``.

    Ids may carry the mark of a capital letter (see ``proxy.compress.tokenize.CAPITAL``).
    """

    ids: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    lengths: torch.Tensor
    """Tokens of each window that are not padding, shape ``(windows,)``."""

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, attention mask and labels of some windows, cut to the longest of them."""
        lengths = self.lengths[index]
        longest = int(lengths.max())
        mask = (torch.arange(longest)[None] < lengths[:, None]).long()
        return self.ids[index][:, :longest], mask, self.labels[index][:, :longest]


def read(settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows for training and for validation; a document is in one of them only."""
    train: list[dict[str, Any]] = []
    valid: list[dict[str, Any]] = []
    with settings.rows.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    order = np.random.default_rng(settings.seed).permutation(len(rows))
    words = 0
    for index in order:
        row = rows[index]
        # A hash of the document and not of the row: no slice of it can leak.
        held = zlib.crc32(row["doc"].encode()) % 10_000 < settings.held_out * 10_000
        (valid if held else train).append(row)
        words += len(row["words"])
        if settings.max_words and words > settings.max_words:
            break
    return train, valid


def windows_of(rows: list[dict[str, Any]], tokenizer: Tokenizer, settings: Settings) -> Windows:
    """Tokenises the rows and cuts them into windows at word ends."""
    edges = Edges(tokenizer, capitals=settings.capitals)
    room = settings.window - edges.specials
    before, after = edges.prefix.tolist(), edges.suffix.tolist()
    ids: list[list[int]] = []
    labels: list[list[float]] = []
    weights: list[float] = []
    lengths = np.random.default_rng(settings.seed)
    for row in rows:
        encoding = tokenizer.encode(row["text"], add_special_tokens=False)
        by_token = token_labels(row, encoding.offsets)
        marked = edges.encode(row["text"], [(0, len(row["text"]))]).ids.tolist()
        weight = row.get("weight", 1.0) * settings.source_weights.get(row["source"], 1.0)
        start = 0
        while start < len(encoding.ids):
            # At run time windows end where sentences do, in the second half of what fits.
            end = min(start + int(lengths.integers(room // 2, room + 1)), len(encoding.ids))
            if end < len(encoding.ids):
                end = _word_end(encoding.word_ids, start, end)
            ids.append([*before, *marked[start:end], *after])
            ignored = [IGNORE] * len(before), [IGNORE] * len(after)
            labels.append([*ignored[0], *by_token[start:end], *ignored[1]])
            weights.append(weight)
            start = end
    return _pad(ids, labels, weights, settings.window)


def labels_mean(windows: Windows) -> float:
    """Share of keep in the labels of the tokens that count."""
    counted = windows.labels[windows.labels >= 0]
    return float(counted.mean()) if len(counted) else 0.0


def balance(windows: Windows) -> float:
    """The weight of keep with which both classes weigh the same in the loss.

    Raises ConfigError where one of them is not there.
    """
    share = labels_mean(windows)
    if not 0 < share < 1:
        raise ConfigError([f"--keep-weight 0: {share:.0%} of the labels say keep; give a weight"])
    return (1 - share) / share


def _pad(
    ids: list[list[int]], labels: list[list[float]], weights: list[float], window: int
) -> Windows:
    # The mask hides what pads, so any id will do.
    padded_ids = torch.zeros(len(ids), window, dtype=torch.long)
    padded_labels = torch.full((len(ids), window), IGNORE)
    for index, (one, other) in enumerate(zip(ids, labels, strict=True)):
        padded_ids[index, : len(one)] = torch.tensor(one)
        padded_labels[index, : len(other)] = torch.tensor(other)
    lengths = torch.tensor([len(one) for one in ids])
    return Windows(padded_ids, padded_labels, torch.tensor(weights), lengths)


def token_labels(row: dict[str, Any], offsets: list[tuple[int, int]]) -> list[float]:
    """The label of the word that each token starts in, IGNORE where there is none."""
    found: list[float] = []
    words, labels = row["words"], row["labels"]
    at = 0
    for start, end in offsets:
        while at < len(words) and words[at][1] <= start:
            at += 1
        inside = at < len(words) and words[at][0] < end
        found.append(labels[at] if inside else IGNORE)
    return found


def _word_end(word_ids: list[int | None], start: int, end: int) -> int:
    cut = end
    while cut > start + 1 and word_ids[cut] == word_ids[cut - 1]:
        cut -= 1
    return cut if cut > start + 1 else end


def batches(windows: Windows, settings: Settings, epoch: int) -> Iterator[torch.Tensor]:
    """Indices of one epoch's batches, shuffled, windows of similar length together."""
    rng = np.random.default_rng((settings.seed, epoch))
    lengths = windows.lengths.numpy() + rng.integers(0, 16, len(windows))
    order = np.argsort(lengths, kind="stable")
    starts = rng.permutation(range(0, len(order), settings.batch))
    for start in starts:
        yield torch.from_numpy(order[start : start + settings.batch])
