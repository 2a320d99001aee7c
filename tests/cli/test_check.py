"""``precis check``: problems on standard error and 2, or what the file means and 0."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli.check import check, keeps
from proxy.config_file import shipped
from proxy.config_policy import Policy, RateStep

app = typer.Typer()
app.command()(check)

GOOD = """\
model_list:
  - {model_name: gpt, litellm_params: {model: openai/gpt-4, api_key: sk-hidden}}
  - model_name: mine
    litellm_params: {model: openai/x, api_base: "http://me:hidden@localhost:8000/v1?key=hidden"}
  - {model_name: echo, litellm_params: {model: echo}}
policies:
  default: {rate: 0.5, force_patterns: ["[a-z]+"]}
  rag: {extends: default, rate: [{over: 300, rate: 0.6}, {over: 4000, rate: 0.33}]}
routes:
  - {match: {model: "g*"}, policy: rag}
  - {match: {model: "m*"}, policy: default}
tenants:
  acme: {keys: ["sha256:HASH"], policy: {rate: 0.4, force_tokens: [ACME]}}
  quiet: {keys: ["sha256:OTHER"], mode: off, models: [gpt]}
""".replace("HASH", "ab" * 32).replace("OTHER", "cd" * 32)


def run(file: Path, columns: int = 100) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(file)], env={"COLUMNS": str(columns)})
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_file_is_told_as_it_resolves(file: Path) -> None:
    code, out, err = run(file)
    assert (code, err) == (0, "")
    for words in (
        "60 % over 300, 33 % over 4,000 tokens",
        "extends default",
        "[a-z]+",
        "http://localhost:8000/v1",
        "sent on untouched",
        "rag: 40 %",
        "default: 40 %",
        "force_tokens + ACME",
        "untouched (off)",
        "untouched (no route)",
        "the latest 10,000, in the memory of one worker",
        "precis calibrate finds from which size",
        "config.yaml is good",
    ):
        assert words in out


def test_what_becomes_of_json_and_tags_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    rules = '{"$.items[*].body": {rate: 0.3}, "$..note": {compress: false}}'
    path.write_text(f"policies: {{p: {{json_paths: {rules}, obey_tags: [user]}}}}\n")
    code, out, _ = run(path, 160)
    assert code == 0
    assert "$.items[*].body: 30 %, $..note: stays, prose of 100 tokens and more" in out
    assert "tags of user" in out


def test_the_quality_guard_is_told_of_each_route_that_has_one(file: Path) -> None:
    assert "Quality guard" not in run(file)[1]
    judged = "{sample: 2.5%, floor: 0.7, compare: judge, judge: mine, cooldown_s: 90, step: 0.05, "
    judged += "budget: {calls_per_hour: 1200, usd_per_day: 2.5}}"
    text = GOOD.replace("policy: rag}", "policy: rag, guard: {}}")
    file.write_text(text.replace("policy: default}", f"policy: default, guard: {judged}}}"))
    code, out, _ = run(file, 120)
    assert code == 0
    told = " ".join(out.split())
    for words in (
        "g* -> rag compares 1 % of the compressed requests, by f1",
        "floor 0.8; the rate sinks again from 0.85 on",
        "raises by 0.1 a step, up to 0.9",
        "at most once in 20 comparisons and 6 h",
        "spends up to 60 calls an hour",
        "m* -> default compares 2.5 % of the compressed requests, by the judge mine",
        "raises by 0.05 a step",
        "once in 20 comparisons and 90 s",
        "up to 1,200 calls an hour and $2.50 a day",
    ):
        assert words in told


def test_no_key_is_shown(file: Path) -> None:
    code, out, err = run(file)
    assert code == 0
    assert "hidden" not in out + err
    assert "abab" not in out + err


def test_all_problems_stand_on_standard_error_one_line_each(file: Path) -> None:
    file.write_text("server: {port: -1}\npolicies: {p: {rate: 2}}\nroutes: [{policy: q}]\n")
    code, out, err = run(file, columns=40)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == 4
    assert lines[-1] == "3 problems"
    assert lines[1].startswith(f"{file}:2: policies.p.rate: 2 is more than 1; give a share")


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "nothere.yaml")
    assert code == 2
    assert "there is no such file" in err
    assert "1 problem\n" in err


def test_the_shipped_file_is_good() -> None:
    code, out, _ = run(shipped())
    assert code == 0
    assert "anyone on this machine" in out
    assert "is good" in out


def test_where_receipts_are_kept_is_told(file: Path) -> None:
    file.write_text(GOOD + "ledger: {store: sqlite, path: r.db, keep: 7 days}\n")
    assert "those of the last 7 days, in r.db, up to 512 MB" in run(file)[1]


def test_warnings_do_not_fail_the_check(file: Path) -> None:
    file.write_text("litellm_settings: {}\n")
    code, out, _ = run(file, columns=40)
    assert code == 0
    assert f"{file}:1: litellm_settings: is LiteLLM's and ignored here;" in out
    assert "is good, with 3 warnings" in out


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_tables_fit_the_terminal(file: Path, columns: int) -> None:
    _, out, _ = run(file, columns)
    tables = out[: out.index(str(file))]
    assert max(map(len, tables.splitlines())) <= columns


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(rate=0.335), "33.5 %"),
        (Policy(rate=1), "100 %"),
        (Policy(target_tokens=1000), "down to 1,000 tokens"),
        (Policy(threshold=0.3, target_tokens=5), "P(keep) from 0.3"),
        (Policy(rate=(RateStep(over=0, rate=0.5),)), "50 % over 0 tokens"),
    ],
)
def test_how_much_stays_in_words(policy: Policy, words: str) -> None:
    assert keeps(policy) == words
