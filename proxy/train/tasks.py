"""The paper's tasks with an LLM, as data: where each comes from, and what of it is compressed.

Sources: MeetingBank QA and summary (arXiv 2403.12968), LongBench (2308.14508), ZeroSCROLLS
(2305.14196), GSM8K (2110.14168), BIG-Bench Hard with chain of thought (2210.09261).
"""

from __future__ import annotations

from proxy.errors import ConfigError
from proxy.train import tasks_load, tasks_prompts
from proxy.train.tasks_example import Hub, Task
from proxy.types import Rules

# As the paper's scripts have them: sentence ends for texts, all of arithmetic for demonstrations.
_TEXT = Rules(force_tokens=("\n", "?", "!", "."))
_STEPS = Rules(
    force_tokens=("+", "-", "*", "×", "/", "÷", "=", "The answer is", "\n"),
    force_reserve_digit=True,
)

_ALL = (
    Task(
        "meetingbank-qa",
        "questions on council meetings; is the answer in what the model says?",
        "the transcript",
        Hub("microsoft/MeetingBank-QA-Summary"),
        tasks_load.meetingbank_qa,
        tasks_prompts.MEETINGBANK_QA,
        _TEXT,
    ),
    Task(
        "meetingbank-summary",
        "summaries of council meetings against GPT-4's of the whole transcript",
        "the transcript",
        Hub("microsoft/MeetingBank-QA-Summary"),
        tasks_load.meetingbank_summary,
        tasks_prompts.MEETINGBANK_SUMMARY,
        _TEXT,
    ),
    Task(
        "longbench",
        "21 data sets of long texts, each scored in its own way",
        "the context",
        Hub("THUDM/LongBench", tuple(tasks_prompts.LONGBENCH)),
        tasks_load.longbench,
        tasks_prompts.LONGBENCH,
        _TEXT,
    ),
    Task(
        "zero-scrolls",
        "ten data sets of long texts, each scored in its own way",
        "the document",
        Hub("tau/zero_scrolls", tuple(tasks_prompts.ZERO_SCROLLS), "validation"),
        tasks_load.zero_scrolls,
        tasks_prompts.ZERO_SCROLLS,
        _TEXT,
    ),
    Task(
        "gsm8k",
        "grade-school problems, solved after worked examples",
        "the worked examples",
        Hub("openai/gsm8k", ("main",)),
        tasks_load.gsm8k,
        tasks_prompts.GSM8K,
        _STEPS,
    ),
    Task(
        "bbh",
        "27 data sets of hard reasoning, after worked examples",
        "the worked examples",
        Hub("lukaemon/bbh", tuple(tasks_prompts.BBH)),
        tasks_load.bbh,
        tasks_prompts.BBH,
        _STEPS,
    ),
)
TASKS = {task.name: task for task in _ALL}


def find(name: str) -> Task:
    """The task of that name. Raises ConfigError with the names that there are."""
    if name not in TASKS:
        raise ConfigError([f"--task {name}: no such task; there are: {', '.join(TASKS)}"])
    return TASKS[name]
