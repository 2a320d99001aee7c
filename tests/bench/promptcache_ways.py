"""Ways to send a conversation's request: as it is, by Precis, aware of the question, by litellm.

Precis and the question-aware way have the same classifier, policy, protections and gate; they
differ in one thing alone: whether a message's form depends on the newest question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.compress import Compressor
from proxy.compress.draft import Job, as_it_came
from proxy.compress.scorer import Floats, Ints, Scorer
from proxy.config import Policy
from proxy.gate import verify_request
from proxy.messages.body import parse
from proxy.messages.segment import segment
from proxy.tokens import encoding
from proxy.types import Compressed, Passage, Rules

Message = dict[str, Any]
Messages = Sequence[Message]
Sent = tuple[Messages, Sequence[Any]]
"""Messages, and definitions of tools that came with them."""
SPREAD = 0.25
"""By how much LongLLMLingua's rates go up and down with the rank (its dynamic ratio)."""
_WORD = re.compile(r"[A-Za-z]{4,}")


@dataclass
class Remembering:
    """A scorer that scores each window once, so that a replay does not take all day."""

    scorer: Scorer
    known: dict[bytes, Floats] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.scorer.name

    @property
    def fingerprint(self) -> str:
        return self.scorer.fingerprint

    def score(self, ids: Ints) -> Floats:
        """Shape ``(tokens,)``."""
        key = ids.tobytes()
        if key not in self.known:
            self.known[key] = self.scorer.score(ids)
        return self.known[key]


def as_it_is(messages: Messages) -> Sent:
    """No compression."""
    return messages, ()


Rate = Callable[[Passage, int], tuple[float, Rules]]
"""A passage and its tokens -> its rate and the rules for it."""


@dataclass(frozen=True)
class Ours:
    """The pipeline of a request, from bytes to bytes, as the server runs it."""

    compressor: Compressor
    policy: Policy
    encoding: str

    def precis(self, messages: Messages) -> Sent:
        """Every message by itself."""
        return self._send(messages, lambda passage, tokens: self._usual(tokens)), ()

    def question_aware(self, messages: Messages) -> Sent:
        """Everything anew for the newest question, in the manner of LongLLMLingua.

        The rate of a text falls with its rank in what it shares with the question (arXiv
        2310.06839, equation 5), and the question's words are kept wherever they stand.
        """
        question = next(m["content"] for m in reversed(messages) if m["role"] == "user")
        words = {w.lower() for w in _WORD.findall(str(question)[-400:])}
        shared = {
            i: len(words & {w.lower() for w in _WORD.findall(str(m["content"]))})
            for i, m in enumerate(messages)
            if m["role"] in self.policy.roles and self._is_long(str(m.get("content") or ""))
        }
        ranked = sorted(shared, key=lambda i: -shared[i])
        place = {message: rank for rank, message in enumerate(ranked)}
        pattern = rf"(?i)\b(?:{'|'.join(sorted(words))})\b" if words else ""

        def rate(passage: Passage, tokens: int) -> tuple[float, Rules]:
            base, rules = self._usual(tokens)
            tilt = 1 - 2 * place.get(passage.message, 0) / max(len(ranked) - 1, 1)
            patterns = (*rules.force_patterns, *([pattern] if pattern else []))
            return min(1.0, max(0.05, base + SPREAD * tilt)), replace(
                rules, force_patterns=patterns
            )

        return self._send(messages, rate), ()

    def _is_long(self, text: str) -> bool:
        return encoding(self.encoding).count(text) >= self.policy.min_tokens

    def _usual(self, tokens: int) -> tuple[float, Rules]:
        return self.policy.rate_for(tokens), self.policy.rules

    def _send(self, messages: Messages, rate: Rate) -> Messages:
        chat = parse(json.dumps({"model": "m", "messages": list(messages)}).encode())
        passages = segment(chat, self.policy)
        results = [self._compress(passage, rate) for passage in passages]
        done = verify_request(chat, passages, results, self.policy, encoding(self.encoding))
        pairs = zip(passages, done, strict=True)
        texts = {(p.message, p.part): r.text for p, r in pairs if not r.reason}
        sent: Messages = json.loads(chat.render(texts))["messages"]
        return sent

    def _compress(self, passage: Passage, rate: Rate) -> Compressed:
        counter = encoding(self.encoding)
        tokens = counter.count(passage.text)
        share, rules = rate(passage, tokens)
        job = Job.of(passage, rules, share, None)
        short = "short" if tokens < self.policy.min_tokens else ""
        if passage.reason or short:
            return as_it_came(job, counter, passage.reason or short)
        return self.compressor.run(job, self.encoding)


@dataclass(frozen=True)
class LiteLLM:
    """``litellm.compress``: whole messages dropped or cut by BM25 against the newest question."""

    model: str
    budget: Callable[[Messages], int]
    """Tokens it may send for a request: as many as Precis sends for it."""

    def __call__(self, messages: Messages) -> Sent:
        """Its messages, and the tool that it adds so that the model can ask for what is gone."""
        from litellm.compression import compress

        most = self.budget(messages)
        done = compress(
            messages=[dict(message) for message in messages],
            model=self.model,
            compression_trigger=most,
            compression_target=most,
        )
        return done["messages"], done["tools"]
