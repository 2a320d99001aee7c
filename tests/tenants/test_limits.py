"""Limits of tenants: by requests, tokens and at once, alone and over several workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.config_tenants import Tenant, TenantSettings
from proxy.errors import LimitError
from proxy.tenants import Admission, Gatekeeper


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def tenant(**limits: int) -> Tenant:
    settings: dict[str, Any] = {"limits": limits} if limits else {}
    return Tenant("acme", TenantSettings.model_validate(settings))


def gatekeeper(who: Tenant, clock: Clock | None = None, **shared: Any) -> Gatekeeper:
    tenants = {"other": TenantSettings(), who.name: who.settings}
    return Gatekeeper(tenants, clock=clock or Clock(), **shared)


def told(admission: Admission | None) -> dict[str, str]:
    assert admission is not None
    return {name.decode(): value.decode() for name, value in admission.headers}


def test_a_tenant_without_limits_is_never_asked() -> None:
    who = tenant()
    for _ in range(100):
        assert gatekeeper(who).enter(who, 10**9) is None
    assert gatekeeper(who).enter(None, 1) is None


def test_requests_per_minute() -> None:
    clock, who = Clock(), tenant(rpm=3)
    keeper = gatekeeper(who, clock)
    left = [told(keeper.enter(who, 10))["x-ratelimit-remaining-requests"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    with pytest.raises(LimitError, match="3 requests per minute") as refused:
        keeper.enter(who, 10)
    assert refused.value.retry_after == 20
    assert (b"x-ratelimit-reset-requests", b"60s") in refused.value.headers
    clock.now += 20
    assert keeper.enter(who, 10)
    with pytest.raises(LimitError):
        keeper.enter(who, 10)


def test_tokens_are_charged_by_size_and_put_right_when_they_are_counted() -> None:
    clock, who = Clock(), tenant(tpm_limit=1000)
    keeper = gatekeeper(who, clock)
    first = keeper.enter(who, 3600)
    assert told(first)["x-ratelimit-remaining-tokens"] == "100"
    with pytest.raises(LimitError, match="1,000 tokens per minute") as refused:
        keeper.enter(who, 800)
    assert refused.value.retry_after == 6
    assert first
    keeper.leave(first, 300)  # compressed to a third
    assert told(keeper.enter(who, 800))["x-ratelimit-remaining-tokens"] == "500"


def test_a_prompt_over_the_limit_passes_once_all_of_it_is_there_and_leaves_a_debt() -> None:
    clock, who = Clock(), tenant(tpm=100)
    keeper = gatekeeper(who, clock)
    assert keeper.enter(who, 800)
    with pytest.raises(LimitError) as refused:
        keeper.enter(who, 400)
    assert refused.value.retry_after == 120


def test_a_refused_request_costs_nothing() -> None:
    who = tenant(rpm=10, tpm=10)
    keeper = gatekeeper(who)
    assert keeper.enter(who, 40)
    for _ in range(50):
        with pytest.raises(LimitError, match="tokens per minute"):
            keeper.enter(who, 40)
    keeper = gatekeeper(who)
    assert told(keeper.enter(who, 0))["x-ratelimit-remaining-requests"] == "9"


def test_requests_at_once() -> None:
    who = tenant(max_parallel_requests=2)
    keeper = gatekeeper(who)
    first = keeper.enter(who, 1)
    assert keeper.enter(who, 1) and first
    with pytest.raises(LimitError, match="2 requests under way") as refused:
        keeper.enter(who, 1)
    assert refused.value.retry_after == 1
    keeper.leave(first, None)
    assert keeper.enter(who, 1)


def test_workers_count_together_and_one_that_died_is_forgotten(tmp_path: Path) -> None:
    clock, who = Clock(), tenant(rpm=5, max_parallel=3)
    shared = {"file": tmp_path / "limits", "workers": 2}
    one = gatekeeper(who, clock, worker=0, **shared)
    other = gatekeeper(who, clock, worker=1, **shared)
    assert one.enter(who, 1) and one.enter(who, 1)
    assert told(other.enter(who, 1))["x-ratelimit-remaining-requests"] == "2"
    with pytest.raises(LimitError, match="under way"):
        other.enter(who, 1)
    again = gatekeeper(who, clock, worker=0, **shared)  # in the place of one that died
    assert told(again.enter(who, 1))["x-ratelimit-remaining-requests"] == "1"


_CROWD = """
import sys
from pathlib import Path
from proxy.config_tenants import Tenant, TenantSettings
from proxy.errors import LimitError
from proxy.tenants import Gatekeeper
who = Tenant("acme", TenantSettings.model_validate({"limits": {"rpm": 1000}}))
keeper = Gatekeeper({"acme": who.settings}, file=Path(sys.argv[1]), worker=int(sys.argv[2]),
                    workers=3, clock=lambda: 7.0)
input()
count = 0
for _ in range(1000):
    try:
        keeper.enter(who, 1)
        count += 1
    except LimitError:
        pass
print(count)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there a server has one worker")
def test_processes_that_count_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CROWD, str(tmp_path / "limits")]
    crowd = [
        subprocess.Popen(
            [*command, str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for i in range(3)
    ]
    for process in crowd:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [int(process.communicate(timeout=60)[0]) for process in crowd]
    assert sum(counts) == 1000
