"""The paper's tasks from published files to a table, answered by a local server."""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from proxy.errors import ConfigError, UpstreamError
from proxy.tokens import encoding
from proxy.train.distill_cost import Price
from proxy.train.distill_journal import read_rows
from proxy.train.judge import Budget, JudgeReport, judge
from proxy.train.judge_plan import Goal, JudgeSettings, plan, truncate
from proxy.train.judge_report import Line
from proxy.train.tasks import TASKS, find
from proxy.train.tasks_example import Data
from tests.train import published
from tests.train.distill_server import Reply, Teacher, serving
from tests.train.published import FILLER, SECRET, answering, by_secret

QUIET = Console(quiet=True)
COUNT = encoding().count


def settings_for(task: str, place: Path, out: Path, url: str, **changes: Any) -> JudgeSettings:
    usual = JudgeSettings(
        find(task),
        Data(str(place)),
        out,
        "judge",
        goals=(Goal(rate=0.3),),
        base_url=url,
        backoff_s=0.001,
        price=Price(1e-6, 2e-6),
    )
    return replace(usual, **changes)


def run(settings: JudgeSettings, *kept: str) -> JudgeReport:
    return judge(settings, console=QUIET, compressor=published.compressor(*kept))


def by_method(report: JudgeReport, dataset: str) -> dict[str, Line]:
    return {line.method: line for line in report.lines if line.dataset == dataset}


def results(out: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(out / "results.jsonl")]


def check(report: JudgeReport, dataset: str, score: str, least: float = 1.0) -> None:
    """Whole and compressed prompts score, truncated ones, which are as long, do not."""
    lines = by_method(report, dataset)
    assert set(lines) == {"original", "compressed@0.3", "truncated@0.3"}
    whole, short, cut = lines["original"], lines["compressed@0.3"], lines["truncated@0.3"]
    assert next(iter(whole.scores)) == score
    assert whole.scores[score] >= least and short.scores[score] >= least
    assert cut.scores[score] < least
    assert whole.material_share == 1
    # Forced words may take more than the rate; what is cut is exactly as long.
    assert short.material_share < 0.75
    assert cut.material_share == pytest.approx(short.material_share, abs=0.01)


def test_meetingbank_questions(tmp_path: Path) -> None:
    place = published.meetingbank(tmp_path / "data")
    with serving(Teacher(by_secret(f"It is number {SECRET}."))) as url:
        report = run(settings_for("meetingbank-qa", place, tmp_path / "out", url))
    check(report, "meetingbank-qa", "found")
    line = by_method(report, "meetingbank-qa")["original"]
    assert line.examples == 2
    # Two pairs: "It is number 4711." against "4711" has F1 2/5, against "Number 4711." 4/6.
    assert line.scores["f1"] == pytest.approx((2 / 5 + 4 / 6) / 2)
    assert line.scores["exact"] == 0


def test_meetingbank_summaries(tmp_path: Path) -> None:
    place = published.meetingbank(tmp_path / "data")
    right = f"The council gave the bill the number {SECRET}."
    with serving(Teacher(by_secret(right))) as url:
        report = run(settings_for("meetingbank-summary", place, tmp_path / "out", url))
    check(report, "meetingbank-summary", "rouge1")
    line = by_method(report, "meetingbank-summary")["compressed@0.3"]
    assert line.scores == {"rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0}


def test_longbench_scores_each_data_set_in_its_own_way(tmp_path: Path) -> None:
    place = published.longbench(tmp_path / "data")

    def answer(prompt: str) -> str:
        known = SECRET if SECRET in prompt else "5"
        if "Type:" in prompt:
            return f"{'Number' if known == SECRET else 'Person'}\nQuestion: what?\nType: Person"
        if "Next line of code" in prompt:
            return f"```python\n# a note\nreturn {known}\n```" if known == SECRET else "pass"
        if "one page" in prompt:
            return f"The key is {known}."
        return f"Paragraph {known}" if "Paragraph 7" in prompt else known

    with serving(Teacher(answering(answer))) as url:
        report = run(settings_for("longbench", place, tmp_path / "out", url))
    scores = {
        "hotpotqa": "f1",
        "trec": "class",
        "passage_retrieval_en": "count",
        "passage_count": "count",
        "lcc": "code",
        "gov_report": "rougeL",
    }
    for dataset, score in scores.items():
        check(report, dataset, score)
    over_all = by_method(report, "all")
    assert over_all["original"].scores == {"score": 1.0}
    assert over_all["original"].examples == len(scores), "LongBench-E's row is the same one"
    assert over_all["truncated@0.3"].scores["score"] < 0.5


def test_zero_scrolls_asks_the_split_with_answers(tmp_path: Path) -> None:
    place = published.zero_scrolls(tmp_path / "data")
    seen: list[str] = []

    def answer(prompt: str) -> str:
        seen.append(prompt)
        return f"The key is {SECRET}." if SECRET in prompt else "Unknown."

    with serving(Teacher(answering(answer))) as url:
        report = run(settings_for("zero-scrolls", place, tmp_path / "out", url))
    check(report, "squality", "rouge")
    assert by_method(report, "qasper")["original"].scores["f1"] == 0.5
    assert by_method(report, "all")["original"].examples == 5
    assert all("Question:\nWhat is the key?\n\nAnswer:\n" in prompt for prompt in seen)
    # squality's inputs hold their instructions, so they are asked as they are.
    assert any(prompt.startswith("Read the document.") for prompt in seen)


def test_gsm8k_compresses_the_worked_examples(tmp_path: Path) -> None:
    place = published.gsm8k(tmp_path / "data")
    teacher = Teacher(by_secret("1000 + 234 = 1234.\nThe answer is $1234.\n\nQuestion: 5 + 5?"))
    with serving(teacher) as url:
        report = run(settings_for("gsm8k", place, tmp_path / "out", url))
    check(report, "gsm8k", "number")
    whole = max(teacher.asked, key=len)
    assert "<<" not in whole and "####" not in whole
    assert f"The answer is {2 * 4711}." in whole
    assert whole.count("How much is 1,000 and 234?") == 1
    for prompt in teacher.asked:
        assert prompt.endswith("Question: How much is 1,000 and 234?\nLet's think step by step\n")


def test_gsm8k_takes_demonstrations_from_a_file(tmp_path: Path) -> None:
    place = published.gsm8k(tmp_path / "data") / "test.jsonl"
    demos = tmp_path / "prompt.txt"
    demos.write_text("Question: One and one?\nThe answer is 2.\n")
    task = find("gsm8k")
    with pytest.raises(ConfigError, match="--demos"):
        list(task.load(Data(str(place)), task))
    [example] = task.load(Data(str(place), demos), task)
    assert example.material == "Question: One and one?\nThe answer is 2."
    assert example.answers == ("1,234",)


def test_bbh_keeps_the_description_and_drops_the_notice(tmp_path: Path) -> None:
    place = published.bbh(tmp_path / "data")

    def answer(prompt: str) -> str:
        if SECRET not in prompt:
            return "So the answer is no idea."
        return f"Well. So the answer is {'(B) two' if 'Which?' in prompt else 'yes'}."

    teacher = Teacher(answering(answer))
    with serving(teacher) as url:
        report = run(settings_for("bbh", place, tmp_path / "out", url))
    check(report, "snarks", "answer")
    check(report, "navigate", "answer")
    assert all(p.startswith(("Answer snarks.\n\n", "Answer navigate.\n\n")) for p in teacher.asked)
    assert not any("canary" in prompt for prompt in teacher.asked)


class TestRun:
    def test_a_second_run_asks_for_nothing_and_finds_the_same(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")
        teacher = Teacher(by_secret(SECRET))
        with serving(teacher) as url:
            settings = settings_for("meetingbank-qa", place, tmp_path / "out", url)
            first = run(settings)
            rows = results(settings.out)
            paid = teacher.paid.total()
            second = run(settings)
        assert (first.asked, second.asked, teacher.paid.total()) == (6, 0, paid)
        assert [line.scores for line in first.lines] == [line.scores for line in second.lines]
        clock = "compress_ms"
        for one, other in zip(rows, results(settings.out), strict=True):
            assert {k: v for k, v in one.items() if k != clock} == {
                k: v for k, v in other.items() if k != clock
            }

    def test_a_run_that_was_cut_off_goes_on(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")
        teacher = Teacher(by_secret(SECRET))
        with serving(teacher) as url:
            settings = settings_for("meetingbank-qa", place, tmp_path / "out", url)
            run(settings)
            journal = settings.out / "answers.jsonl"
            whole = journal.read_bytes().splitlines(keepends=True)
            journal.write_bytes(b"".join(whole[:4]) + whole[4][:20])
            report = run(settings)
        assert report.asked == 2
        assert len(results(settings.out)) == 6

    def test_another_rate_asks_for_what_is_new_only(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")
        with serving(Teacher(by_secret(SECRET))) as url:
            settings = settings_for("meetingbank-qa", place, tmp_path / "out", url)
            run(settings)
            more = replace(settings, goals=(Goal(rate=0.3), Goal(tokens=60)))
            report = run(more)
        assert report.asked == 4
        methods = {line.method for line in report.lines}
        assert methods >= {"compressed@60 tokens", "truncated@60 tokens"}

    def test_equal_prompts_are_asked_once(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")
        teacher = Teacher(by_secret(SECRET))
        with serving(teacher) as url:
            settings = settings_for("meetingbank-qa", place, tmp_path / "out", url)
            report = run(replace(settings, goals=(Goal(rate=1.0),)))
        assert (report.budget.trials, report.asked) == (6, 2)
        assert {line.material_share for line in report.lines} == {1.0}

    def test_failures_are_listed_and_left_out_of_every_mean(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")

        def react(prompt: str, n: int) -> Reply:
            if "Again" in prompt and len(prompt) < len(FILLER):
                return Reply(status=400)
            return Reply(SECRET, status=503 if n == 1 else 200)

        with serving(Teacher(react)) as url:
            settings = settings_for("meetingbank-qa", place, tmp_path / "out", url)
            report = run(settings)
        assert report.failed == 2
        listed = [row for _, row in read_rows(settings.out / "failures.jsonl")]
        assert [row["id"] for row in listed] == ["7/1", "7/1"]
        assert all(row["reason"].startswith("HTTP 400") for row in listed)
        assert {(line.examples, line.missing) for line in report.lines} == {(1, 1)}

    def test_a_wrong_key_ends_the_run_and_keeps_what_was_paid(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")

        def react(prompt: str, n: int) -> Reply:
            return Reply(status=401) if "Again" in prompt else Reply(SECRET)

        with serving(Teacher(react)) as url:
            settings = settings_for("meetingbank-qa", place, tmp_path / "out", url, concurrency=1)
            with pytest.raises(UpstreamError, match="401"):
                run(settings)
        assert len(results(settings.out)) == 3

    def test_nothing_is_asked_without_consent(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")
        teacher = Teacher(by_secret(SECRET))
        with serving(teacher) as url:
            settings = settings_for("meetingbank-qa", place, tmp_path / "out", url)
            told: list[str] = []

            def decline(budget: Budget) -> bool:
                told.append(budget.sentence())
                return False

            report = judge(settings, decline, QUIET, published.compressor())
        assert report.left == 6 and not teacher.asked
        assert told[0].startswith("6 trials, 6 questions to ask") and "at most $0.00" in told[0]

    def test_cost_time_and_flags_are_written(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")
        with serving(Teacher(by_secret(SECRET))) as url:
            settings = settings_for(
                "meetingbank-qa", place, tmp_path / "out", url, api_key="sk-hidden"
            )
            report = run(settings)
        # The server says 100 tokens in and 10 out for each of six answers.
        assert report.cost == pytest.approx(6 * (100e-6 + 20e-6))
        lines = json.loads((settings.out / "summary.json").read_text())["lines"]
        assert [line["cost"] for line in lines] == pytest.approx([2 * 120e-6] * 3)
        assert all(line["seconds"] > 0 for line in lines)
        assert lines[1]["compress_ms"] > 0
        flags = (settings.out / "settings.json").read_text()
        assert '"classifier"' in flags and "sk-hidden" not in flags
        table = (settings.out / "table.md").read_text()
        assert "| compressed@0.3 | 2 |" in table.replace("meetingbank-qa ", "")

    def test_requests_are_as_the_benchmarks_have_them(self, tmp_path: Path) -> None:
        place = published.meetingbank(tmp_path / "data")
        teacher = Teacher(by_secret(SECRET))
        with serving(teacher) as url:
            run(settings_for("meetingbank-qa", place, tmp_path / "out", url, api_key="sk-1"))
        assert {body["max_tokens"] for body in teacher.bodies} == {100}
        assert {body["temperature"] for body in teacher.bodies} == {0.0}
        assert all([m["role"] for m in body["messages"]] == ["user"] for body in teacher.bodies)
        assert {headers["authorization"] for headers in teacher.headers} == {"Bearer sk-1"}


def test_any_model_of_litellms_can_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = published.meetingbank(tmp_path / "data")
    teacher = Teacher(by_secret(SECRET))
    with serving(teacher) as url:
        monkeypatch.setenv("OPENAI_API_BASE", url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        out = tmp_path / "out"
        settings = settings_for("meetingbank-qa", place, out, "", llm="openai/gpt-4o-mini")
        report = run(replace(settings, price=None))
    assert (report.asked, report.failed) == (6, 0)
    assert report.cost is not None and report.cost > 0
    assert {body["max_tokens"] for body in teacher.bodies} == {100}


def test_a_limit_holds_for_each_data_set(tmp_path: Path) -> None:
    place = published.longbench(tmp_path / "data")
    settings = settings_for("longbench", place, tmp_path / "out", "", limit=1, goals=())
    trials = plan(settings, published.compressor())
    assert len(trials) == 6
    only = replace(settings, data=replace(settings.data, datasets=frozenset({"lcc"})))
    assert [t.example.dataset for t in plan(only, published.compressor())] == ["lcc"]


@pytest.mark.parametrize("tokens", [0, 1, 3, 1000])
def test_truncation_ends_at_whole_characters(tokens: int) -> None:
    text = "Zürich 🏔️ is 日本 far \ud800 away"
    cut = truncate(text, tokens, encoding())
    assert text.startswith(cut)
    assert COUNT(cut) <= tokens or cut == text


@pytest.mark.parametrize("name", list(TASKS))
def test_each_prompt_has_a_place_for_the_material(name: str) -> None:
    assert TASKS[name].prompts
    for prompt in TASKS[name].prompts.values():
        assert prompt.text.count("{context}") == 1 and prompt.text.count("{input}") <= 1


def test_an_interrupt_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    place = published.meetingbank(tmp_path / "data")
    teacher = Teacher(by_secret(f"Number {SECRET}."), delay_s=0.3)

    def interrupt(budget: Budget) -> bool:
        """Ctrl-C, as soon as the server has something to do."""
        main = threading.main_thread().ident
        assert main is not None

        def later() -> None:
            while not teacher.at_once:
                time.sleep(0.01)
            signal.pthread_kill(main, signal.SIGINT)

        threading.Thread(target=later).start()
        return True

    with serving(teacher) as url:
        settings = settings_for("meetingbank-qa", place, tmp_path / "out", url, concurrency=2)
        compressor = published.compressor()
        stopped = judge(settings, interrupt, QUIET, compressor)
        assert (stopped.asked, stopped.left) == (2, 4)
        rest = judge(settings, console=QUIET, compressor=compressor)
    assert (rest.asked, rest.left) == (4, 0)
    assert set(teacher.paid.values()) == {1}
