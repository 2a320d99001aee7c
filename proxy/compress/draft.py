"""A text on its way through the compressor: split, tokenised and cut, then scored and chosen from.

Pure: the classifier runs between ``Draft.of`` and ``Draft.finish``, wherever the caller likes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from proxy.compress import keep, language, levels, sentences, windows
from proxy.compress.contexts import Filter, places
from proxy.compress.heads import Heads
from proxy.compress.negated import with_what_is_negated
from proxy.compress.repeats import Repeats
from proxy.compress.tokenize import Tokenizer, Tokens, unpack
from proxy.compress.windows import Window
from proxy.compress.words import LINE, PUNCTUATION, Units, split
from proxy.compress.zones import Zones
from proxy.reading import Reading
from proxy.spans import edges_of
from proxy.tokens import Encoding
from proxy.types import Compressed, Context, Escape, Mark, Passage, Region, Rules, Span

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Job:
    """What is asked for one text."""

    text: str
    rules: Rules = field(default_factory=Rules)
    rate: float = 0.5
    target_tokens: int | None = None
    """Absolute target for the whole text; overrides ``rate``."""
    intact: tuple[Mark, ...] = ()
    forced: tuple[Mark, ...] = ()
    dropped: tuple[Mark, ...] = ()
    regions: tuple[Region, ...] = ()
    escapes: tuple[Escape, ...] = ()
    token_ids: npt.NDArray[np.uint32] | None = field(default=None, compare=False)
    """The text's tokens in the upstream's encoding, if they are known."""
    contexts: tuple[Context, ...] = ()

    @classmethod
    def of(
        cls,
        passage: Passage,
        rules: Rules,
        rate: float,
        target_tokens: int | None,
        token_ids: npt.NDArray[np.uint32] | None = None,
    ) -> Self:
        """What is asked for a passage that is not to be left alone."""
        return cls(
            passage.text,
            rules,
            rate,
            target_tokens,
            passage.intact,
            passage.forced,
            passage.dropped,
            passage.regions,
            passage.escapes,
            token_ids,
            passage.contexts,
        )

    def tokens(self, encoding: Encoding) -> int:
        """Tokens of the text, which is not counted twice."""
        return encoding.count(self.text) if self.token_ids is None else len(self.token_ids)


@dataclass(frozen=True)
class Reader:
    """The classifier's way to read: its tokenizer, window length and languages."""

    tokenizer: Tokenizer
    window: int
    languages: tuple[str, ...] = ()
    sentence_share: float = 0.0
    """How much of a word's worth is its sentence's; see ``sentences.share``."""


@dataclass(frozen=True)
class Draft:
    """One text, ready to be scored window by window."""

    job: Job
    reading: Reading
    """What the classifier reads; offsets below are into its text."""
    units: Units
    zones: Zones
    heads: Heads
    tokens: Tokens
    first: Ints
    """Index of the first token that overlaps each unit, shape ``(units,)``."""
    past: Ints
    """Index after the last token that overlaps each unit, shape ``(units,)``."""
    windows: tuple[Window, ...]
    unreadable: Bools
    """Units in a language that the classifier can't read; they stay, outside the budget."""
    sentence_share: float = 0.0

    @classmethod
    def of(cls, job: Job, reader: Reader) -> Draft:
        """Splits, tokenises and cuts the text.

        Windows that can't be read, or of which everything stays, are left out.
        """
        reading = Reading.of(job.text, job.escapes, job.dropped)
        clean = keep.without_surrogates(reading.text)
        blocks = reading.places([(mark.start, mark.end) for mark in job.intact])
        units = _units(job, reading, blocks)
        tokens = reader.tokenizer.encode(clean, _between(blocks, len(clean)))
        first = np.searchsorted(tokens.ends, units.starts, side="right")
        past = np.maximum(np.searchsorted(tokens.starts, units.ends, side="left"), first)
        limit = reader.window - reader.tokenizer.specials
        edges = np.append(first, len(tokens))
        cuts = windows.cut(units, edges, limit, job.rules.chunk_end_tokens)
        zones = Zones.among(units, job.regions, reading)
        none = np.zeros(len(units), np.bool_)
        heads = Heads.among(units, job.rules, zones.stretch if job.regions else None)
        draft = cls(
            job, reading, units, zones, heads, tokens, first, past, (), none, reader.sentence_share
        )
        readable = draft._readable(cuts, reader)
        unreadable = draft.unreadable.copy()
        for window in set(cuts) - set(readable):
            unreadable[draft._units_of(window)] = True
        draft = replace(draft, unreadable=unreadable)
        if job.contexts:  # of which each is worth what all its words are
            return replace(draft, windows=tuple(readable))
        # Where everything stays in any case, its scores would not matter.
        forced = draft.forced(reader.tokenizer)
        undecided = [window for window in readable if not forced[draft._units_of(window)].all()]
        return replace(draft, windows=tuple(undecided))

    def _units_of(self, window: Window) -> slice:
        low, high = np.searchsorted(self.first, (window.start, window.end), side="left")
        return slice(int(low), int(high))

    def _readable(self, cuts: list[Window], reader: Reader) -> list[Window]:
        pieces, unknown = self.past - self.first, self.unknown(reader.tokenizer)
        edges = np.array([(window.start, window.end) for window in cuts], dtype=np.int64)
        parts = np.searchsorted(self.first, edges.reshape(-1, 2), side="left")
        found = language.readable(
            self.units, pieces, unknown, reader.languages, (parts[:, 0], parts[:, 1])
        )
        return [window for window, can in zip(cuts, found.tolist(), strict=True) if can]

    def unknown(self, tokenizer: Tokenizer) -> Bools:
        """Units of which a token is not in the classifier's vocabulary, shape ``(units,)``."""
        if tokenizer.unknown_id is None:
            return np.zeros(len(self.units), dtype=np.bool_)
        seen = np.concatenate([[0], np.cumsum(unpack(self.tokens.ids)[0] == tokenizer.unknown_id)])
        return np.asarray(seen[self.past] > seen[self.first])

    def ids(self, window: Window) -> Ints:
        """Token ids of a window without special tokens, shape ``(tokens,)``."""
        return self.tokens.ids[window.start : window.end]

    def edges(self, window: Window) -> tuple[Ints, Ints]:
        """Where the tokens of each of a window's words start and end, from the window's start.

        Shape ``(words,)`` each. A word belongs to the window that its first token is in.
        """
        part = self._units_of(window)
        past = np.minimum(self.past[part], window.end)
        return self.first[part] - window.start, past - window.start

    def levels(self, window: Window, scores: Floats) -> bytes:
        """The words' P(keep), packed, from those of the window's tokens, shape ``(tokens,)``.

        They depend on nothing outside the window.
        """
        first, past = self.edges(window)
        if self.job.rules.token_to_word == "first":
            words: Floats = np.append(scores, np.float32(0))[first]
        else:
            sums = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
            words = (sums[past] - sums[first]) / np.maximum(past - first, 1)
        return levels.pack(words, past > first)

    def word_scores(self, packed: Sequence[bytes]) -> Floats:
        """P(keep) of each unit, shape ``(units,)``; 0 where it has no tokens.

        ``packed``: for each window the scores of its words.
        """
        found: Floats = np.zeros(len(self.units), dtype=np.float32)
        for window, words in zip(self.windows, packed, strict=True):
            found[self._units_of(window)] = levels.unpack(words)
        return found

    def worth(self, packed: Sequence[bytes]) -> Floats:
        """What units are chosen by, shape ``(units,)``; ``packed`` as for ``word_scores``."""
        return sentences.share(self.units, self.word_scores(packed), self.sentence_share)

    @cached_property
    def pinned(self) -> Bools:
        """Units inside marks: they stay byte for byte, with what stands between them."""
        spans = [(mark.start, mark.end) for mark in self.job.forced]
        return _covered(self.units, self.reading.places(spans))

    def _pinned_as(self, reason: str) -> Bools:
        spans = [(mark.start, mark.end) for mark in self.job.forced if mark.reason == reason]
        return _covered(self.units, self.reading.places(spans))

    def forced(self, tokenizer: Tokenizer) -> Bools:
        """Units that stay whatever their score, shape ``(units,)``.

        Unknown tokens and emoji are among them: the classifier can't judge what it can't see
        (llmlingua drops them all).
        """
        forced = self.pinned | self.units.intact | self.unreadable | self._by_rules()
        forced |= self.zones.whole(self._rate)
        unseen = (self.past == self.first) | self.unknown(tokenizer)
        forced |= unseen & (self.units.kinds != PUNCTUATION)
        return self.heads.with_what_stays(forced)

    @property
    def _rate(self) -> float:
        """The rate of what has none of its own, 0 where another rule says how much stays."""
        other = self.job.target_tokens is not None or self.job.rules.threshold is not None
        return 0 if other else self.job.rate

    def _by_rules(self) -> Bools:
        rules, text = self.job.rules, self.reading.text
        spans: list[Span] = []
        for token in rules.force_tokens:
            spans += [match.span() for match in re.finditer(re.escape(token), text)]
        for pattern in rules.force_patterns:
            spans += [match.span() for match in re.finditer(pattern, text)]
        if rules.force_reserve_digit:
            spans += [match.span() for match in re.finditer(r"\d+", text)]
        return _covered(self.units, [span for span in spans if span[0] < span[1]])

    def finish(
        self, packed: Sequence[bytes], tokenizer: Tokenizer, encoding: Encoding
    ) -> Compressed:
        """Chooses the units to keep and builds the text; ``packed`` as for ``word_scores``."""
        job, reading = self.job, self.reading
        if not len(self.units):
            return as_it_came(job, encoding, "empty")
        forced = self.forced(tokenizer)
        worth = self.worth(packed)
        contexts = self._filter(worth)
        forced = with_what_is_negated(
            self.units, worth, forced | contexts.best, self._pinned_as("negation")
        )
        forced = self.heads.with_a_word(forced, worth)
        if forced.all() and contexts.at_once.all():
            return as_it_came(job, encoding, self._why_all(forced))
        known = job.token_ids if reading.sent == job.text else None
        budget = keep.Budget.of(self.units, encoding, reading, known)
        before = budget.tokens if budget.text == job.text else job.tokens(encoding)
        kept = self._choose(worth, forced, contexts, budget, before)
        if kept.all():
            return as_it_came(job, encoding, "no saving")
        spans = reading.spans(keep.spans_of(self.units, kept))
        text = reading.written(spans)
        after = encoding.count(text)
        if after >= before:
            return as_it_came(job, encoding, "no saving")
        return Compressed(text, spans, before, after, "")

    def _filter(self, worth: Floats) -> Filter:
        """The contexts' order; those stay that hold something the classifier can't read."""
        of = places(self.units, self.reading, self.job.contexts)
        unread = np.bincount(of[self.unreadable], minlength=len(self.job.contexts)) > 0
        found = [
            replace(context, stays=context.stays or bool(unread[index]))
            for index, context in enumerate(self.job.contexts)
        ]
        return Filter.among(self.units, of, found, worth, self.job.rules)

    def _choose(
        self, worth: Floats, forced: Bools, contexts: Filter, budget: keep.Budget, before: int
    ) -> Bools:
        """Which units stay, chosen zone by zone; regions lie in contexts that stay."""
        job, zones, units = self.job, self.zones, self.units
        outside = units.intact | self.unreadable
        total = before if not job.dropped else budget.tokens
        targets = zones.targets(budget, outside, total, job.rate, job.target_tokens)
        at_once = contexts.at_once
        always = forced & at_once
        if job.target_tokens is None:
            targets[-1] -= budget.tokens_of(outside & ~at_once)
        ready = self._without_budget(worth, forced, budget)
        kept = np.zeros(len(units), dtype=np.bool_)
        ranked = contexts.rank(keep.rank(units, worth, forced, self.heads))
        first = self.heads.first(ranked)
        loose, inside = forced & ~self.pinned, self.heads.inside
        repeats = Repeats.among(units, job.rules, loose, inside, zones.stretch)
        for zone, order in enumerate(zones.split(ranked)):
            if not len(order):
                continue
            where = zones.where(zone)
            part = budget.part(where)
            final = repeats.finish(where)
            if ready is not None and zones.rates[zone] is None:
                there = ready[where] & at_once[where]
                kept[where] |= final(there & (zones.of[where] == zone))
            else:
                if zone == len(targets) - 1:  # the rest, which may lie all over the text
                    final = contexts.whole(forced, final)
                final = keep.with_heads(self.heads, first, forced, where, final)
                sure = int(always[order].sum())
                # Where marks may be taken out afterwards, at least a word stays.
                loses = job.rules.drop_consecutive or len(self.heads)
                solid = self.heads.content[where] if loses else None
                kept[where] |= keep.choose(
                    order - where.start, sure, targets[zone], part, final, solid
                )
        return kept if ready is None else self._never_nothing(kept, worth, at_once)

    def _never_nothing(self, kept: Bools, worth: Floats, free: Bools) -> Bools:
        """``kept``, with the best of what is ``free`` to stay where only line ends are left."""
        words = self.units.kinds != LINE
        if (kept & words).any() or not (free & words).any():
            return kept
        words = self.heads.content if (free & self.heads.content).any() else words
        kept[int(np.argmax(np.where(free & words, worth, -np.inf)))] = True
        return self.heads.whole(kept, kept)

    def _without_budget(self, worth: Floats, forced: Bools, budget: keep.Budget) -> Bools | None:
        """Units that stay by the rules alone, where these name no budget for the text."""
        rules = self.job.rules
        if rules.threshold is None and rules.budget != "window":
            return None
        leant, _ = keep.lean(self.units, worth, forced, self.heads)
        best = self.zones.most(leant)
        if rules.threshold is not None:
            # Never nothing: the best of each zone is there even where all are below the threshold.
            return leant >= np.minimum(rules.threshold, best)
        in_region = self.zones.of < len(self.zones.starts)
        kept = forced | self._by_window(worth, budget) | (in_region & (leant >= best))
        return self.heads.whole(kept, forced)

    def _by_window(self, worth: Floats, budget: keep.Budget) -> Bools:
        kept = np.zeros(len(self.units), dtype=np.bool_)
        costs = budget.alone()
        for window in self.windows:
            part = self._units_of(window)
            kept[part] = keep.percentile(worth[part], costs[part], self.job.rate)
        return kept

    def _why_all(self, forced: Bools) -> str:
        if (self.unreadable | self.units.intact)[forced].all() and self.unreadable.any():
            return "language"
        return "protected"


def as_it_came(job: Job, encoding: Encoding, reason: str) -> Compressed:
    """The text as it came but for what is dropped; ``reason`` says why nothing else is."""
    before = job.tokens(encoding)
    if not job.dropped:
        return unchanged(job.text, before, reason)
    whole = Reading.of(job.text, (), job.dropped)
    return Compressed(whole.sent, whole.rest, before, encoding.count(whole.sent), "")


def unchanged(text: str, tokens: int, reason: str) -> Compressed:
    """The text as it came."""
    spans = ((0, len(text)),) if text else ()
    return Compressed(text, spans, tokens, tokens, reason)


def _units(job: Job, reading: Reading, blocks: Sequence[Span]) -> Units:
    regions = reading.places([(region.start, region.end) for region in job.regions])
    edges = [edge for region in regions for edge in region]
    return split(reading.text, blocks, cuts=edges, lines="\n" in job.rules.force_tokens)


def _between(blocks: Sequence[Span], end: int) -> list[Span]:
    edges = [0, *(edge for block in blocks for edge in block), end]
    return [(s, e) for s, e in zip(edges[::2], edges[1::2], strict=True) if s < e]


def _covered(units: Units, spans: Sequence[Span]) -> Bools:
    """Units that overlap one of the spans (not empty, any order), shape ``(units,)``."""
    depth = np.zeros(len(units) + 1, dtype=np.int64)
    if spans:
        edges = edges_of(spans)
        low = np.searchsorted(units.ends, edges[:, 0], side="right")
        high = np.maximum(np.searchsorted(units.starts, edges[:, 1], side="left"), low)
        np.add.at(depth, low, 1)
        np.add.at(depth, high, -1)
    return np.asarray(np.cumsum(depth)[:-1] > 0)
