"""Distillation that was stopped goes on where it was, after kill -9 too."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ConfigError
from proxy.train.distill_journal import Journal
from proxy.train.distill_plan import DistillSettings
from tests.train.distill_server import HANG, Teacher, every_second_word, serving
from tests.train.distilling import rows_of, run, settings_for


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
