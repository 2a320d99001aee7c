"""``precis compress`` and ``precis demo``, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import proxy

ROOT = Path(proxy.__file__).parents[1]
MEETING = ROOT / "proxy" / "cli" / "demo_data" / "meeting.txt"


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "proxy", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(command, input=stdin, capture_output=True, env=environment, timeout=120)


def test_the_shorter_text_is_all_that_is_printed() -> None:
    done = run("compress", "--rate", "0.5", str(MEETING))
    assert done.returncode == 0
    assert done.stderr == b""
    assert 0.3 < len(done.stdout) / MEETING.stat().st_size < 0.7


def test_json_gives_spans_that_make_up_the_text() -> None:
    text = MEETING.read_text()
    done = run("compress", "--rate", "0.33", "--json", "-", stdin=text.encode())
    found = json.loads(done.stdout)
    assert set(found) == {"text", "tokens_before", "tokens_after", "kept", "model", "ms"}
    assert found["text"] == "".join(text[start:end] for start, end in found["kept"])
    assert found["tokens_after"] == pytest.approx(0.33 * found["tokens_before"], rel=0.01)
    assert found["model"] == "builtin"
    assert found["ms"] > 0


def test_target_tokens_are_met() -> None:
    found = json.loads(run("compress", "--target-tokens", "200", "--json", str(MEETING)).stdout)
    assert found["tokens_after"] == pytest.approx(200, abs=6)


def test_jsonl_gives_one_object_a_line(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    texts = ["One text of a few words, nothing more.", "", "Another\ntext, with a line end \ud800."]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts) + "\n")
    lines = run("compress", "--jsonl", str(file)).stdout.decode().splitlines()
    assert len(lines) == 3
    assert all(json.loads(line)["tokens_after"] >= 0 for line in lines)


def test_a_policy_keeps_the_question_and_the_numbers() -> None:
    done = run("compress", "--policy", "rag", "--json", str(MEETING))
    found = json.loads(done.stdout)
    question = MEETING.read_text().rstrip().splitlines()[-1]
    assert question in found["text"]
    for kept in ("$47,300", "02:40", "https://wiki.example.com/panels", "PO-88412", "4.2.1"):
        assert kept in found["text"]
    assert found["tokens_after"] < 0.75 * found["tokens_before"]


def test_whole_documents_go_first_if_a_policy_says_so(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "policies: {docs: {min_tokens: 9, rate: 0.3, target_context: 1, force_context_ids: [2]}}"
    )
    documents = [
        f"<document>{line * 3}</document>" for line in MEETING.read_text().split("\n\n")[1:5]
    ]
    text = "What was said about 7 panels?\n\n" + "\n".join(documents)
    options = ("--config", str(file), "--policy", "docs", "--json", "-")
    found = json.loads(run("compress", *options, stdin=text.encode()).stdout)
    assert found["text"].startswith("What was said about 7 panels?")
    assert found["text"].count("<document>") == found["text"].count("</document>") < 4
    starts = [text.index(document) for document in documents]
    assert any(s <= starts[2] < e for s, e in found["kept"])


def test_a_policy_says_whether_tags_are_obeyed(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "policies: {plain: {min_tokens: 9}, tagged: {min_tokens: 9, obey_tags: [user]}}"
    )
    text = f"<llmlingua rate=0.2>{MEETING.read_text()}</llmlingua> <keep>all of this</keep>"
    sizes = {}
    for policy in ("plain", "tagged"):
        options = ("--config", str(file), "--policy", policy, "-")
        sizes[policy] = run("compress", *options, stdin=text.encode()).stdout.decode()
    assert "<keep>" in sizes["plain"] and "</llmlingua>" in sizes["plain"]
    assert sizes["tagged"].endswith(" all of this") and "llmlingua" not in sizes["tagged"]
    assert len(sizes["tagged"]) < 0.8 * len(sizes["plain"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rate", "1.5", "-"], "--rate 1.5"),
        (["--rate", "0", "-"], "--rate 0"),
        (["--rate", "0.5", "--target-tokens", "9", "-"], "exclude each other"),
        (["--policy", "none-such", "-"], "there are: default, rag"),
        (["--model", "no-such-model", "-"], "no model 'no-such-model'"),
        (["--precision", "fp8", "-"], "choose auto, fp32"),
        (["--encoding", "none_such", "-"], "no encoding 'none_such'"),
        (["/no/such/file"], "No such file"),
        (["--config", "/no/such/file", "-"], "/no/such/file"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_two(arguments: list[str], says: str) -> None:
    done = run("compress", *arguments)
    assert done.returncode == 2
    assert says in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_text_that_is_no_utf8_is_refused() -> None:
    done = run("compress", "-", stdin=b"good \xff bad")
    assert done.returncode == 2
    assert b"not UTF-8 at byte 5" in done.stderr


def test_the_demo_shows_what_reached_the_model_and_what_to_type_next() -> None:
    done = run("demo")
    shown = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    for said in ("What reached the model", "Tokens", "saved", "ms to compress", "precis serve"):
        assert said in shown
    flowing = " ".join(shown.replace("│", " ").split())
    assert flowing.count("must nobody do with the scanners") == 2
