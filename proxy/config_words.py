"""What is wrong in a configuration, in a newcomer's words: pydantic's complaints translated.

Secrets never appear: what stands under a key such as ``api_key`` or came out of the environment
is named, not shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from proxy.config import Config
from proxy.config_frozen import TAGS, is_secret
from proxy.config_yaml import Place

_ADDRESSES = (("api_base",), ("base_url",), ("url",))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong or odd, and where. ``line`` only if it is not the line of ``place``."""

    place: Place
    text: str
    line: int | None = None


def render(findings: Iterable[Finding], file: str, lines: Mapping[Place, int]) -> list[str]:
    """``config.yaml:14: policies.rag.rate: 1.5 is more than 1; ...``, in the file's order."""
    numbered = [(item.line or line_of(item.place, lines), item) for item in findings]
    numbered.sort(key=lambda pair: pair[0])
    return [f"{file}:{line}: {_spot(item.place)}{item.text}" for line, item in numbered]


def line_of(place: Place, lines: Mapping[Place, int]) -> int:
    """The line of a value, or of the nearest thing around it that is in the file."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _spot(place: Place) -> str:
    return ".".join(_printable(str(step)) for step in place) + ": " if place else ""


def _printable(key: str) -> str:
    return key[:60] if key.isprintable() else repr(key[:60])[1:-1]


def translate(error: ValidationError, from_env: Mapping[Place, str]) -> list[Finding]:
    """All of pydantic's errors, each with a remedy. ``from_env`` names the variable of a place."""
    return [_finding(detail, from_env) for detail in error.errors(include_url=False)]


def _finding(detail: Mapping[str, Any], from_env: Mapping[Place, str]) -> Finding:
    place = tuple(step for step in detail["loc"] if step not in TAGS)
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return Finding(place, unknown_key(str(place[-1]), _fields_at(place[:-1])))
    if kind == "missing":
        return Finding(place, "is missing" + _remedy(place))
    if kind != "value_error" and value is None:
        return Finding(place, "has no value" + _remedy(place))
    template = _TEMPLATES.get(kind)
    if template is None:
        return Finding(place, f"{shown(place, value, from_env)} is not valid: {detail['msg']}")
    words = template(shown(place, value, from_env), value, context)
    return Finding(place, words + ("" if ";" in words else _remedy(place)))


def shown(place: Place, value: Any, from_env: Mapping[Place, str]) -> str:
    """A value as it may be printed."""
    if place in from_env:
        return f"what os.environ/{from_env[place]} holds"
    with_password = isinstance(value, str) and place[-1:] in _ADDRESSES and "@" in value
    if with_password or any(is_secret(str(step)) for step in place):
        return "this value (not shown)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def unknown_key(key: str, known: Iterable[str]) -> str:
    """``unknown key`` and the key that was probably meant, or all that there are."""
    if ":" in key and key.split(":")[0] in set(known):
        return f"unknown key; put a space after '{key.split(':')[0]}:'"
    return "unknown key" + suggestion(key, known)


def suggestion(word: str, known: Iterable[str], what: str = "there are") -> str:
    """``; did you mean 'x'?`` for a near miss, else ``; there are: a, b, c``."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    more = ", ..." if len(names) > 12 else ""
    return f"; {what}: {', '.join(names[:12])}{more}" if names else f"; {what} none"


def _literal(shown: str, value: Any, context: Mapping[str, Any]) -> str:
    choices = [part.strip("'") for part in context["expected"].replace(" or ", ", ").split(", ")]
    if isinstance(value, str) and (close := difflib.get_close_matches(value, choices, n=1)):
        return f"{shown} is not known; did you mean {close[0]!r}?"
    return f"{shown} is not known; give one of: {', '.join(choices)}"


def _string(shown: str, value: Any, context: Mapping[str, Any]) -> str:
    if isinstance(value, bool | int | float):
        return f"{shown} is not text; put it in quotes"
    return f"{shown} is not text; give one string"


def _list(shown: str, value: Any, context: Mapping[str, Any]) -> str:
    if isinstance(value, str | int | float):
        return f"{shown} is not a list; put it in brackets: [...]"
    return f"{shown} is not a list; give one, as in [a, b]"


_Template = Callable[[str, Any, Mapping[str, Any]], str]
_TEMPLATES: dict[str, _Template] = {
    "greater_than": lambda v, _, c: f"{v} is not more than {c['gt']:g}",
    "greater_than_equal": lambda v, _, c: f"{v} is less than {c['ge']:g}",
    "less_than": lambda v, _, c: f"{v} is not less than {c['lt']:g}",
    "less_than_equal": lambda v, _, c: f"{v} is more than {c['le']:g}",
    "finite_number": lambda v, _, c: f"{v} is not a finite number",
    "literal_error": _literal,
    "string_type": _string,
    "string_too_short": lambda v, _, c: "is empty; give at least one character",
    "string_pattern_mismatch": lambda v, _, c: f"{v} is not 'sha256:' and 64 hex digits",
    "string_unicode": lambda v, _, c: f"{v} is not valid Unicode",
    "value_error": lambda v, _, c: f"{v} {c['error']}",
    **dict.fromkeys(("list_type", "tuple_type"), _list),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
        lambda v, _, c: f"{v} is not a whole number",
    ),
    **dict.fromkeys(("float_type", "float_parsing"), lambda v, _, c: f"{v} is not a number"),
    **dict.fromkeys(
        ("bool_type", "bool_parsing"), lambda v, _, c: f"{v} is neither true nor false"
    ),
    **dict.fromkeys(
        ("dict_type", "model_type", "model_attributes_type"),
        lambda v, _, c: f"{v} is not a mapping; give keys with values, as in {{key: value}}",
    ),
}

_REMEDIES = {
    "enforce": "give a share of the conversations, e.g. 10%",
    "rate": "give a share of tokens to keep, e.g. 0.5",
    "over": "give a number of tokens, e.g. 4000",
    "target_tokens": "give a number of tokens, e.g. 1000",
    "min_saving": "give a share such as 0.05, or a number of tokens",
    "min_tokens": "give a number of tokens, e.g. 300",
    "threshold": "give a probability from 0 to 1",
    "deadline_ms": "give milliseconds, e.g. 2000",
    "port": "give a port from 0 to 65535, e.g. 8484",
    "max_body_mb": "give megabytes, e.g. 32",
    "value_of_time": "give dollars an hour, e.g. 5",
    "prefill_tokens_per_second": "give tokens a second, e.g. 10000",
    "max_mb": "give megabytes, e.g. 512",
    "keys": "make one with: precis keys new TENANT",
    "metrics_key": "make one with: precis keys new metrics",
    "timeout": "give seconds, e.g. 600",
    "stream_timeout": "give seconds, e.g. 120",
    "connect_timeout": "give seconds, e.g. 5",
    "retry_after": "give seconds, e.g. 0.25",
    "num_retries": "give a number from 0 to 20",
    "model": "give provider/model, e.g. openai/gpt-3.5-turbo",
    "model_name": "give the name that clients ask for",
    "litellm_params": "give at least {model: provider/model}",
    "policy": "give the name of a policy",
    "weight": "give a share of the load, e.g. 1",
    "memory_mb": "give megabytes, e.g. 16; 0 for none",
    "ttl_hours": "give hours, e.g. 168",
    "timeout_ms": "give milliseconds, e.g. 50",
    "threads": "give a number of cores, or leave it out",
}


def _remedy(place: Place) -> str:
    named = [step for step in place if isinstance(step, str)]
    remedy = _REMEDIES.get(named[-1]) if named else None
    return f"; {remedy}" if remedy else ""


def _fields_at(place: Place) -> list[str]:
    """The keys that the configuration knows at a place."""
    kind: Any = Config
    for step in place:
        kind = _inside(kind, step)
    return list(kind.model_fields) if _is_model(kind) else []


def _inside(kind: Any, step: str | int) -> Any:
    if _is_model(kind):
        field = kind.model_fields.get(step)
        return _bare(field.annotation) if field else None
    if get_origin(kind) in (dict, tuple, list):
        arguments = get_args(kind)
        return _bare(arguments[1] if get_origin(kind) is dict else arguments[0])
    return None


def _bare(kind: Any) -> Any:
    """An annotation without Annotated, and of a union the member that has something inside."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        members = [_bare(member) for member in get_args(kind)]
        return next((m for m in members if _is_model(m) or get_args(m)), None)
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
