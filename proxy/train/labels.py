"""The composite teacher: soft labels on surface words, computed from open data without an LLM.

Four views of a word are added up: what a sentence embedding loses without it (occlusion), how rare
it is (idf), whether people marked it as worth keeping (highlights, evidence, summary sentences),
and a few rules (negations and digits up, repetitions and fillers down). The sum's rank within the
text, squashed, is the probability that the word is kept.

Reads the ``*-train`` files of the data directory and writes JSON lines that ``fit.py`` takes:
``{"text", "words": [[start, end], ...], "labels": [0..1, ...], "doc", "source", "weight"}``.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from proxy.train.words import (
    FILLERS,
    NEGATIONS,
    Span,
    is_content,
    is_sign,
    is_verb,
    sentences_of,
    speakers_of,
    stem,
    words_of,
)

if TYPE_CHECKING:
    from proxy.train.occlusion import Occluder

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Slice:
    """A piece of a document, a few hundred words, with the spans that people marked."""

    text: str
    keep: tuple[Span, ...]
    doc: str
    source: str


@dataclass(frozen=True)
class Mix:
    """How the views are added up; the defaults are those of the shipped classifier."""

    idf: float = 0.05
    occlusion: float = 1.0
    highlight: float = 2.0
    evidence: float = 1.0
    summary: float = 0.5
    marked: float = 0.75
    """Share of the label of a meeting's word that says only whether people marked it: among so
    much talk the ranks alone teach little of what a meeting is about."""
    small: float = 0.2
    """Share of a mark's weight that a stop word or sign inside it gets."""
    content: float = 0.45
    negation: float = 1.5
    digit: float = 0.65
    name: float = 0.7
    verb: float = 0.1
    """Little, for notes to read as notes: each 0.1 costs half a point of answers."""
    repeat: float = 0.1
    sentence: float = 0.2
    """Of the mean worth of the sentence's content words: what belongs together stays together."""
    length: float = -0.04
    """Of each character: what a word costs."""
    filler: float = -2.0
    steepness: float = 9.0
    middle: float = 0.55


_MARKS = {"debatesum": "highlight", "qmsum": "evidence", "scitldr": "summary"}
_SLICE_WORDS = 400


def read(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a gzipped JSONL file."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def slices(data: Path, most: dict[str, int] | None = None) -> list[Slice]:
    """Slices of the train files, at most so many words of each source."""
    found: list[Slice] = []
    for source in _MARKS:
        left = (most or {}).get(source, 10**9)
        for row in read(data / f"{source}-train.jsonl.gz"):
            if left <= 0:
                break
            for piece in _pieces(row, source):
                found.append(piece)
                left -= len(words_of(piece.text))
    return found


def _pieces(row: dict[str, Any], source: str) -> Iterator[Slice]:
    text, keep = row["text"], [(s, e) for s, e in row["keep"]]
    words = words_of(text)
    sentence = sentences_of(text, words)
    start = 0
    while start < len(words):
        end = min(start + _SLICE_WORDS, len(words))
        while end < len(words) and sentence[end] == sentence[end - 1]:
            end += 1
        low, high = words[start][0], words[end - 1][1]
        near = [(s, e) for s, e in keep if s < high and e > low]
        inside = tuple((max(s, low) - low, min(e, high) - low) for s, e in near)
        # Meetings are long and mostly talk that nobody marked: a fifth of it shows how that looks.
        marked = sum(e - s for s, e in inside) / (high - low)
        drawn = zlib.crc32(text[low:high].encode()) % 5 == 0
        if source != "qmsum" or marked >= 0.15 or drawn:
            yield Slice(text[low:high], inside, str(row["id"]), source)
        start = end


def inverse_frequencies(texts: list[str]) -> dict[str, float]:
    """Word rarity: log(documents / documents with the word), words in lower case."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update({text[s:e].lower() for s, e in words_of(text)})
    return {word: math.log(len(texts) / count) for word, count in seen.items()}


def occlusions(texts: list[str], encoder: Path, cache: Path, workers: int = 2) -> list[Floats]:
    """What each text's embedding loses without each word, computed once into ``cache`` (.npz).

    One thread a process: on small windows threads wait for one another more than they compute.
    """
    if cache.is_file():
        with np.load(cache) as stored:
            flat, sizes = stored["flat"], stored["sizes"]
        return list(np.split(flat, np.cumsum(sizes)[:-1]))
    done: list[Floats] = []
    with ProcessPoolExecutor(workers, get_context("spawn"), _open, (encoder,)) as pool:
        for part in track(pool.map(_occlude, texts, chunksize=8), "occlusion", len(texts)):
            done.append(part)
    np.savez(cache, flat=np.concatenate(done), sizes=np.array([len(part) for part in done]))
    return done


_OPENED: list[Occluder] = []
"""The worker process's encoder, read once."""


def _open(encoder: Path) -> None:
    import torch

    from proxy.train.occlusion import Occluder  # torch, heavy

    torch.set_num_threads(1)
    _OPENED.append(Occluder(encoder))


def _occlude(text: str) -> Floats:
    return _OPENED[0].losses([text[s:e] for s, e in words_of(text)])


def ranks(values: Floats) -> Floats:
    """Ranks scaled to [0, 1], ties in order."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(order / max(len(values) - 1, 1), dtype=np.float32)


def totals(piece: Slice, lost: Floats, idf: dict[str, float], mix: Mix) -> Floats:
    """What each word is worth by all views together, shape ``(words,)``."""
    words = words_of(piece.text)
    strings = [piece.text[s:e] for s, e in words]
    rarest = max(idf.values())
    rare = np.array([idf.get(w.lower(), rarest) for w in strings], dtype=np.float32)
    # People mark whole phrases; the small words inside are not what they meant.
    content = np.array([is_content(word) for word in strings])
    marked = covered(words, piece.keep) * np.where(content, 1.0, mix.small)
    total = mix.idf * ranks(rare) + mix.occlusion * ranks(lost)
    total += rules(piece.text, words, mix)
    number = np.array(sentences_of(piece.text, words))
    counts = np.bincount(number, weights=content)
    means = np.bincount(number, weights=total * content) / np.maximum(counts, 1)
    total += mix.sentence * means[number]
    total += float(getattr(mix, _MARKS[piece.source])) * marked
    return np.asarray(total, dtype=np.float32)


def soft_labels(pieces: list[Slice], worth: list[Floats], mix: Mix) -> list[Floats]:
    """P(keep) of each word, for each piece shape ``(words,)``.

    Ranks go over all that came from one source and not over each piece: where people marked much,
    much may stay, so one budget over a long text is spent where it matters.
    """
    found = list(worth)
    for source in {piece.source for piece in pieces}:
        index = [i for i, piece in enumerate(pieces) if piece.source == source]
        sizes = [len(worth[i]) for i in index]
        rank = ranks(np.concatenate([worth[i] for i in index]))
        keep = 1 / (1 + np.exp(-mix.steepness * (rank - mix.middle)))
        for i, part in zip(index, np.split(keep, np.cumsum(sizes)[:-1]), strict=True):
            if source == "qmsum":
                part = (1 - mix.marked) * part + mix.marked * _marked_content(pieces[i])
            found[i] = np.asarray(part, dtype=np.float32)
    return found


def _marked_content(piece: Slice) -> npt.NDArray[np.bool_]:
    words = words_of(piece.text)
    said = [piece.text[s:e] for s, e in words]
    content = np.array([is_content(word) and word.lower() not in FILLERS for word in said])
    return content & covered(words, piece.keep)


def rules(text: str, words: list[Span], mix: Mix) -> Floats:
    """What the rules add to each word, shape ``(words,)``."""
    added = np.zeros(len(words), dtype=np.float32)
    seen: set[str] = set()
    speakers = covered(words, speakers_of(text))
    for index, (start, end) in enumerate(words):
        word = text[start:end]
        plain = word.lower().replace("’", "'")
        if plain in NEGATIONS or plain.endswith("n't"):
            added[index] += mix.negation
        if any(character.isdigit() for character in word):
            added[index] += mix.digit
        if is_sign(word) or plain in FILLERS or speakers[index]:
            added[index] += mix.filler
        added[index] += mix.length * len(word)
        if is_content(word) and not speakers[index]:
            added[index] += (
                mix.content
                + mix.verb * is_verb(word)
                + mix.repeat * (stem(word) in seen)
                + mix.name * word[:1].isupper()
            )
            seen.add(stem(word))
    return added


def covered(words: list[Span], spans: Any) -> npt.NDArray[np.bool_]:
    """Words that lie in one of the spans, shape ``(words,)``."""
    inside = np.zeros(len(words), dtype=np.bool_)
    starts = np.array([start for start, _ in words])
    for low, high in spans:
        inside[(starts >= low) & (starts < high)] = True
    return inside


def main(
    data: Path,
    encoder: Path,
    out: Path,
    cache: Path,
    mix: Mix | None = None,
    most: dict[str, int] | None = None,
) -> None:
    """Writes the labelled slices to ``out``, and the mix beside it."""
    mix = mix or Mix()
    pieces = slices(data, most)
    idf = inverse_frequencies([piece.text for piece in pieces])
    lost = occlusions([piece.text for piece in pieces], encoder, cache)
    worth = [totals(piece, part, idf, mix) for piece, part in zip(pieces, lost, strict=True)]
    with out.open("w", encoding="utf-8") as lines:
        for piece, labels in zip(pieces, soft_labels(pieces, worth, mix), strict=True):
            row = {
                "text": piece.text,
                "words": words_of(piece.text),
                "labels": [round(float(v), 3) for v in labels],
                "doc": piece.doc,
                "source": piece.source,
                "weight": 1.0,
            }
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    out.with_suffix(".mix.json").write_text(json.dumps(asdict(mix), indent=1))
