"""Legacy completions through the real client: prompts are compressed, token ids are not touched."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.e2e.serving import Served
from tests.e2e.texts import MEETING, QUESTION, REPORT
from tests.servers.recorder import Recorder, Reply


def test_a_prompt_reaches_the_model_shorter(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        raw = client.completions.with_raw_response.create(model="m", prompt=REPORT, max_tokens=9)
    assert raw.parse().choices[0].text == "Hello from upstream."
    seen = upstream.requests[0]
    assert (seen.path, seen.json["model"], seen.json["max_tokens"]) == (
        "/v1/completions",
        "real-model",
        9,
    )
    sent = seen.json["prompt"]
    assert QUESTION in sent and len(sent) < 0.75 * len(REPORT)
    assert raw.headers["x-precis-decision"] == "compressed"
    assert int(raw.headers["x-precis-tokens-saved"]) > 0


def test_of_several_prompts_each_is_compressed_by_itself(
    server: Served, upstream: Recorder
) -> None:
    with server.client() as client:
        client.completions.create(model="m", prompt=[MEETING, "Short.", REPORT])
        client.completions.create(model="m", prompt=MEETING)
    first, alone = (seen.json["prompt"] for seen in upstream.requests)
    assert first[0] == alone
    assert first[1] == "Short."
    assert len(first[2]) < 0.75 * len(REPORT)


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]], "Short."])
def test_what_is_short_or_no_text_goes_on_byte_for_byte(
    server: Served, upstream: Recorder, prompt: Any
) -> None:
    body = (
        b'{ "prompt":%b, "model":"many/exact" ,"x":1.0e0}'
        % str(prompt).replace("Short.", '"Short."').encode()
    )
    assert server.post(body, "/completions").status_code == 200
    assert upstream.requests[0].body == body.replace(b"many/exact", b"exact")


def test_a_stream_is_relayed(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content="Four words, no more.")])
    with server.client() as client:
        events = client.completions.create(model="m", prompt=MEETING, stream=True)
        assert "".join(e.choices[0].text for e in events) == "Four words, no more."
    assert len(upstream.requests[0].json["prompt"]) < 0.8 * len(MEETING)


@pytest.mark.parametrize("stream", [False, True])
def test_echo_answers_with_what_would_have_been_sent(server: Served, stream: bool) -> None:
    prompts = ["One?", "Two?"]
    with server.client() as client:
        if stream:
            events = client.completions.create(model="echo", prompt=prompts, stream=True)
            said = {c.index: c.text for e in events for c in e.choices if c.text}
        else:
            whole = client.completions.create(model="echo", prompt=prompts)
            said = {c.index: c.text for c in whole.choices}
    assert said == {0: "One?", 1: "Two?"}


@pytest.mark.parametrize("stream", [False, True])
def test_another_protocol_is_spoken_through_litellm(
    server: Served, upstream: Recorder, stream: bool
) -> None:
    upstream.script([Reply(content="From another kind.")])
    with server.client() as client:
        answer: Any = client.completions.create(model="claude", prompt=MEETING, stream=stream)
        chunks = list(answer) if stream else [answer]
    assert "".join(c.choices[0].text for c in chunks) == "From another kind."
    seen = upstream.requests[0]
    assert seen.path == "/v1/messages"
    assert 9 < len(seen.json["messages"][0]["content"][0]["text"]) < 0.8 * len(MEETING)


def test_what_litellm_can_not_take_is_told(server: Served, upstream: Recorder) -> None:
    with server.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="claude", prompt=["a", "b"])
    assert caught.value.param == "prompt"
    assert not upstream.requests


def test_a_refusal_comes_back_as_it_is(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(status=400)])
    with server.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="m", prompt="x")
    assert caught.value.code == "scripted_400"
