"""Small data sets in the formats in which the benchmarks are published, and who answers them.

Every material is long, and what its question asks stands near the end: who reads all of it can
answer, who reads its beginning cannot.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from proxy.compress.compressor import Compressor
from proxy.compress.scorer import FakeScorer, Floats, Ints
from tests.compress.readers import reader
from tests.train.distill_server import Reply

FILLER = "It is of the word that was in the list on that day, and it is so for all of us. " * 20
SECRET = "4711"


def material(fact: str) -> str:
    """A text of some 400 tokens with the fact near its end."""
    return f"{FILLER}{fact} {'That is all of it. ' * 3}".strip()


class DigitScorer(FakeScorer):
    """Keeps digits and capital words that it is told of; of the rest, a fixed share by chance."""

    name = "digits"
    fingerprint = "digits"

    def __init__(self, *kept: str) -> None:
        texts = [*"0123456789", "1234567890", *kept]
        spans = [reader().tokenizer.encode(text, [(0, len(text))]).ids for text in texts]
        self.kept = np.unique(np.concatenate(spans))

    def score(self, ids: Ints) -> Floats:
        quiet = super().score(ids) * np.float32(0.5)
        return np.where(np.isin(ids, self.kept), np.float32(1), quiet).astype(np.float32)


def compressor(*kept: str) -> Compressor:
    return Compressor(DigitScorer(*kept), reader(), threads=1)


def answering(answer: Callable[[str], str]) -> Callable[[str, int], Reply]:
    """The reaction of a server that says what ``answer`` makes of a prompt."""
    return lambda prompt, n: Reply(answer(prompt))


def by_secret(right: str, wrong: str = "I can't tell.") -> Callable[[str, int], Reply]:
    """Answers rightly if the prompt holds the secret number, and wrongly if not."""
    return answering(lambda prompt: right if re.search(SECRET, prompt) else wrong)


def lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def meetingbank(folder: Path) -> Path:
    """``microsoft/MeetingBank-QA-Summary``, as JSON lines."""
    text = material(f"The bill has the number {SECRET} now.")
    pairs = [
        {"question": "Which number has the bill?", "answer": SECRET},
        {"question": "Again, which number?", "answer": f"Number {SECRET}."},
    ]
    summary = f"The council gave the bill the number {SECRET}."
    row = {"prompt": text, "QA_pairs": pairs, "gpt4_summary": summary, "summary": "Minutes."}
    return lines(folder / "test.jsonl", [{"idx": 7, **row}])


def longbench(folder: Path) -> Path:
    """``THUDM/LongBench``'s ``data.zip``: a file a data set, LongBench-E's beside them."""
    fact = material(f"The key is {SECRET}.")

    def row(dataset: str, asked: str, answers: list[str], **more: Any) -> dict[str, Any]:
        known = {"length": 400, "language": "en", "all_classes": None, "_id": f"{dataset}-1"}
        base = {"input": asked, "context": fact, "answers": answers, "dataset": dataset}
        return {**known, **base, **more}

    classes = ["Number", "Person"]
    rows = [
        row("hotpotqa", "What is the key?", ["no such answer", SECRET]),
        row("trec", "Question: how many?\nType:", ["Number"], all_classes=classes),
        row("passage_retrieval_en", "A summary.", [f"Paragraph {SECRET}"]),
        row("passage_count", "", [SECRET]),
        row("lcc", "", [f"return {SECRET}"]),
        row("gov_report", "", [f"The key is {SECRET}."]),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        for one in rows:
            archive.writestr(f"data/{one['dataset']}.jsonl", json.dumps(one) + "\n")
        archive.writestr("data/hotpotqa_e.jsonl", json.dumps(rows[0]) + "\n")
    return folder / "data.zip"


def zero_scrolls(folder: Path) -> Path:
    """``tau/zero_scrolls``: a folder a data set, with a test split whose answers are private."""
    head, tail = "Read the document.\n\nDocument:\n", "\n\nQuestion:\nWhat is the key?\n\nAnswer:\n"
    text = material(f"The key is {SECRET}.")

    def row(name: str, output: str | None) -> dict[str, Any]:
        whole = head + text + tail
        places = {
            "document_start_index": len(head),
            "document_end_index": len(head) + len(text),
            "query_start_index": len(head) + len(text) + 2,
            "query_end_index": len(whole) - len("\n\nAnswer:\n"),
        }
        return {"id": name, "pid": name, "input": whole, "output": output, **places}

    outputs = {
        "qasper": [SECRET],
        "squality": ["Something else.", f"The key is {SECRET}."],
        "quality": ["(B) the key"],
        "space_digest": ["62%"],
        "book_sum_sort": ["3, 1, 2"],
    }
    for dataset, right in outputs.items():
        found = [row("one", output) for output in right]
        lines(folder / dataset / "validation.jsonl", found)
        lines(folder / dataset / "test.jsonl", [row("private", None)])
    return folder


def gsm8k(folder: Path) -> Path:
    """``openai/gsm8k``'s ``train.jsonl`` and ``test.jsonl``."""
    steps = "It is of the word that was in the list, and so it is.\n" * 8
    shown = [
        {
            "question": f"How much is {n} and {n}?",
            "answer": f"{steps}<<{n}+{n}={2 * n}>>#### {2 * n}",
        }
        for n in (2, 3, 4711)
    ]
    lines(folder / "train.jsonl", shown)
    asked = {"question": "How much is 1,000 and 234?", "answer": "It is so.\n#### 1,234"}
    lines(folder / "test.jsonl", [asked])
    return folder


def bbh(folder: Path) -> Path:
    """BIG-Bench Hard's repository: ``bbh/NAME.json`` and ``cot-prompts/NAME.txt``."""
    shown = f"Q: A word?\nA: Let's think step by step.\n{material(SECRET)} So the answer is (A)."
    rows = {
        "snarks": {"input": "Which?\n(A) one\n(B) two", "target": "(B)"},
        "navigate": {"input": "Back at the start?", "target": "Yes"},
    }
    for name, row in rows.items():
        examples = {"canary": "not for training", "examples": [row]}
        (folder / "bbh").mkdir(parents=True, exist_ok=True)
        (folder / "bbh" / f"{name}.json").write_text(json.dumps(examples))
        (folder / "cot-prompts").mkdir(exist_ok=True)
        text = f"Not for training. canary\n-----\nAnswer {name}.\n\n{shown}\n"
        (folder / "cot-prompts" / f"{name}.txt").write_text(text)
    return folder
