from __future__ import annotations

import asyncio
import gzip
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BadRequest, UpstreamError, UpstreamTimeout
from proxy.upstream import Call, Timeouts
from proxy.upstream.openai_http import OpenAIHttp, _end_to_end
from tests.servers.recorder import Recorded, Recorder, Reply
from tests.upstream.calls import chat, entry, get, pool

SOON = Timeouts(connect=5, read=5)


async def send(upstream: Recorder, call: Call, **params: object) -> Recorded:
    async with pool(entry(api_base=upstream.url, **params)) as models:
        answer = await (models.send(call) if call.model else models.forward(call))
        assert answer.status == 200
        await answer.read()
    return upstream.requests[-1]


async def test_only_the_models_name_changes_in_the_body() -> None:
    with Recorder() as upstream:
        seen = await send(upstream, chat(temperature=0.5), api_key="entry-key")
    assert (seen.method, seen.path, seen.query) == ("POST", "/v1/chat/completions", "")
    assert seen.json == {
        "model": "real",
        "messages": [{"role": "user", "content": "Tell me."}],
        "temperature": 0.5,
    }


async def test_a_body_without_a_renderer_goes_out_byte_for_byte() -> None:
    odd = b'{ "model":"m",  "x": 1.0e+00, "messages":[]}\n'
    call = Call("POST", "/chat/completions", "", (), odd, "m", False)
    with Recorder() as upstream:
        assert (await send(upstream, call)).body == odd


async def test_the_entrys_defaults_reach_the_renderer() -> None:
    with Recorder() as upstream:
        seen = await send(upstream, chat(temperature=0.5), top_p=0.1)
    assert seen.json["top_p"] == 0.1


async def test_the_entrys_key_replaces_every_credential_of_the_client() -> None:
    credentials = ("Authorization", "api-key", "X-Api-Key", "Cookie")
    headers = tuple((name, "client-secret") for name in credentials)
    call = get("/models", headers=headers)
    with Recorder() as upstream:
        seen = await send(upstream, call, api_key="entry-key")
    assert seen.header("authorization") == "Bearer entry-key"
    assert "client-secret" not in str(seen.headers)


async def test_without_a_key_of_its_own_the_entry_passes_the_clients_on() -> None:
    with Recorder() as upstream:
        seen = await send(upstream, chat())
    assert seen.header("authorization") == "Bearer client-key"


async def test_organization_and_extra_headers_go_along() -> None:
    call = get("/models", headers=(("X-Team", "the client's"), ("OpenAI-Organization", "hers")))
    with Recorder() as upstream:
        seen = await send(upstream, call, organization="org-1", extra_headers={"x-team": "ours"})
    assert seen.header("openai-organization") == "org-1"
    assert [v for n, v in seen.headers if n == "x-team"] == ["ours"]


async def test_no_header_is_invented() -> None:
    with Recorder() as upstream:
        seen = await send(upstream, get("/models"))
    assert [name for name, _ in seen.headers] == ["host"]
    assert seen.header("host") == f"127.0.0.1:{upstream.port}"


async def test_headers_that_are_not_ascii_do_no_harm() -> None:
    with Recorder() as upstream:
        seen = await send(upstream, get("/models", headers=(("x-name", "Zo\xeb"),)))
    assert seen.header("x-name") is not None


async def test_the_answer_comes_back_unchanged() -> None:
    limits = {"x-ratelimit-remaining-requests": "7", "retry-after": "3", "X-Odd": "a, b"}
    body = b'{"error": {"message":  "bad"}}'
    with Recorder() as upstream:
        upstream.script([Reply(status=422, headers=limits, body=body)])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await models.send(chat())
            headers = {n.decode().lower(): v.decode() for n, v in answer.headers}
            assert answer.status == 422
            assert await answer.read() == body
    assert headers.items() >= {n.lower(): v for n, v in limits.items()}.items()
    assert headers["x-request-id"] == "req_recorded"
    assert headers["content-length"] == str(len(body))


async def test_a_compressed_body_stays_compressed() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(gzip=True)])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await models.send(get("/models", "m", headers=(("accept-encoding", "gzip"),)))
            raw = await answer.read()
    assert (b"content-encoding", b"gzip") in answer.headers
    assert json.loads(gzip.decompress(raw))["object"] == "list"


@pytest.mark.parametrize("form", ["whole", "pieces", "gzip", "header"])
async def test_a_refusal_does_not_tell_the_entrys_key(form: str) -> None:
    said = b"Incorrect API key: sk-operators-own, sk-operators-own."
    reply = {
        "whole": Reply(status=401, body=said),
        "pieces": Reply(status=401, chunks=[said[i : i + 5] for i in range(0, len(said), 5)]),
        "gzip": Reply(status=401, body=said, gzip=True),
        "header": Reply(status=500, body=said, headers={"x-said": said.decode()}),
    }[form]
    with Recorder() as upstream:
        upstream.script([reply])
        model = entry(api_base=upstream.url, api_key="sk-operators-own")
        async with pool(model, num_retries=0) as models:
            answer = await models.send(chat())
            body = await answer.read()
    assert body == said.replace(b"sk-operators-own", b"*" * 16)
    assert not any(b"sk-operators" in value for _, value in answer.headers)
    lengths = [int(value) for name, value in answer.headers if name.lower() == b"content-length"]
    assert lengths in ([], [len(body)])


async def test_a_stream_comes_chunk_by_chunk() -> None:
    """The second chunk is sent only long after the first must have been seen."""
    pieces = [b"data: 1\n\n", b"data: 2\n\n"]
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[*pieces, b"never"], chunk_after=0.05)])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await models.send(chat(stream=True))
            chunks = answer.aiter()
            assert [await anext(chunks), await anext(chunks)] == pieces
            await answer.aclose()
        assert await asyncio.to_thread(upstream.requests[0].wait_disconnected)


@pytest.mark.parametrize("size", [0, 1, 16_384, 3_000_000])
async def test_large_bodies_pass_both_ways(size: int) -> None:
    body = bytes(i % 251 for i in range(1000)) * (size // 1000) + b"x" * (size % 1000)
    with Recorder() as upstream:
        upstream.script([Reply(body=body)])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await models.send(get("/files", "m", method="POST", body=body))
            assert await answer.read() == body
    assert upstream.requests[0].body == body


async def test_connections_are_kept_and_used_again() -> None:
    with Recorder() as upstream:
        accepted = 0
        real = upstream._socket.getsockname()

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal accepted
            accepted += 1
            to_reader, to_writer = await asyncio.open_connection(*real)
            await asyncio.gather(_pipe(reader, to_writer), _pipe(to_reader, writer))

        door = await asyncio.start_server(count, "127.0.0.1", 0)
        port = door.sockets[0].getsockname()[1]
        async with pool(entry(api_base=f"http://127.0.0.1:{port}/v1")) as models:
            for _ in range(5):
                await (await models.send(chat())).read()
        door.close()
    assert accepted == 1


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_cookies_of_one_caller_do_not_reach_the_next() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(headers={"set-cookie": "session=1; Path=/"})])
        async with pool(entry(api_base=upstream.url)) as models:
            first = await models.send(chat())
            await first.read()
            await (await models.send(chat())).read()
    assert (b"set-cookie", b"session=1; Path=/") in first.headers
    assert upstream.requests[1].header("cookie") is None


async def test_a_redirect_is_the_clients_to_follow() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(status=307, headers={"location": upstream.url + "/other"}, body="")])
        async with pool(entry(api_base=upstream.url)) as models:
            answer = await models.send(chat())
            await answer.aclose()
    assert answer.status == 307
    assert len(upstream.requests) == 1


async def failure(call: Call, **params: object) -> UpstreamError:
    provider = OpenAIHttp()
    at = entry(api_key="sk-secret", **params)
    try:
        with pytest.raises(UpstreamError) as caught:
            answer = await provider.send(call, at, Timeouts(connect=0.3, read=0.3))
            await answer.read()
    finally:
        await provider.aclose()
    assert "'m'" in caught.value.message
    assert "sk-secret" not in caught.value.message
    assert "Tell me" not in caught.value.message
    return caught.value


async def test_a_refused_connection_is_no_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await failure(chat(), api_base=f"http://127.0.0.1:{port}/v1")
    assert (error.status, error.code) == (502, "upstream_unreachable")
    assert "can't be reached" in error.message


async def test_a_host_that_nobody_knows_is_named_as_such() -> None:
    error = await failure(chat(), api_base="http://nobody.invalid/v1")
    assert "can't be looked up" in error.message


async def test_a_plain_server_behind_https_is_a_tls_failure() -> None:
    with Recorder() as upstream:
        error = await failure(chat(), api_base=upstream.url.replace("http:", "https:"))
    assert type(error) is UpstreamError
    assert "TLS" in error.message


async def test_silence_is_a_time_out() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(never=True)])
        error = await failure(chat(), api_base=upstream.url)
        assert await asyncio.to_thread(upstream.requests[0].wait_disconnected)
    assert isinstance(error, UpstreamTimeout)
    assert "sent nothing for 0.3 s" in error.message


async def test_silence_in_the_middle_is_a_time_out_too() -> None:
    with Recorder() as upstream:
        upstream.script([Reply(chunks=[b"a", b"b"], chunk_after=0.6)])
        error = await failure(chat(), api_base=upstream.url)
    assert isinstance(error, UpstreamTimeout)


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (Reply(raw=b""), "closed the connection"),
        (Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n"), "did not answer in HTTP"),
        (Reply(chunks=[b"a", b"b"], cut_after=1), "broke off"),
        (Reply(body=b"abc", headers={"content-length": "10"}, cut_after=1), "broke off"),
    ],
)
async def test_broken_answers_are_told_apart(reply: Reply, what: str) -> None:
    with Recorder() as upstream:
        upstream.script([reply])
        error = await failure(chat(), api_base=upstream.url)
    assert type(error) is UpstreamError
    assert what in error.message


@pytest.mark.parametrize("path", ["/../admin", "/a/../../admin", "/%2e%2e/admin", "/..%2Fadmin"])
async def test_a_path_can_not_leave_the_base(path: str) -> None:
    provider = OpenAIHttp()
    with pytest.raises(BadRequest):
        await provider.send(get(path), entry(api_base="http://127.0.0.1:1/v1"), SOON)
    await provider.aclose()


def test_hop_by_hop_headers_end_here() -> None:
    headers = [
        (b"Connection", b"keep-alive, X-Hop"),
        (b"Keep-Alive", b"timeout=5"),
        (b"X-Hop", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"X-Kept", b"1"),
        (b"Set-Cookie", b"a"),
        (b"Set-Cookie", b"b"),
    ]
    assert _end_to_end(headers) == headers[4:]


_NAMES = st.sampled_from([b"connection", b"te", b"x-a", b"X-B", b"x-c"])


@given(st.lists(st.tuples(_NAMES, st.sampled_from([b"x-a", b"x-b , x-c", b"", b"1"]))))
def test_other_headers_keep_their_order_and_number(headers: list[tuple[bytes, bytes]]) -> None:
    kept = _end_to_end(headers)
    rest = iter(headers)
    assert all(pair in rest for pair in kept)
    if all(name.lower() != b"connection" for name, _ in headers):
        assert kept == [pair for pair in headers if pair[0] != b"te"]
