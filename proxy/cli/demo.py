"""``precis demo``: a real request through a real proxy, and a look at what came out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from proxy.config_file import shipped

_START_S = 60
_LISTENS = re.compile(r"running on (http://\S+)")


def demo() -> None:
    """Send a long document with a question to `model: echo` and show what reached the model."""
    import httpx  # heavy, both, and every other command does without
    import openai

    console = Console(highlight=False)
    document = (files("proxy.cli") / "demo_data" / "meeting.txt").read_text("utf-8").rstrip("\n")
    with _serving() as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="not-needed", max_retries=0)
        started = time.perf_counter()
        answer = client.chat.completions.with_raw_response.create(
            model="echo", messages=[{"role": "user", "content": document}]
        )
        seconds = time.perf_counter() - started
        headers = answer.headers
        receipt = httpx.get(f"{url}/v1/receipts/{headers['x-precis-request-id']}").json()
    sent = str(answer.parse().choices[0].message.content)
    kept = receipt["messages"][0]["kept"]
    if sent != "".join(document[start:end] for start, end in kept):
        console.print("What reached the model is not what the receipt says.", style="bold red")
        raise typer.Exit(1)
    _show(console, document, sent, kept)
    _sum_up(console, dict(headers), seconds)


def _show(console: Console, document: str, sent: str, kept: list[list[int]]) -> None:
    marked = Text()
    at = 0
    for start, end in kept:
        marked.append(document[at:start], style="strike dim red")
        marked.append(document[start:end])
        at = end
    marked.append(document[at:], style="strike dim red")
    console.print(Panel(marked, title="The prompt: what was dropped is struck through"))
    console.print(Panel(Text(sent), title="What reached the model"))


def _sum_up(console: Console, headers: dict[str, str], seconds: float) -> None:
    before, after = headers["x-precis-tokens-before"], headers["x-precis-tokens-after"]
    saved = 100 * (1 - int(after) / int(before))
    console.print(f"Tokens      [bold]{before} -> {after}[/bold], {saved:.0f} % saved")
    console.print(
        f"Time        {headers['x-precis-ms']} ms to compress, "
        f"{1000 * seconds:.0f} ms for the whole request"
    )
    console.print(f"Decision    {headers['x-precis-decision']} ({headers['x-precis-reason']})")
    console.print("\nTo serve for real, with your key in OPENAI_API_KEY:\n")
    console.print("  [bold]precis serve[/bold]", soft_wrap=True)
    console.print("\nand in your application: OPENAI_BASE_URL=http://localhost:8484/v1")


@contextmanager
def _serving() -> Iterator[str]:
    """A proxy of its own on a free port, in a process of its own, as a user would run it."""
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "proxy", "serve", "--port", "0"]
        command += ["--config", str(shipped())]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603  # ourselves
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(10)


def _address(process: subprocess.Popen[bytes], log: Any) -> str:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        said = os.pread(log.fileno(), 100_000, 0).decode(errors="replace")
        if found := _LISTENS.search(said):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.02)
    typer.echo(f"The proxy did not start:\n{said}", err=True)
    raise typer.Exit(1)
