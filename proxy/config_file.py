"""Read config.yaml: resolve ``os.environ/NAME``, validate, and tell all that is wrong at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxy import config_checks as checks
from proxy.config import Config
from proxy.config_words import Finding, render, translate
from proxy.config_yaml import Document, Place, YamlError, parse
from proxy.errors import ConfigError

ENVIRON = "os.environ/"

_NEEDED = frozenset(("model", "api_base", "base_url"))
"""Keys of ``litellm_params`` for which no value would mean calling somebody else."""

_IGNORED = {
    "litellm_settings": "retries, time-outs and fallbacks go under router_settings",
    "general_settings": "the keys of callers go under tenants, the rest under server",
    "environment_variables": "set them in the environment before the start",
    "guardrails": "there are none here",
    "callback_settings": "there are no callbacks here",
    "mcp_servers": "there are none here",
    "credential_list": "put api_key: os.environ/NAME into each entry of model_list",
    "include": "put everything into one file",
}
"""Other blocks of LiteLLM's files, and what to do instead."""

_IGNORED_OF_ROUTER = frozenset(
    (
        "routing_strategy",
        "routing_strategy_args",
        "redis_host",
        "redis_port",
        "redis_password",
        "redis_url",
        "enable_pre_call_checks",
        "optional_pre_call_checks",
        "enable_tag_filtering",
        "allowed_fails",
        "allowed_fails_policy",
        "cooldown_time",
        "disable_cooldowns",
        "retry_policy",
        "model_group_retry_policy",
        "model_group_alias",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "default_fallbacks",
        "max_fallbacks",
        "cache_responses",
        "set_verbose",
        "debug_level",
        "provider_budget_config",
    )
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what is odd about it, one line each."""

    config: Config
    warnings: tuple[str, ...]


def load(path: Path, environ: Mapping[str, str], *, host: str | None = None) -> Loaded:
    """Read and check a configuration file.

    ``host`` is where the server will listen if that is not the file's ``server.host``. Raises
    ConfigError with all problems, each as ``FILE:LINE: KEY: what is wrong; what to do``.
    """
    file = str(path).encode("utf-8", "backslashreplace").decode()
    document = _read(path, file)
    reading = _Reading(environ)
    raw = reading.values(document.value)
    problems = [Finding(place, text, line) for place, line, text in document.problems]
    problems += reading.problems + list(checks.names(raw)) + list(_exposure(raw, host))
    try:
        config = Config.model_validate(raw)
    except ValidationError as exc:
        told = {item.place for item in reading.problems}
        problems += [f for f in translate(exc, reading.from_env) if f.place not in told]
    if problems:
        # Not chained: pydantic's error holds the values, secrets among them.
        raise ConfigError(render(problems, file, document.lines)) from None
    warnings = reading.warnings + list(checks.oddities(config))
    return Loaded(config, tuple(render(warnings, file, document.lines)))


def shipped() -> Path:
    """The config.yaml that comes with Precis: inside the installed package, or the repository's."""
    package = Path(__file__).resolve().parent
    inside = package / "config.yaml"
    return inside if inside.is_file() else package.parent / "config.yaml"


def _read(path: Path, file: str) -> Document:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([f"{file}: there is no such file"]) from None
    except IsADirectoryError:
        raise ConfigError([f"{file}: is a directory; give the file in it"]) from None
    except OSError as exc:
        raise ConfigError([f"{file}: can't be read: {exc.strerror or exc}"]) from exc
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise ConfigError([f"{file}:{line}: is not UTF-8; save the file as UTF-8"]) from None
    try:
        document = parse(text)
    except YamlError as exc:
        raise ConfigError([f"{file}:{exc.line}: the file {exc.what}"]) from None
    if document.value is None and not document.problems:
        raise ConfigError([f"{file}: is empty; start from the config.yaml that comes with Precis"])
    if not isinstance(document.value, dict):
        kind = "a list" if isinstance(document.value, list) else "a single value"
        raise ConfigError([f"{file}:1: the file is {kind}; give keys such as model_list: [...]"])
    return document


class _Reading:
    """One pass over the values: the environment looked up, foreign blocks left out."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[Finding] = []
        self.warnings: list[Finding] = []
        self.from_env: dict[Place, str] = {}
        self._environ = environ

    def values(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The values to validate; sections and policies with nothing in them get defaults."""
        known = dict(self._known(raw))
        if isinstance(policies := known.get("policies"), dict):
            known["policies"] = {name: {} if p is None else p for name, p in policies.items()}
        result = self._resolved(known, ())
        return result if isinstance(result, dict) else {}

    def _known(self, raw: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for key, value in raw.items():
            if key in _IGNORED:
                self._warn((key,), f"is LiteLLM's and ignored here; {_IGNORED[key]}")
            elif key == "router_settings" and isinstance(value, dict):
                yield key, self._router(value)
            elif value is not None:
                yield key, value

    def _router(self, settings: dict[str, Any]) -> dict[str, Any]:
        for key in settings.keys() & _IGNORED_OF_ROUTER:
            self._warn(("router_settings", key), "is LiteLLM's and ignored here")
        return {k: v for k, v in settings.items() if k not in _IGNORED_OF_ROUTER}

    def _resolved(self, value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            pairs = ((key, self._resolved(item, (*place, key))) for key, item in value.items())
            return {key: item for key, item in pairs if item is not _LEFT_OUT}
        if isinstance(value, list):
            items = (self._resolved(item, (*place, i)) for i, item in enumerate(value))
            # A gap instead of a shorter list, so that the places of the others stay theirs.
            return [None if item is _LEFT_OUT else item for item in items]
        if isinstance(value, str) and value.startswith(ENVIRON):
            return self._variable(value.removeprefix(ENVIRON), place)
        return value

    def _variable(self, name: str, place: Place) -> Any:
        self.from_env[place] = name
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            self.problems.append(Finding(place, "write os.environ/NAME with a variable's name"))
            return _LEFT_OUT
        if self._environ.get(name):
            return self._environ[name]
        if _may_be_unset(place):
            self._warn(place, f"the environment variable {name} is not set; going on without")
        else:
            what = f"the environment variable {name} is not set; set it, or write a value here"
            self.problems.append(Finding(place, what))
        return _LEFT_OUT

    def _warn(self, place: Place, text: str) -> None:
        self.warnings.append(Finding(place, text))


_LEFT_OUT = object()


def _may_be_unset(place: Place) -> bool:
    return (
        place[0] == "model_list"
        and place[2:3] == ("litellm_params",)
        and not (len(place) == 4 and place[3] in _NEEDED)
    )


def _exposure(raw: dict[str, Any], host: str | None) -> Iterator[Finding]:
    server = raw.get("server")
    server = server if isinstance(server, dict) else {}
    listen = host if host is not None else server.get("host", "127.0.0.1")
    # The words that pydantic takes for true: the value may have come from the environment.
    allowed = str(server.get("allow_anonymous")).lower() in ("true", "1", "on", "t", "y", "yes")
    if isinstance(listen, str):
        problem = checks.exposed(listen, bool(raw.get("tenants")), allowed)
        if problem:
            yield Finding(("server", "host"), problem)
