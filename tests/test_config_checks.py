"""What a configuration is warned of although it loads, and where it may listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config_checks import exposed
from proxy.config_file import load
from proxy.errors import ConfigError

HASH = "sha256:" + "ab" * 32


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("config.yaml")


def warnings(path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    path.write_text(text)
    return list(load(path, environ or {}).warnings)


# Warnings


def test_litellms_other_blocks_are_ignored_with_a_word_on_what_to_use(here: Path) -> None:
    text = """\
litellm_settings: {drop_params: true}
general_settings: {master_key: sk-hidden}
environment_variables: {A: b}
router_settings: {routing_strategy: simple-shuffle, num_retries: 1}
"""
    found = [line for line in warnings(here, text) if "LiteLLM" in line]
    assert [line.split(":")[1] for line in found] == ["1", "2", "3", "4"]
    assert "router_settings" in found[0]
    assert "tenants" in found[1]
    assert "hidden" not in "".join(found)


ENTRY = "model_list: [{model_name: gpt-4, litellm_params: {model: gpt-4, api_key: a}}]\n"
TENANT = f"tenants: {{acme: {{keys: ['{HASH}']}}}}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server: {}", "model_list: is empty"),
        ("server: {}", "routes: is empty"),
        (
            "policies: {p: {rate: .5, target_tokens: 9}}",
            "p.rate: has no effect beside target_tokens",
        ),
        ("policies: {p: {rate: .5, threshold: .2}}", "p.rate: has no effect beside threshold"),
        (
            ENTRY + "routes: [{match: {model: gtp*}, policy: p}]\npolicies: {p: {}}",
            "matches no model",
        ),
        ("routes: [{match: {tenant: x}, policy: p}]\npolicies: {p: {}}", "'x' matches no tenant"),
        ("routes: [{policy: p}, {policy: p}]\npolicies: {p: {}}", "routes.1: is never reached"),
        (ENTRY + f"tenants: {{t: {{keys: ['{HASH}'], models: [x]}}}}", "models.0: 'x' matches no"),
        ("tenants: {t: {}}", "t: has no keys; make one with: precis keys new t"),
        (
            ENTRY.replace(", api_key: a", "") + TENANT,
            "no key, and a tenant's is never sent upstream",
        ),
        (ENTRY.replace("api_key: a", "api_key: $KEY"), "write os.environ/NAME"),
        (ENTRY.replace("api_key: a", "rpm: 5"), "rpm: is a setting of LiteLLM's router"),
        (ENTRY.replace("api_key: a", "apikey: a"), "did you mean api_key?"),
        (ENTRY.replace("{model: gpt-4", "{model: 'openai/*'"), "has a * that nothing stands for"),
        ("server: {host: '::', allow_anonymous: true}", "spends your keys"),
        ("calibration: {model: x}", "'x' was measured, and another one runs"),
        ("ledger: {path: x}", "ledger.path: has no effect; write store: sqlite"),
        ("ledger: {keep: 7 days}", "ledger.keep: counts no days in memory; write store: sqlite"),
    ],
)
def test_what_is_hardly_meant_is_a_warning(here: Path, text: str, words: str) -> None:
    assert any(words in line for line in warnings(here, text))


@pytest.mark.parametrize(
    ("first", "second", "shadowed"),
    [
        ("{model: 'gpt*'}", "{model: 'gpt-4*'}", True),
        ("{model: 'gpt*'}", "{model: gpt-4}", True),
        ("{model: gpt-4}", "{model: gpt-4}", True),
        ("{model: 'gpt*'}", "{model: 'gpt*', tenant: acme}", True),
        ("{model: 'gpt*', tenant: acme}", "{model: 'gpt*'}", False),
        ("{model: 'gpt-4*'}", "{model: 'gpt*'}", False),
        ("{model: '*-turbo'}", "{model: 'gpt*'}", False),
        ("{model: 'gpt-[34]*'}", "{model: 'gpt-5'}", False),
    ],
)
def test_a_route_that_is_never_reached(here: Path, first: str, second: str, shadowed: bool) -> None:
    routes = f"[{{match: {first}, policy: p}}, {{match: {second}, policy: p}}]"
    text = f"{TENANT}policies: {{p: {{}}}}\nroutes: {routes}"
    assert any("never reached" in line for line in warnings(here, text)) is shadowed


def test_models_that_need_no_key_cause_no_warning(here: Path) -> None:
    text = f"""\
model_list:
  - {{model_name: echo, litellm_params: {{model: echo}}}}
  - {{model_name: local, litellm_params: {{model: openai/x, api_base: "http://localhost:1/v1"}}}}
  - {{model_name: aws, litellm_params: {{model: bedrock/x}}}}
policies: {{p: {{}}}}
routes: [{{policy: p}}]
{TENANT}"""
    assert warnings(here, text) == []


# Where the server may listen


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_tenants(host: str) -> None:
    assert exposed(host, has_tenants=False, allow_anonymous=False) is None


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.1", "example.org", "::ffff:1.2.3.4"]
)
def test_elsewhere_tenants_or_a_clear_word_are_needed(host: str) -> None:
    problem = exposed(host, has_tenants=False, allow_anonymous=False)
    assert problem is not None and "there are no tenants" in problem
    assert exposed(host, has_tenants=False, allow_anonymous=True) is None
    assert exposed(host, has_tenants=True, allow_anonymous=False) is None


def test_the_file_is_judged_by_the_host_that_will_be_used(here: Path) -> None:
    here.write_text("server:\n  host: 0.0.0.0\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:2: server\.host: '0\.0\.0\.0' is open"):
        load(here, {})
    assert load(here, {}, host="127.0.0.1").config.server.host == "0.0.0.0"
    here.write_text("server: {port: 1}\n")
    with pytest.raises(ConfigError, match=r"server\.host: '::' is open"):
        load(here, {}, host="::")
