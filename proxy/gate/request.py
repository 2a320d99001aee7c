"""All texts of a request verified, and the request with them: nothing else in it may differ.

So tool calls and their results stay paired, whatever their shape: ids, names, arguments, order,
roles, parts that are no text and every other field are the same bytes as before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence

from proxy.config_policy import Policy
from proxy.gate.verify import original, verify
from proxy.messages.body import Chat
from proxy.messages.source import encode
from proxy.tokens import Encoding
from proxy.types import Compressed, Passage, Span


def verify_request(
    chat: Chat,
    passages: Sequence[Passage],
    results: Sequence[Compressed],
    policy: Policy,
    encoding: Encoding,
    fresh: Collection[int] | None = None,
) -> tuple[Compressed, ...]:
    """Each result if it may be sent, else the passage's own text and the reason why.

    ``fresh``: indices of those that have not passed before; all of them if not given.
    If the request as a whole fails, every text goes back, with ``gate: request``.
    """
    pairs = list(zip(passages, results, strict=True))
    done = [
        verify(passage, result, policy, encoding) if fresh is None or i in fresh else result
        for i, (passage, result) in enumerate(pairs)
    ]
    if request_is_whole(chat, zip(passages, done, strict=True)):
        return tuple(done)
    return tuple(
        result if result.reason else original(passage, result, "gate: request")
        for passage, result in zip(passages, done, strict=True)
    )


def request_is_whole(chat: Chat, done: Iterable[tuple[Passage, Compressed]]) -> bool:
    """Whether the request with these results in it differs from what came in these texts alone.

    Reads the bytes that would be sent, from the first to the last: between the texts stands what
    stood there, and each text is a JSON string of what it is to be. Linear in the body.
    """
    changed = [(p, c.text) for p, c in done if c.text != p.text]
    texts = {(p.message, p.part): text for p, text in changed}
    after = chat.render(texts)
    at = passed = 0
    for (start, end), was, new in sorted(_places(chat, changed)):
        between, literal = chat.body[passed:start], encode(new)
        if not after.startswith(between + literal, at):
            return False
        if _read(chat.body[start:end]) != was or _read(literal) != new:
            return False
        at, passed = at + len(between) + len(literal), end
    return after[at:] == chat.body[passed:]


def _places(chat: Chat, changed: Iterable[tuple[Passage, str]]) -> Iterator[tuple[Span, str, str]]:
    for passage, text in changed:
        raw = chat.texts[passage.message, passage.part].raw
        yield chat.source.span(raw), passage.text, text


def _read(literal: bytes) -> object:
    try:
        return json.loads(literal)
    except ValueError:
        return None
