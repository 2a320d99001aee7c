"""Which entries of ``model_list`` serve a public model name. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.config import Config
from proxy.config_tenants import Tenant
from proxy.config_upstreams import ModelEntry
from proxy.errors import NotFound


class Entries:
    """The model list, ready to be looked up.

    A name with ``*`` stands for many, as in LiteLLM: of ``model_name: openai/*`` with
    ``litellm_params.model: openai/*`` a request for ``openai/gpt-4o`` gets an entry as if that
    name had been written out. Exact names win over wildcards, longer wildcards over shorter.
    """

    def __init__(self, config: Config) -> None:
        self._exact: dict[str, list[ModelEntry]] = {}
        self._wild: dict[str, list[ModelEntry]] = {}
        for entry in config.model_list:
            group = self._wild if "*" in entry.model_name else self._exact
            group.setdefault(entry.model_name, []).append(entry)
        self._patterns = sorted(self._wild, key=len, reverse=True)
        self._names = tuple(dict.fromkeys(entry.model_name for entry in config.model_list))

    def names(self, tenant: Tenant | None = None) -> tuple[str, ...]:
        """The public names in the file's order, wildcards as written, as far as a tenant sees."""
        return tuple(name for name in self._names if tenant is None or tenant.sees(name))

    def find(self, model: str, tenant: Tenant | None = None) -> tuple[ModelEntry, ...]:
        """All entries that share this model's load, at least one. Raises NotFound (404)."""
        if model in self._exact:
            return tuple(self._exact[model])
        for pattern in self._patterns:
            stands_for = match_wildcard(model, pattern)
            if stands_for is not None:
                return tuple(_spelled(entry, model, stands_for) for entry in self._wild[pattern])
        raise NotFound(
            f"The model {model[:100]!r} does not exist here. {_choice(self.names(tenant))}",
            code="model_not_found",
            param="model",
        )


def match_wildcard(model: str, pattern: str) -> str | None:
    """What the (first) ``*`` of a pattern stands for in a model's name; None if it doesn't fit."""
    head, _, tail = pattern.partition("*")
    if len(model) <= len(head) + len(tail):
        return None
    if not (model.startswith(head) and model.endswith(tail)):
        return None
    return model[len(head) : len(model) - len(tail)]


def _spelled(entry: ModelEntry, model: str, stands_for: str) -> ModelEntry:
    params = entry.litellm_params
    upstream = params.model.replace("*", stands_for, 1)
    params = params.model_copy(update={"model": upstream})
    return entry.model_copy(update={"model_name": model, "litellm_params": params})


def _choice(names: Iterable[str]) -> str:
    listed = list(names)
    if not listed:
        return "There are no models at all."
    more = f" and {len(listed) - 50} more" if len(listed) > 50 else ""
    return f"There are: {', '.join(listed[:50])}{more}."
