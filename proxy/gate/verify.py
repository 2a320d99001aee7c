"""The checks on one compressed text, in their order. Knows nothing of the request around it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import replace

from proxy.config_policy import Policy
from proxy.gate import promises, shape
from proxy.gate.case import Case, within
from proxy.gate.gone import without_gone
from proxy.spans import Spans, edges_of
from proxy.tokens import Encoding
from proxy.types import Compressed, Passage

Check = Callable[[Case], bool]


def verify(
    passage: Passage, compressed: Compressed, policy: Policy, encoding: Encoding
) -> Compressed:
    """``compressed`` if every check holds, else the passage's own text with the reason why.

    The reason is ``gate: NAME`` of the check that failed, or ``no saving``.
    """
    case = Case(without_gone(passage, compressed), compressed, policy, encoding)
    # A text that is its own original, as most are, can have lost nothing but its numbers.
    checks = CHECKS if compressed.text != passage.text else UNTOUCHED
    for name, check in checks:
        if not check(case):
            return original(passage, compressed, f"gate: {name}")
    if compressed.reason or _pays(replace(case, passage=passage)):
        return compressed
    return original(passage, compressed, "no saving")


def original(passage: Passage, compressed: Compressed, reason: str) -> Compressed:
    """The passage's own text in place of what the compressor made of it."""
    kept = ((0, len(passage.text)),) if passage.text else ()
    tokens = compressed.tokens_before
    return replace(compressed, text=passage.text, kept=kept, tokens_after=tokens, reason=reason)


def _pays(case: Case) -> bool:
    """Whether the policy's ``min_saving`` is met: a share of the tokens, or from 1 on tokens.

    What must not be sent goes, however little that saves.
    """
    if case.passage.dropped:
        return case.after != case.before
    before, least = case.compressed.tokens_before, case.policy.min_saving
    saved = before - case.compressed.tokens_after
    wanted = least if least >= 1 else least * before
    return case.after != case.before and saved >= max(wanted, 1)


def mask_is_sound(case: Case) -> bool:
    """Kept spans are not empty, ascend without overlap, and lie within the text."""
    edges = edges_of(case.compressed.kept)
    filled = (edges[:, 0] < edges[:, 1]).all()
    within = edges.size == 0 or (edges[0, 0] >= 0 and edges[-1, 1] <= len(case.before))
    return bool(filled and within and (edges[:-1, 1] <= edges[1:, 0]).all())


def text_is_what_was_kept(case: Case) -> bool:
    """The text is the kept spans of the original and nothing else."""
    return case.after == Spans.of(case.compressed.kept).cut(case.before)


def alone_is_untouched(case: Case) -> bool:
    """A passage to be left alone, or a result that says it is unchanged, has its own text."""
    alone = case.passage.reason or case.compressed.reason
    return not alone or case.after == case.before


def marks_are_kept(case: Case) -> bool:
    """Every intact and every forced mark lies within what was kept."""
    marks = (*case.passage.intact, *case.passage.forced)
    return within([(mark.start, mark.end) for mark in marks], case.kept)


def dropped_is_gone(case: Case) -> bool:
    """Nothing that must not be sent is, in a text that was changed."""
    dropped = case.passage.dropped
    if case.compressed.reason or not dropped:
        return True
    starts, ends = [mark.start for mark in dropped], [mark.end for mark in dropped]
    # As many must have ended before a kept span begins as have begun before it ends.
    return all(bisect_right(ends, s) == bisect_left(starts, e) for s, e in case.compressed.kept)


def something_is_left(case: Case) -> bool:
    """A text that said something still does: upstreams refuse empty messages."""
    return bool(case.after.strip()) or not case.before.strip()


def nothing_grew(case: Case) -> bool:
    """Neither the tokens nor the characters became more."""
    told = case.compressed
    fewer = 0 <= told.tokens_after <= told.tokens_before
    return fewer and len(case.after) <= len(case.before)


def tokens_are_true(case: Case) -> bool:
    """A changed text has as many tokens as its result says, and had as many before."""
    if case.compressed.reason:
        return True
    told, count = case.compressed, case.encoding.count
    return (told.tokens_before, told.tokens_after) == (count(case.before), count(case.after))


CHECKS: tuple[tuple[str, Check], ...] = (
    ("mask", mask_is_sound),
    ("text", text_is_what_was_kept),
    ("untouched", alone_is_untouched),
    ("protected", marks_are_kept),
    ("dropped", dropped_is_gone),
    ("empty", something_is_left),
    ("larger", nothing_grew),
    ("json", shape.json_is_whole),
    ("digits", promises.digits_are_kept),
    ("negations", promises.negations_are_kept),
    ("tags", promises.tags_are_kept),
    ("words", shape.words_are_whole),
    ("fences", shape.fences_are_balanced),
    ("count", tokens_are_true),
)
UNTOUCHED = tuple(
    (n, c) for n, c in CHECKS if n in ("mask", "text", "untouched", "dropped", "larger")
)
"""Those that a text which is its own original can fail."""
