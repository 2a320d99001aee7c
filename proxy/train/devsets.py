"""Reads the development texts and finds in them what should survive compression."""

from __future__ import annotations

import gzip
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from proxy.compress.keep import Budget
from proxy.compress.words import Units, split
from proxy.reading import Reading
from proxy.tokens import encoding
from proxy.train.words import Span, is_content, is_sign, sentences_of, stem, words_of

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """Where a question's answer stands in a text, as indices of units.

    ``answers`` and ``links`` are parallel: for each occurrence of the answer its content words,
    and the question's content words in the rest of the same sentence.
    """

    answers: tuple[tuple[int, ...], ...]
    links: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Text:
    """One text, its questions, and what people marked in it."""

    text: str
    questions: tuple[Question, ...] = ()
    marks: tuple[Span, ...] = ()

    @cached_property
    def units(self) -> Units:
        return split(self.text)

    @cached_property
    def content(self) -> Bools:
        """Units that carry meaning of their own, shape ``(units,)``."""
        return np.array([is_content(unit) for unit in self.units.strings], dtype=np.bool_)

    @cached_property
    def marked(self) -> Bools:
        """Units that start in a mark, shape ``(units,)``."""
        inside = np.zeros(len(self.units), dtype=np.bool_)
        for start, end in self.marks:
            inside |= (self.units.starts >= start) & (self.units.starts < end)
        return inside

    @cached_property
    def budget(self) -> Budget:
        """What each unit costs in cl100k tokens."""
        return Budget.of(self.units, encoding(), Reading.of(self.text))

    @cached_property
    def tokens(self) -> int:
        """All of its cl100k tokens."""
        return encoding().count(self.text)


def read(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a gzipped JSONL file."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def nq(data: Path, length: int = 600, seed: int = 0, limit: int = 0) -> list[Text]:
    """nq-oracle-dev: shuffled, passages joined to texts of some ``length`` words.

    At most ``limit`` texts, 0 for all.
    """
    rows = list(read(data / "nq-oracle-dev.jsonl.gz"))
    texts: list[Text] = []
    group: list[dict[str, Any]] = []
    size = 0
    for index in np.random.default_rng(seed).permutation(len(rows)):
        group.append(rows[index])
        size += len(rows[index]["text"].split())
        if size >= length:
            asked = [(row["question"], row["answers"]) for row in group]
            texts.append(with_questions("\n\n".join(row["text"] for row in group), asked))
            group, size = [], 0
        if limit and len(texts) == limit:
            break
    return texts


def hotpot(data: Path, limit: int = 0) -> list[Text]:
    """hotpot-dev: one question a context; those whose answer stands nowhere are left out."""
    rows = read(data / "hotpot-dev.jsonl.gz")
    texts = (with_questions(r["context"], [(r["question"], [r["answer"]])]) for r in rows)
    return list(islice((text for text in texts if text.questions), limit or None))


def marked(data: Path, name: str, limit: int = 0) -> list[Text]:
    """Texts that people marked: debatesum-dev, qmsum-val, scitldr-dev."""
    texts = []
    for row in read(data / f"{name}.jsonl.gz"):
        if row["keep"]:
            texts.append(Text(row["text"], marks=tuple((s, e) for s, e in row["keep"])))
        if limit and len(texts) == limit:
            break
    return texts


def with_questions(text: str, asked: Iterable[tuple[str, Sequence[str]]]) -> Text:
    """The text with every question whose answer stands in it."""
    bare = Text(text)
    starts = bare.units.starts.tolist()
    strings = [string.lower() for string in bare.units.strings]
    spans = list(zip(starts, bare.units.ends.tolist(), strict=True))
    sentences = sentences_of(text, spans, longest=len(spans) + 1)
    plain = [i for i, unit in enumerate(strings) if not is_sign(unit)]
    places: dict[str, list[int]] = {}
    for at, index in enumerate(plain):
        places.setdefault(strings[index], []).append(at)
    words = _Words(strings, plain, places, sentences)
    found = [_find(words, question, answers) for question, answers in asked]
    return Text(text, tuple(question for question in found if question))


@dataclass(frozen=True)
class _Words:
    """A text's units in lower case, which of them are words, and where each word stands."""

    strings: list[str]
    plain: list[int]
    """Indices of the units that are no signs."""
    places: dict[str, list[int]]
    """Positions in ``plain`` by the word that stands there."""
    sentences: list[int]

    def runs(self, needle: list[str]) -> Iterator[tuple[int, ...]]:
        """Where the words of ``needle`` follow one another; signs in between are passed over."""
        for at in self.places.get(needle[0], ()) if needle else ():
            run = tuple(self.plain[at : at + len(needle)])
            if [self.strings[i] for i in run] == needle:
                yield run

    def sentence(self, index: int) -> range:
        """The units of the sentence that a unit stands in."""
        number = self.sentences[index]
        return range(bisect_left(self.sentences, number), bisect_right(self.sentences, number))


def _find(words: _Words, question: str, answers: Sequence[str]) -> Question | None:
    asked = {stem(question[s:e]) for s, e in words_of(question) if is_content(question[s:e])}
    strings = words.strings
    places: list[tuple[int, ...]] = []
    links: list[tuple[int, ...]] = []
    for answer in answers:
        needle = [unit.lower() for unit in split(answer).strings if not is_sign(unit)]
        for run in words.runs(needle):
            places.append(tuple(i for i in run if is_content(strings[i])) or run)
            near = (i for i in words.sentence(run[0]) if i not in run)
            links.append(
                tuple(i for i in near if is_content(strings[i]) and stem(strings[i]) in asked)
            )
    return Question(tuple(places), tuple(links)) if places else None
