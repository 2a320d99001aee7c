"""From the start of a process until it is ready, and the memory that it takes."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import servers
from tests.bench.prose import prose
from tests.bench.servers import KEY, MODEL, Server

LONG_TOKENS = 20_000


@dataclass(frozen=True)
class Start:
    """Several starts of one contender."""

    ready_s: list[float]
    """Seconds from the start of the process until ``/health/readiness`` says 200."""
    cpu_ready_s: float
    """Processor seconds until then: what ``ready_s`` comes to where nothing else runs."""
    rss_ready_mb: float
    rss_used_mb: float
    """After long prompts were compressed; 0 where nothing is compressed."""


def measure_starts(
    folder: Path, upstream_port: int, model: str, with_peers: bool, count: int
) -> dict[str, Start]:
    """Precis with the classifier in use, and LiteLLM, in turns. The very first one warms caches."""
    recipes = [servers.precis(folder, upstream_port, model=model, compressing=True)]
    if with_peers:
        recipes.append(servers.litellm(folder, upstream_port))
    seen: dict[str, list[tuple[float, ...]]] = {recipe.name: [] for recipe in recipes}
    for number in range(count + 1):
        for recipe in recipes:
            with Server(recipe, folder) as server:
                cpu, idle, used = server.cpu_s(), server.rss_mb(), 0.0
                if recipe is recipes[0] and number == count:
                    _compress(server)
                    used = server.rss_mb()
            if number:
                seen[recipe.name].append((server.ready_s, cpu, idle, used))
    return {name: _start(rows) for name, rows in seen.items()}


def _start(rows: list[tuple[float, ...]]) -> Start:
    ready, cpu, idle, used = zip(*rows, strict=True)
    return Start(list(ready), median(cpu), median(idle), max(used))


def _compress(server: Server) -> None:
    """Three prompts of 20,000 tokens through the whole pipeline. Raises unless they got shorter."""
    content = prose(LONG_TOKENS) + "\n\nQuestion: What was decided about the date?"
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": content}]})
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    for _ in range(3):
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        answer.read()
        decision = answer.headers["x-precis-decision"]
        if answer.status != 200 or decision != "compressed":
            raise RuntimeError(f"a long prompt was answered {answer.status}, {decision}")
    connection.close()
