"""config.yaml is read, or everything that is wrong with it is told at once."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Config
from proxy.config_file import load, shipped
from proxy.config_policy import Policy
from proxy.errors import ConfigError
from proxy.tenants import new_key

HASH = "sha256:" + "ab" * 32


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("config.yaml")


def problems(path: Path, text: str | bytes, environ: dict[str, str] | None = None) -> list[str]:
    path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return caught.value.problems


def config(path: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    path.write_text(text)
    return load(path, environ or {}).config


# Problems, all at once


def test_a_problem_names_file_line_key_value_and_remedy(here: Path) -> None:
    text = "policies:\n  rag:\n    min_tokens: 3\n    rate: 1.5\n"
    assert problems(here, text) == [
        "config.yaml:4: policies.rag.rate: 1.5 is more than 1; "
        "give a share of tokens to keep, e.g. 0.5"
    ]


def test_everything_is_told_at_once_in_the_files_order(here: Path) -> None:
    text = """\
server: {host: 0.0.0.0, prot: 8484}
model_list:
  - model_name: m
    litellm_params: {model: os.environ/NOT_THERE}
policies:
  default: {rate: [{over: 5, rate: .5}, {over: 4, rate: .4}], roles: user}
  default: {}
  rag: {extends: defualt}
routes:
  - {policy: rga}
router_settings: {fallbacks: [{m: [n]}]}
"""
    assert [
        re.sub(r"config.yaml:(\d+): ([^:]*).*", r"\1 \2", line) for line in problems(here, text)
    ] == [
        "1 server.host",
        "1 server.prot",
        "4 model_list.0.litellm_params.model",
        "6 policies.default.rate",
        "6 policies.default.roles",
        "7 policies.default",
        "8 policies.rag.extends",
        "10 routes.0.policy",
        "11 router_settings.fallbacks.0.m.0",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("polices: {}", "polices: unknown key; did you mean 'policies'?"),
        ("policies: {p: {rats: 1}}", "did you mean 'rate'?"),
        ("policies: {p: {rate: [{over: 2, ovr: 1, rate: 1}]}}", "did you mean 'over'?"),
        ("policies: {p: {rate:0.5}}", "put a space after 'rate:'"),
        ("tenants: {policy: {modle: x}}", "did you mean 'mode'?"),
        ("tenants: {t: {allow: {rates: any}}}", "did you mean 'rate'?"),
        ("routes: [{policy: p, match: {modle: x}}]\npolicies: {p: {}}", "did you mean 'model'?"),
        ("server: {zzz: 1}", "unknown key; there are: host, port"),
        ("policies: {p: {rate: high}}", "'high' is not a number; give a share"),
        ("policies: {p: {rate: }}", "rate: has no value; give a share"),
        ("policies: {p: {rate: .nan}}", "nan is not"),
        ("policies: {p: {rate: []}}", "needs at least one step"),
        ("policies: {p: {min_tokens: 1.5}}", "1.5 is not a whole number"),
        ("policies: {p: {min_tokens: -1}}", "-1 is less than 0"),
        ("policies: {p: {force_tokens: [5]}}", "5 is not text; put it in quotes"),
        ("policies: {p: {force_tokens: [a, '']}}", "force_tokens.1: is empty"),
        ("policies: {p: {force_patterns: ['(']}}", "'(' is not a regular expression"),
        ("policies: {p: {json_paths: {items: {}}}}", "'items' is no JSON path: start with $"),
        ("policies: {p: {json_paths: {'$.a': {rate: 3}}}}", "3 is more than 1"),
        ("policies: {p: {obey_tags: [nobody]}}", "'nobody' is not known; give one of: system"),
        ("policies: {p: {roles: user}}", "'user' is not a list; put it in brackets"),
        ("policies: {p: {question: some}}", "'some' is not known; give one of: auto, all, none"),
        ("policies: {p: {protect: [cod]}}", "did you mean 'code'?"),
        ("policies: {p: 5}", "5 is not a mapping"),
        ("policies: [a]", "policies: a list is not a mapping"),
        ("server: {allow_anonymous: maybe}", "'maybe' is neither true nor false"),
        ("server: {port: 99999}", "99999 is more than 65535; give a port"),
        ("model_list: [{model_name: m}]", "litellm_params: is missing; give at least"),
        (
            "model_list: [{model_name: m, litellm_params: {api_base: x, model: m}}]",
            "not an address",
        ),
        ("router_settings: {timeout: .inf}", "inf is not a finite number"),
        ("routes: [{}]", "routes.0.policy: is missing; give the name of a policy"),
        ("tenants: {t: {mode: of}}", "'of' is not known; did you mean 'off'?"),
        ("tenants: {t: {mode: {enforce: 10}}}", "10 is more than 1; give a share of the conv"),
        ("tenants: {t: {mode: {enforce: 120%}}}", "more than 1; give a share of the conv"),
        ("tenants: {t: {mode: {enforce: some}}}", "'some' is not a number; give a share"),
        ("tenants: {t: {mode: {}}}", "mode.enforce: is missing; give a share of the conv"),
        ("server: {metrics_key: abc}", "make one with: precis keys new metrics"),
        ("tenants: {t: }", "tenants.t: has no value"),
        ("tenants: {t: {keys: [abc]}}", "make one with: precis keys new"),
        ("policies: {a: {extends: b}, b: {extends: a}}", "in a circle: a -> b -> a"),
        ("policies: {a: {extends: a}}", "in a circle: a -> a"),
        ("routes: [{policy: rga}]\npolicies: {rag: {}}", "no policy 'rga'; did you mean 'rag'?"),
        ("routes: [{policy: rga}]", "there is no policy 'rga'; there are none"),
        (
            "policies: {p: {pays_over: -1}}",
            "-1 is no number of tokens; give one, e.g. 300, or never",
        ),
        ("routes: [{policy: p, pays_over: x}]\npolicies: {p: {}}", "'x' is no number of tokens"),
        ("calibration: {value_of_time: -1}", "-1 is less than 0; give dollars an hour"),
        ("ledger: {store: sqlite}", "ledger.path: is missing; give a file for the receipts"),
        ("ledger: {store: sql}", "'sql' is not known; did you mean 'sqlite'?"),
        ("ledger: {keep: 7 weeks}", "'7 weeks' is neither a number of receipts nor of days"),
        ("ledger: {keep: 0}", "0 is neither a number of receipts nor of days; give 10000"),
        ("ledger: {max_mb: 0}", "0 is not more than 0; give megabytes"),
    ],
)
def test_each_problem_comes_with_its_remedy(here: Path, text: str, words: str) -> None:
    (line,) = problems(here, text)
    assert words in line
    assert "Input should" not in line


def test_a_policy_that_leads_into_a_circle_is_not_blamed_for_it(here: Path) -> None:
    text = "policies:\n  c: {extends: a}\n  a: {extends: b}\n  b: {extends: a}\n"
    assert problems(here, text) == [
        "config.yaml:3: policies.a.extends: goes round in a circle: a -> b -> a; "
        "let one of them extend nothing"
    ]


def test_a_key_of_two_tenants_is_told_without_the_key(here: Path) -> None:
    text = f"tenants:\n  a: {{keys: ['{HASH}']}}\n  b:\n    keys: ['{HASH}']\n"
    (line,) = problems(here, text)
    assert line.startswith("config.yaml:4: tenants.b.keys.0: this key is one of 'a' too")
    assert HASH not in line


def test_fallbacks_must_lead_from_models_to_models(here: Path) -> None:
    text = """\
model_list:
  - {model_name: gpt, litellm_params: {model: gpt}}
  - {model_name: "openai/*", litellm_params: {model: "openai/*"}}
router_settings:
  fallbacks: [{gpt: [openai/x, gtp]}, {other: [gpt]}]
"""
    found = problems(here, text)
    assert len(found) == 2
    assert "no model 'gtp' in model_list; did you mean 'gpt'?" in found[0]
    assert "no model 'other'" in found[1]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "config.yaml: is empty; start from the config.yaml that comes with Precis"),
        (
            b"# nothing\n",
            "config.yaml: is empty; start from the config.yaml that comes with Precis",
        ),
        (b"- a\n", "config.yaml:1: the file is a list; give keys such as model_list: [...]"),
        (
            b"hello",
            "config.yaml:1: the file is a single value; give keys such as model_list: [...]",
        ),
        (b"a: 1\nb: \xff", "config.yaml:2: is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "config.yaml:1: is not UTF-8; save the file as UTF-8"),
        (b"server:\n\tport: 1", "config.yaml:2: the file has a tab; indent with spaces"),
    ],
)
def test_a_file_that_is_no_configuration_at_all(here: Path, content: bytes, line: str) -> None:
    assert problems(here, content) == [line]


def test_a_file_that_is_not_there_and_one_that_is_a_directory(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml: there is no such file"):
        load(here, {})
    here.mkdir()
    with pytest.raises(ConfigError, match=r"config\.yaml: is a directory"):
        load(here, {})


def test_a_byte_order_mark_and_crlf_are_fine(here: Path) -> None:
    here.write_bytes(b"\xef\xbb\xbfserver:\r\n  port: 1\r\n")
    assert load(here, {}).config.server.port == 1


def test_sections_with_nothing_in_them_are_as_if_left_out(here: Path) -> None:
    loaded = config(here, "server:\ntenants:\nroutes:\npolicies:\n  default:\n")
    assert loaded.policy("default") == Policy()


def test_words_that_yaml_1_1_takes_for_booleans_stay_words(here: Path) -> None:
    policies = "policies: {p: {force_tokens: [no, not, on]}}"
    text = f"{policies}\ntenants: {{no: {{mode: off, keys: ['{HASH}']}}}}"
    loaded = config(here, text)
    assert loaded.policies["p"].force_tokens == ("no", "not", "on")
    assert loaded.tenants["no"].mode == "off"


# The environment


def test_a_variable_is_read_wherever_a_string_may_stand(here: Path) -> None:
    text = """\
server: {port: os.environ/PORT}
model_list:
  - model_name: m
    litellm_params: {model: os.environ/MODEL, api_key: os.environ/KEY, temperature: 0.5}
policies: {p: {force_tokens: [os.environ/WORD]}}
"""
    environ = {"PORT": "9000", "MODEL": "mistral/x", "KEY": "sk-a", "WORD": "ACME"}
    loaded = config(here, text, environ)
    assert loaded.server.port == 9000
    params = loaded.model_list[0].litellm_params
    assert params.model == "mistral/x"
    assert params.api_key is not None
    assert params.api_key.get_secret_value() == "sk-a"
    assert loaded.policies["p"].force_tokens == ("ACME",)


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
def test_a_key_that_is_not_set_is_a_warning(here: Path, environ: dict[str, str]) -> None:
    text = "model_list:\n- model_name: m\n  litellm_params: {api_key: os.environ/KEY, model: m}\n"
    here.write_text(text)
    loaded = load(here, environ)
    assert loaded.config.model_list[0].litellm_params.api_key is None
    assert loaded.warnings[-1] == (
        "config.yaml:3: model_list.0.litellm_params.api_key: "
        "the environment variable KEY is not set; going on without"
    )


def test_a_request_default_that_is_not_set_is_left_out(here: Path) -> None:
    text = (
        "model_list: [{model_name: m, litellm_params: {model: m, aws_region_name: os.environ/R}}]"
    )
    assert config(here, text).model_list[0].litellm_params.defaults == {}


@pytest.mark.parametrize(
    "text",
    [
        "model_list: [{model_name: m, litellm_params: {model: os.environ/X}}]",
        "model_list: [{model_name: m, litellm_params: {model: m, api_base: os.environ/X}}]",
        "model_list: [{model_name: os.environ/X, litellm_params: {model: m}}]",
        "server: {host: os.environ/X}",
        "policies: {p: {force_tokens: [a, os.environ/X]}}",
        "tenants: {t: {keys: [os.environ/X]}}",
    ],
)
def test_where_a_value_is_needed_an_unset_variable_is_one_problem(here: Path, text: str) -> None:
    (line,) = problems(here, text)
    assert "the environment variable X is not set; set it, or write a value here" in line


def test_what_a_variable_holds_is_never_shown(here: Path) -> None:
    text = "server: {port: os.environ/PORT}\npolicies: {p: {force_patterns: [os.environ/RE]}}"
    told = problems(here, text, {"PORT": "hidden1", "RE": "(hidden2"})
    assert "what os.environ/PORT holds is not a whole number" in told[0]
    assert "hidden" not in "".join(told)


def test_allow_anonymous_may_come_from_the_environment(here: Path) -> None:
    text = "server: {host: 0.0.0.0, allow_anonymous: os.environ/OPEN}"
    assert config(here, text, {"OPEN": "True"}).server.allow_anonymous
    assert "is open to the network" in problems(here, text, {"OPEN": "false"})[0]


# Secrets


def test_no_problem_shows_a_secret(here: Path) -> None:
    text = """\
model_list:
  - model_name: m
    litellm_params:
      model: m
      api_key: [sk-hidden]
      api_base: ftp://me:hidden@x
      extra_headers: {a: [hidden], b: 5hidden}
  - {model_name: n, litellm_params: {model: m, api_key: "sk-hidden\\u2026"}}
tenants:
  a: {keys: ["hidden", "hidden"]}
  b: {keys: hidden}
"""
    with pytest.raises(ConfigError) as caught:
        here.write_text(text)
        load(here, {})
    assert len(caught.value.problems) >= 6
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# Anything at all


def _document() -> st.SearchStrategy[Any]:
    keys = st.sampled_from(
        "server host port model_list model_name litellm_params model api_key api_base policies "
        "rate over extends roles protect force_patterns routes match policy tenant tenants keys "
        "models mode allow router_settings fallbacks extra_headers litellm_settings a".split()
    )
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["a", "b", "*", "os.environ/A", "os.environ/", "default", HASH, "\ud800"]),
    )
    return st.dictionaries(
        keys,
        st.recursive(
            leaves,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(keys | st.text(max_size=3), inner, max_size=4)
            ),
            max_leaves=20,
        ),
        max_size=5,
    )


@given(_document(), st.sampled_from(["", '"']))
def test_any_document_loads_or_says_why_not(tmp_path_factory: Any, value: Any, style: str) -> None:
    path = tmp_path_factory.mktemp("any") / "config.yaml"
    path.write_text(yaml.safe_dump(value, default_style=style or None))
    with contextlib.suppress(ConfigError):
        load(path, {"A": "1"})


@given(st.binary(max_size=80))
def test_any_bytes_load_or_say_why_not(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "config.yaml"
    path.write_bytes(content)
    with contextlib.suppress(ConfigError):
        load(path, {})


@given(st.data())
def test_the_shipped_file_with_something_broken_loads_or_says_why_not(
    tmp_path_factory: Any, data: st.DataObject
) -> None:
    lines = shipped().read_text().splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[at])))
    junk = data.draw(st.text(alphabet="ab: -[]{}'\"\n\t#&*!", max_size=3))
    lines[at] = lines[at][:column] + junk + lines[at][column + data.draw(st.integers(0, 3)) :]
    path = tmp_path_factory.mktemp("any") / "config.yaml"
    path.write_text("".join(lines))
    try:
        load(path, {})
    except ConfigError as exc:
        assert exc.problems  # one of two right outcomes
        assert all(re.match(r".*config\.yaml(:\d+)?: .", line) for line in exc.problems)


def test_a_made_key_fits_the_file(here: Path) -> None:
    assert config(here, f"tenants: {{a: {{keys: ['{new_key()[1]}']}}}}").tenants["a"].keys
