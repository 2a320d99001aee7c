"""Several workers behave as one server: limits, metrics, receipts, deaths, the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from proxy.tenants.keys import hash_of
from tests.e2e.serving import COMMAND, ROOT, Served, serving, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a server has one worker there")

KEYS = {"acme": "precis-key-of-acme", "globex": "precis-key-of-globex"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    config: dict[str, Any] = {
        "server": {"workers": 2, "log_level": "debug"},
        "model_list": [{"model_name": "echo", "litellm_params": {"model": "echo"}}],
        "tenants": {
            "acme": {"keys": [hash_of(KEYS["acme"])]},
            "globex": {"keys": [hash_of(KEYS["globex"])], "limits": {"rpm": 6}},
        },
    }
    with serving(config, tmp_path_factory.mktemp("workers")) as served:
        served.said("all workers are ready")
        yield served


def ask(server: Served, tenant: str) -> httpx.Response:
    """On a connection of its own, so that any worker may take it."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
    return server.post(body, headers={"authorization": f"Bearer {KEYS[tenant]}"})


def workers(server: Served) -> set[int]:
    started = server.log.read_text().split("Started server process [")[1:]
    pids = {int(line.split("]")[0]) for line in started}
    return {pid for pid in pids if _runs(pid)}


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_limits_count_over_all_workers(server: Served) -> None:
    answers = [ask(server, "globex") for _ in range(9)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 3
    error = answers[-1].json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert answers[-1].headers["x-ratelimit-remaining-requests"] == "0"
    assert answers[0].headers["x-ratelimit-limit-requests"] == "6"


def test_metrics_and_receipts_are_those_of_all_workers(server: Served) -> None:
    before = server.metric("precis_requests_total", tenant="acme")
    ids = [ask(server, "acme").headers["x-precis-request-id"] for _ in range(12)]
    assert server.metric("precis_requests_total", tenant="acme") == before + 12
    key = {"authorization": f"Bearer {KEYS['acme']}"}

    def found(receipt: str) -> bool:
        url = f"{server.url}/receipts/{receipt}"
        return httpx.get(url, headers=key, verify=False).status_code == 200

    for receipt in ids:
        until(lambda receipt=receipt: found(receipt), 10)


def test_a_worker_that_dies_is_replaced_and_what_it_counted_stays(server: Served) -> None:
    ask(server, "acme")
    before, (one, other) = server.metric("precis_requests_total"), workers(server)
    os.kill(one, signal.SIGKILL)
    assert ask(server, "acme").status_code == 200  # by the one that is left
    until(lambda: len(workers(server)) == 2, 240)
    assert other in workers(server)
    assert server.metric("precis_requests_total") == before + 1


def test_a_configuration_that_no_worker_can_use_ends_the_server(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    broken = {"server": {"workers": 2, "port": 0}, "compressor": {"model": str(tmp_path)}}
    file.write_text(yaml.safe_dump(broken))
    command = [*COMMAND, "serve", "--config", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 2
    assert "compressor.model" in ended.stderr
