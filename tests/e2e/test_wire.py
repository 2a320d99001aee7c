"""HTTP/1 at its edges: what is too large, what is none, and clients of HTTP/1.0."""

from __future__ import annotations

import json
import socket

import pytest

from tests.e2e.serving import Served

BODY = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "Hello there"}]})
STREAM = BODY.replace('"model"', '"stream": true, "model"')


def say(server: Served, *pieces: bytes) -> bytes:
    """All that the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        told = b""
        try:
            for piece in pieces:
                line.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        while True:
            try:
                more = line.recv(65536)
            except ConnectionResetError:
                return told
            if not more:
                return told
            told += more


def error_of(answer: bytes) -> tuple[int, dict[str, str]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def post(version: str, body: str, *headers: str) -> bytes:
    lines = (
        f"POST /v1/chat/completions HTTP/{version}",
        "host: precis",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    )
    return "\r\n".join([*lines, "", body]).encode()


@pytest.mark.parametrize("body", [BODY, STREAM])
def test_an_answer_to_http_1_0_has_no_chunks_and_ends_with_the_connection(
    server: Served, body: str
) -> None:
    head, _, rest = say(server, post("1.0", body)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    if body == BODY:
        assert json.loads(rest)["object"] == "chat.completion"
    else:
        assert rest.startswith(b"data: ") and rest.endswith(b"data: [DONE]\n\n")


def test_headers_over_the_limit_are_answered_431(server: Served) -> None:
    answer = say(server, post("1.1", BODY, *(f"x-{i}: {'v' * 1000}" for i in range(70))))
    status, error = error_of(answer)
    assert (status, error["code"]) == (431, "headers_too_large")


def test_a_head_without_an_end_is_cut_off(server: Served) -> None:
    start = b"POST /v1/chat/completions HTTP/1.1\r\nhost: precis\r\nx-long: "
    status, error = error_of(say(server, start, *[b"v" * 10_000] * 100))
    assert (status, error["code"]) == (431, "headers_too_large")


def test_headers_below_the_limit_and_a_large_body_pass(server: Served) -> None:
    body = BODY.replace("Hello there", "word " * 100_000)
    answer = say(server, post("1.1", body, f"x-long: {'v' * 60_000}", "connection: close"))
    assert answer.startswith(b"HTTP/1.1 200")


def test_many_requests_on_one_connection_are_each_counted_anew(server: Served) -> None:
    request = post("1.1", BODY, f"x-long: {'v' * 40_000}")
    last = post("1.1", BODY, "connection: close")
    assert say(server, request, request, request, last).count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize("junk", [b"\x16\x03\x01 a TLS hello\r\n\r\n", b"HELO mail\r\n\r\n"])
def test_what_is_no_http_is_told_so(server: Served, junk: bytes) -> None:
    status, error = error_of(say(server, junk))
    assert (status, error["code"]) == (400, "invalid_http")
