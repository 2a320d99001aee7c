"""``precis replay``: from the original messages and a receipt, the bytes that were sent.

Twice: by the receipt's mask, which needs nothing else, and by compressing once more, which shows
that the same policy and classifier decide the same way.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from structlog.testing import capture_logs

from proxy import __version__
from proxy.cli.check import complain
from proxy.compress.cache import default as default_cache
from proxy.config import Config
from proxy.config_file import load, shipped
from proxy.config_policy import NamedPolicy
from proxy.config_routes import RouteSettings
from proxy.config_tenants import Allow, Tenant, TenantSettings
from proxy.config_upstreams import LiteLLMParams, ModelEntry, ModelInfo
from proxy.errors import BadRequest, CheckpointError, ConfigError, PrecisError
from proxy.ledger import Receipt
from proxy.ledger.receipts import decode
from proxy.ledger.replay import Check, Key, by_mask, by_recomputation
from proxy.messages.any_shape import FIELDS, parse_as, shape_of
from proxy.messages.body import Chat
from proxy.routing import Asked, Route, route


def replay(
    receipt: Annotated[
        str, typer.Argument(help="The receipt: a file, - for standard input, or an id with --url.")
    ],
    messages: Annotated[
        Path, typer.Option(help="JSON: the request's body, or its list of messages.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="The config.yaml to compress with; the shipped one if none.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="The rate that the request asked for by x-precis-rate.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the body as it was sent to this file.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="A running server to get the receipt from, by its id.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="The tenant's key there.", envvar="PRECIS_KEY", show_envvar=True)
    ] = "",
) -> None:
    """Reproduce what was sent, and say whether it is what the receipt says.

    Ends with 0 if all matches, 1 if something differs, 2 if it can't be told.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    try:
        loaded = load(config or shipped(), os.environ).config
        found = _receipt(receipt, url, key)
        path, chat = _chat(messages, found)
        checks = tuple(by_mask(found, {at: text.value for at, text in chat.texts.items()}))
        again = _again(loaded, found, path, chat, rate)
    except (ConfigError, CheckpointError, BadRequest) as exc:
        complain(exc.problems if isinstance(exc, ConfigError) else [exc.message])
        raise typer.Exit(2) from None
    if out is not None:
        texts = {c.key: c.sent for c in checks if c.sent is not None and not c.finding}
        out.write_bytes(chat.render(texts if found.decision == "compressed" else {}))
    if not _told(console, found, checks, again):
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Again:
    """The receipt of compressing once more, or why that would say nothing."""

    receipt: Receipt | None
    why_not: str = ""


def _receipt(where: str, url: str | None, key: str) -> Receipt:
    raw = _fetched(where, url, key) if url else _read(where)
    try:
        return decode(raw)
    except msgspec.DecodeError as exc:
        raise ConfigError([f"{where}: is no receipt: {exc}"]) from None


def _read(where: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if where == "-" else Path(where).read_bytes()
    except OSError as exc:
        hint = "; give --url for the id of a receipt" if where.startswith("req_") else ""
        raise ConfigError([f"{where}: {exc.strerror}{hint}"]) from exc


def _fetched(number: str, url: str, key: str) -> bytes:
    import httpx  # heavy, and only needed here

    address = f"{url.rstrip('/').removesuffix('/v1')}/v1/receipts/{number}"
    try:
        answer = httpx.get(address, headers={"authorization": f"Bearer {key}"} if key else {})
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise ConfigError([f"--url {url}: {exc}"]) from exc
    if answer.status_code != 200:
        raise ConfigError([f"{address}: {answer.status_code} {answer.text[:300]}"])
    return answer.content


def _chat(file: Path, receipt: Receipt) -> tuple[str, Chat]:
    """The request, and the path that it was for, which is a guess if the receipt is an old one."""
    try:
        body = file.read_bytes()
    except OSError as exc:
        raise ConfigError([f"--messages {file}: {exc.strerror}"]) from exc
    if body.lstrip()[:1] == b"[":
        named = receipt.model or "m", FIELDS.get(receipt.endpoint, "messages")
        model, name = (json.dumps(said).encode() for said in named)
        body = b'{"model":%b,%b:%b}' % (model, name, body)
    path = receipt.endpoint or shape_of(body)
    return path, parse_as(path, body)


def _again(config: Config, receipt: Receipt, path: str, chat: Chat, rate: float | None) -> _Again:
    if not any(done.action == "compressed" for done in receipt.messages):
        return _Again(None, "nothing was compressed")
    if not receipt.stable:
        return _Again(None, f"it hangs on more than its own text: {receipt.reason}")
    if receipt.version != __version__:
        return _Again(None, f"the receipt is of Precis {receipt.version}, this is {__version__}")
    route = _route_of(config, receipt, rate)
    if route is None:
        hint = "" if rate else "; give --rate if the request asked for one"
        return _Again(
            None, f"no policy here is {receipt.policy} {receipt.policy_fingerprint}{hint}"
        )
    try:
        return _compressed(config, receipt, path, chat, route)
    except (CheckpointError, ConfigError):
        raise
    except PrecisError as exc:
        return _Again(None, exc.message)


def _route_of(config: Config, receipt: Receipt, rate: float | None) -> Route | None:
    """The route whose policy has the receipt's fingerprint, if there is one."""
    settings = config.tenants.get(receipt.tenant, TenantSettings())
    free = TenantSettings(policy=settings.policy, allow=Allow(rate="any"))
    tenant = Tenant(receipt.tenant, free)
    names = (None, receipt.policy) if receipt.policy in config.policies else (None,)
    asked = (Asked(policy=name, rate=rate) for name in names)
    routes = (route(config, receipt.model, tenant, a, lambda _: receipt.raised) for a in asked)
    return next((r for r in routes if r.fingerprint == receipt.policy_fingerprint), None)


def _compressed(config: Config, receipt: Receipt, path: str, chat: Chat, route: Route) -> _Again:
    """Compresses once more in a server of its own, by what sends nothing to anybody."""
    from proxy.app import build  # heavy, and only needed here

    assert route.policy is not None  # noqa: S101 - one without has no fingerprint
    settings = {**route.policy.model_dump(), "deadline_ms": 3_600_000, "on_error": "fail"}
    alone = Config(
        compressor=config.compressor,
        model_list=_echo(receipt),
        policies={route.name: NamedPolicy.model_validate(settings)},
        routes=(RouteSettings(policy=route.name),),
    )
    app = build(alone, cache=default_cache(os.environ))
    parts = app.state.parts
    fingerprint = parts.scheduler.compressor.scorer.fingerprint
    if fingerprint != receipt.compressor_fingerprint:
        parts.scheduler.close()
        said = f"{receipt.compressor} {receipt.compressor_fingerprint}"
        return _Again(None, f"the classifier here is {fingerprint}, not {said}")
    return asyncio.run(_asked(app, path, chat))


def _echo(receipt: Receipt) -> tuple[ModelEntry, ...]:
    """A model of the receipt's name that counts as it did and goes nowhere."""
    if not receipt.model:  # a gateway's, who left it out
        return ()
    info = ModelInfo(encoding=receipt.encoding)
    echo = LiteLLMParams(model="echo")
    return (ModelEntry(model_name=receipt.model, litellm_params=echo, model_info=info),)


async def _asked(app: Any, path: str, chat: Chat) -> _Again:
    import httpx

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://replay") as client:
        with capture_logs():  # this is no request of anybody's
            answer = await client.post(f"/v1{path}", content=chat.body)
        number = answer.headers["x-precis-request-id"]
        told = await client.get(f"/v1/receipts/{number}")
    await app.state.parts.pool.aclose()
    app.state.parts.scheduler.close()
    if answer.status_code != 200:
        return _Again(None, answer.json()["error"]["message"])
    return _Again(decode(told.content))


def _told(console: Console, receipt: Receipt, checks: tuple[Check, ...], again: _Again) -> bool:
    """Prints what was found; whether nothing differs."""
    findings = by_recomputation(receipt, again.receipt) if again.receipt else {}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("text", "role", "the receipt says", "by its mask", "compressed once more"):
        table.add_column(name, overflow="fold")
    for check in checks:
        told = again.receipt is not None and check.sent is not None
        anew = _word(findings.get(check.key, "")) if told else Text("-", style="dim")
        table.add_row(_name(check.key), check.role, check.said, _word(check.finding), anew)
    console.print(table)
    console.print()
    if receipt.decision != "compressed":
        console.print(f"The original was sent: {receipt.decision} ({receipt.reason}).")
    if again.why_not:
        console.print(f"Not compressed once more: {again.why_not}.", soft_wrap=True)
    wrong = sum(bool(check.finding or findings.get(check.key)) for check in checks)
    verdict = f"{wrong} of {len(checks)} texts differ" if wrong else "All is as the receipt says"
    console.print(Text(f"{verdict}.", style="bold red" if wrong else "bold green"))
    return not wrong


def _word(finding: str) -> Text:
    return Text(finding, style="red") if finding else Text("matches", style="green")


def _name(key: Key) -> str:
    message, part = key
    return f"messages.{message}" if part is None else f"messages.{message}.content.{part}"
