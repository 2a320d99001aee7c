"""Texts full of what a gate has to look after, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = (
    "the of a well-known committee quietly agreed to postpone everything because number's not no "
    "never don't can’t won't without nobody nobody's none neither nor cannot mayn't No-one NOT "
    "3.5 $10,000 12:30 2024-05-01 B2B v1.2.3 -5 50 % 1st 7 x2y ٣٫٥ 1,000.50 3-4 "
    "https://a.b/c?d=1 x@y.org src/a.py foo_bar \"said he\" 'so' “never” `x = 1` ``` ~~~ - * | = "
    "<b> </b> <br/> <doc id=\"4\"> </doc> <a href='x'> < > <!-- --> {x} [1] 中文 日本語 😀 \ud800 "
    "\u00a0 naïve Question: Answer: … ... ? ! . , ; :"
).split(" ")
BLOCKS = (
    "```python\nx = 1  # not 2\n```",
    "```\nopen and never closed",
    "~~~ sh\nls -l\n~~~",
    "    for x in y:\n        return x",
    '{"id": 7, "body": "a long story of the sea", "rest": [1.50, null, true, {"k": "7"}]}',
    '[{"a": 1}, {"b": "not me"}]',
    '{"one": "line"}\n{"two": 2}\n{"three": null}',
    "| a | b |\n|---|---|\n| 1 | no |",
    "a,b,c\n1,2,3\n4,5,6",
    "Question: what is it that nobody saw?",
    "> quoted and not mine\n> ``` \n> y\n> ```",
    "# A heading",
    "- a point\n- no point",
)
_LINES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)
_GAPS = st.sampled_from(["\n", "\n\n", "\n\n", "\r\n", "\n \n"])
_PIECES = st.one_of(_LINES, _LINES, _LINES, st.sampled_from(BLOCKS))
TEXTS = st.one_of(
    st.lists(st.tuples(_PIECES, _GAPS), min_size=1, max_size=9).map(
        lambda pieces: "".join(piece + gap for piece, gap in pieces)
    ),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map("".join),
    st.sampled_from(BLOCKS),
)
