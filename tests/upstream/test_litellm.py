from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.errors import BadRequest, UpstreamError, UpstreamTimeout
from tests.servers.recorder import Recorder, Reply
from tests.upstream.calls import chat, entry, get, pool

pytestmark = pytest.mark.filterwarnings(
    # litellm's own types, when pydantic first reads them.
    "ignore:Item .* on TypedDict class .* is using the `ReadOnly` qualifier:UserWarning"
)

CLAUDE = "anthropic/claude-3-5-sonnet-20241022"
KEY = "sk-ant-secret"


def claude(upstream: Recorder, **params: object) -> object:
    base = upstream.url.removesuffix("/v1")
    return entry("claude", CLAUDE, api_base=base, **{"api_key": KEY, **params})


async def test_a_completion_is_translated_both_ways() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(content="Bonjour.")])
        async with pool(claude(upstream)) as models:
            answer = await models.send(chat("claude", max_tokens=50, temperature=0.5))
            got = ChatCompletion.model_validate_json(await answer.read())
    seen = upstream.requests[0]
    assert (seen.path, seen.header("x-api-key")) == ("/v1/messages", KEY)
    assert seen.json["model"] == "claude-3-5-sonnet-20241022"
    assert seen.json["max_tokens"] == 50
    assert (got.object, got.choices[0].message.content) == ("chat.completion", "Bonjour.")
    assert got.usage is not None
    assert got.usage.prompt_tokens == 11


async def test_a_stream_is_translated_chunk_by_chunk() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(content="one two three")])
        async with pool(claude(upstream)) as models:
            answer = await models.send(chat("claude", stream=True))
            assert (b"content-type", b"text/event-stream; charset=utf-8") in answer.headers
            *events, done, _ = (await answer.read()).split(b"\n\n")
    chunks = [ChatCompletionChunk.model_validate_json(e.removeprefix(b"data: ")) for e in events]
    assert done == b"data: [DONE]"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "one two three"
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_tools_come_back_as_openais() -> None:
    weather = {"name": "weather", "arguments": {"city": "Oslo"}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    with Recorder() as upstream:
        upstream.script([Reply(tool_calls=[weather])])
        async with pool(claude(upstream)) as models:
            answer = await models.send(chat("claude", tools=[tool]))
            got = ChatCompletion.model_validate_json(await answer.read())
    calls = got.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert json.loads(calls[0].function.arguments) == {"city": "Oslo"}
    assert upstream.requests[0].json["tools"][0]["name"] == "weather"


@pytest.mark.parametrize(("status", "kind"), [(401, "authentication_error"), (400, "invalid")])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_keeps_its_status_in_openais_form(
    status: int, kind: str, stream: bool
) -> None:
    said = {"type": "error", "error": {"type": "x", "message": f"No good: {KEY}"}}
    with Recorder() as upstream:
        upstream.script([Reply(status=status, body=said)])
        async with pool(claude(upstream)) as models:
            answer = await models.send(chat("claude", stream=stream))
            error = json.loads(await answer.read())["error"]
    assert answer.status == status
    assert error.keys() == {"message", "type", "param", "code"}
    assert kind in error["type"]
    assert "No good" in error["message"]
    assert KEY not in error["message"]
    assert isinstance(error["code"], str)
    assert len(upstream.requests) == 1


async def test_overload_is_tried_again_by_the_pool_alone() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=429, headers={"retry-after": "0"}), Reply(status=529)])
        async with pool(claude(upstream)) as models:
            answer = await models.send(chat("claude"))
            await answer.aclose()
    assert (answer.status, answer.retries, len(upstream.requests)) == (200, 2, 3)


@pytest.mark.parametrize("stream", [False, True])
async def test_rate_limits_and_request_ids_reach_the_client(stream: bool) -> None:
    with Recorder() as upstream:
        upstream.script([Reply(headers={"anthropic-ratelimit-tokens-remaining": "5"})])
        async with pool(claude(upstream)) as models:
            answer = await models.send(chat("claude", stream=stream))
            await answer.aclose()
    assert (b"anthropic-ratelimit-tokens-remaining", b"5") in answer.headers
    assert (b"x-request-id", b"req_recorded") in answer.headers


async def test_retry_after_reaches_the_client() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=429, headers={"retry-after": "900"})])
        async with pool(claude(upstream)) as models:
            answer = await models.send(chat("claude"))
            await answer.aclose()
    assert answer.status == 429
    assert (b"retry-after", b"900") in answer.headers


async def test_an_unreachable_provider_is_an_upstream_error() -> None:
    dead = entry("claude", CLAUDE, api_base="http://127.0.0.1:9", api_key=KEY)
    async with pool(dead, num_retries=0) as models:
        with pytest.raises(UpstreamError, match="'claude'") as caught:
            await models.send(chat("claude"))
    assert not isinstance(caught.value, UpstreamTimeout)
    assert KEY not in caught.value.message


async def test_a_silent_provider_is_a_time_out() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(never=True)])
        async with pool(claude(upstream, timeout=0.5), num_retries=0) as models:
            with pytest.raises(UpstreamTimeout):
                await models.send(chat("claude"))
        assert await asyncio.to_thread(upstream.requests[0].wait_disconnected)


async def test_cancelling_hangs_up() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(never=True)])
        async with pool(claude(upstream)) as models:
            sending = asyncio.create_task(models.send(chat("claude")))
            assert await asyncio.to_thread(upstream.wait_requests)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert await asyncio.to_thread(upstream.requests[0].wait_disconnected)


async def test_closing_a_stream_hangs_up() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(content="word " * 1000, chunk_after=0.05)])
        async with pool(claude(upstream)) as models:
            answer = await models.send(chat("claude", stream=True))
            await answer.aclose()
            assert await asyncio.to_thread(upstream.requests[0].wait_disconnected)


@pytest.mark.parametrize("field", ["api_base", "base_url", "api_key", "mock_response", "headers"])
async def test_a_client_can_not_send_the_entrys_key_elsewhere(field: str) -> None:
    with Recorder() as upstream, Recorder() as thief:
        async with pool(claude(upstream)) as models:
            with pytest.raises(BadRequest, match=field):
                await models.send(chat("claude", **{field: thief.url}))
    assert not upstream.requests
    assert not thief.requests


async def test_the_entrys_settings_are_trusted_and_the_clients_fields_go_first() -> None:
    with Recorder() as upstream:
        async with pool(claude(upstream, temperature=0.1, max_tokens=7)) as models:
            await (await models.send(chat("claude", temperature=0.9))).read()
    assert upstream.requests[0].json["temperature"] == 0.9
    assert upstream.requests[0].json["max_tokens"] == 7


async def test_without_a_key_of_its_own_the_entry_uses_the_clients() -> None:
    with Recorder() as upstream:
        async with pool(claude(upstream, api_key=None)) as models:
            await (await models.send(chat("claude"))).read()
    assert upstream.requests[0].header("x-api-key") == "client-key"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    call = get("/chat/completions", "claude", method="POST", body=body)
    with Recorder() as upstream:
        async with pool(claude(upstream)) as models:
            with pytest.raises(BadRequest, match="no JSON object"):
                await models.send(call)


async def test_other_paths_are_refused_by_name() -> None:
    with Recorder() as upstream:
        async with pool(claude(upstream)) as models:
            with pytest.raises(BadRequest, match="does not take /v1/embeddings"):
                await models.forward(get("/embeddings", "claude", method="POST", body=b"{}"))


def test_litellm_is_loaded_on_first_use_and_says_nothing(tmp_path: Path) -> None:
    """In a process of its own, whose folder has an .env file that must not be read."""
    (tmp_path / ".env").write_text("PRECIS_TEST_LEAK=1\n")
    program = (
        "import asyncio, os, sys\n"
        "from tests.upstream.calls import chat, entry, pool\n"
        "async def main():\n"
        "    at = entry('c', 'anthropic/x', api_base='http://127.0.0.1:9', api_key='k')\n"
        "    async with pool(at, num_retries=0) as models:\n"
        "        assert 'litellm' not in sys.modules\n"
        "        try:\n"
        "            await models.send(chat('c'))\n"
        "        except Exception as exc:\n"
        "            print(type(exc).__name__, 'PRECIS_TEST_LEAK' in os.environ)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("UpstreamError False\n", "")
