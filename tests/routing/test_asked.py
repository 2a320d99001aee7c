"""What request headers may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BadRequest
from proxy.routing import Asked


def test_no_headers_ask_for_nothing() -> None:
    assert Asked.from_headers({}) == Asked()
    assert Asked.from_headers({"x-precis-policy": " ", "x-precis-rate": ""}) == Asked()


def test_all_three_are_read() -> None:
    headers = {"x-precis-bypass": "TRUE", "x-precis-policy": " rag ", "x-precis-rate": "0.6"}
    assert Asked.from_headers(headers) == Asked(bypass=True, policy="rag", rate=0.6)


@pytest.mark.parametrize(
    ("word", "value"), [("1", True), ("yes", True), ("false", False), ("0", False)]
)
def test_bypass_takes_the_usual_words(word: str, value: bool) -> None:
    assert Asked.from_headers({"x-precis-bypass": word}).bypass is value


@pytest.mark.parametrize(("word", "rate"), [("1", 1.0), (".5", 0.5), ("1.", 1.0), ("0.333", 0.333)])
def test_rate_takes_plain_numbers(word: str, rate: float) -> None:
    assert Asked.from_headers({"x-precis-rate": word}).rate == rate


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-precis-bypass", "maybe"),
        *(("x-precis-rate", bad) for bad in ("0", "1.5", "-0.5", "50%", "nan", "inf", "1e-1", "½")),
        ("x-precis-rate", "0_1"),
        ("x-precis-rate", "٠.٥"),
        ("x-precis-rate", "."),
    ],
)
def test_a_bad_value_is_told_with_its_header(header: str, value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Asked.from_headers({header: value})
    assert caught.value.param == header
    assert header in caught.value.message


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_understood_or_refused(bypass: str, policy: str, rate: str) -> None:
    headers = {"x-precis-bypass": bypass, "x-precis-policy": policy, "x-precis-rate": rate}
    try:
        asked = Asked.from_headers(headers)
    except BadRequest as exc:
        assert exc.param in headers  # a refusal is one of two right outcomes
        assert len(exc.message) < 300
    else:
        assert asked.rate is None or 0 < asked.rate <= 1
