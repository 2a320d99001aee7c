from __future__ import annotations

import pytest

from proxy.errors import ConfigError
from proxy.upstream.bases import BASES, Place, place
from tests.upstream.calls import entry

FIREWORKS = BASES["fireworks_ai"]
LOCAL = "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("model", "api_base", "leads_to"),
    [
        ("echo", None, Place("echo", "echo")),
        ("openai/gpt-4o", None, Place("http", "gpt-4o", "https://api.openai.com/v1")),
        ("gpt-4o-mini", None, Place("http", "gpt-4o-mini", "https://api.openai.com/v1")),
        ("o3-mini", None, Place("http", "o3-mini", "https://api.openai.com/v1")),
        ("ft:gpt-4o:org::id", None, Place("http", "ft:gpt-4o:org::id", BASES["openai"])),
        ("openai/gpt-4o", LOCAL + "/", Place("http", "gpt-4o", LOCAL)),
        ("anything", LOCAL, Place("http", "anything", LOCAL)),
        ("mistral/small", None, Place("http", "small", "https://api.mistral.ai/v1")),
        ("hosted_vllm/meta-llama/L3", LOCAL, Place("http", "meta-llama/L3", LOCAL)),
        ("openrouter/a/b", None, Place("http", "a/b", "https://openrouter.ai/api/v1")),
        ("ollama/llama3", "http://host:11434", Place("http", "llama3", "http://host:11434/v1")),
        ("ollama/llama3", "http://host/x/v1", Place("http", "llama3", "http://host/x/v1")),
        ("fireworks_ai/llama", None, Place("http", "accounts/fireworks/models/llama", FIREWORKS)),
        ("fireworks_ai/accounts/me/x", None, Place("http", "accounts/me/x", FIREWORKS)),
        ("anthropic/claude-3", None, Place("litellm", "anthropic/claude-3")),
        ("anthropic/claude-3", LOCAL, Place("litellm", "anthropic/claude-3")),
        ("claude-3-opus", None, Place("litellm", "claude-3-opus")),
        ("azure/gpt-4o", LOCAL, Place("litellm", "azure/gpt-4o")),
    ],
)  # fmt: skip
def test_an_entry_leads_to(model: str, api_base: str | None, leads_to: Place) -> None:
    assert place(entry(model=model, api_base=api_base)) == leads_to


@pytest.mark.parametrize(
    "model,api_base,leads_to",
    [
        ("anthropic/claude-3", None, ("claude-3", "https://api.anthropic.com/v1", "anthropic")),
        ("claude-3-opus", None, ("claude-3-opus", "https://api.anthropic.com/v1", "anthropic")),
        ("anthropic/a/b", "http://host/x/", ("a/b", "http://host/x/v1", "anthropic")),
        ("anthropic/x", "http://host/v1", ("x", "http://host/v1", "anthropic")),
        ("anthropic/x", "http://host/v1/messages", ("x", "http://host/v1", "anthropic")),
        ("hosted_vllm/x", LOCAL, ("x", LOCAL, "openai")),
    ],
)
def test_messages_go_to_who_speaks_their_protocol(
    model: str, api_base: str | None, leads_to: tuple[str, str, str]
) -> None:
    for path in ("/messages", "/messages/count_tokens", "/messages/batches"):
        where = place(entry(model=model, api_base=api_base), path)
        assert (where.kind, (where.model, where.base, where.protocol)) == ("http", leads_to)


@pytest.mark.parametrize("prefix", [p for p, base in BASES.items() if base is None])
def test_a_server_of_ones_own_needs_an_address(prefix: str) -> None:
    with pytest.raises(ConfigError, match=f"'m' \\({prefix}/x\\): 'api_base' is missing"):
        place(entry(model=f"{prefix}/x"))


def test_every_public_base_is_https_without_a_slash_at_its_end() -> None:
    public = [base for base in BASES.values() if base is not None]
    assert all(base.startswith("https://") and not base.endswith("/") for base in public)
