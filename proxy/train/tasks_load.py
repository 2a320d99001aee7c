"""Turns the rows of each benchmark, as its authors publish them, into examples."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from proxy.errors import ConfigError
from proxy.train.distill_journal import read_rows, text_of
from proxy.train.tasks_example import Data, Example, Prompt, Task
from proxy.train.tasks_files import Table, tables

SHOTS = 8
"""Demonstrations that are taken from GSM8K's training problems where no file of them is given."""

_CALCULATION = re.compile(r"<<[^>]*>>")


def meetingbank_qa(data: Data, task: Task) -> Iterator[Example]:
    """``{prompt, QA_pairs: [{question, answer}]}``: one example for each pair."""
    for number, (place, row) in enumerate(_all(data, task)):
        text = text_of(row, ("prompt", "transcript"), place)
        pairs = row.get("QA_pairs")
        if isinstance(pairs, str):  # CSV exports of the data set hold them as Python writes them
            pairs = _literal(pairs, place)
        if not isinstance(pairs, list):
            raise ConfigError([f"{place}: no list in field 'QA_pairs'"])
        for index, pair in enumerate(pairs):
            question, answer = (text_of(pair, (n,), place) for n in ("question", "answer"))
            name = f"{row.get('idx', number)}/{index}"
            before, after = task.prompts["meetingbank-qa"].around(question)
            yield Example("meetingbank-qa", name, before, text, after, (answer,))


def meetingbank_summary(data: Data, task: Task) -> Iterator[Example]:
    """``{prompt, gpt4_summary}``; the paper compares with GPT-4's summary, not with the minutes."""
    before, after = task.prompts["meetingbank-summary"].around("")
    for number, (place, row) in enumerate(_all(data, task)):
        text = text_of(row, ("prompt", "transcript"), place)
        summary = text_of(row, ("gpt4_summary", "summary"), place)
        name = str(row.get("idx", number))
        yield Example("meetingbank-summary", name, before, text, after, (summary,))


def longbench(data: Data, task: Task) -> Iterator[Example]:
    """``{input, context, answers, length, dataset, language, all_classes, _id}``."""
    found = tables(data, task.hub)
    names = {table.name for table in found}
    for table in found:
        # LongBench-E lies beside LongBench in its archive and has many of the same rows.
        if table.name.endswith("_e") and table.name.removesuffix("_e") in names:
            continue
        for place, row in table.read():
            dataset = str(row.get("dataset", table.name)).removesuffix("_e")
            if not _wanted(dataset, data, task, place):
                continue
            context, asked = (text_of(row, (n,), place) for n in ("context", "input"))
            before, after = task.prompts[dataset].around(asked)
            answers = _strings(row, "answers", place)
            classes = _strings(row, "all_classes", place) if row.get("all_classes") else ()
            name = str(row.get("_id", place))
            yield Example(dataset, name, before, context, after, answers, classes)


def zero_scrolls(data: Data, task: Task) -> Iterator[Example]:
    """``{id, input, output, document_start_index, document_end_index, ...}``, a file a data set.

    The answers of the test split are private, so the validation split is asked where both lie.
    Rows of one id are one example with several right answers (SQuALITY).
    """
    found = [(table, _known(table, task)) for table in tables(data, task.hub)]
    open_ones = [pair for pair in found if "validation" in str(pair[0].path)] or found
    for table, dataset in open_ones:
        if not _wanted(dataset, data, task, str(table.path)):
            continue
        merged: dict[str, Example] = {}
        for place, row in table.read():
            example = _scroll(row, dataset, task.prompts[dataset], place)
            known = merged.get(example.id)
            answers = (*(known.answers if known else ()), *example.answers)
            parts = example.before, example.material, example.after
            merged[example.id] = Example(dataset, example.id, *parts, answers)
        yield from merged.values()


def _scroll(row: Mapping[str, Any], dataset: str, prompt: Prompt, place: str) -> Example:
    text = text_of(row, ("input",), place)
    start, end = (_offset(row, f"document_{side}_index", text, place) for side in ("start", "end"))
    if not row.get("output"):
        raise ConfigError([f"{place}: no 'output'; the test split's is private, use validation"])
    answers = _strings(row, "output", place)
    before, after = prompt.around("")
    parts = before + text[:start], text[start:end], text[end:] + after
    return Example(dataset, str(row.get("id", place)), *parts, answers)


def gsm8k(data: Data, task: Task) -> Iterator[Example]:
    """``{question, answer}`` with the number after ``####``.

    The demonstrations are a file of their own (``Question: ... The answer is 5.``, a blank line
    between two), or the first ones of ``train.jsonl``, in that form.
    """
    found = tables(data, task.hub)
    # The repository has a "socratic" variant of each file beside it.
    test = [table for table in found if table.name == "test"]
    test = test or [table for table in found if not table.name.startswith("train")]
    if not test:
        raise ConfigError([f"{data.place}: only training problems; give the test problems"])
    demos = _gsm8k_demos(data, found)
    for table in test:
        for number, (place, row) in enumerate(table.read()):
            question, answer = (text_of(row, (n,), place) for n in ("question", "answer"))
            if "####" not in answer:
                raise ConfigError([f"{place}: no #### with a number in 'answer'"])
            before, after = task.prompts["gsm8k"].around(question)
            right = answer.rpartition("####")[2].strip()
            yield Example("gsm8k", f"{table.name}/{number}", before, demos, after, (right,))


def _gsm8k_demos(data: Data, found: list[Table]) -> str:
    if data.demos is not None:
        return _text(data.demos)
    train = next((table for table in found if table.name == "train"), None)
    if train is None:
        raise ConfigError([f"{data.place}: no train.jsonl for demonstrations; give --demos FILE"])
    shown = []
    for place, row in islice(train.read(), SHOTS):
        question, answer = (text_of(row, (n,), place) for n in ("question", "answer"))
        steps, _, right = _CALCULATION.sub("", answer).rpartition("####")
        solved = f"{steps.strip()}\nThe answer is {right.strip()}."
        shown.append(f"Question: {question}\nLet's think step by step\n{solved}")
    return "\n\n".join(shown)


def bbh(data: Data, task: Task) -> Iterator[Example]:
    """``{examples: [{input, target}]}``, a file a data set, beside ``cot-prompts/NAME.txt``."""
    inner = Path(data.place) / "bbh"  # the repository's folder, beside the outputs of models
    questions = replace(data, place=str(inner)) if inner.is_dir() else data
    for table in tables(questions, task.hub):
        if not _wanted(table.name, data, task, str(table.path)):
            continue
        description, demos = _bbh_demos(data, table.name)
        prompt = task.prompts[table.name]
        for number, (place, row) in enumerate(table.read()):
            asked, right = (text_of(row, (n,), place) for n in ("input", "target"))
            before, after = prompt.around(asked)
            parts = f"{description}\n\n{before}", demos, after
            yield Example(table.name, f"{table.name}/{number}", *parts, (right,))


def _bbh_demos(data: Data, name: str) -> tuple[str, str]:
    """The description and the demonstrations, from ``cot-prompts`` or a file of ``{id, text}``."""
    place = data.demos or next(
        (
            folder / "cot-prompts"
            for folder in (Path(data.place), Path(data.place).parent)
            if (folder / "cot-prompts").is_dir()
        ),
        None,
    )
    if place is None:
        raise ConfigError([f"{data.place}: no folder cot-prompts; give --demos FOLDER"])
    if place.is_dir():
        text = _text(place / f"{name}.txt")
    else:
        rows = {
            row.get("id"): text_of(row, ("text",), f"{place}:{n}") for n, row in read_rows(place)
        }
        if name not in rows:
            raise ConfigError([f"{place}: no demonstrations of {name}"])
        text = rows[name]
    # A notice not to train on them comes first, and is not for the model.
    text = text.rpartition("-----\n")[2].strip()
    description, _, demos = text.partition("\n\n")
    return description, demos


def _all(data: Data, task: Task) -> Iterator[tuple[str, dict[str, Any]]]:
    for table in tables(data, task.hub):
        yield from table.read()


def _known(table: Table, task: Task) -> str:
    """The data set that the file's path names: ``qasper.zip``, ``qasper/validation.jsonl``."""
    stems = [part.split(".", 1)[0] for part in table.path.parts]
    return next((stem for stem in stems if stem in task.prompts), table.name)


def _wanted(dataset: str, data: Data, task: Task, place: str) -> bool:
    if dataset not in task.prompts:
        raise ConfigError([f"{place}: {task.name} has no data set {dataset!r}"])
    return not data.datasets or dataset in data.datasets


def _strings(row: Mapping[str, Any], name: str, place: str) -> tuple[str, ...]:
    value = row.get(name)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise ConfigError([f"{place}: no list of texts in field {name!r}"])
    return tuple(values)


def _offset(row: Mapping[str, Any], name: str, text: str, place: str) -> int:
    value = row.get(name)
    if not isinstance(value, int) or not 0 <= value <= len(text):
        raise ConfigError([f"{place}: {name} is {value!r}, no place in 'input'"])
    return value


def _literal(text: str, place: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError) as exc:
        raise ConfigError([f"{place}: 'QA_pairs' can't be read ({exc})"]) from exc


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as exc:
        raise ConfigError([f"{path}: {exc.strerror or exc}"]) from exc
