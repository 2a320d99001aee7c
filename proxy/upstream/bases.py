"""Where a call to a model entry goes: which kind of provider, which address, which model id.

Prefixes are LiteLLM's; addresses are the providers' documented OpenAI-compatible ones. Pure.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from proxy.config_upstreams import ModelEntry
from proxy.errors import ConfigError

BASES: dict[str, str | None] = {
    "openai": "https://api.openai.com/v1",
    "mistral": "https://api.mistral.ai/v1",
    "groq": "https://api.groq.com/openai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "together_ai": "https://api.together.xyz/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "xai": "https://api.x.ai/v1",
    "fireworks_ai": "https://api.fireworks.ai/inference/v1",
    "perplexity": "https://api.perplexity.ai",
    "cerebras": "https://api.cerebras.ai/v1",
    "deepinfra": "https://api.deepinfra.com/v1/openai",
    "nvidia_nim": "https://integrate.api.nvidia.com/v1",
    "sambanova": "https://api.sambanova.ai/v1",
    # Servers of one's own: only the configuration knows where they are.
    "custom_openai": None,
    "hosted_vllm": None,
    "litellm_proxy": None,
    "llamafile": None,
    "lm_studio": None,
    "ollama": None,
    "ollama_chat": None,
    "openai_like": None,
}
"""Prefix -> base URL of an OpenAI-compatible provider; None where ``api_base`` must be given."""

ANTHROPIC = "https://api.anthropic.com"
"""Speaks its own protocol, which passes as it is; in OpenAI's it is reached through litellm."""

_OPENAI_NAME = re.compile(r"(gpt|chatgpt|text-embedding|ft:gpt|o\d)[-:\w.]*$|(tts|whisper|dall-e)-")
"""Names that are OpenAI's without a prefix. Any other goes to litellm, which knows many more:
a provider must never get another one's key because of a forgotten prefix."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry's calls go."""

    kind: Literal["http", "litellm", "echo"]
    model: str
    """The provider's own id of the model."""
    base: str = ""
    """Base URL without a slash at its end; only for ``http``."""
    protocol: Literal["openai", "anthropic"] = "openai"
    """Whose headers the key and the version go in."""


def place(entry: ModelEntry, path: str = "/chat/completions") -> Place:
    """Where a call of that path to the entry goes. Raises ConfigError if that can't be told."""
    params = entry.litellm_params
    try:
        return _place(params.model, params.api_base, is_messages(path))
    except ValueError as exc:
        where = f"model_list: {entry.model_name!r} ({params.model})"
        raise ConfigError([f"{where}: {exc}"]) from exc


def is_messages(path: str) -> bool:
    """Whether it is a path of Anthropic's protocol."""
    return path.startswith("/messages")


@functools.lru_cache(maxsize=1024)
def _place(model: str, api_base: str | None, messages: bool) -> Place:
    if model == "echo":
        return Place("echo", model)
    prefix, slash, name = model.partition("/")
    if messages and (prefix == "anthropic" or (not slash and model.startswith("claude-"))):
        base = (api_base or ANTHROPIC).rstrip("/").removesuffix("/messages").removesuffix("/v1")
        return Place("http", name or model, f"{base}/v1", "anthropic")
    if not slash and (api_base is not None or _OPENAI_NAME.match(model)):
        prefix, name = "openai", model
    if prefix not in BASES:
        return Place("litellm", model)
    return Place("http", _model_id(prefix, name), _base(prefix, api_base))


def _base(prefix: str, api_base: str | None) -> str:
    base = (api_base or BASES[prefix] or "").rstrip("/")
    if not base:
        raise ValueError(f"'api_base' is missing; {prefix}/ models run wherever you say")
    # Ollama's users give its root, where its own protocol lives; OpenAI's is under /v1.
    return f"{base}/v1" if prefix.startswith("ollama") and not urlsplit(base).path else base


def _model_id(prefix: str, name: str) -> str:
    """Fireworks' users leave out the account of its public models, as LiteLLM lets them."""
    if prefix == "fireworks_ai" and not name.startswith("accounts/"):
        return f"accounts/fireworks/models/{name}"
    return name
