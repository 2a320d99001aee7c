"""From a message to what is sent of it, for JSON and for tagged prompts: what always holds.

The classifier is a fake one, so that a thousand odd messages take seconds; the gate is real, and
nothing here may come near it: what it would refuse is a mistake elsewhere.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.compress.draft import Job, as_it_came
from proxy.config_policy import Policy
from proxy.gate import CHECKS
from proxy.gate.case import Case
from proxy.messages.segment import passage
from proxy.messages.tags import read_tags
from proxy.reading import Reading
from proxy.tokens import encoding
from proxy.types import Compressed, Passage
from tests.compress.readers import fake

EVERYONE = ["system", "developer", "user", "assistant", "tool", "function"]
PROSE = "the number of a word is on that of the word and it was as for with a compress "
ESCAPED = 'not "the word" of \\ a\n\nnumber\t5 é 😀 \u2028 http://a.b/c?d=1 '

strings = st.one_of(
    st.sampled_from([PROSE, PROSE * 3, ESCAPED * 3, ESCAPED, "", " ", "x", '{"a": [1]}', "\ud83d"]),
    st.lists(st.sampled_from([PROSE, ESCAPED, "word ", '"', "\\", "\x00", "中文", "```\n"])).map(
        "".join
    ),
    st.text(max_size=30),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | strings,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=4), v, max_size=4),
    max_leaves=10,
)
documents = values.filter(lambda v: isinstance(v, dict | list) and bool(v))
rates = st.floats(0.01, 1.0)
rules = st.fixed_dictionaries(
    {"min_tokens": st.just(0)}, optional={"rate": rates, "compress": st.booleans()}
)
paths = st.dictionaries(
    st.sampled_from(["$..*", "$[0]", "$.a", "$..[*]", "$.?"]), rules, max_size=2
)


def policy(**given_settings: Any) -> Policy:
    return Policy.model_validate({"min_tokens": 0, "roles": EVERYONE, **given_settings})


def sent(found: Passage, rate: float, how: Policy) -> Compressed:
    job = Job.of(found, how.rules, rate, None)
    if found.reason:
        return as_it_came(job, encoding(), found.reason)
    return fake(256).run(job)


def check(found: Passage, result: Compressed, how: Policy) -> None:
    case = Case(found, result, how, encoding())
    for name, holds in CHECKS:
        blank = name == "empty" and not "".join(pieces(found)).strip()
        assert blank or holds(case), name


def pieces(found: Passage) -> list[str]:
    edges = [0, *(e for m in found.dropped for e in (m.start, m.end)), len(found.text)]
    return [found.text[s:e] for s, e in zip(edges[::2], edges[1::2], strict=True)]


def shape(value: Any) -> Any:
    """The value with all strings made one."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "" if isinstance(value, str) else repr(value)


def is_subsequence(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [leaf for item in inner for leaf in leaves(item)]


@given(
    documents, rates, paths, st.booleans(), st.sampled_from([None, 0, 2, "\t"]),
    st.sampled_from(["tool", "user"]), st.sampled_from([None, 5, 20]),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_json_stays_the_same_json_with_shorter_strings(
    doc: Any, rate: float, by_path: dict[str, Any], ascii_only: bool, indent: Any, role: str,
    least: int | None,
) -> None:  # fmt: skip
    text = json.dumps(doc, ensure_ascii=ascii_only, indent=indent)
    how = policy(json_paths=by_path, json_min_tokens=least)
    found = passage(text, role, how)
    result = sent(found, rate, how)
    check(found, result, how)
    after = json.loads(result.text)
    assert shape(after) == shape(doc)
    for before, now in zip(leaves(doc), leaves(after), strict=True):
        assert is_subsequence(now, before) and bool(now.strip()) == bool(before.strip())
    outside = {i for r in found.regions for i in range(r.start, r.end)}
    assert set(range(len(text))) - {i for s, e in result.kept for i in range(s, e)} <= outside


@given(
    st.lists(documents, min_size=1, max_size=4), rates, st.sampled_from(["\n", "\n\n", " and ", ""])
)
@example([{"": "\x1b\x08"}], 0.5, "\n")  # shorter than what is looked at line by line
@settings(max_examples=40, deadline=None)
def test_documents_among_others_and_among_prose_stay_whole(
    docs: list[Any], rate: float, between: str
) -> None:
    written = [json.dumps(doc) for doc in docs]
    text = between.join(written)
    how = policy(json_paths={"$..*": {"min_tokens": 0}})
    found = passage(text, "tool", how)
    result = sent(found, rate, how)
    check(found, result, how)
    for start, end in found.documents:
        inside = "".join(
            text[max(s, start) : min(e, end)] for s, e in result.kept if s < end and e > start
        )
        assert shape(json.loads(inside)) == shape(json.loads(text[start:end]))


@given(documents, rates, rates)
@settings(max_examples=40, deadline=None)
def test_raising_the_rate_never_takes_from_a_string(doc: Any, one: float, other: float) -> None:
    text = json.dumps(doc)
    low, high = sorted((one, other))
    how = policy(json_paths={"$..*": {"min_tokens": 0}})
    found = passage(text, "tool", how)
    less, more = (
        {i for s, e in sent(found, rate, how).kept for i in range(s, e) if text[i].isalnum()}
        for rate in (low, high)
    )
    assert less <= more


TAGS = [
    "<keep>", "</keep>", "<llmlingua>", "</llmlingua>", "<llmlingua, rate=0.5, compress=False>",
    "<llmlingua rate=0.2>", "<llmlingua rate='1'>", "<llmlingua rate=7>", "<", ">", "<b>", "</b>",
    "<llmlingua", "</keep", "<keep><keep>",
]  # fmt: skip
TEXTS = [
    PROSE, "word ", "\n", "\n\n", " ", "Why is it so? ", "not 5 ", '{"a": "' + PROSE * 3 + '"}',
    "```\nx = 1\n```\n", "a\tb\nc\td\ne\tf\n", "\\", '"', "\\n", "中文", "\ud800", "Question: ",
]  # fmt: skip
soups = st.lists(st.sampled_from(TAGS) | st.sampled_from(TEXTS), max_size=25).map("".join)


@given(soups, rates, st.sampled_from(EVERYONE), st.booleans(), st.sampled_from(["auto", "all"]))
@example("<llmlingua><keep><llmlingua</llmlingua>" + PROSE, 0.1, "system", True, "auto")
@example("<llmlingua></llmlingua>", 0.5, "system", False, "auto")
@settings(max_examples=100, deadline=None)
def test_obeyed_tags_go_and_nothing_else_of_what_is_kept(
    text: str, rate: float, role: str, everyone: bool, question: str
) -> None:
    how = policy(
        obey_tags=EVERYONE,
        roles=EVERYONE if everyone else [],
        question=question,
        json_paths={"$..*": {"min_tokens": 0}},
    )
    found = passage(text, role, how)
    result = sent(found, rate, how)
    check(found, result, how)
    tags = read_tags(text)
    if Reading.of(text, (), tags.dropped).sent.strip():  # else it is better left as it is
        assert found.dropped == tags.dropped
    else:
        assert found.reason == "empty" or not text.strip()
    places = {i for s, e in result.kept for i in range(s, e)}
    for mark in tags.kept:
        assert set(range(mark.start, mark.end)) <= places
    if not everyone and found.dropped:
        free = {i for r in tags.regions for i in range(r.start, r.end)}
        gone = set(range(len(text))) - places
        assert gone <= free | {i for m in found.dropped for i in range(m.start, m.end)}


@given(soups, rates, st.sampled_from(["tool", "assistant", "function", "user"]))
@settings(max_examples=40, deadline=None)
def test_tags_of_roles_that_are_not_trusted_are_text(text: str, rate: float, role: str) -> None:
    how = policy(protect=["tags", "json"])
    found = passage(text, role, how)
    assert found.dropped == () and found.regions == ()
    result = sent(found, rate, how)
    check(found, result, how)
    for tag in ("<keep>", "</keep>", "<llmlingua>", "<llmlingua rate=0.2>", "</llmlingua>"):
        assert result.text.count(tag) == text.count(tag)


@given(soups)
@settings(max_examples=40, deadline=None)
def test_at_rate_one_only_the_tags_go(text: str) -> None:
    how = policy(obey_tags=EVERYONE)
    plain = text.replace("rate=0.2", "rate=1.0").replace("rate=0.5", "rate=1.0")
    found = passage(plain, "user", how)
    assert sent(found, 1.0, how).text == "".join(pieces(found))
