"""Contenders as processes: how each starts, when it is ready, what memory and CPU it takes."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from proxy.tokens import encoding
from tests.bench.peers import HEADROOM, LITELLM, PORTKEY

KEY = "sk-precis-bench-0123456789"
MODEL = "bench"
READY_WITHIN = 180.0
"""Seconds; a peer may first have to compile its own files."""


@dataclass(frozen=True)
class Recipe:
    """How to start a contender on a port. ``{port}`` in an argument stands for it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/health/readiness"
    """The path that answers 200 when it takes requests."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What it wants in each request beside the usual."""


class Server:
    """A running contender."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.name, self.headers = recipe.name, recipe.headers
        self._path = recipe.ready
        self.port = free_port()
        self._log = (folder / f"{recipe.name.replace(' ', '-')}.log").open("wb")
        command = [part.format(port=self.port) for part in recipe.command]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **recipe.environment},
            start_new_session=True,
        )
        self._wait(started + READY_WITHIN)
        self.ready_s = time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it and what it has started: its process group is its own."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._log.close()

    def rss_mb(self) -> float:
        """Resident memory of the process and its children, in millions of bytes."""
        return sum(int(rss) for _, _, rss, _ in self._family()) * 1024 / 1e6

    def cpu_s(self) -> float:
        """Processor seconds used so far by the process and its children.

        Read from /proc (hundredths of a second); elsewhere from ps, in whole seconds.
        """
        return sum(_cpu_of(int(pid), told) for pid, _, _, told in self._family())

    def _family(self) -> list[list[str]]:
        asked = ["ps", "-A", "-o", "pid=,pgid=,rss=,time="]
        told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        rows = [line.split() for line in told.splitlines()]
        return [row for row in rows if row[1] == str(self.process.pid)]

    def _wait(self, until: float) -> None:
        while time.perf_counter() < until:
            if self.process.poll() is not None:
                break
            if is_ready(self.port, self._path):
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self.name} did not get ready; its log is {self._log.name}")


def _cpu_of(pid: int, told: str) -> float:
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    seconds = 0.0
    for part in told.replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def is_ready(port: int, path: str) -> bool:
    """Whether the path answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start_upstream() -> tuple[subprocess.Popen[str], int]:
    """The mock upstream's process and port."""
    command = [sys.executable, "-m", "tests.bench.upstream"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def precis(folder: Path, upstream_port: int, *, model: str, compressing: bool) -> Recipe:
    """Precis with one tenant, as LiteLLM has its master key; without routes it never compresses."""
    config = {
        "compressor": {"model": model, "cache": {"memory_mb": 0, "store": "none"}},
        "model_list": _model_list(upstream_port),
        "routes": [{"match": {"model": "*"}, "policy": "default"}] if compressing else [],
        "policies": {"default": {"rate": 0.5, "deadline_ms": 120_000}},
        "tenants": {"bench": {"keys": ["sha256:" + hashlib.sha256(KEY.encode()).hexdigest()]}},
    }
    name = "precis compressing" if compressing else "precis"
    file = _write(folder / f"{name.replace(' ', '-')}.yaml", config)
    command = (sys.executable, "-m", "proxy", "serve", "--config", file, "--port", "{port}")
    return Recipe(name, command)


def litellm(folder: Path, upstream_port: int) -> Recipe:
    """LiteLLM's proxy as it comes, one worker; it refuses to start without a master key."""
    file = _write(folder / "litellm.yaml", {"model_list": _model_list(upstream_port)})
    program = str(LITELLM.scripts / "litellm")
    options = ("--config", file, "--host", "127.0.0.1", "--port", "{port}", "--num_workers", "1")
    # Without the second it fetches its price list from the network while it is imported.
    environment = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return Recipe("litellm", (program, *options), environment)


def headroom(upstream_port: int) -> Recipe:
    """headroom's proxy; it compresses too, but nothing as short as what it gets here."""
    encoding()  # finds tiktoken's vocabularies and tells where in the environment
    base = f"http://127.0.0.1:{upstream_port}/v1"
    options = ("--port", "{port}", "--openai-api-url", base, "--no-rate-limit", "--no-cache")
    program = str(HEADROOM.scripts / "headroom")
    environment = {"TIKTOKEN_CACHE_DIR": os.environ.get("TIKTOKEN_CACHE_DIR", "")}
    return Recipe("headroom", (program, "proxy", *options), environment, ready="/livez")


def portkey(upstream_port: int) -> Recipe:
    """Portkey's open gateway; each request tells it where to go."""
    script = str(PORTKEY.home / "build" / "start-server.js")
    base = f"http://127.0.0.1:{upstream_port}/v1"
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": base}
    command = ("node", script, "--port={port}", "--headless")
    return Recipe("portkey", command, ready="/", headers=headers)


def bare(upstream_port: int) -> Recipe:
    """The floor: see ``bare.py``."""
    command = (sys.executable, "-m", "tests.bench.bare", "{port}", str(upstream_port))
    return Recipe("bare", command)


def _model_list(upstream_port: int) -> Sequence[Mapping[str, object]]:
    base = f"http://127.0.0.1:{upstream_port}/v1"
    params = {"model": f"openai/{MODEL}", "api_base": base, "api_key": "sk-upstream"}
    return [{"model_name": MODEL, "litellm_params": params}]


def _write(file: Path, config: Mapping[str, object]) -> str:
    file.write_text(json.dumps(config))  # every JSON document is a YAML one
    return str(file)
