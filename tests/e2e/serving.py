"""The real server in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import openai
import yaml
from prometheus_client.parser import text_string_to_metric_families

COMMAND = [sys.executable, "-m", "proxy"]
ROOT = Path(__file__).parents[2]
_LISTENS = re.compile(r"Uvicorn running on (http://[\d.]+:(\d+))")

T = TypeVar("T")


def until(look: Callable[[], T], seconds: float = 60) -> T:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
    return found


@dataclass(frozen=True)
class Served:
    """A server that listens."""

    root: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        """What clients take as their base URL."""
        return f"{self.root}/v1"

    def client(self, key: str = "sk-client", **settings: Any) -> openai.OpenAI:
        """The real client. It makes no second tries of its own, so that a test sees ours."""
        return openai.OpenAI(
            base_url=self.url,
            api_key=key,
            http_client=openai.DefaultHttpxClient(verify=False),  # loading certificates is slow
            **{"max_retries": 0, **settings},
        )

    def async_client(self, key: str = "sk-client", **settings: Any) -> openai.AsyncOpenAI:
        """The same, asynchronous."""
        return openai.AsyncOpenAI(
            base_url=self.url,
            api_key=key,
            http_client=openai.DefaultAsyncHttpxClient(verify=False),
            **{"max_retries": 0, **settings},
        )

    def post(
        self, body: bytes | dict[str, Any], path: str = "/chat/completions", **settings: Any
    ) -> httpx.Response:
        """A request with a body as no client would send it."""
        how: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"content": body}
        return httpx.post(self.url + path, **how, timeout=60, verify=False, **settings)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name that have these labels."""
        families = text_string_to_metric_families(
            httpx.get(f"{self.root}/metrics", verify=False).text
        )
        samples = [s for family in families for s in family.samples if s.name == name]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())

    def said(self, wanted: str) -> str:
        """The whole log, once ``wanted`` is in it."""
        return until(lambda: text if wanted in (text := self.log.read_text()) else "")


@contextmanager
def serving(config: Mapping[str, Any], folder: Path) -> Iterator[Served]:
    """``precis serve`` on a free port with that configuration.

    When it has ended, its log must tell of no bug: whatever the tests did to it, it has answered.
    """
    file, log = folder / "config.yaml", folder / "log"
    file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    command = [*COMMAND, "serve", "--config", str(file), "--port", "0"]
    environ = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    with (
        log.open("wb") as out,
        subprocess.Popen(command, cwd=ROOT, stderr=out, env=environ) as process,
    ):
        try:
            found = until(lambda: _LISTENS.search(log.read_text()) or process.poll())
            assert isinstance(found, re.Match), log.read_text()
            yield Served(found[1], int(found[2]), log)
        finally:
            process.terminate()
            code = process.wait(60)
    said = log.read_text()
    bugs = [line for line in said.splitlines() if '"level": "error"' in line]
    assert not bugs and "Traceback" not in said, "\n".join(bugs) or said
    assert code in (0, -15), said
