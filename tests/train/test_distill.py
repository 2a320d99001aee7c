"""Distillation against a teacher that fails, cuts, rewords and reorders, and against kill -9."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from proxy.errors import ConfigError, UpstreamError
from proxy.tokens import encoding
from proxy.train.chunks import chunks, sentences
from proxy.train.distill import DistillReport, distill, distill_texts
from proxy.train.distill_cost import Estimate, Price, find_price
from proxy.train.distill_journal import Journal, read_rows
from proxy.train.distill_llm import wait_asked
from proxy.train.distill_plan import DistillSettings, key_of
from proxy.train.distill_prompt import INSTRUCTION, clean, fault
from tests.train.distill_server import HANG, Reply, Teacher, every_second_word, serving

QUIET = Console(quiet=True)
COUNT = encoding("cl100k_base").count


def texts_file(folder: Path, number: int) -> Path:
    path = folder / "texts.jsonl"
    rows = [{"id": f"d{n}", "text": f"Text {n} has some words to lose."} for n in range(number)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings_for(folder: Path, url: str, number: int = 5, **changes: Any) -> DistillSettings:
    usual = DistillSettings(
        texts_file(folder, number),
        folder / "pairs.jsonl",
        "teacher",
        base_url=url,
        backoff_s=0.001,
        price=Price(1e-6, 2e-6),
    )
    return replace(usual, **changes)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)]


def run(settings: DistillSettings) -> DistillReport:
    return distill_texts(settings, console=QUIET)


class TestChunks:
    @given(st.text(max_size=400), st.integers(1, 40))
    def test_joined_chunks_are_the_text(self, text: str, limit: int) -> None:
        spans = chunks(text, COUNT, limit)
        assert "".join(text[a:b] for a, b in spans) == text
        assert all(a < b for a, b in spans)

    @given(st.lists(st.sampled_from(["a", "word", ".", "\n", " ", "3.5", "Dr.", "go!"])))
    def test_no_chunk_of_short_words_is_over_the_limit(self, parts: list[str]) -> None:
        text = " ".join(parts)
        assert all(COUNT(text[a:b]) <= 12 for a, b in chunks(text, COUNT, 12))

    def test_chunks_end_at_sentence_ends(self) -> None:
        text = "Dr. J. Smith paid 3.5 million. He left at 5 p.m. sharp! Did he? Yes. " * 30
        spans = chunks(text, COUNT, 100)
        assert len(spans) > 3
        assert all(text[a:b].rstrip()[-1] in ".!?" for a, b in spans)
        assert all(text[a:b].startswith(("Dr.", "He", "Did", "Yes")) for a, b in spans)

    def test_abbreviations_end_no_sentence(self) -> None:
        text = "See Fig. 3, e.g. Mr. Smith vs. Dr. Who. Then J. R. left… for good. End."
        found = [text[a:b].strip() for a, b in sentences(text)]
        assert found == [
            "See Fig. 3, e.g. Mr. Smith vs. Dr. Who.",
            "Then J. R. left… for good.",
            "End.",
        ]

    def test_long_sentence_is_cut_between_words(self) -> None:
        text = "alpha beta-gamma http://example.org/a/b,c 10,000 " * 40
        spans = chunks(text, COUNT, 50)
        words = [word for a, b in spans for word in text[a:b].split()]
        assert words == text.split()
        assert max(COUNT(text[a:b]) for a, b in spans) <= 50

    def test_chinese_is_cut_at_its_full_stops_and_between_characters(self) -> None:
        text = "今天天气很好。我们去公园散步。" * 10
        assert all(text[a:b].endswith("。") for a, b in chunks(text, COUNT, 60))
        assert len(chunks("好" * 300, COUNT, 60)) > 4

    def test_word_over_the_limit_stays_whole(self) -> None:
        text = "Before it. " + "x1" * 300 + " after it."
        assert "x1" * 300 in {text[a:b].strip() for a, b in chunks(text, COUNT, 40)}

    def test_text_without_white_space_ends(self) -> None:
        for text in ("." * 50_000, "a," * 20_000, " " * 50_000, "\n" * 50_000):
            assert "".join(text[a:b] for a, b in chunks(text, COUNT, 512)) == text


class TestAnswers:
    def test_wrappings_are_taken_off_unless_the_text_had_them(self) -> None:
        assert clean("<think>hm</think>\nHere is the shortened text:\n\na b", "a c b") == "a b"
        assert clean("```text\na b\n```", "a c b") == "a b"
        assert clean("Compressed: a b", "Compressed: a c b") == "Compressed: a b"

    def test_refusals_are_told_from_texts_that_begin_like_one(self) -> None:
        refusal = "I'm sorry, but I can't help with shortening this material."
        assert fault(refusal, "The council met on Monday to vote.", "stop", False)
        assert not fault("Sorry I late.", "Sorry that I am late.", "stop", False)
        assert fault("anything", "anything at all", "content_filter", False)
        assert fault("anything", "anything at all", "stop", True)

    @given(st.text(), st.text())
    def test_any_answer_is_judged(self, answer: str, original: str) -> None:
        assert isinstance(fault(clean(answer, original), original, "stop", False), str)


class TestWaiting:
    def test_every_form_of_retry_after_is_read(self) -> None:
        assert wait_asked({"retry-after": "7"}) == 7
        assert wait_asked({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
        late = wait_asked({"retry-after": formatdate(time.time() + 100, usegmt=True)})
        assert late is not None and 90 < late <= 100
        assert wait_asked({"retry-after": formatdate(0, usegmt=True)}) == 0
        assert wait_asked({"retry-after": "soon"}) is None
        assert wait_asked({}) is None

    def test_retry_after_is_honoured(self, tmp_path: Path) -> None:
        times: list[float] = []

        def react(text: str, n: int) -> Any:
            times.append(time.monotonic())
            wait = (("retry-after-ms", "300"),)
            return Reply(status=429, headers=wait) if n == 1 else every_second_word(text)

        with serving(Teacher(react)) as url:
            report = run(settings_for(tmp_path, url, 1))
        assert report.written == 1
        assert times[1] - times[0] >= 0.3


class TestRun:
    def test_each_chunk_becomes_a_pair(self, tmp_path: Path) -> None:
        teacher = Teacher()
        with serving(teacher) as url:
            settings = settings_for(tmp_path, url, 5, api_key="sk-secret")
            report = run(settings)
        rows = {row["id"]: row for row in rows_of(settings.target)}
        assert set(rows) == {"d0", "d1", "d2", "d3", "d4"}
        row = rows["d3"]
        assert row["original"] == "Text 3 has some words to lose."
        assert row["compressed"] == "Text has words lose."
        assert (row["chunk"], row["start"], row["model"]) == (0, 0, "teacher")
        assert row["usage"] == {"prompt_tokens": 100, "completion_tokens": 10, "told": True}
        assert row["key"] == key_of(row["original"], INSTRUCTION, "teacher", 0.3)
        assert (report.written, report.failed, report.left) == (5, 0, 0)
        assert report.cost == pytest.approx(5 * (100e-6 + 20e-6))
        assert teacher.headers[0]["authorization"] == "Bearer sk-secret"
        assert teacher.bodies[0]["temperature"] == 0.3
        assert teacher.bodies[0]["messages"][0] == {"role": "system", "content": INSTRUCTION}

    def test_no_key_is_written_anywhere(self, tmp_path: Path) -> None:
        with serving(Teacher()) as url:
            settings = settings_for(tmp_path, url, api_key="sk-secret")
            run(settings)
        assert all("sk-secret" not in path.read_text() for path in tmp_path.iterdir())
        assert "sk-secret" not in repr(settings)

    def test_chunks_of_a_document_join_to_its_text(self, tmp_path: Path) -> None:
        text = "  One sentence of a long text. Another one, with 3.5 and more!\n\n" * 60
        with serving(Teacher()) as url:
            settings = settings_for(tmp_path, url, chunk_tokens=64)
            settings.source.write_text(json.dumps({"id": 7, "text": text}) + "\n")
            report = run(settings)
        starts = {row["start"]: row["original"] for row in rows_of(settings.target)}
        assert report.repeated > 0, "equal chunks are paid for once"
        assert all(text[start:].startswith(piece) for start, piece in starts.items())

    def test_no_more_requests_than_asked_for_run_at_once(self, tmp_path: Path) -> None:
        teacher = Teacher(delay_s=0.03)
        with serving(teacher) as url:
            run(settings_for(tmp_path, url, 20, concurrency=3))
        assert teacher.most_at_once == 3

    def test_tokens_are_counted_where_the_server_does_not(self, tmp_path: Path) -> None:
        with serving(Teacher(lambda text, n: Reply("Text words lose.", usage=False))) as url:
            settings = settings_for(tmp_path, url, 1)
            run(settings)
        usage = rows_of(settings.target)[0]["usage"]
        assert usage["told"] is False
        assert usage["completion_tokens"] == COUNT("Text words lose.")
        assert usage["prompt_tokens"] > COUNT(INSTRUCTION)

    def test_reworded_and_reordered_answers_are_kept_for_annotation(self, tmp_path: Path) -> None:
        answers = ["words lose", "lose words Text", "Texts had utterly other content"]
        with serving(Teacher(lambda text, n: Reply(answers[int(text.split()[1])]))) as url:
            settings = settings_for(tmp_path, url, 3)
            run(settings)
        assert {row["compressed"] for row in rows_of(settings.target)} == set(answers)


class TestFailures:
    def test_passing_failures_are_tried_again(self, tmp_path: Path) -> None:
        statuses = {1: 500, 2: 503, 3: 429, 4: 408}
        teacher = Teacher(
            lambda text, n: Reply(status=statuses[n]) if n in statuses else every_second_word(text)
        )
        with serving(teacher) as url:
            report = run(settings_for(tmp_path, url, 3))
        assert (report.written, report.failed) == (3, 0)
        assert set(teacher.paid.values()) == {1}

    def test_unusable_answers_are_listed_with_reasons_and_tried_next_time(
        self, tmp_path: Path
    ) -> None:
        bad = [
            Reply("Text has", finish_reason="length"),
            Reply("  "),
            Reply("I'm sorry, but I cannot assist with that request."),
            Reply("", finish_reason="content_filter"),
            Reply("", refusal="no"),
            Reply(status=400),
            Reply(body=b"<html>"),
            Reply(body=b'{"choices": []}'),
        ]

        def react(text: str, n: int) -> Any:
            return bad[int(text.split()[1])] if n == 1 else every_second_word(text)

        with serving(Teacher(react)) as url:
            settings = settings_for(tmp_path, url, 8)
            first = run(settings)
            reasons = {row["id"]: row["reason"] for row in rows_of(settings.failures)}
            kept = run(replace(settings, retry_failed=False))
            second = run(settings)
        assert (first.written, first.failed) == (0, 8)
        assert first.cost == pytest.approx(5 * (100e-6 + 20e-6)), "cut and refused ones cost"
        assert [reasons[f"d{n}"].partition(":")[0] for n in range(8)] == [
            "cut",
            "empty answer",
            "refused",
            "refused",
            "refused",
            "HTTP 400",
            "not a chat completion",
            "not a chat completion",
        ]
        assert (kept.written, kept.failed) == (0, 0)
        assert (second.written, second.failed) == (8, 0)
        assert rows_of(settings.failures) == []

    def test_failure_that_stays_is_listed_once(self, tmp_path: Path) -> None:
        with serving(Teacher(lambda text, n: Reply(status=500))) as url:
            settings = settings_for(tmp_path, url, 2, retries=1)
            for _ in range(3):
                run(settings)
        listed = rows_of(settings.failures)
        assert len(listed) == 2
        assert listed[0]["reason"].startswith("2 tries, at last HTTP 500")

    @pytest.mark.parametrize("status", [401, 404])
    def test_what_would_fail_every_chunk_ends_the_run(self, tmp_path: Path, status: int) -> None:
        teacher = Teacher(lambda text, n: Reply(status=status))
        with serving(teacher) as url, pytest.raises(UpstreamError, match=str(status)):
            run(settings_for(tmp_path, url, 30, concurrency=2))
        assert sum(teacher.asked.values()) <= 2

    def test_failures_without_end_stop_the_run(self, tmp_path: Path) -> None:
        teacher = Teacher(lambda text, n: Reply(" "))
        with serving(teacher) as url, pytest.raises(UpstreamError, match="in a row"):
            run(settings_for(tmp_path, url, 60, concurrency=1))
        assert sum(teacher.paid.values()) == 20

    def test_answers_in_flight_are_kept_when_the_run_ends(self, tmp_path: Path) -> None:
        def react(text: str, n: int) -> Any:
            return Reply(status=401) if text.startswith("Text 0") else every_second_word(text)

        teacher = Teacher(react, delay_s=0.05)
        with serving(teacher) as url, pytest.raises(UpstreamError):
            run(settings_for(tmp_path, url, 9, concurrency=4))
        # Whatever was under way when the refusal came back: three at the least, all of it kept.
        assert len(rows_of(tmp_path / "pairs.jsonl")) == sum(teacher.paid.values()) >= 3

    def test_silent_server_is_not_asked_twice_in_a_run(self, tmp_path: Path) -> None:
        teacher = Teacher(lambda text, n: HANG)
        with serving(teacher) as url:
            report = run(settings_for(tmp_path, url, 2, timeout_s=0.2))
        assert report.failed == 2
        assert set(teacher.asked.values()) == {1}

    def test_server_that_is_not_there_is_a_failure_with_a_reason(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, "http://127.0.0.1:9", 1, retries=1)
        run(settings)
        assert "ConnectError" in rows_of(settings.failures)[0]["reason"]

    def test_one_long_word_is_listed_and_not_paid(self, tmp_path: Path) -> None:
        teacher = Teacher()
        with serving(teacher) as url:
            settings = settings_for(tmp_path, url)
            settings.source.write_text(json.dumps({"text": "qj7" * 2000}))
            report = run(settings)
        assert report.too_long == 1
        assert not teacher.asked
        assert "too long" in rows_of(settings.failures)[0]["reason"]


class TestResume:
    def test_second_run_asks_for_nothing(self, tmp_path: Path) -> None:
        teacher = Teacher()
        with serving(teacher) as url:
            settings = settings_for(tmp_path, url)
            run(settings)
            before = settings.target.read_bytes()
            report = run(settings)
        assert (report.written, report.estimate.done) == (0, 5)
        assert settings.target.read_bytes() == before
        assert sum(teacher.asked.values()) == 5

    def test_another_model_temperature_or_instruction_is_another_pair(self, tmp_path: Path) -> None:
        with serving(Teacher()) as url:
            settings = settings_for(tmp_path, url, 2)
            for changes in ({}, {"model": "b"}, {"temperature": 0.0}, {"instruction": "Cut."}):
                assert run(replace(settings, **changes)).written == 2
        assert len({row["key"] for row in rows_of(settings.target)}) == 8

    @pytest.mark.parametrize("keep", [1, 20, -2])
    def test_torn_last_line_is_repaired(self, tmp_path: Path, keep: int) -> None:
        teacher = Teacher()
        with serving(teacher) as url:
            settings = settings_for(tmp_path, url, concurrency=1)
            run(settings)
            lines = settings.target.read_bytes().splitlines(keepends=True)
            settings.target.write_bytes(b"".join(lines[:-1]) + lines[-1][:keep])
            report = run(settings)
        assert (report.written, report.estimate.done) == (1, 4)
        assert report.torn_bytes == len(lines[-1][:keep])
        assert len(rows_of(settings.target)) == 5

    def test_whole_last_line_without_line_feed_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_bytes(b'{"a": 1}\n{"a": 2}')
        with Journal(path) as journal:
            journal.append({"a": 3})
            assert journal.torn == 0
        assert [row["a"] for row in rows_of(path)] == [1, 2, 3]

    def test_damaged_line_in_the_middle_is_an_error_with_its_place(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, "http://127.0.0.1:9")
        settings.target.write_bytes(b'{"a": 1}\n{"a": \n{"a": 3}\n')
        with pytest.raises(ConfigError, match=r"pairs\.jsonl:2"):
            run(settings)

    def test_two_runs_cannot_write_the_same_file(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, "http://127.0.0.1:9")
        with Journal(settings.target), pytest.raises(ConfigError, match="another run"):
            run(settings)

    @given(st.lists(st.text(max_size=20), max_size=5), st.integers(0, 60))
    def test_a_journal_cut_anywhere_loses_at_most_its_last_row(
        self, tmp_path_factory: pytest.TempPathFactory, texts: list[str], cut: int
    ) -> None:
        path = tmp_path_factory.mktemp("journal") / "rows.jsonl"
        with Journal(path) as journal:
            for text in texts:
                journal.append({"text": text})
        whole = path.read_bytes()
        cut = min(cut, len(whole))
        path.write_bytes(whole[: len(whole) - cut])
        with Journal(path):
            pass
        survivors = [row["text"] for row in rows_of(path)]
        assert survivors == texts[: len(survivors)]
        assert len(survivors) >= (whole[: len(whole) - cut]).count(b"\n")


def start(settings: DistillSettings) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "proxy.train.distill", str(settings.source)]
    command += [str(settings.target), "--model", settings.model, "--yes"]
    command += ["--base-url", settings.base_url, "--concurrency", str(settings.concurrency)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


class TestInterruption:
    def test_killed_run_goes_on_without_paying_twice(self, tmp_path: Path) -> None:
        teacher = Teacher()
        answers = 0

        def react(text: str, n: int) -> Any:
            nonlocal answers
            answers += 1
            return HANG if answers > limit else every_second_word(text)

        teacher.react = react
        with serving(teacher) as url:
            settings = settings_for(tmp_path, url, 30, concurrency=4)
            for limit in (7, 15):
                process = start(settings)
                wait_for(lambda: teacher.at_once == 4 and lines_in(settings.target) == limit)  # noqa: B023 - called here
                process.send_signal(signal.SIGKILL)
                process.communicate()
                wait_for(lambda: teacher.at_once == 0)
                answers = limit
            limit = 1000
            report = run(settings)
        assert report.estimate.done == 15
        assert len({row["key"] for row in rows_of(settings.target)}) == 30
        assert len(teacher.paid) == 30
        assert set(teacher.paid.values()) == {1}

    def test_interrupt_waits_for_what_is_in_flight(self, tmp_path: Path) -> None:
        teacher = Teacher(delay_s=0.3)
        with serving(teacher) as url:
            settings = settings_for(tmp_path, url, 40, concurrency=4)
            process = start(settings)
            wait_for(lambda: lines_in(settings.target) >= 4 and teacher.at_once > 0)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
            written = lines_in(settings.target)
            assert process.returncode == 1
            assert b"chunks are left" in errors
            assert written == sum(teacher.paid.values()) < 40
            assert run(settings).estimate.done == written
        assert set(teacher.paid.values()) == {1}


class TestCommand:
    def app(self) -> Typer:
        app = Typer()
        app.command()(distill)
        return app

    def test_estimate_comes_before_the_first_request(self, tmp_path: Path) -> None:
        teacher = Teacher()
        seen: list[Estimate] = []

        def decline(estimate: Estimate) -> bool:
            seen.append(estimate)
            return False

        with serving(teacher) as url:
            settings = settings_for(tmp_path, url)
            report = distill_texts(settings, decline, QUIET)
        assert report.left == 5
        assert not teacher.asked
        assert seen[0].chunks == 5
        original = sum(COUNT(row["text"]) for row in rows_of(settings.source))
        assert seen[0].tokens_in == original + 5 * (COUNT(INSTRUCTION) + 8)
        assert seen[0].tokens_out == original

    def test_answering_no_spends_nothing(self, tmp_path: Path) -> None:
        teacher = Teacher()
        with serving(teacher) as url:
            arguments = [str(texts_file(tmp_path, 2)), str(tmp_path / "p.jsonl"), "--model", "x"]
            arguments += ["--base-url", url, "--price-in", "1", "--price-out", "2"]
            result = CliRunner().invoke(self.app(), arguments, input="n\n")
        assert result.exit_code == 1
        assert "about $0.0004" in result.output
        assert not teacher.asked

    def test_bad_input_names_its_line_and_exits_2(self, tmp_path: Path) -> None:
        source = tmp_path / "texts.jsonl"
        source.write_text('{"text": "a"}\n{"txt": "b"}\n')
        arguments = [
            str(source),
            str(tmp_path / "p.jsonl"),
            "--model",
            "x",
            "--base-url",
            "http://x",
        ]
        result = CliRunner().invoke(self.app(), arguments)
        assert result.exit_code == 2
        assert "texts.jsonl:2" in result.output.replace("\n", "")

    def test_named_key_must_be_set(self, tmp_path: Path) -> None:
        arguments = [str(texts_file(tmp_path, 1)), str(tmp_path / "p.jsonl"), "--model", "x"]
        result = CliRunner().invoke(self.app(), [*arguments, "--key-env", "NO_SUCH_KEY_HERE"])
        assert result.exit_code == 2
        assert "NO_SUCH_KEY_HERE" in result.output

    def test_prices_are_found_with_and_without_the_providers_name(self) -> None:
        price = find_price("gpt-4o-mini")
        assert price is not None and price == find_price("openai/gpt-4o-mini")
        assert find_price("no-such-model") is None
        assert "price unknown" in Estimate(1, 0, 2, 3, None).sentence()


class TestLitellm:
    def test_any_model_of_litellms_can_teach(self, tmp_path: Path) -> None:
        def react(text: str, n: int) -> Any:
            if text.startswith("Text 1"):
                return Reply(status=400)
            return Reply(status=503) if n == 1 else every_second_word(text)

        teacher = Teacher(react)
        with serving(teacher) as url:
            settings = settings_for(tmp_path, url, 3)
            command = [sys.executable, "-m", "proxy.train.distill", str(settings.source)]
            command += [str(settings.target), "--model", "openai/gpt-4o-mini", "--yes"]
            done = subprocess.run(
                command,
                env={"OPENAI_API_BASE": url, "OPENAI_API_KEY": "sk-test", "PATH": ""},
                capture_output=True,
                check=False,
                timeout=120,
            )
        assert done.returncode == 0, done.stderr.decode()
        assert {row["id"] for row in rows_of(settings.target)} == {"d0", "d2"}
        assert rows_of(settings.failures)[0]["reason"].startswith("HTTP 400")
        assert set(teacher.paid.values()) == {1}
