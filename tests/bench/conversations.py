"""Conversations as clients send them: with agents, and about retrieved passages, turn by turn."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.prose import prose

Message = dict[str, Any]
PASSAGES = 8
PASSAGE_WORDS = 220
_WORD = re.compile(r"[a-z]{4,}")


@dataclass(frozen=True)
class Conversation:
    """All its messages, the last one included."""

    name: str
    messages: tuple[Message, ...]

    def requests(self) -> Iterator[tuple[Message, ...]]:
        """What the client sends at each turn: everything before each answer."""
        for i, message in enumerate(self.messages):
            if message["role"] == "assistant" and i:
                yield self.messages[:i]


def agents(data: Path, limit: int) -> list[Conversation]:
    """``agent-dialogues``: customer service with tools and their JSON results."""
    rows = _rows(data / "agent-dialogues.jsonl.gz", limit)
    return [Conversation(f"agents {i}", tuple(row["messages"])) for i, row in enumerate(rows)]


def meetings(data: Path, limit: int) -> list[Conversation]:
    """``qmsum-val`` as chats: every question comes with the passages that match it best."""
    found = []
    for i, row in enumerate(_rows(data / "qmsum-val.jsonl.gz", limit)):
        asked = [(query["query"], query["answer"]) for query in row["queries"]]
        found.append(chat(f"meeting {i}", row["text"].splitlines(), asked))
    return found


def made_up(limit: int) -> list[Conversation]:
    """The same about made-up prose, for machines without the data."""
    found = []
    for seed in range(limit):
        dice = random.Random(seed)
        lines = prose(9_000, seed).split("\n\n")
        asked = [(_about(dice.choice(lines)), dice.choice(lines)[:300]) for _ in range(6)]
        found.append(chat(f"made up {seed}", lines, asked))
    return found


def chat(name: str, lines: Sequence[str], asked: Sequence[tuple[str, str]]) -> Conversation:
    """A conversation about a text of these lines: question by question with its passages."""
    passages = list(_passages(lines))
    counts = [Counter(_WORD.findall(passage.lower())) for passage in passages]
    rarity = Counter(word for count in counts for word in count)
    messages: list[Message] = [{"role": "system", "content": "Answer from the passages given."}]
    for question, answer in asked:
        found = _best(_WORD.findall(question.lower()), counts, rarity)
        told = "\n\n".join(passages[i] for i in found)
        messages.append({"role": "user", "content": f"{told}\n\nQuestion: {question}"})
        messages.append({"role": "assistant", "content": answer})
    return Conversation(name, tuple(messages))


def _best(
    words: Sequence[str], counts: Sequence[Mapping[str, int]], rarity: Mapping[str, int]
) -> list[int]:
    """The passages that have most of the question's rare words, in the text's order."""
    worth = [
        sum(min(c.get(w, 0), 3) / rarity[w] for w in set(words) if w in rarity) for c in counts
    ]
    best = sorted(range(len(counts)), key=lambda i: (-worth[i], i))[:PASSAGES]
    return sorted(best)


def _passages(lines: Sequence[str]) -> Iterator[str]:
    held: list[str] = []
    for line in lines:
        held.append(line)
        if sum(len(part.split()) for part in held) >= PASSAGE_WORDS:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def _about(text: str) -> str:
    words = sorted(set(_WORD.findall(text.lower())), key=len)[-4:]
    return f"What is said about {', '.join(words)}?"


def _rows(file: Path, limit: int) -> list[Any]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for _, line in zip(range(limit), lines, strict=False)]
