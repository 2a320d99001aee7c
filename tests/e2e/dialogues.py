"""Conversations for tests of whole prompts: our own texts, and real dialogues where they are.

``PRECIS_DATA`` names a folder with ``agent-dialogues.jsonl.gz`` and ``qmsum-val.jsonl.gz``; without
it the tests run on texts of our own alone.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

from tests.bench.conversations import agents, meetings
from tests.bench.prose import prose
from tests.e2e.texts import CODE, DATA, FACTS, MEETING

Message = dict[str, Any]


def conversations(seeds: int, real: int) -> list[list[Message]]:
    """As many of our own, and as many real ones of either kind."""
    found = [own(seed) for seed in range(seeds)]
    if folder := os.environ.get("PRECIS_DATA"):
        data = Path(folder)
        told = [*agents(data, real), *meetings(data, real)]
        found += [list(conversation.messages) for conversation in told]
    return found


def own(seed: int) -> list[Message]:
    """A conversation with documents, parts, tools and their results, markers for caches, images."""
    dice = random.Random(seed)
    paragraphs = [*MEETING.split("\n\n"), *prose(1500, seed).split("\n\n"), CODE, DATA]
    messages: list[Message] = [{"role": "system", "content": _some(dice, paragraphs, 2)}]
    for turn in range(dice.randint(2, 4)):
        messages.append({"role": "user", "content": _content(dice, paragraphs, turn)})
        if dice.random() < 0.6:
            messages += _look_up(dice, paragraphs, f"call_{seed}_{turn}")
        messages.append({"role": "assistant", "content": f"Noted: {dice.choice(FACTS)}."})
    return messages


def _content(dice: random.Random, paragraphs: list[str], turn: int) -> Any:
    asked = f"Turn {turn}: what did {dice.choice(('Gerald', 'the insurer', 'nobody'))} not say?"
    told = _some(dice, paragraphs, dice.randint(2, 8))
    if dice.random() < 0.5:
        return f"{told}\n\n{asked}" if dice.random() < 0.7 else f"{asked}\n\n{told}"
    document: Message = {"type": "text", "text": told}
    if dice.random() < 0.5:
        document["cache_control"] = {"type": "ephemeral"}
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    return [document, *([picture] if dice.random() < 0.3 else []), {"type": "text", "text": asked}]


def _look_up(dice: random.Random, paragraphs: list[str], name: str) -> list[Message]:
    call = {"id": name, "type": "function"}
    call["function"] = {"name": "look", "arguments": '{"n": 1.50, "q": "a b"}'}  # type: ignore[assignment]
    told = _some(dice, paragraphs, dice.randint(1, 5))
    if dice.random() < 0.4:
        told = json.dumps({"hits": dice.randint(1, 9), "body": told, "next": None}, indent=1)
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": name, "content": told},
    ]


def _some(dice: random.Random, paragraphs: list[str], count: int) -> str:
    return "\n\n".join(dice.choice(paragraphs) for _ in range(count))
