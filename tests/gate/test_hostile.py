"""Whatever a broken or hostile compressor gives back, nothing that was promised is lost."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from proxy.compress.draft import Job
from proxy.config_policy import Policy
from proxy.gate import verify
from proxy.messages.segment import passage
from proxy.tokens import encoding
from proxy.types import Compressed, Mark, Passage, Span
from tests.compress.readers import fake
from tests.gate.texts import TEXTS

POLICY = Policy(min_saving=0, question="none")
COUNT = encoding().count
NEGATION = re.compile(  # beside an ideograph or a quotation a word is a word, without a space too
    r"(?<![a-z0-9_])(?:no|not|none|nor|never|neither|nobody|without)"
    r"(?![a-z0-9_]|['’]\w+(?!\w|['’]))"
    r"|n['’]t(?![a-z0-9_])",
    re.I,
)
FENCE = re.compile(r"(?m)^ {0,3}(```(?=[^`\n]*$)|~~~)")
TAG = re.compile(r"</?[a-z]+>")


def of(text: str, spans: tuple[Span, ...]) -> Compressed:
    """An honest account of these spans."""
    rest = "".join(text[s:e] for s, e in spans)
    return Compressed(rest, spans, COUNT(text), COUNT(rest), "", "hostile")


@st.composite
def masks(draw: st.DrawFn, text: str, honest: Compressed) -> tuple[Span, ...]:
    """Spans at random, or those of the text or of an honest result less a few short pieces."""
    count = len(text)
    places = st.integers(0, count)
    how = draw(st.sampled_from(["random", "text", "text", "honest"]))
    if how == "random":
        edges = draw(st.lists(places, min_size=2, max_size=8, unique=True).map(sorted))
        return tuple(zip(edges[::2], edges[1::2], strict=False))
    kept = [how == "text"] * count
    for start, end in honest.kept:
        kept[start:end] = [True] * (end - start)
    for start in draw(st.lists(places, min_size=1, max_size=3)):
        end = min(count, start + draw(st.integers(1, 8)))
        kept[start:end] = [False] * (end - start)
    return runs(kept)


def runs(kept: list[bool]) -> tuple[Span, ...]:
    starts = [i for i, k in enumerate(kept) if k and (i == 0 or not kept[i - 1])]
    ends = [i + 1 for i, k in enumerate(kept) if k and (i + 1 == len(kept) or not kept[i + 1])]
    return tuple(zip(starts, ends, strict=True))


def hold(text: str, found: Passage, result: Compressed) -> None:
    """The promises, each read from the two texts in the plainest way there is."""
    letters = iter(text)
    assert all(letter in letters for letter in result.text), "not a subsequence"
    assert re.findall(r"\d", result.text) == re.findall(r"\d", text)
    assert len(NEGATION.findall(result.text)) >= len(NEGATION.findall(text))
    for mark in (*found.intact, *found.forced):
        assert text[mark.start : mark.end] in result.text
    assert FENCE.findall(result.text) == FENCE.findall(text)
    assert TAG.findall(result.text) == TAG.findall(text)
    try:
        before = json.loads(text)
    except ValueError:
        return
    if isinstance(before, dict | list):
        after = json.loads(result.text)
        assert str(type(after)) == str(type(before)) and len(after) == len(before)


@given(st.data(), TEXTS)
@settings(max_examples=400)
def test_what_a_hostile_mask_drops_is_put_back(data: st.DataObject, text: str) -> None:
    found = passage(text, "user", POLICY)
    honest = fake().run(Job.of(found, POLICY.rules, 0.5, None))
    spans = data.draw(masks(text, honest))
    # Also with marks that somebody forgot: the gate does not depend on them.
    blind = data.draw(st.booleans())
    seen = replace(found, intact=(), forced=()) if blind else found
    result = verify(seen, of(text, spans), POLICY, encoding())
    event(result.reason.split(" 1")[0] or "compressed")
    hold(text, seen, result)


@given(st.data(), TEXTS)
def test_a_lie_about_the_result_is_found(data: st.DataObject, text: str) -> None:
    found = passage(text, "user", POLICY)
    job = Job.of(found, POLICY.rules, 0.5, None)
    honest = replace(fake().run(job), ms={})
    if honest.reason or found.reason:
        return
    lies = [
        replace(honest, text=honest.text + " more"),
        replace(honest, text=honest.text[::-1]),
        replace(honest, text=honest.text.upper() + "."),
        replace(honest, text=text, tokens_after=honest.tokens_before),
        replace(honest, kept=honest.kept[::-1] if len(honest.kept) > 1 else ((1, 1),)),
        replace(honest, kept=(*honest.kept, honest.kept[-1])),
        replace(honest, kept=(*honest.kept, (len(text) + 1, len(text) + 2))),
        replace(honest, tokens_after=honest.tokens_after - 1),
        replace(honest, tokens_before=honest.tokens_before + 1),
        replace(honest, reason="short"),
    ]
    assert verify(found, honest, POLICY, encoding()) == honest
    lie = data.draw(st.sampled_from(lies))
    assert verify(found, lie, POLICY, encoding()).reason.startswith("gate: ")


def test_a_mark_that_is_no_part_of_the_text_is_not_kept() -> None:
    found = Passage(0, None, "user", "a b c", (), (Mark(3, 9, "quote"),))
    assert verify(found, of("a b c", ((0, 5),)), POLICY, encoding()).text == "a b c"
