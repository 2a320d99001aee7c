"""``precis train distill``: what it says first, what it asks, and litellm's teachers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from typer import Typer
from typer.testing import CliRunner

from proxy.train.distill import distill, distill_texts
from proxy.train.distill_cost import Estimate, find_price
from proxy.train.distill_prompt import INSTRUCTION
from tests.train.distill_server import Reply, Teacher, every_second_word, serving
from tests.train.distilling import COUNT, QUIET, rows_of, settings_for, texts_file


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
