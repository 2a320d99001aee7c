"""The true pipeline gives the gate nothing to object to, whatever text and policy."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from proxy.compress.draft import Job
from proxy.config_policy import Policy
from proxy.gate import verify
from proxy.messages.segment import passage
from proxy.tokens import encoding
from proxy.types import Mark
from tests.compress.readers import fake
from tests.gate.texts import TEXTS

ALL = Policy().protect
POLICIES = st.builds(
    Policy,
    rate=st.sampled_from([0.1, 0.33, 0.5, 0.9]),
    protect=st.one_of(
        st.just(ALL), st.just(ALL), st.lists(st.sampled_from(ALL), unique=True).map(tuple)
    ),
    question=st.sampled_from(["auto", "none"]),
    force_tokens=st.sampled_from([("\n", "?", "!", "."), (), ("7", "\n", "<b>")]),
    force_reserve_digit=st.booleans(),
    drop_consecutive=st.booleans(),
    budget=st.just("global"),
    min_saving=st.just(0),
    context_rate=st.sampled_from([None, None, 0.3, 0.7]),
    force_context_ids=st.sampled_from([(), (0,), (1, 3)]),
)


@given(TEXTS, POLICIES, st.sampled_from(["user", "tool"]))
@settings(max_examples=400)
def test_the_gate_never_has_to_step_in(text: str, policy: Policy, role: str) -> None:
    found = passage(text, role, policy)
    if found.reason:
        return
    job = Job.of(found, policy.rules, policy.rate_for(0), None)
    result = verify(found, fake().run(job), policy, encoding())
    event(result.reason or "compressed")
    # A policy that does not protect JSON asks for what the gate forbids.
    allowed = () if "json" in policy.protect else ("gate: json",)
    assert not result.reason.startswith("gate") or result.reason in allowed, result.reason


def test_a_block_that_starts_with_a_line_end_is_no_repeated_line_end() -> None:
    text = "the words of a number\n\nWhy is that?"
    rules = Policy(drop_consecutive=True, force_tokens=("\n",)).rules
    for start in (22, 23):
        block = Mark(start, len(text), "question")
        result = fake().run(Job(text, rules, 0.3, None, (block,)))
        assert result.text.endswith("Why is that?") and len(result.text) < len(text)
