"""Diffs as blocks."""

import pytest

from proxy.messages.code import code_blocks
from proxy.messages.diffs import diffs

HUNK = "@@ -1,3 +1,3 @@ def f():\n a\n-b\n+c\n d"
FILES = {
    "git": f"diff --git a/x.py b/x.py\nindex 83db48f..bf2a6c1 100644\n--- a/x.py\n+++ b/x.py\n{HUNK}",
    "bare": f"--- x.py\t2025-01-01\n+++ x.py\t2025-01-02\n{HUNK}",
    "hunk alone": HUNK,
    "svn": f"Index: x.py\n{'=' * 67}\n--- x.py\t(revision 1)\n+++ x.py\t(revision 2)\n{HUNK}",
    "two files": f"diff --git a/x b/x\n--- a/x\n+++ b/x\n{HUNK}\ndiff --git a/y b/y\n--- a/y\n+++ b/y\n{HUNK}",
    "a file less": "diff --git a/x b/x\ndeleted file mode 100644\nindex 83db48f..0000000\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-b",
    "a new name": "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y",
    "no newline": "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file",
    "empty context": "@@ -1,3 +1,4 @@\n a\n\n+b\n c",
    "merge": "diff --cc x\nindex 1234567,89abcde..f012345\n--- a/x\n+++ b/x\n@@@ -1,2 -1,2 +1,2 @@@\n  a\n- b\n +c",
    "agent's": "*** Begin Patch\n*** Update File: x.py\n@@ def f():\n-a\n+b\n*** End Patch",
    "Windows": "--- a/x\r\n+++ b/x\r\n@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+c\r",
}  # fmt: skip


@pytest.mark.parametrize("diff", FILES.values(), ids=FILES)
def test_a_diff_is_found_from_its_header_to_its_last_line(diff: str) -> None:
    text = f"Have a look at this:\n\n{diff}\n\nIt is good, I think.\n- yes\n"
    assert [text[m.start : m.end] for m in diffs(text)] == [diff]
    assert [diff[m.start : m.end] for m in diffs(diff)] == [diff]


def test_wrong_counts_lose_no_line_that_is_added_or_removed() -> None:
    diff = "@@ -1,1 +1,1 @@\n a\n+b\n+c\n-d"
    assert [m.end for m in diffs(diff + "\nend")] == [len(diff)]
    (mark,) = diffs("@@ -1,99 +1,99 @@\n a\n+b\n\nThis is prose.")
    assert mark.end == len("@@ -1,99 +1,99 @@\n a\n+b")


def test_prose_with_such_signs_is_no_diff() -> None:
    for text in (
        "- one\n- two\n+ three\n",
        "--- \n+++ \n",
        "--- a/x\n+++ b/x\nwithout any hunk",
        "@@ is how they sign",
        "diff -u is what I would run",
    ):
        assert diffs(text) == (), text


def test_a_fence_in_a_diff_opens_no_code_after_it() -> None:
    diff = "@@ -1,2 +1,2 @@\n ```\n-a\n+b"
    text = f"{diff}\n\nThis prose may become shorter."
    assert code_blocks(text) == ()
    fenced = f"```diff\n{diff}\n```\nprose"
    assert [fenced[m.start : m.end] for m in code_blocks(fenced)] == [fenced[:-6]]
