"""Stack traces of Python, Java, JavaScript, Go, Rust and their kin, with the error's message.

A trace is a run of lines that say a place in a program, or lead from one to the next. Its lines
are looked at once each, so that time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from proxy.types import Mark

_SEED = re.compile(
    r'most recent call last\)|File "|\n\s{1,20}at \S|panicked at|goroutine \d|\.rb:\d|\n#\d|@\w+://'
)
_FRAME = re.compile(
    r"""
      [ |+]*File\ "[^"]+",\ line\ \d                                   # Python
    | \s+at\ (?:async\ |new\ )?[\w$.<>\[\]/~@:*\#|-]{1,300}(?:\ \[as\ [\w$.]+\])?  # Java,
      (?:\([^()]*\)|\ \((?:[^()]*:\d+|native|<anonymous>|index\ 0)\))             # JS, C#
    | \s+at\ \S+?:\d+(?::\d+)?$                                        # JS, Rust
    | \s+\.\.\.\ \d+\ (?:more|common\ frames|frames?)
    | \t\S+\.(?:go|s):\d+(?:\ \+0x[\da-f]+)?$                          # Go
    | \s*(?:\d+:\ )?(?:from\ )?\S+\.rb:\d+:in\                         # Ruby
    | \#\d+\ +(?:0x[\da-f]+\ in\ |\S+\(\d+\):\ |\S+\ \(.*\)\ at\ |\{main\})      # PHP, gdb
    | [^\s@]*@(?:https?|file|resource|webpack)://?\S+:\d+:\d+$         # Firefox
    """,
    re.VERBOSE,
)
_HEAD = re.compile(
    r"""
      (?P<alone>[ |+]*(?:Exception\ Group\ )?Traceback\ \(most\ recent\ call\ last\):
        | thread\ '[^']*'(?:\ \(\d+\))?\ panicked\ at\ | goroutine\ \d+\ \[[^\]]+\]:)
    | \s*(?:Caused\ by|Suppressed|Exception\ in\ thread|Uncaught|Unhandled|panic|PHP\ Fatal)\b
    | fatal\ error:
    | \[signal\ \w|created\ by\ |exit\ status\ \d|stack\ backtrace:$|note:[ ]
    | [ |+]*(?:During\ handling\ of\ the\ above|The\ above\ exception\ was)
    | [ |+]*-++(?:\ \d+\ -++|\.\.\.)?[ |+-]*$                           # parts of a group
    | \s*(?:[\w$]+[.:])*\w*(?:Error|Exception|Failure|Exit|Interrupt|Fault)\b(?:[:\ (]|$)
    """,
    re.VERBOSE,
)
_PYTHON = re.compile(r'[ |+]*(?:Exception Group )?Traceback \(|[ |+]*File "')
_INSIDE = re.compile(r"[ \t|]+[^\s|]")
_FAR_BACK = 3


def traces(text: str) -> tuple[Mark, ...]:
    """Marks of the traces: frames, the source lines that they show, and what they lead to."""
    if not _SEED.search(text):
        return ()
    lines = text.split("\n")
    frames = [bool(_FRAME.match(line)) for line in lines]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    found: list[Mark] = []
    at = floor = 0
    while at < len(lines):
        if not frames[at] and not _HEAD.match(lines[at]):
            at += 1
            continue
        first = _message(lines, at, floor) if frames[at] else at
        end = _run_end(lines, frames, at)
        if _is_trace(lines[first:end], frames[first:end]):
            found.append(Mark(starts[first], starts[end] - 1, "trace"))
            floor = end
        at = end
    return tuple(found)


def _message(lines: Sequence[str], at: int, floor: int) -> int:
    """Where the message above a first frame begins: the line before, or one that names an error."""
    for back in range(1, _FAR_BACK + 1):
        if at - back < floor or not lines[at - back].strip():
            break
        if _HEAD.match(lines[at - back]):
            return at - back
    return at - 1 if at > floor and lines[at - 1].strip() else at


def _run_end(lines: Sequence[str], frames: Sequence[bool], at: int) -> int:
    """The line after the last one of the trace that begins at ``at``."""
    said = False  # whether the message that ends a Python trace or begins a Rust one is yet to come
    while at < len(lines):
        line = lines[at]
        head = _HEAD.match(line)
        if frames[at] or head:
            said = bool(_PYTHON.match(line) or "panicked at" in line)
        elif _INSIDE.match(line) or _leads(lines, frames, at):
            pass
        elif said and line.strip():
            said = False
        elif line.strip() or not _goes_on(lines, frames, at + 1):
            return at
        at += 1
    return at


def _leads(lines: Sequence[str], frames: Sequence[bool], at: int) -> bool:
    """Whether that line belongs to the frame right below it, as a function's name does in Go."""
    return bool(lines[at].strip()) and at + 1 < len(lines) and frames[at + 1]


def _goes_on(lines: Sequence[str], frames: Sequence[bool], at: int) -> bool:
    if at >= len(lines):
        return False
    return frames[at] or bool(_HEAD.match(lines[at])) or _leads(lines, frames, at)


def _is_trace(lines: Sequence[str], frames: Sequence[bool]) -> bool:
    """Two frames, or one with the head of an error, or a head that can't be anything else."""
    heads = [match for match in map(_HEAD.match, lines) if match]
    count = sum(frames)
    return count > 1 or (count == 1 and bool(heads)) or any(head["alone"] for head in heads)
