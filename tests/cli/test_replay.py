"""``precis replay``: 0 where all matches, 1 where something differs, 2 where it can't be told."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from proxy.app import build
from proxy.cli.replay import replay
from proxy.config_file import load
from proxy.tenants import new_key

app = typer.Typer()
app.command()(replay)

KEY, HASH = new_key()
DOCUMENT = (files("proxy.cli") / "demo_data" / "meeting.txt").read_text("utf-8")
BODY = {
    "model": "echo",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": DOCUMENT}]},
    ],
}
CONFIG: dict[str, Any] = {
    "model_list": [{"model_name": "echo", "litellm_params": {"model": "echo"}}],
    "policies": {"p": {"rate": 0.5, "deadline_ms": 60_000}},
    "routes": [{"policy": "p"}],
    "tenants": {
        "acme": {"keys": [HASH], "policy": {"force_tokens": ["budget"]}, "allow": {"rate": "any"}}
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with config.yaml and body.json, and an echo of what was sent; receipts beside it."""
    folder = tmp_path_factory.mktemp("replay")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "body.json").write_text(json.dumps(BODY))
    (folder / "list.json").write_text(json.dumps(BODY["messages"]))
    headers = {"authorization": f"Bearer {KEY}"}
    with TestClient(build(load(folder / "config.yaml", {}).config)) as client:
        for name, asked in (("receipt", {}), ("gentler", {"x-precis-rate": "0.8"})):
            done = client.post("/v1/chat/completions", json=BODY, headers={**headers, **asked})
            number = done.headers["x-precis-request-id"]
            told = client.get(f"/v1/receipts/{number}", headers=headers)
            (folder / f"{name}.json").write_bytes(told.content)
            if name == "receipt":
                sent = done.json()["echo"]
    return folder, sent


def run(*arguments: object, given: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(
        app, [str(a) for a in arguments], input=given, env={"COLUMNS": "120"}
    )
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("messages", ["body", "list"])
def test_the_bytes_are_found_again_both_ways(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, messages: str
) -> None:
    folder, sent = made
    code, out, err = run(
        folder / "receipt.json",
        *("--messages", folder / f"{messages}.json"),
        *("--config", folder / "config.yaml"),
        *("--out", tmp_path / "sent.json"),
    )
    assert (code, err) == (0, "")
    assert "All is as the receipt says" in out
    assert out.count("matches") == 4
    assert json.loads((tmp_path / "sent.json").read_bytes())["messages"] == sent["messages"]
    assert "req_" not in out  # nothing is logged


def test_a_rate_that_was_asked_for_has_to_be_given(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    common = (folder / "gentler.json", "--messages", folder / "body.json")
    common += ("--config", folder / "config.yaml")
    code, out, _ = run(*common)
    assert (code, out.count("matches")) == (0, 2)
    assert "give --rate" in out
    code, out, _ = run(*common, "--rate", 0.8)
    assert (code, out.count("matches")) == (0, 4)


def test_another_text_differs(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = made
    file = tmp_path / "other.json"
    file.write_text(json.dumps(BODY).replace("Be brief.", "Be short."))
    code, out, _ = run(folder / "receipt.json", "--messages", file)
    assert code == 1
    assert "another original" in out and "1 of 2 texts differ" in out


def test_another_mask_and_another_result_differ(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    receipt = json.loads((folder / "receipt.json").read_bytes())
    done = receipt["messages"][1]
    done["kept"][3][1] += 5
    common = ("-", "--messages", folder / "body.json", "--config", folder / "config.yaml")
    code, out, _ = run(*common, given=json.dumps(receipt))
    assert code == 1
    assert "the mask gives other bytes" in out
    done["sha256_after"] = "0" * 64
    code, out, _ = run(*common, given=json.dumps(receipt))
    assert code == 1
    assert "differs from character" in out


@pytest.mark.parametrize(
    "field,value,words",
    [
        ("version", "0.0.1", "the receipt is of Precis 0.0.1"),
        ("policy_fingerprint", "abc", "no policy here is p abc"),
        ("compressor_fingerprint", "abc", "the classifier here is"),
    ],
)
def test_what_was_decided_by_something_else_is_not_compressed_again(
    made: tuple[Path, dict[str, Any]], field: str, value: str, words: str
) -> None:
    folder, _ = made
    receipt = json.loads((folder / "receipt.json").read_bytes()) | {field: value}
    common = ("-", "--messages", folder / "body.json", "--config", folder / "config.yaml")
    code, out, _ = run(*common, given=json.dumps(receipt))
    assert code == 0  # the mask matches
    assert words in out


@pytest.mark.parametrize(
    "receipt,messages,words",
    [
        ("nothere.json", "body.json", "No such file"),
        ("req_1", "body.json", "give --url for the id of a receipt"),
        ("body.json", "body.json", "is no receipt"),
        ("receipt.json", "nothere.json", "No such file"),
        ("receipt.json", "config.yaml", "JSON"),
    ],
)
def test_bad_usage_ends_with_2(
    made: tuple[Path, dict[str, Any]], receipt: str, messages: str, words: str
) -> None:
    folder, _ = made
    where = receipt if receipt == "req_1" else folder / receipt
    code, _, err = run(where, "--messages", folder / messages)
    assert code == 2
    assert words in err


def test_a_server_that_does_not_answer_is_bad_usage(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    code, _, err = run("req_1", "--url", "http://127.0.0.1:9", "--messages", folder / "body.json")
    assert code == 2
    assert "--url http://127.0.0.1:9" in err


SHAPES: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": ["Short.", DOCUMENT]},
    "/v1/responses": {
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": DOCUMENT}],
    },
    "/v1/messages": {
        "system": "Be brief.",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": [{"type": "tool_result", "content": DOCUMENT}]},
        ],
    },
    "/v1/compress": {"messages": [{"type": "function_call_output", "output": DOCUMENT}]},
    # With what only other endpoints read.
    "/v1/chat/completions": {
        "system": "A field that nobody knows here.",
        "messages": [
            {"role": "user", "content": [{"type": "tool_result", "content": "?"}]},
            {"role": "user", "content": DOCUMENT},
        ],
    },
    "/chat/completions/": {"messages": [{"role": "user", "content": DOCUMENT}], "input": "?"},
}
LISTS = {
    "/v1/completions": "prompt",
    "/v1/responses": "input",
    "/v1/messages": "messages",
    "/v1/chat/completions": "messages",
}


@pytest.mark.parametrize("path,alone", [*((p, "") for p in SHAPES), *LISTS.items()])
def test_every_shape_of_request_is_found_again(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, path: str, alone: str
) -> None:
    """``alone``: the field that is given instead of the whole body."""
    folder, _ = made
    headers = {"authorization": f"Bearer {KEY}"}
    body = {"model": "echo", **SHAPES[path]}
    for name in ("system", "instructions") if alone else ():
        body.pop(name, None)
    with TestClient(build(load(folder / "config.yaml", {}).config)) as client:
        done = client.post(path, json=body, headers=headers)
        told = client.get(f"/v1/receipts/{done.headers['x-precis-request-id']}", headers=headers)
    (tmp_path / "receipt.json").write_bytes(told.content)
    (tmp_path / "body.json").write_text(json.dumps(body[alone] if alone else body))
    code, out, err = run(
        *(tmp_path / "receipt.json", "--messages", tmp_path / "body.json"),
        *("--config", folder / "config.yaml"),
    )
    assert (code, err) == (0, ""), out
    assert "All is as the receipt says" in out and "Not compressed" not in out


def test_a_receipt_that_names_no_endpoint_is_read_by_the_shape(
    made: tuple[Path, dict[str, Any]],
) -> None:
    folder, _ = made
    receipt = json.loads((folder / "receipt.json").read_bytes())
    common = ("-", "--messages", folder / "body.json", "--config", folder / "config.yaml")
    assert receipt.pop("endpoint") == "/chat/completions"
    code, out, _ = run(*common, given=json.dumps(receipt))
    assert (code, out.count("matches")) == (0, 4)
    code, _, err = run(*common, given=json.dumps(receipt | {"endpoint": "/later"}))
    assert code == 2 and "'/later'" in err
