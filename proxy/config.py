"""The configuration: frozen models of config.yaml. They read neither a file nor the environment.

``config_file.py`` turns YAML into these and checks that the names in them resolve. Names follow
LiteLLM's where its users already have them (``model_list``, ``litellm_params``,
``router_settings``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
)

from proxy import json_path
from proxy.errors import Forbidden
from proxy.json_path import JsonPath
from proxy.types import Rules

_SECRET = re.compile(r"(?i)(^|[_-])(api_?key|keys?|secret|password|authorization)([_-]|$)")
_SECRET_END = re.compile(r"(?i)(token|credentials?|extra_headers)$")

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
    "urls",
    "numbers",
    "negations",
    "quotes",
]
Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Mode = Literal["enforce", "shadow", "off"]
"""``enforce``: compress; ``shadow``: measure, and send the original; ``off``: neither."""
Glob = Annotated[str, StringConstraints(min_length=1)]
Rate = Annotated[float, Field(gt=0, le=1)]

ONE_RATE, RATE_STEPS = "<one rate>", "<rate steps>"
ONE_MODE, MODE_SHARE = "<one mode>", "<mode by share>"
TAGS = frozenset((ONE_RATE, RATE_STEPS, ONE_MODE, MODE_SHARE))
"""Tags that pydantic puts into an error's place, to be left out of what a person reads."""

LITELLM_ONLY = frozenset(
    (
        "rpm",
        "tpm",
        "order",
        "tags",
        "max_budget",
        "budget_duration",
        "max_parallel_requests",
        "cooldown_time",
        "input_cost_per_token",
        "output_cost_per_token",
        "input_cost_per_second",
        "output_cost_per_second",
        "cache_read_input_token_cost",
        "base_model",
        "use_in_pass_through",
    )
)
"""Settings of LiteLLM's router that stand in ``litellm_params`` and are no request fields."""


PRICES = ("input_cost_per_token", "cache_read_input_token_cost", "output_cost_per_token")
"""Of LiteLLM's prices, those that we read, in ``model_info`` or ``litellm_params``."""


def is_secret(name: str) -> bool:
    """Whether a setting of that name holds something that must not be shown."""
    return bool(_SECRET.search(name) or _SECRET_END.search(name))


class Frozen(BaseModel):
    """No change after validation, no unknown keys, secrets hidden in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


KeyHash = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Server(Frozen):
    """Where to listen and what to accept."""

    host: str = "127.0.0.1"
    port: int = Field(default=8484, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=256)
    """Processes that serve side by side; each loads the classifier."""
    allow_anonymous: bool = False
    max_body_mb: float = Field(default=32, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_key: KeyHash | None = Field(default=None, repr=False)
    """Hash of the key that /metrics asks for (``Authorization: Bearer KEY``); none by default."""


_DAYS = re.compile(r"(\d+(?:\.\d+)?) ?(?:d|days?)")


def _is_number_or_days(keep: object) -> object:
    good = isinstance(keep, int) and not isinstance(keep, bool) and keep >= 1
    if good or (isinstance(keep, str) and _DAYS.fullmatch(keep)):
        return keep
    raise ValueError("is neither a number of receipts nor of days; give 10000, or 7 days")


class LedgerSettings(Frozen):
    """Where receipts are kept, and how many."""

    store: Literal["memory", "sqlite"] = "memory"
    """``sqlite``: one file that all workers share; it outlives them."""
    path: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The file of ``sqlite``."""
    keep: Annotated[int | str, BeforeValidator(_is_number_or_days)] = 10_000
    """The latest so many, or those of the last ``7 days``."""
    max_mb: float = Field(default=512, gt=0)
    """Size of the file from which the oldest go, whatever ``keep`` says."""

    @property
    def count(self) -> int | None:
        """The number of receipts to keep; None if days are counted."""
        return self.keep if isinstance(self.keep, int) else None

    @property
    def seconds(self) -> float | None:
        """Their greatest age; None if a number is kept."""
        days = _DAYS.fullmatch(self.keep) if isinstance(self.keep, str) else None
        return 86400 * float(days[1]) if days else None


class CacheSettings(Frozen):
    """Where scores and results are kept, so that nothing is computed twice."""

    memory_mb: float = Field(default=16, ge=0)
    """Memory of each worker for scores, and again for what came of whole messages."""
    store: Literal["sqlite", "redis", "none"] = "sqlite"
    """What workers share and a restart leaves alone: a file, a server, or nothing."""
    path: str | None = None
    """The file of ``sqlite``; in the user's cache directory if not given."""
    url: Annotated[SecretStr | None, Field(validate_default=True)] = None
    """The server of ``redis``, as in ``redis://host:6379/0``."""
    scope: Literal["tenant", "shared"] = "tenant"
    """Whose scores a request may meet: its own tenant's, so that timing tells nothing, or all."""
    max_mb: float = Field(default=256, gt=0)
    """Size of the store, about; what was not used for longest goes first."""
    ttl_hours: float = Field(default=168, gt=0)
    """Hours that an entry stays in ``redis``."""
    timeout_ms: int = Field(default=50, ge=1)
    """How long the store may take to answer before scores are computed instead."""

    @field_validator("url")
    @classmethod
    def _goes_with_redis(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        redis = info.data.get("store") == "redis"
        if redis and url is None:
            raise ValueError("is needed for store: redis; give one such as redis://host:6379/0")
        if url is not None and not redis:
            raise ValueError("is for store: redis alone; set that, or leave the url out")
        scheme = url.get_secret_value().partition("://")[0] if url else "redis"
        if scheme not in ("redis", "rediss", "unix"):
            raise ValueError("is no address of Redis; give one such as redis://host:6379/0")
        return url

    @property
    def on(self) -> bool:
        """Whether anything is kept at all."""
        return self.memory_mb > 0 or self.store != "none"


class Calibration(Frozen):
    """What ``precis calibrate`` measured, and what it reckons with."""

    value_of_time: float = Field(default=5, ge=0)
    """Dollars that an hour of waiting for an answer costs: the user's time, or a batch's."""
    prefill_tokens_per_second: float = Field(default=10_000, gt=0)
    """How fast the upstream reads a prompt."""
    model: str = ""
    """The classifier that was measured."""
    tokens_per_second: float | None = Field(default=None, gt=0)
    """How fast it reads on this device, in the upstream's tokens."""
    fixed_ms: float = Field(default=0, ge=0)
    """What each text takes besides."""
    measured: str = ""
    """The day."""


class CompressorSettings(Frozen):
    """Which classifier runs, and how."""

    model: str = "builtin"
    engine: Literal["auto", "onnx", "torch", "ray"] = "auto"
    precision: Literal["auto", "fp32", "int8", "bf16"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    """Windows scored at the same time; the number of cores if not given."""
    max_queue_tokens: int = Field(default=2_000_000, ge=1)
    """Tokens waiting to be scored beyond which a request is not queued at all."""
    cache: CacheSettings = CacheSettings()


def _usable_key(secret: SecretStr | None) -> SecretStr | None:
    key = secret.get_secret_value().strip() if secret else ""
    if not key:
        return None
    if not (key.isascii() and key.isprintable()):
        raise ValueError("has characters that no HTTP header can hold; copy it once more")
    return SecretStr(key)


def _is_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("is not an address; give one such as http://localhost:8000/v1")
    return url


class LiteLLMParams(Frozen):
    """How to reach one upstream. Unknown keys are defaults for the request's own fields."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, StringConstraints(min_length=1)]
    api_key: Annotated[SecretStr | None, AfterValidator(_usable_key)] = None
    """Without the white space around it; empty is the same as not given."""
    api_base: Annotated[str, AfterValidator(_is_address)] | None = Field(
        default=None, validation_alias=AliasChoices("api_base", "base_url")
    )
    api_version: str | None = None
    organization: str | None = None
    timeout: float | None = Field(default=None, gt=0)
    """Seconds for the whole answer; for a stream, between two chunks."""
    stream_timeout: float | None = Field(default=None, gt=0)
    max_retries: int | None = Field(default=None, ge=0)
    weight: float = Field(default=1, gt=0)
    extra_headers: dict[str, str] = Field(default={}, repr=False)

    @property
    def defaults(self) -> dict[str, Any]:
        """Request fields to add where the client did not set them (``temperature``, ...)."""
        extra = self.model_extra or {}
        return {name: value for name, value in extra.items() if name not in LITELLM_ONLY}

    @property
    def provider(self) -> str:
        """``mistral`` of ``mistral/mistral-small-latest``; a bare name is OpenAI's."""
        if self.model == "echo":
            return "echo"
        head, slash, _ = self.model.partition("/")
        return head if slash else "openai"

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            # A user and a password may stand before the @ of an address.
            hidden = is_secret(name or "") or (isinstance(value, str) and "@" in value)
            yield name, "**********" if hidden and value else value


class ModelInfo(Frozen):
    """What we know of a model beside how to reach it."""

    model_config = ConfigDict(extra="allow")

    encoding: str | None = None
    """tiktoken encoding to count with; from the model's name if not given."""
    max_input_tokens: int | None = Field(default=None, ge=1)
    """Prompt tokens that the model takes; from litellm's cost map if not given."""
    base_model: str | None = None
    """Name in LiteLLM's list of prices, if it is not the model's own."""
    input_cost_per_token: float | None = Field(default=None, ge=0)
    """Dollars; from LiteLLM's list if not given. So are the next two."""
    cache_read_input_token_cost: float | None = Field(default=None, ge=0)
    output_cost_per_token: float | None = Field(default=None, ge=0)

    @property
    def prices(self) -> dict[str, float]:
        """The prices that are given, under LiteLLM's names."""
        given = {name: getattr(self, name) for name in PRICES}
        return {name: price for name, price in given.items() if price is not None}


class ModelEntry(Frozen):
    """One upstream behind a public name. Entries of the same name share the load."""

    model_name: Annotated[str, StringConstraints(min_length=1)]
    litellm_params: LiteLLMParams
    model_info: ModelInfo = ModelInfo()


class RouterSettings(Frozen):
    """Retries, time-outs and fallbacks, under LiteLLM's names."""

    num_retries: int = Field(default=2, ge=0, le=20)
    """Tries after the first, before the first byte, on 408, 429, 5xx and failed connections."""
    retry_after: float = Field(default=0.25, ge=0)
    """Seconds before the first retry without a Retry-After header; doubles, with jitter."""
    connect_timeout: float = Field(default=5, gt=0)
    timeout: float = Field(default=600, gt=0)
    """Seconds for the whole answer, retries included; a stream may go on while chunks come."""
    stream_timeout: float = Field(default=120, gt=0)
    """Seconds between two reads of an answer."""
    sticky: bool = True
    """Whether a conversation stays with one of the entries that share its model's name."""
    fallbacks: list[dict[str, list[str]]] = []
    """``[{"gpt-3.5-turbo": ["mistral-small"]}]``: public names to try when one has failed."""


ADD_UP = frozenset({"force_tokens", "force_patterns", "protect"})
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
    protect: tuple[Protect, ...] = get_args(Protect)
    pays_over: PaysOver = 0
    """Shorter texts are not worth the time; a route's own value takes its place."""
    json_paths: dict[Annotated[str, AfterValidator(_is_json_path)], JsonRule] = {}
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
        return Rules(
            force_tokens=self.force_tokens,
            force_patterns=self.force_patterns,
            force_reserve_digit=self.force_reserve_digit,
            drop_consecutive=self.drop_consecutive,
            chunk_end_tokens=self.chunk_end_tokens,
            token_to_word=self.token_to_word,
            threshold=self.threshold,
            budget=self.budget,
        )

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


_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


def _share(value: object) -> object:
    percent = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return float(percent[1]) / 100 if percent else value


class Rollout(Frozen):
    """A share of the conversations is compressed, the others run in shadow."""

    enforce: Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]
    """``10%`` or 0.1. One that grows takes none back that was compressed before."""


def _kind_of_mode(value: object) -> str:
    return MODE_SHARE if isinstance(value, dict | Rollout) else ONE_MODE


ModeSetting = Annotated[
    Annotated[Rollout, Tag(MODE_SHARE)] | Annotated[Mode, Tag(ONE_MODE)],
    Discriminator(_kind_of_mode),
]


class Match(Frozen):
    """Globs that a request must match, all of them."""

    model: Glob = "*"
    tenant: Glob = "*"


class RouteSettings(Frozen):
    """First match wins; a request that matches none is forwarded untouched."""

    match: Match = Match()
    policy: str
    mode: ModeSetting = "enforce"
    """Where a tenant has a mode too, the more careful of both holds."""
    pays_over: PaysOver | None = None
    """Tokens from which compression pays for this route's models, as ``precis calibrate`` finds;
    shorter texts are left alone."""


class Allow(Frozen):
    """What a tenant's requests may ask for by header."""

    bypass: bool = True
    policies: tuple[Glob, ...] = ("*",)
    rate: Literal["none", "gentler", "any"] = "gentler"


class Limits(Frozen):
    """What a tenant may use, over all workers; LiteLLM's names are understood too."""

    rpm: int | None = Field(default=None, ge=1, validation_alias=AliasChoices("rpm", "rpm_limit"))
    """Requests per minute."""
    tpm: int | None = Field(default=None, ge=1, validation_alias=AliasChoices("tpm", "tpm_limit"))
    """Tokens per minute: prompts as they go upstream, and answers that tell how many they have."""
    max_parallel: int | None = Field(
        default=None,
        ge=1,
        validation_alias=AliasChoices("max_parallel", "max_parallel_requests"),
    )
    """Requests under way at the same time."""


class TenantSettings(Frozen):
    """Who may call, what for, and how their prompts are treated."""

    keys: tuple[KeyHash, ...] = Field(default=(), repr=False)
    models: tuple[Glob, ...] | None = None
    """Globs of public model names; all of them if not given."""
    policy: Policy | None = None
    mode: ModeSetting = "enforce"
    allow: Allow = Allow()
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant by its name, as a request carries it from stage to stage."""

    name: str
    settings: TenantSettings

    def sees(self, model: str) -> bool:
        """Whether its allow-list has the public model name."""
        globs = self.settings.models
        return globs is None or any(fnmatchcase(model, glob) for glob in globs)

    def may_use(self, model: str) -> None:
        """Raise Forbidden (403) if the allow-list does not have the public model name."""
        if not self.sees(model):
            allowed = ", ".join(self.settings.models or ()) or "none"
            raise Forbidden(
                f"This key may not use the model {model[:100]!r}. Models it may use: {allowed}.",
                code="model_not_allowed",
                param="model",
            )


class Config(Frozen):
    """All of config.yaml."""

    server: Server = Server()
    compressor: CompressorSettings = CompressorSettings()
    ledger: LedgerSettings = LedgerSettings()
    calibration: Calibration = Calibration()
    model_list: tuple[ModelEntry, ...] = ()
    router_settings: RouterSettings = RouterSettings()
    policies: dict[str, NamedPolicy] = {}
    routes: tuple[RouteSettings, ...] = ()
    tenants: dict[str, TenantSettings] = {}

    def policy(self, name: str) -> Policy:
        """The named policy laid over what it extends. Raises KeyError if unknown.

        A policy that extends none is laid over nothing: its lists replace the defaults.
        """
        named = self.policies[name]
        return self.policy(named.extends).overlaid(named.alone) if named.extends else named.alone
