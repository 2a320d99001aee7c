"""``precis check``: everything that is wrong with a config.yaml, or what it means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proxy.cli import guard_words
from proxy.config import Config
from proxy.config_compressor import CacheSettings, Calibration
from proxy.config_file import Loaded, load
from proxy.config_policy import FitToWindow, JsonRule, Policy
from proxy.config_routes import Mode, Rollout
from proxy.config_server import LedgerSettings
from proxy.config_tenants import Limits, Tenant
from proxy.config_upstreams import ModelEntry
from proxy.errors import ConfigError
from proxy.routing import route

_ON, _OFF = "green", "dim"
_SAID = frozenset(("rate", "target_tokens", "threshold", "min_tokens", "roles", "question"))
_SAID |= {"force_tokens", "force_patterns", "force_reserve_digit", "protect"}
_SAID |= {"json_paths", "json_min_tokens", "obey_tags"}
_UNSAID = [name for name in Policy.model_fields if name not in _SAID]


def check(file: Annotated[Path, typer.Argument(help="The config.yaml to check.")]) -> None:
    """Check a config.yaml: all its problems at once, or what it resolves to."""
    try:
        loaded = load(file, os.environ)
    except ConfigError as exc:
        complain(exc.problems)
        raise typer.Exit(2) from None
    report(loaded, file, Console(highlight=False, markup=False, emoji=False))


def complain(problems: Iterable[str]) -> None:
    """Print problems on standard error, one line each however narrow the terminal is."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    lines = list(problems)
    for line in lines:
        console.print(_coloured(line, "red"), soft_wrap=True)
    console.print(f"{len(lines)} problem{'s' if len(lines) != 1 else ''}", style="bold red")


def report(loaded: Loaded, file: Path, console: Console) -> None:
    """Print what a good configuration means: models, policies, routes, tenants, warnings."""
    config = loaded.config
    tables = {
        "Models": _models(config),
        "Policies": _policies(config),
        "Routes, the first match wins": _routes(config),
        "Quality guard": _guards(config),
        "Tenants": _tenants(config),
    }
    for title, table in tables.items():
        if not table.row_count and title == "Quality guard":  # none is the rule
            continue
        console.print(Text(title, style="bold"))
        console.print(Padding(table, (0, 0, 1, 2)))
    console.print(Text.assemble(("Calibration", "bold"), f"  {_calibration(config.calibration)}"))
    console.print(Text.assemble(("Receipts", "bold"), f"  {_receipts(config.ledger)}"))
    console.print(Text.assemble(("Cache", "bold"), f"  {_cache(config.compressor.cache)}\n"))
    for warning in loaded.warnings:
        console.print(_coloured(warning, "yellow"), soft_wrap=True)
    odd = len(loaded.warnings)
    with_warnings = f", with {odd} warning{'s' if odd != 1 else ''}" if odd else ""
    verdict = Text.assemble((f"{file} is good", "bold green"), with_warnings)
    console.print(verdict, soft_wrap=True)


def _calibration(device: Calibration) -> str:
    if device.tokens_per_second is None:
        return "none; precis calibrate finds from which size compression pays"
    return (
        f"{device.model} reads {device.tokens_per_second:,.0f} tokens/s and takes "
        f"{device.fixed_ms:g} ms a text (measured {device.measured or 'some day'}); an hour of "
        f"waiting costs ${device.value_of_time:g}, upstreams read "
        f"{device.prefill_tokens_per_second:,.0f} tokens/s"
    )


def _receipts(ledger: LedgerSettings) -> str:
    if ledger.store == "memory":
        return f"the latest {ledger.count or 10_000:,}, in the memory of one worker"
    which = f"the latest {ledger.count:,}" if ledger.count else f"those of the last {ledger.keep}"
    return f"{which}, in {ledger.path}, up to {ledger.max_mb:g} MB"


def _cache(settings: CacheSettings) -> str:
    """Where scores are kept, and whose a request may meet."""
    if not settings.on:
        return "off"
    places = [f"{settings.memory_mb:g} MB of memory"] if settings.memory_mb else []
    if settings.store == "sqlite":
        file = settings.path or "a file in the user's cache directory"
        places.append(f"{settings.max_mb:g} MB of {file}")
    elif settings.store == "redis":
        places.append(f"{settings.max_mb:g} MB of Redis")
    whose = "each tenant's own" if settings.scope == "tenant" else "shared by all tenants"
    return f"scores in {' and '.join(places)}, {whose}"


def _coloured(line: str, colour: str) -> Text:
    where, gap, what = line.partition(": ")
    return Text.assemble((where, colour), gap, what)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _models(config: Config) -> Table:
    table = _table("model", "provider", "upstream", "base", "key")
    for entry in config.model_list:
        params = entry.litellm_params
        table.add_row(
            entry.model_name,
            params.provider,
            params.model.removeprefix(params.provider + "/"),
            _base(params.api_base),
            _key(entry, bool(config.tenants)),
        )
    return table


def _base(url: str | None) -> Text:
    """The address without user, password and query, which may hold secrets."""
    if not url:
        return Text("default", style=_OFF)
    parts = urlsplit(url)
    return Text(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def _key(entry: ModelEntry, tenants: bool) -> Text:
    params = entry.litellm_params
    if params.provider == "echo":
        return Text("not needed", style=_OFF)
    if params.api_key is not None:
        return Text("set", style=_ON)
    return Text("none", style="yellow") if tenants else Text("the client's", style=_OFF)


def _policies(config: Config) -> Table:
    table = _table("policy", "", "as it resolves")
    for name, named in config.policies.items():
        titles = [Text(name), Text(f"extends {named.extends}" if named.extends else "", style=_OFF)]
        for title, (label, words) in _beside(titles, _facts(config.policy(name))):
            table.add_row(title, Text(label, style=_OFF), words)
    return table


def _beside(
    titles: list[Text], facts: list[tuple[str, str]]
) -> Iterator[tuple[Text, tuple[str, str]]]:
    # There are always more facts than titles, so none is left over.
    yield from zip([*titles, *(Text() for _ in facts[len(titles) :])], facts, strict=True)


def _facts(policy: Policy) -> list[tuple[str, str]]:
    kinds = [*policy.protect, *(["digits"] if policy.force_reserve_digit else [])]
    if policy.question != "none":
        kinds.insert(0, f"question ({policy.question})")
    forced = [*map(_visible, policy.force_tokens), *(f"/{p}/" for p in policy.force_patterns)]
    who = ", ".join(policy.roles) or "no role"
    facts = [
        ("keeps", keeps(policy)),
        ("of", f"{who}, texts of {policy.min_tokens:,} tokens and more"),
        ("never cuts", ", ".join(kinds)),
        ("forces", "  ".join(forced)),
        ("in JSON", _in_json(policy)),
        ("obeys", f"tags of {', '.join(policy.obey_tags)}" if policy.obey_tags else ""),
        ("besides", _rest(policy)),
    ]
    return [(label, words) for label, words in facts if words]


def keeps(policy: Policy) -> str:
    """How much stays, in words: ``50 %``, ``60 % over 300 tokens``, ``down to 1,000 tokens``."""
    if policy.threshold is not None:
        return f"P(keep) from {policy.threshold:g}"
    if policy.target_tokens is not None:
        return f"down to {policy.target_tokens:,} tokens"
    if not isinstance(policy.rate, tuple):
        return _percent(policy.rate)
    steps = ", ".join(f"{_percent(step.rate)} over {step.over:,}" for step in policy.rate)
    return f"{steps} tokens"


def _in_json(policy: Policy) -> str:
    """Which strings of JSON are compressed, in words."""
    if "json" not in policy.protect:
        return ""
    words = [f"{path}: {_of_rule(rule)}" for path, rule in policy.json_paths.items()]
    if policy.json_min_tokens is not None:
        words.append(f"prose of {policy.json_min_tokens:,} tokens and more")
    return ", ".join(words) or "nothing"


def _of_rule(rule: JsonRule) -> str:
    if not rule.compress:
        return "stays"
    share = _percent(rule.rate) if rule.rate is not None else "compressed"
    return share if rule.min_tokens is None else f"{share} from {rule.min_tokens:,} tokens"


def _percent(rate: float) -> str:
    return f"{rate * 100:.3g} %"


def _visible(token: str) -> str:
    return token if token.isprintable() and not token.isspace() else repr(token)[1:-1]


def _rest(policy: Policy) -> str:
    """What else differs from the defaults."""
    plain = Policy()
    odd = [n for n in _UNSAID if getattr(policy, n) != getattr(plain, n)]
    return ", ".join(f"{name}: {_value(getattr(policy, name))}" for name in odd)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, FitToWindow):
        kept = f", {value.reserve_tokens:,} tokens kept free" if value.reserve_tokens else ""
        return f"{str(value.enabled).lower()}{kept}"
    if isinstance(value, tuple):
        return " ".join(_visible(str(item)) for item in value)
    return str(value)


def _routes(config: Config) -> Table:
    table = _table("", "model", "tenant", "policy", "mode", "pays from")
    for index, entry in enumerate(config.routes):
        match = entry.match
        pays = entry.pays_over
        size = f"{pays:,} tokens" if isinstance(pays, int) else pays or ""
        table.add_row(str(index), match.model, match.tenant, entry.policy, _mode(entry.mode), size)
    table.add_row("", Text("anything else", style=_OFF), "", Text("sent on untouched", style=_OFF))
    return table


def _guards(config: Config) -> Table:
    table = _table("route", "", "as it resolves")
    for entry in config.routes:
        facts = guard_words.facts(entry.guard) if entry.guard else []
        for title, (label, words) in _beside([Text(entry.name)] if facts else [], facts):
            table.add_row(title, Text(label, style=_OFF), words)
    return table


def _mode(mode: Mode | Rollout) -> str:
    if isinstance(mode, Rollout):
        return f"enforce for {_percent(mode.enforce)} of conversations, shadow for the others"
    return mode


def _tenants(config: Config) -> Table:
    table = _table("tenant", "mode", "keys", "limits", "models", "policy")
    for name, settings in config.tenants.items():
        tenant = Tenant(name, settings)
        for at, (models, policy) in enumerate(_treatment(config, tenant)):
            own = (name, _mode(settings.mode), str(len(settings.keys)), _limits(settings.limits))
            table.add_row(*(own if at == 0 else ("",) * 4), models, policy)
    if not config.tenants:
        anyone = "anyone on this machine" if not config.server.allow_anonymous else "anyone"
        table.add_row(anyone, "enforce", "-", "none", "all", "by route")
    return table


def _limits(limits: Limits | None) -> str:
    """Per minute and at once: ``60 requests, 100,000 tokens, 20 at once``."""
    if limits is None:
        return "none"
    given = ((limits.rpm, "requests"), (limits.tpm, "tokens"), (limits.max_parallel, "at once"))
    return ", ".join(f"{limit:,} {what}" for limit, what in given if limit) or "none"


def _treatment(config: Config, tenant: Tenant) -> list[tuple[str, Text]]:
    """What the tenant may use, grouped by the policy that it gets there."""
    groups: dict[str, list[str]] = {}
    results = {}
    for entry in dict.fromkeys(entry.model_name for entry in config.model_list):
        if tenant.sees(entry):
            result = route(config, entry, tenant)
            groups.setdefault(result.name, []).append(entry)
            results[result.name] = result
    if not groups:
        return [("none", Text(""))]
    rows = []
    for name, models in groups.items():
        result = results[name]
        words = Text(f"untouched ({result.reason})", style=_OFF)
        if result.policy is not None:
            words = Text(
                f"{name}: {keeps(result.policy)}\n{_added(config, name, result.policy)}".rstrip()
            )
        rows.append((", ".join(models), words))
    return rows


def _added(config: Config, name: str, policy: Policy) -> str:
    """What the tenant's overlay changes beside how much is kept."""
    base = config.policy(name)
    lines = []
    for field in Policy.model_fields:
        old, new = getattr(base, field), getattr(policy, field)
        if old == new or field in ("rate", "target_tokens", "threshold"):
            continue
        if isinstance(new, tuple) and isinstance(old, tuple) and set(old) < set(new):
            lines.append(f"{field} + {_value(tuple(item for item in new if item not in old))}")
        else:
            lines.append(f"{field}: {_value(new)}")
    return "\n".join(lines)
