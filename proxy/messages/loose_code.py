"""Code that stands in no block: source files, settings, queries, literals, as tools return them.

Judged line by line; a run of lines counts where most of them look like code. Time is linear in
the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.messages.lines import lines
from proxy.types import Span

MIN_LINES = 3
"""Fewer lines that look like code, all told, are a remark in prose."""
LONGEST_LINE = 200
"""Characters above which a line is a paragraph, unless it is all one literal."""
MAX_PROSE = 5
"""Lines of prose, at most, that stand together in code: a longer docstring parts it."""
MIN_SHARE = 0.5
"""Share of the lines with something on them that must look like code in a run."""
MIN_FIELDS = 3
"""Names with values in a literal."""
CHARS_A_FIELD = 120
"""Mean characters a field of a literal, at most."""

_NUMBERED = re.compile(r"[ \t]{0,8}\d{1,6}(?:\t|[ \t]?[|:│→][ \t]?)")
"""What ``cat -n`` and its like put before a line."""
_BEGINS = re.compile(  # a line without white space at its ends
    r"[rbf]?\"{3}|'{3}"
    r"|[)\]}]{1,3}[,;:]?(?:$|\s*(?:else|catch|from)\b)"
    r"|@[\w.]+(?:\(.*)?$"
    r"|#include\b|#!|#define\b|>>> |//|/\*|\*/|\$ [a-z./]|<\?|--\s"
    r"|(?:async\s)?(?:def|fn|func|function)\s[\w.]+\s?[(\[<]|func\s?\([^()]*\)\s?\w+\("
    r"|(?:export\s|public\s|abstract\s|final\s){0,3}"
    r"(?:class|interface|enum|struct|trait|impl)\s\w+[^.]*[:{(]$"
    r"|(?:from\s[\w.]+\s)?import\s[\w{*'\"(][\w.,{}* '\"/@()-]*;?$"
    r"|export\s(?:default|type|async)\s\w|export\s?[{*]"
    r"|(?:package|module|namespace|using|require|include)\s[\w.:'\"/]+;?$"
    r"|(?:const|let|var|val|static|public|private|protected)\s[\w<>\[\]{].*[=;({]"
    r"|(?:if|elif|for|while|with|switch|match|except)\b.*[:{]\s*(?:#.*|//.*)?$"
    r"|(?:else|try|finally|do|loop|\}?\s*else\sif\b.*)\s*[:{]$"
    r"|return(?:\s.*[\w)\]}'\"])?$"
    r"|(?:pass|break|continue|end|fi|done|esac|\.\.\.)$"
    r"|(?:SELECT|FROM|WHERE|LEFT JOIN|INNER JOIN|JOIN|ON|AND|OR|GROUP BY|ORDER BY|HAVING|LIMIT|"
    r"INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|SET|VALUES|WITH|UNION)\s(?=.*[a-z=(*])"
    r"[\w(*`\"'.]"
    r"|(?:FROM|RUN|COPY|ADD|CMD|ENTRYPOINT|ENV|ARG|WORKDIR|EXPOSE|USER|HEALTHCHECK)\s"
    r"(?=.*[a-z=\[])\S"
    r"|[\w.\[\]'\"$*&>-]++(?:,\s?[\w.*]++)*+(?::\s?[\w.\[\], |\"'<>]++)?"
    r"[ \t]*+(?:[-+*/|&^%]|//|\*\*|\?\?|>>|<<)?:?=(?!=)[ \t]*\S"
    r"|(?:(?:await|yield|raise|throw|new|assert|del|not|and|or)\s){0,3}+"
    r"[A-Za-z_$][\w.$?!:]*+\([^()]*+(?:\([^()]*+\)[^()]*+)*+\)?[,;:]?\s*+(?:#.*|//.*)?$"
    r"|\[{1,2}[\w.\"' -]+\]{1,2}$"
    r"|[\s\[({]*+['\"][^'\"]{1,60}['\"]\s?(?::|=>)\s?\S"
    r"|[\[({]*+['\"][^'\"]{0,80}['\"][,)\]}]+$"
    r"|[A-Za-z_]\w*,$"
    r"|(?=[\w@-]*+[./])[\w./@-]++:\d+[:-]"
    r"|commit [0-9a-f]{7,40}\b|\S+\s+\|\s+\d+ [+-]*$"
    r"|\\(?:begin|end|section|subsection|usepackage|documentclass|item|label|caption)\b"
    r"|[A-Z][A-Z0-9-]+(?:;[A-Z]+=[^:;]+)*:\S"
)
_ENDS = re.compile(r"[)\]}'\"]\s?;$|[;)]\s?\}$")
_SIGNED = re.compile(r"\w[(\[]|[={<]")
_SETTING = re.compile(r"(?:- )?[a-z_][\w./-]*:(?:\s+(?P<value>\S.*))?$")
_ITEM = re.compile(r"- (?:[{\[\"'\w]\S*|\{.*\}|\[.*\])$")
_COMMENT = re.compile(r"(?:#|\*|--)\s")
_LITERAL = re.compile(r"\s*(?:[A-Za-z_][\w.]*)?[({\[].*[)}\]][,;]?\s*$", re.DOTALL)
_FIELD = re.compile(r"['\"]\w[^'\"]{0,60}['\"]\s*(?::|=>)\s|[({, ][a-z_]\w{0,40}=(?=\S)")
_SIGNS = "{}();="
_DENSE = 0.07
"""Share of signs in a long line above which it is code without line ends, such as minified one,"""
_SPACED = 0.1
"""and share of spaces below which it is. English has one in six characters."""
_VALUE_WORDS = 4
"""Words of a setting's value above which a line is somebody who says something."""
_STATEMENT_WORDS = 4
"""Words of the longest line that a semicolon alone makes a statement."""
_CODE, _NEUTRAL, _PROSE = 1, 0, -1


def loose_code(text: str) -> Iterator[Span]:
    """Spans of runs of lines that look like code, without blank lines at their ends."""
    run: list[Span] = []
    code = filled = prose = 0  # of the run; prose: lines of it since the last that looked like code
    last = 0  # lines of the run up to the last that looked like code
    at_last = 0  # filled ones among these
    for start, end in lines(text):
        kind = _kind_of(text, start, end)
        if kind == _CODE:
            run.append((start, end))
            code, filled, prose = code + 1, filled + 1, 0
            last, at_last = len(run), filled
            continue
        if not run:
            continue
        blank = not text[start:end].strip()
        filled += not blank
        prose += kind == _PROSE
        run.append((start, end))
        if prose > MAX_PROSE or code < MIN_SHARE * filled - 1:
            yield from _clear(text, run[:last], code, at_last)
            run, code, filled, prose = [], 0, 0, 0
    yield from _clear(text, run[:last], code, at_last)


def _clear(text: str, run: list[Span], code: int, filled: int) -> Iterator[Span]:
    if run and (code >= MIN_LINES and code >= MIN_SHARE * filled):
        yield run[0][0], run[-1][1]
    elif run:  # a line of it may be enough, say the list of records that a tool returned
        yield from (span for span in run if _is_all_code(text[slice(*span)]))


def _kind_of(text: str, start: int, end: int) -> int:
    written = text[start:end]
    if numbered := _NUMBERED.match(written):
        written = written[numbered.end() :]
    line = written.strip()
    if not line:
        return _NEUTRAL
    if len(line) > LONGEST_LINE:
        return _CODE if _is_all_code(line) else _PROSE
    if line[0] == "<" and line[:2] != "<?":
        return _NEUTRAL  # a tag, which has a class of its own
    indented = written[0] in " \t"
    if _BEGINS.match(line) or _ends_like_code(line) or (indented and _ITEM.match(line)):
        return _CODE
    setting = _SETTING.match(line)
    if setting and len((setting["value"] or "").partition(" #")[0].split()) <= _VALUE_WORDS:
        return _CODE
    if _is_all_code(line):
        return _CODE
    if indented or _COMMENT.match(line) or len(line.split()) < 3:
        return _NEUTRAL
    return _PROSE


def _ends_like_code(line: str) -> bool:
    if line[-1] not in ";{}\"'":
        return False
    if line[-1] == "{" or line.endswith(('"""', "'''")):
        return True
    if line[-1] == ";" and (len(line.split()) <= _STATEMENT_WORDS or _SIGNED.search(line)):
        return True
    return _ENDS.search(line) is not None


def _is_all_code(line: str) -> bool:
    """Whether a line is a literal, or is long and dense: a short one may be a remark."""
    if len(line) > LONGEST_LINE and line.count(" ") < _SPACED * len(line):
        return sum(map(line.count, _SIGNS)) > _DENSE * len(line) or _is_record(line)
    return _is_record(line)


def _is_record(line: str) -> bool:
    """Whether a line is one list, dictionary or record as Python and its like write it."""
    if not _LITERAL.match(line):
        return False
    fields = sum(1 for _ in _FIELD.finditer(line))
    return fields >= MIN_FIELDS and len(line) <= CHARS_A_FIELD * fields
