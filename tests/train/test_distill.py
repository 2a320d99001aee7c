"""Distillation against a teacher that fails, cuts, rewords and reorders."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import UpstreamError
from proxy.train.distill_llm import wait_asked
from proxy.train.distill_plan import key_of
from proxy.train.distill_prompt import INSTRUCTION
from tests.train.distill_server import HANG, Reply, Teacher, every_second_word, serving
from tests.train.distilling import COUNT, rows_of, run, settings_for


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
