"""What a task with an LLM is made of: its examples, how they are asked, and where they come from.

Knows nothing of any one task; those are listed in ``tasks.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from proxy.types import Rules


@dataclass(frozen=True, slots=True)
class Prompt:
    """How one data set is asked and scored."""

    text: str
    """With ``{context}``, which may be compressed, and ``{input}``, which never is."""
    scores: tuple[str, ...]
    """Names in ``tasks_score.SCORES``; the first is the one that the data set is known by."""
    answer_tokens: int
    """Longest answer to ask for."""
    first_line: bool = False
    """Score the answer's first line alone, as LongBench does for its few-shot data sets."""

    def around(self, input_text: str) -> tuple[str, str]:
        """What stands before the context and after it."""
        before, _, after = self.text.partition("{context}")
        return before.replace("{input}", input_text), after.replace("{input}", input_text)


@dataclass(frozen=True, slots=True)
class Example:
    """One question to the LLM. ``material`` is what is compressed; the rest goes as it is."""

    dataset: str
    id: str
    before: str = field(repr=False)
    material: str = field(repr=False)
    after: str = field(repr=False)
    answers: tuple[str, ...] = ()
    """Any of them is right."""
    classes: tuple[str, ...] = ()
    """Of a classification, all classes."""


@dataclass(frozen=True, slots=True)
class Data:
    """Where examples are read from."""

    place: str
    """A file, a folder, a zip archive, or the id of a data set on the hub."""
    demos: Path | None = None
    """Demonstrations, where they are published apart from the questions."""
    datasets: frozenset[str] = frozenset()
    """Only these data sets of the task; all of them if empty."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set as its authors publish it on the hub."""

    id: str
    configs: tuple[str, ...] = ()
    split: str = "test"


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark of the paper (arXiv 2403.12968, sections 4 and 5)."""

    name: str
    about: str
    compressed: str
    """What is compressed, for a person."""
    hub: Hub
    load: Callable[[Data, Task], Iterator[Example]]
    prompts: dict[str, Prompt]
    """By data set. Raises KeyError for one that the task does not have."""
    rules: Rules
    """What the compressor has to keep, as in the paper's own commands."""
