from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from email.utils import formatdate

import pytest

from proxy.config_upstreams import ModelEntry, RouterSettings
from proxy.errors import ConfigError, NotFound, UpstreamError, UpstreamTimeout
from proxy.upstream import Call, Pool
from tests.servers.recorder import Recorder, Reply
from tests.upstream.calls import chat, entry, get, pool

NOWHERE = "http://127.0.0.1:9/v1"
"""The discard port: nothing listens there."""


@dataclass(frozen=True)
class Got:
    status: int
    text: bytes
    retries: int
    entry: ModelEntry
    headers: list[tuple[bytes, bytes]]


async def ask(models: Pool, call: Call) -> Got:
    answer = await models.send(call)
    text = await answer.read()
    return Got(answer.status, text, answer.retries, answer.entry, answer.headers)


async def arrival(upstream: Recorder) -> None:
    assert await asyncio.to_thread(upstream.wait_requests)


async def left(upstream: Recorder, index: int) -> bool:
    return await asyncio.to_thread(upstream.requests[index].wait_disconnected)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=status), Reply(status=status), Reply()])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.retries) == (200, 2)
    assert len({request.body for request in upstream.requests}) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_what_will_not_pass_is_not(status: int) -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=status)])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.retries) == (status, 0)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(("said", "status", "tries"), [("false", 500, 1), ("true", 400, 3)])
async def test_the_providers_own_word_on_retries_wins(said: str, status: int, tries: int) -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=status, headers={"x-should-retry": said})] * 3)
        async with pool(entry(api_base=upstream.url)) as models:
            await ask(models, chat())
    assert len(upstream.requests) == tries


async def test_after_the_last_try_the_last_answer_comes_back_whole() -> None:
    replies = [Reply(status=500, body=b"first"), Reply(status=503), Reply(status=429, body=b"last")]
    with Recorder() as upstream:
        upstream.script(replies)
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.retries) == (429, 2)
    assert answer.text == b"last"


async def test_an_answer_outlives_a_later_failure_without_one() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=503, body=b"busy"), Reply(raw=b""), Reply(raw=b"")])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.text) == (503, b"busy")


async def test_a_refusal_too_long_to_keep_is_passed_on_at_once() -> None:
    body = b"x" * (2 << 20)
    with Recorder() as upstream:
        upstream.script([Reply(status=500, body=body)])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.text) == (500, body)
    assert len(upstream.requests) == 1


async def test_num_retries_zero_is_one_try_and_the_entry_may_say_otherwise() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=500)] * 9)
        entries = (
            entry(api_base=upstream.url),
            entry("stubborn", api_base=upstream.url, max_retries=3),
        )
        async with pool(*entries, num_retries=0) as models:
            assert (await ask(models, chat())).retries == 0
            assert (await ask(models, chat("stubborn"))).retries == 3


async def test_without_any_answer_the_error_is_raised() -> None:
    async with pool(entry(api_base=NOWHERE)) as models:
        with pytest.raises(UpstreamError, match="can't be reached"):
            await models.send(chat())


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_dies_before_its_first_byte_is_tried_again(stream: bool) -> None:
    with Recorder() as upstream:
        upstream.script([Reply(cut_after=0, body=b"x"), Reply(raw=b""), Reply()])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await ask(models, chat(stream=stream))
    assert (answer.status, answer.retries) == (200, 2)


async def test_an_answer_that_dies_after_it_is_not() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[b"data: 1\n\n", b"data: 2\n\n"], cut_after=1)])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await models.send(chat(stream=True))
            got = []
            with pytest.raises(UpstreamError, match="broke off"):
                async for chunk in answer.aiter():
                    got.append(chunk)
            await answer.aclose()
    assert got == [b"data: 1\n\n"]
    assert len(upstream.requests) == 1


async def test_an_empty_answer_is_an_answer() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(body=b"")])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.text) == (200, b"")


async def test_retry_after_is_waited_for() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=429, headers={"retry-after": "0.4"}), Reply()])
        async with pool(entry(api_base=upstream.url)) as models:
            started = time.monotonic()
            answer = await ask(models, chat())
            waited = time.monotonic() - started
    assert answer.status == 200
    assert waited >= 0.4


async def test_a_wait_longer_than_the_time_left_is_not_begun() -> None:
    soon = formatdate(time.time() + 3600, usegmt=True)
    with Recorder() as upstream:
        upstream.script([Reply(status=429, headers={"retry-after": soon}, body=b"later")])
        async with pool(entry(api_base=upstream.url), timeout=20) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.text) == (429, b"later")
    assert (b"retry-after", soon.encode()) in answer.headers


async def test_entries_of_one_name_share_the_load_by_weight() -> None:
    with Recorder() as heavy, Recorder() as light:
        entries = (entry(api_base=heavy.url, weight=3), entry(api_base=light.url))
        async with pool(*entries) as models:
            for _ in range(8):
                await ask(models, chat())
    assert (len(heavy.requests), len(light.requests)) == (6, 2)


async def test_a_failed_entry_rests_while_the_other_serves_without_a_pause() -> None:
    with Recorder() as good:
        entries = (entry(model="openai/a", api_base=NOWHERE), entry(api_base=good.url))
        async with pool(*entries, retry_after=30) as models:
            answers = [await ask(models, chat()) for _ in range(4)]
    assert [answer.retries for answer in answers] == [1, 0, 0, 0]
    assert {answer.entry.litellm_params.api_base for answer in answers} == {good.url}


async def test_each_entry_gets_its_own_models_name() -> None:
    with Recorder() as upstream:
        entries = [entry(model=f"openai/model-{x}", api_base=upstream.url) for x in "ab"]
        async with pool(*entries) as models:
            for _ in range(2):
                await ask(models, chat())
    assert [request.json["model"] for request in upstream.requests] == ["model-a", "model-b"]


async def test_fallbacks_follow_in_order_with_their_own_model_names() -> None:
    with Recorder() as bad, Recorder() as good:
        bad.script([Reply(status=500)] * 9)
        entries = (
            entry("m", "openai/first", api_base=bad.url),
            entry("second", "openai/second", api_base=NOWHERE),
            entry("third", "mistral/third", api_base=good.url),
        )
        settings = {"fallbacks": [{"m": ["second", "third"]}], "num_retries": 1}
        async with pool(*entries, **settings) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.retries) == (200, 4)
    assert answer.entry.model_name == "third"
    assert good.requests[0].json["model"] == "third"


async def test_a_request_that_is_wrong_does_not_go_to_fallbacks() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=400)])
        entries = (entry("m", api_base=upstream.url), entry("other", api_base=upstream.url))
        async with pool(*entries, fallbacks=[{"m": ["other"]}]) as models:
            answer = await ask(models, chat())
    assert (answer.status, len(upstream.requests)) == (400, 1)


async def test_when_fallbacks_fail_too_the_last_answer_is_given() -> None:
    with Recorder() as first, Recorder() as second:
        first.script([Reply(status=500)] * 9)
        second.script([Reply(status=429, body=b"mine")] * 9)
        entries = (entry("m", api_base=first.url), entry("other", api_base=second.url))
        async with pool(*entries, fallbacks=[{"m": ["other"]}], num_retries=0) as models:
            answer = await ask(models, chat())
    assert (answer.status, answer.text) == (429, b"mine")


async def test_the_total_time_out_covers_the_retries() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=500), Reply(never=True)])
        async with pool(entry(api_base=upstream.url), timeout=0.5) as models:
            answer = await ask(models, chat())
        assert await left(upstream, 1)
    assert answer.status == 500


async def test_a_slow_drip_runs_into_the_total_time_out() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[b"x"] * 50, chunk_after=0.1)])
        async with pool(entry(api_base=upstream.url), timeout=0.6) as models:
            answer = await models.send(chat())
            with pytest.raises(UpstreamTimeout, match="did not end its answer in time"):
                await answer.read()
        assert await left(upstream, 0)


async def test_a_stream_may_outlast_the_total_time_out() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[b"x"] * 8, chunk_after=0.1)])
        async with pool(entry(api_base=upstream.url, stream_timeout=5), timeout=0.4) as models:
            answer = await ask(models, chat(stream=True))
    assert answer.text == b"x" * 8


async def test_a_stream_of_any_path_may_too() -> None:
    events = {"content-type": "text/event-stream"}
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[b"x"] * 8, chunk_after=0.1, headers=events)])
        async with pool(entry(api_base=upstream.url), timeout=0.4) as models:
            answer = await models.forward(get("/responses", method="POST", body=b"{}"))
            assert await answer.read() == b"x" * 8


async def test_a_stream_that_falls_silent_is_given_up() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[b"a", b"b"], chunk_after=0.5)])
        entries = entry(api_base=upstream.url, stream_timeout=0.7)
        async with pool(entries) as models:
            assert (await ask(models, chat(stream=True))).status == 200
        upstream.script([Reply(chunks=[b"a", b"b"], chunk_after=1.5)] * 3)
        async with pool(entries, num_retries=0) as models:
            with pytest.raises(UpstreamTimeout, match=r"sent nothing for 0\.7 s"):
                await models.send(chat(stream=True))


async def test_an_entrys_own_time_out_leaves_time_for_another() -> None:
    with Recorder() as slow, Recorder() as good:
        slow.script([Reply(never=True)])
        entries = (entry(api_base=slow.url, timeout=0.3), entry(api_base=good.url))
        async with pool(*entries) as models:
            answer = await ask(models, chat())
        assert await left(slow, 0)
    assert (answer.status, answer.retries) == (200, 1)


async def test_cancelling_before_the_answer_hangs_up() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(never=True)])
        async with pool(entry(api_base=upstream.url)) as models:
            sending = asyncio.create_task(models.send(chat()))
            await arrival(upstream)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert await left(upstream, 0)
    assert len(upstream.requests) == 1


async def test_cancelling_between_head_and_first_byte_hangs_up() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[b"late"], chunk_after=60)])
        async with pool(entry(api_base=upstream.url)) as models:
            sending = asyncio.create_task(models.send(chat(stream=True)))
            await arrival(upstream)
            await asyncio.sleep(0.2)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert await left(upstream, 0)


async def test_closing_the_answer_hangs_up_and_the_next_call_is_fine() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[b"data\n\n"] * 1000, chunk_after=0.05)])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await models.send(chat(stream=True))
            await answer.aclose()
            await answer.aclose()
            assert await left(upstream, 0)
            assert (await ask(models, chat())).status == 200


async def test_other_paths_go_to_their_models_entry_unchanged() -> None:
    with Recorder() as first, Recorder() as second:
        entries = (entry("m", api_base=first.url), entry("embed", api_base=second.url))
        call = get(
            "/embeddings",
            "embed",
            method="POST",
            query="a=1&b=%20x",
            body=b'{"model": "embed",  "input": "x"}',
            headers=(("content-type", "application/json"), ("x-any", "thing")),
        )
        async with pool(*entries) as models:
            answer = await models.forward(call)
            await answer.read()
    seen = second.requests[0]
    assert (seen.method, seen.path, seen.query) == ("POST", "/v1/embeddings", call.query)
    assert seen.body == call.body
    assert seen.header("x-any") == "thing"
    assert not first.requests


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH", "PUT", "OPTIONS"])
async def test_a_call_without_a_model_goes_to_the_first_compatible_entry(method: str) -> None:
    with Recorder() as upstream:
        entries = (
            entry("e", "echo"),
            entry("claude", "anthropic/claude"),
            entry("m", api_base=upstream.url),
        )
        async with pool(*entries) as models:
            answer = await models.forward(get("/files/f-1", method=method))
            await answer.aclose()
    assert (upstream.requests[0].method, upstream.requests[0].path) == (method, "/v1/files/f-1")


async def test_without_a_compatible_entry_there_is_nowhere_to_forward_to() -> None:
    async with pool(entry("e", "echo")) as models:
        with pytest.raises(NotFound, match="no OpenAI-compatible model"):
            await models.forward(get("/files"))


async def test_an_unknown_model_is_not_found() -> None:
    async with pool(entry("m")) as models:
        with pytest.raises(NotFound, match="'other' does not exist"):
            await models.send(chat("other"))


async def test_names_that_are_not_written_out_are_looked_up() -> None:
    with Recorder() as upstream:
        found = entry("any/x", "openai/x", api_base=upstream.url)
        models = Pool([], RouterSettings(), find=lambda name: [found])
        assert (await ask(models, chat("any/x"))).status == 200
        await models.aclose()


def test_an_entry_that_leads_nowhere_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"'m' .*'api_base' is missing"):
        Pool([entry("m", "hosted_vllm/x")], RouterSettings())


async def test_a_fallback_that_the_caller_may_not_use_is_passed_over() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=500), Reply()])
        entries = [entry(name=n, api_base=upstream.url) for n in ("first", "second")]
        async with pool(*entries, num_retries=0, fallbacks=[{"first": ["second"]}]) as models:
            got = await ask(models, replace(chat("first"), allows=lambda name: name != "second"))
    assert (got.status, len(upstream.requests)) == (500, 1)
