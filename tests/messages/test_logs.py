"""Lines of logs as blocks."""

import pytest

from proxy.messages.logs import logs

LINES = [
    "2025-02-03 02:14:07,113 INFO  a.b: 500 rows saved",
    "2025-02-03T02:14:07.113Z starting the job",
    "2025-02-03T02:14:07+01:00 starting the job",
    "[2025-02-03 02:14:07] app.ERROR: no such row",
    "2025/02/03 02:14:07 [error] 123#0: *1 connect() failed",
    "02:14:07.113 DEBUG a.b - done",
    "[INFO] Scanning for projects...",
    "WARNING:root:no such row",
    "INFO 2025-02-03 02:14:07 done",
    "Feb  3 02:14:08 host-7 sshd[812]: Accepted publickey",
    "<34>Feb  3 02:14:08 host-7 su: failed",
    '203.0.113.9 - ines [03/Feb/2025:02:14:10 +0000] "GET / HTTP/1.1" 500 318',
    "[Mon Feb 03 02:14:08.123456 2025] [core:error] [pid 5] no",
    "E0203 02:14:07.113456    1234 server.go:12] no route",
    "02-03 02:14:07.113  1234  1250 W ActivityManager: slow",
    "[    0.000000] Linux version 6.1",
    "time=2025-02-03T02:14:11Z level=info msg=done",
    'level=warn ts=2025-02-03T02:14:11Z msg="no row"',
    "web-1  | 2025-02-03 02:14:07 ERROR no row",
]


@pytest.mark.parametrize("line", LINES)
def test_a_log_line_is_found(line: str) -> None:
    text = f"This is what I see:\n{line}\nWhat is it?"
    assert [text[m.start : m.end] for m in logs(text)] == [line]


def test_lines_in_a_row_are_one_block_with_what_is_indented_below_them() -> None:
    block = f"{LINES[0]}\n    the last row was 5113\n\tand this too\n{LINES[1]}"
    text = f"{block}\n\n- see\n  there\n{LINES[0]}\n  - a list\n"
    assert [text[m.start : m.end] for m in logs(text)] == [block, LINES[0]]


@pytest.mark.parametrize(
    "line",
    [
        "[00:14:22] Ines: I think that the error is ours.",
        "2025-02-03 10:14 Ines Okafor: good morning",
        "2025-02-03 10:14:22 Ines Okafor: there was an error on the page, I'm afraid",
        "03/02/2025, 10:14 - Ines: the warning came too late",
        "00:00:12.345 --> 00:00:15.678",
        "WARNING: do not open this door.",
        "Error: it is not there.",
        "INFO for visitors: we are closed.",
        "Feb 3, 2025 was a Monday.",
        "10:00:00 We meet and talk about the INFO desk.",
    ],
)
def test_a_transcript_or_a_chat_is_no_log(line: str) -> None:
    assert logs(f"{line}\n" * 4) == ()
