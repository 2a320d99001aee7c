"""Everything under /v1 that is not ours: forwarded unchanged, answered unchanged."""

from __future__ import annotations

import httpx
import openai
import pytest

from tests.e2e.conftest import KEYS
from tests.e2e.serving import Served
from tests.servers.recorder import Recorder, Reply

FORM = b"--b\r\nContent-Disposition: form-data; %b\r\n\r\nother\r\n--b--\r\n"


def test_embeddings_are_passed_through(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        answer = client.embeddings.create(model="plain", input=["a", "b"])
    assert [item.embedding for item in answer.data] == [[0.25, -0.5, 1.0]] * 2
    seen = upstream.requests[0]
    assert (seen.method, seen.path) == ("POST", "/v1/embeddings")
    assert seen.header("authorization") == "Bearer sk-client"


def test_a_body_is_passed_through_byte_for_byte(server: Served, upstream: Recorder) -> None:
    odd = b'{ "input" : "\xc3\xa9\\ud800", "model":"plain", "x":1.0e+00 }\n'
    answer = server.post(odd, "/moderations?a=%20b&c")
    assert answer.headers["x-precis-request-id"].startswith("req_")
    seen = upstream.requests[0]
    assert (seen.path, seen.query) == ("/v1/moderations", "a=%20b&c")
    assert seen.body == odd.replace(b'"plain"', b'"real-model"')  # its name at the provider


@pytest.mark.parametrize(
    "asked,sent",
    [
        (b'{"m\\u006fdel": "pair", "input": "pair"}', b'{"m\\u006fdel": "%b", "input": "pair"}'),
        (b'{"model":"many/gpt-9"}', b'{"model":"gpt-9"}'),
        (b'{"model": "unlisted", "input": "a"}', b'{"model": "unlisted", "input": "a"}'),
        (b'{"input": {"model": "plain"}}', b'{"input": {"model": "plain"}}'),
        (b'\xef\xbb\xbf{"model": "plain"}', b'\xef\xbb\xbf{"model": "plain"}'),
        (b'{"model": "plain"', b'{"model": "plain"'),
    ],
)
def test_a_listed_model_goes_by_its_providers_name(
    server: Served, upstream: Recorder, asked: bytes, sent: bytes
) -> None:
    server.post(asked, "/embeddings")
    seen = upstream.requests[0].body
    assert seen in ([sent % b"first", sent % b"second"] if b"%b" in sent else [sent])


def test_stored_completions_are_listed(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(body={"object": "list", "data": [], "has_more": False})] * 3)
    with server.client() as client:
        client.chat.completions.list()
        client.chat.completions.retrieve("chatcmpl-1")
        client.chat.completions.update("chatcmpl-1", metadata={"a": "b"})
    assert [(seen.method, seen.path) for seen in upstream.requests] == [
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions/chatcmpl-1"),
        ("POST", "/v1/chat/completions/chatcmpl-1"),
    ]


def test_files_are_listed(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(body={"object": "list", "data": [], "has_more": False})])
    with server.client() as client:
        assert not client.files.list(purpose="batch").data
    seen = upstream.requests[0]
    assert (seen.method, seen.path, seen.body) == ("GET", "/v1/files", b"")
    assert "purpose=batch" in seen.query


def test_a_file_is_uploaded(server: Served, upstream: Recorder) -> None:
    content = bytes(range(256)) * 1000
    with server.client() as client:
        client.files.create(file=("a.bin", content), purpose="user_data")
    seen = upstream.requests[0]
    assert (seen.header("content-type") or "").startswith("multipart/form-data; boundary=")
    assert content in seen.body


def test_a_files_content_comes_back(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(chunks=[b"\x00\xff" * 500] * 3)])
    with server.client() as client:
        assert client.files.content("file-1").content == b"\x00\xff" * 1500
    assert upstream.requests[0].path == "/v1/files/file-1/content"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_methods_and_paths_stay(server: Served, upstream: Recorder, method: str) -> None:
    answer = httpx.request(method, f"{server.url}/fine_tuning/jobs/a%2Fb%20c", timeout=30)
    assert answer.status_code == 200
    seen = upstream.requests[0]
    assert (seen.method, seen.path) == (method, "/v1/fine_tuning/jobs/a%2Fb%20c")


def test_a_refusal_is_passed_through(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(status=404, headers={"x-request-id": "req_7"})])
    with server.client() as client, pytest.raises(openai.NotFoundError) as caught:
        client.files.retrieve("file-none")
    assert (caught.value.code, caught.value.request_id) == ("scripted_404", "req_7")


def test_a_form_goes_to_the_model_that_it_names(shared: Served, upstream: Recorder) -> None:
    with shared.client(KEYS["acme"]) as client:
        client.audio.transcriptions.create(model="keyless", file=("a.wav", b"RIFF"))
    assert upstream.requests[0].header("authorization") is None  # keyless is not the first entry


def test_a_form_names_the_providers_model(server: Served, upstream: Recorder) -> None:
    sound = b'RIFF\r\n--x\r\nname="model"\r\n\r\nplain\r\n' + bytes(range(256))
    with server.client() as client:
        client.audio.transcriptions.create(model="plain", file=("a.wav", sound), language="en")
    seen = upstream.requests[0].body
    assert b'name="model"\r\n\r\nreal-model\r\n' in seen
    assert sound in seen


def test_a_form_with_an_unlisted_model_stays(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))
    assert b'name="model"\r\n\r\nwhisper-1\r\n' in upstream.requests[0].body


def test_a_form_may_not_name_what_the_list_forbids(shared: Served, upstream: Recorder) -> None:
    with shared.client(KEYS["globex"]) as client, pytest.raises(openai.PermissionDeniedError):
        client.audio.transcriptions.create(model="other", file=("a.wav", b"RIFF"))
    assert not upstream.requests


@pytest.mark.parametrize(
    "kind,body,query",
    [
        ("application/x-www-form-urlencoded", b"a=b&mod%65l=other", ""),
        ("multipart/form-data; boundary=b", FORM % b"name*=utf-8''model", ""),
        ("multipart/form-data; boundary=b", FORM % b"name = model", ""),
        ("text/plain", b'{"model": "other"}', ""),
        ("application/x-www-form-urlencoded", b'{"model": "other"}', ""),
        ("application/json", b"{}", "?model=other"),
    ],
)
def test_no_way_of_naming_a_model_leads_around_the_list(
    shared: Served, upstream: Recorder, kind: str, body: bytes, query: str
) -> None:
    headers = {"authorization": f"Bearer {KEYS['globex']}", "content-type": kind}
    answer = shared.post(body, f"/audio/transcriptions{query}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "model_not_allowed")
    assert not upstream.requests


def test_the_headers_of_this_connection_stay_here(server: Served, upstream: Recorder) -> None:
    ours = {"connection": "x-hop, keep-alive", "x-hop": "1", "te": "trailers", "x-precis-new": "1"}
    httpx.get(f"{server.url}/files", headers={**ours, "x-theirs": "2"}, timeout=30)
    names = {name.lower() for name, _ in upstream.requests[0].headers}
    assert "x-theirs" in names
    assert not names & ours.keys()


def test_models_are_ours(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        names = [model.id for model in client.models.list()]
        assert names[0] == "m" and names.count("pair") == 1 and "echo" in names
        assert client.models.retrieve("echo").owned_by == "precis"
        assert client.models.retrieve("many/gpt-9").id == "many/gpt-9"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("none")
    assert not upstream.requests
