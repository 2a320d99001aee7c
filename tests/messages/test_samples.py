"""Texts as people paste them: what of them stays, and what the README says of it."""

from __future__ import annotations

import difflib
import re
from functools import cache
from pathlib import Path

import pytest

from proxy.compress import Compressor
from proxy.compress.draft import Job
from proxy.config_file import load, shipped
from proxy.gate import verify
from proxy.messages.segment import passage
from proxy.tokens import encoding

SAMPLES = Path(__file__).parent / "samples"
README = Path(__file__).parents[2] / "README.md"
_ROW = re.compile(
    r"^\| `\w+` \|.*\| (?:`+ ?(?P<before>[^`].*?) ?`+ → )?`+ ?(?P<after>[^`].*?) ?`+ \|$"
)
MOST_DIFFERENT = 2
"""Words of a sample that another processor's arithmetic may choose otherwise."""

STAYS = {
    "handbook.md": ["front matter", "heading", "link", "rule", "code"],
    "tables.md": ["table"],
    "change.diff": ["diff"],
    "traces.txt": ["trace"],
    "logs.txt": ["log", "json"],
    "thread.eml.txt": ["mail header", "mail line"],
    "page.html": ["tag", "code", "heading"],
    "feed.xml": ["tag", "heading"],
}


SAMPLED = (*STAYS, "meeting.txt")


@cache
def classifier() -> Compressor:
    return Compressor.load("builtin")


@cache
def compressed(name: str) -> tuple[str, str]:
    """A sample before and after, as the result of a tool under the shipped policy."""
    text = (SAMPLES / name).read_text(encoding="utf-8")
    policy = load(shipped(), {}).config.policy("default")
    found = passage(text, "tool", policy)
    assert not found.reason
    done = classifier().run(Job.of(found, policy.rules, 0.5, None))
    result = verify(found, done, policy, encoding())
    assert not result.reason, result.reason
    return text, result.text


@pytest.mark.parametrize("name", STAYS)
def test_every_kind_of_structure_is_marked_by_its_name(name: str) -> None:
    policy = load(shipped(), {}).config.policy("default")
    found = passage((SAMPLES / name).read_text(encoding="utf-8"), "tool", policy)
    assert {mark.reason for mark in (*found.intact, *found.forced)} >= set(STAYS[name])


@pytest.mark.parametrize("name", STAYS)
def test_structure_stays_and_prose_becomes_shorter(name: str) -> None:
    before, after = compressed(name)
    assert len(after) < len(before)
    lines = set(after.splitlines())
    for line in before.splitlines():
        structured = re.match(
            r"#|[|+@{\d]|\t|\s*<[^!>]*>$|From:|Subject:|2025-|diff |Traceback", line
        )
        if structured and not re.match(r"\d\. ", line):
            assert line in lines, line


def test_tags_are_balanced_and_entities_whole() -> None:
    for name in ("page.html", "feed.xml"):
        before, after = compressed(name)
        tags = r"</?[\w?][^<>]*>|<!--|-->"
        assert re.findall(tags, after) == re.findall(tags, before)
        assert not re.search(r"&(?!#?\w+;)", after)


def readme_rows() -> list[tuple[str, str]]:
    text = README.read_text(encoding="utf-8")
    section = text[text.index("### What stays as it is") : text.index("## Configuration")]
    rows = [match for match in map(_ROW.match, section.splitlines()) if match]
    return [(row["before"] or row["after"], row["after"]) for row in rows]


def test_the_readme_shows_what_really_happens() -> None:
    rows = readme_rows()
    assert len(rows) == 10
    for before, after in rows:
        (name,) = [n for n in SAMPLED if before in (SAMPLES / n).read_text(encoding="utf-8")]
        lines = compressed(name)[1].splitlines()
        (line,) = difflib.get_close_matches(after, lines, n=1, cutoff=0.5)
        if before == after:
            assert after in line
            continue
        words, said = line.split(), after.split()
        differ = sum(1 for d in difflib.ndiff(said, words) if d[0] in "+-")
        assert differ <= MOST_DIFFERENT, f"{before!r} is {line!r} now, not {after!r}"
