"""A policy: what is compressed, how far, and what must survive."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
)

from proxy import json_path
from proxy.config_frozen import ONE_RATE, RATE_STEPS, Frozen
from proxy.json_path import JsonPath
from proxy.types import Rules

Protect = Literal[
    "code",
    "json",
    "tables",
    "diffs",
    "traces",
    "logs",
    "mail",
    "markdown",
    "tags",
    "labels",
    "urls",
    "numbers",
    "negations",
    "quotes",
]
Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Rate = Annotated[float, Field(gt=0, le=1)]

ADD_UP = frozenset({"force_tokens", "force_patterns", "force_context_ids", "protect"})
"""Lists of a policy that an overlay adds to and never shortens."""


def _is_size_or_never(size: object) -> object:
    if size == "never" or (isinstance(size, int) and not isinstance(size, bool) and size >= 0):
        return size
    raise ValueError("is no number of tokens; give one, e.g. 300, or never")


PaysOver = Annotated[int | Literal["never"], BeforeValidator(_is_size_or_never)]


class RateStep(Frozen):
    """One step of a rate by size: texts of more than ``over`` tokens get ``rate``."""

    over: int = Field(ge=0)
    rate: Rate


CONTEXT_RATE = 0.75
"""Share of the contexts to keep if a policy only turns the filter on: llmlingua's, at rate 0.5."""


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"is not a regular expression: {exc}") from exc
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


def _is_saving(value: float) -> float:
    if value >= 1 and not value.is_integer():
        raise ValueError("is neither; give a share below 1, or a whole number of tokens")
    return value


def _kind_of_rate(value: object) -> str:
    return RATE_STEPS if isinstance(value, list | tuple) else ONE_RATE


class FitToWindow(Frozen):
    """Whether a prompt that the model has no room for is shortened until it fits."""

    enabled: bool = True
    reserve_tokens: int = Field(default=0, ge=0)
    """Tokens kept free for the answer, where the request does not ask for more."""
    deadline_ms: int = Field(default=60_000, ge=1)
    """Time that this may take: longer than elsewhere, for what has no room is refused anyway."""


def _is_json_path(written: str) -> str:
    json_path.parse(written)
    return written


class JsonRule(Frozen):
    """What becomes of the strings in JSON that a path leads to."""

    rate: Rate | None = None
    """Share of each string's tokens to keep; the policy's own if not given."""
    compress: bool = True
    min_tokens: int | None = Field(default=None, ge=0)
    """Shorter strings stay; the policy's ``json_min_tokens`` if not given."""


class Policy(Frozen):
    """What to compress and how far. Defaults are those of a route without settings."""

    rate: Annotated[
        Annotated[Rate, Tag(ONE_RATE)] | Annotated[tuple[RateStep, ...], Tag(RATE_STEPS)],
        Discriminator(_kind_of_rate),
    ] = 0.5
    target_tokens: int | None = Field(default=None, ge=1)
    threshold: float | None = Field(default=None, ge=0, le=1)
    min_tokens: int = Field(default=300, ge=0)
    min_saving: Annotated[float, Field(ge=0), AfterValidator(_is_saving)] = 0.01
    """What a text must save, or it goes as it came: a share below 1, or from 1 on tokens."""
    roles: tuple[Role, ...] = ("user", "tool")
    question: Literal["auto", "all", "none"] = "auto"
    force_tokens: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = (
        "\n",
        "?",
        "!",
        ".",
    )
    force_patterns: tuple[Pattern, ...] = ()
    force_reserve_digit: bool = True
    drop_consecutive: bool = False
    chunk_end_tokens: tuple[str, ...] = (".", "\n")
    token_to_word: Literal["mean", "first"] = "mean"
    budget: Literal["global", "window"] = "global"
    use_context_level_filter: bool | None = None
    """Whether whole documents or paragraphs go first; if not given, where one of these is."""
    context_rate: Rate | None = None
    target_context: int | None = Field(default=None, ge=1)
    force_context_ids: tuple[Annotated[int, Field(ge=0)], ...] = ()
    protect: tuple[Protect, ...] = get_args(Protect)
    pays_over: PaysOver = 0
    """Shorter texts are not worth the time; a route's own value takes its place."""
    json_paths: dict[Annotated[str, AfterValidator(_is_json_path)], JsonRule] = Field(default={})
    """By JSON path, the first that leads to a string decides: see ``json_path.py``."""
    json_min_tokens: int | None = Field(default=100, ge=0)
    """Strings of prose in JSON of fewer tokens stay; ``None``: all that no path leads to."""
    obey_tags: tuple[Role, ...] = ("system", "developer")
    """Roles whose ``<llmlingua>`` and ``<keep>`` tags are obeyed."""
    cache_control: Literal["compress", "freeze"] = "compress"
    """``freeze`` sends what a request marks for the provider's cache as it came (frozen.py)."""
    on_error: Literal["pass", "fail"] = "pass"
    deadline_ms: int = Field(default=2000, ge=1)
    fit_to_window: FitToWindow = FitToWindow(enabled=False)

    @field_validator("fit_to_window", mode="before")
    @classmethod
    def _only_whether(cls, value: object) -> object:
        return {"enabled": value} if isinstance(value, bool) else value

    @field_validator("rate")
    @classmethod
    def _steps_ascend(cls, rate: float | tuple[RateStep, ...]) -> float | tuple[RateStep, ...]:
        if isinstance(rate, tuple):
            if not rate:
                raise ValueError("needs at least one step: {over: TOKENS, rate: SHARE}")
            overs = [step.over for step in rate]
            if overs != sorted(set(overs)):
                raise ValueError("needs steps whose 'over' grows from one to the next; sort them")
        return rate

    def rate_for(self, tokens: int) -> float:
        """The rate for a text of that many tokens; 1.0 below the first step."""
        if not isinstance(self.rate, tuple):
            return self.rate
        reached = [step.rate for step in self.rate if tokens > step.over]
        return reached[-1] if reached else 1.0

    def raised(self, more: float, ceiling: float) -> Policy:
        """This policy with so much more of every text kept, up to ``ceiling`` and never less.

        A policy that works to a token target or a threshold has no rate to raise.
        """
        if not more or self.target_tokens is not None or self.threshold is not None:
            return self

        def higher(rate: float) -> float:
            return max(rate, min(ceiling, round(rate + more, 6)))

        rate: float | tuple[RateStep, ...]
        if isinstance(self.rate, tuple):
            rate = tuple(RateStep(over=s.over, rate=higher(s.rate)) for s in self.rate)
        else:
            rate = higher(self.rate)
        rules = {
            path: rule.model_copy(update={"rate": higher(rule.rate)}) if rule.rate else rule
            for path, rule in self.json_paths.items()
        }
        return self.model_copy(update={"rate": rate, "json_paths": rules})

    @property
    def lowest_rate(self) -> float:
        """The least that is kept of a text."""
        steps = self.rate if isinstance(self.rate, tuple) else ()
        rates = [step.rate for step in steps] or [self.rate_for(0)]
        return min(rates + [rule.rate for rule in self.json_paths.values() if rule.rate])

    @property
    def worth_from(self) -> float:
        """Tokens from which a text is worth compressing; infinity if none is."""
        return math.inf if self.pays_over == "never" else self.pays_over

    @property
    def json_rules(self) -> tuple[tuple[JsonPath, JsonRule], ...]:
        """``json_paths``, parsed."""
        return tuple((json_path.parse(path), rule) for path, rule in self.json_paths.items())

    @property
    def rules(self) -> Rules:
        """The part of the policy that the compressor needs."""
        counted = self.target_context is not None
        return Rules(
            force_tokens=self.force_tokens,
            force_patterns=self.force_patterns,
            force_reserve_digit=self.force_reserve_digit,
            drop_consecutive=self.drop_consecutive,
            chunk_end_tokens=self.chunk_end_tokens,
            token_to_word=self.token_to_word,
            threshold=self.threshold,
            budget=self.budget,
            context_rate=self.context_rate if counted else self.context_rate or CONTEXT_RATE,
            target_context=self.target_context,
            keep_labels="labels" in self.protect,
            keep_list_marks="markdown" in self.protect,
            keep_quote_marks=not {"markdown", "mail"}.isdisjoint(self.protect),
        )

    @property
    def filters_contexts(self) -> bool:
        """Whether whole contexts go before words do."""
        if self.use_context_level_filter is None:
            return self.context_rate is not None or self.target_context is not None
        return self.use_context_level_filter

    def overlaid(self, patch: Policy) -> Policy:
        """This policy with the fields that ``patch`` sets; lists marked force/protect add up.

        ``rate``, ``target_tokens`` and ``threshold`` all say how far to go, so a patch that sets
        one of them takes the place of all three: its rate is not overruled by a target below.
        """
        update: dict[str, Any] = {name: getattr(patch, name) for name in patch.model_fields_set}
        for name in ADD_UP & update.keys():
            update[name] = tuple(dict.fromkeys((*getattr(self, name), *update[name])))
        if update.keys() & {"rate", "target_tokens", "threshold"}:
            update = {"target_tokens": None, "threshold": None} | update
        return self.model_copy(update=update)


class NamedPolicy(Policy):
    """A policy as the file writes it: it may extend another."""

    extends: str | None = None

    @property
    def alone(self) -> Policy:
        """This policy's own fields, with nothing of what it extends."""
        fields = {name: getattr(self, name) for name in Policy.model_fields}
        return Policy.model_construct(self.model_fields_set - {"extends"}, **fields)
