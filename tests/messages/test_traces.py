"""Stack traces as blocks."""

from pathlib import Path

import pytest

from proxy.messages.traces import traces

PYTHON = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nValueError: no'
TRACES = {
    "python": PYTHON,
    "chained": f"{PYTHON}\n\nDuring handling of the above exception, another exception occurred:\n\n{PYTHON}",
    "python group": "  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\", line 3, in f\n  | ExceptionGroup: two (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: 1\n    +------------------------------------",
    "syntax": '  File "a.py", line 1\n    f(\n     ^\nSyntaxError: never closed',
    "java": "java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n\t... 3 more\nCaused by: x.Y\n\tat x.Y.z(Y.java:2)",
    "javascript": "TypeError: x is not a function\n    at f (/a/b.js:1:2)\n    at async g (node:internal/x:3:4)\n    at <anonymous>:1:1",
    "c#": "Unhandled exception. System.Exception: no\n   at A.B.C(String d) in C:\\a.cs:line 1\n   at A.Main()",
    "go": "panic: no\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/a/b.go:1 +0x1d\nexit status 2",
    "rust": "thread 'main' panicked at a.rs:1:2:\nindex out of bounds",
    "ruby": "a.rb:1:in `f': no (ArgumentError)\n\tfrom a.rb:2:in `<main>'",
    "php": "PHP Fatal error:  Uncaught Exception: no in /a.php:3\n#0 /a.php(2): f()\n#1 {main}",
    "firefox": "f@https://a.example/b.js:1:2\ng@https://a.example/b.js:3:4",
}  # fmt: skip


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
def test_a_trace_is_found_with_its_message(trace: str) -> None:
    text = f"This is what it said.\n\n{trace}\n\nWhat does it mean?"
    assert [text[m.start : m.end] for m in traces(text)] == [trace]


def test_the_traces_of_five_languages_are_found_and_the_prose_between_is_not() -> None:
    text = (Path(__file__).parent / "samples" / "traces.txt").read_text()
    found = [text[m.start : m.end] for m in traces(text)]
    first = ["Traceback", "Exception in thread", "Uncaught", "panic", "thread 'main'"]
    assert [trace.startswith(start) for trace, start in zip(found, first, strict=True)] == [
        True
    ] * 5
    left = text
    for trace in found:
        left = left.replace(trace, "")
    paragraphs = [part for part in left.split("\n\n") if part.strip()]
    assert len(paragraphs) == 6
    assert all(part.strip()[-1] in ":." for part in paragraphs)


def test_prose_is_no_trace() -> None:
    for text in (
        "Error: the file is not there.\nPlease look at it.",
        "panic buying began\n    at the station (north)\n",
        "    at home (5:30)\nand then",
        "Meet me\n   at 10:30\n",
        "note: this is important\n  and this too",
        '  File "a.py", line 3 is where I would look',
        "1: bread\n2: butter\n  3: jam\n",
        "-----\n  a quotation\n-----\n",
    ):
        assert traces(text) == (), text
