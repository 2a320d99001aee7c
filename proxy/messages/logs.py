"""Lines of logs: a time with a level, and what syslog, web servers and log libraries write.

A time alone makes no log, for transcripts and chats have times too. Every search starts at a line
and looks a bounded way into it, so that time is linear in the text.
"""

from __future__ import annotations

import re

from proxy.types import Mark

_DATE = r"(?:\d{4}[-/.]\d\d[-/.]\d\d|\d\d[-/.]\d\d[-/.]\d{4})[T ,]{1,2}"
_TIME = r"\d\d:\d\d:\d\d"
_FRACTION, _ZONE = r"[.,]\d{3,9}", r"(?:Z|[ ]?[+-]\d\d:?\d\d\b)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_LEVEL = (
    r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|FATAL|CRIT(?:ICAL)?|SEVERE|EMERG|ALERT|"
    r"PANIC|VERBOSE)"
)
_MARKED_LEVEL = (
    r"(?:[\[(<|=][ ]?(?i:trace|debug|info|notice|warn(?:ing)?|error|err|fatal|crit(?:ical)?|emerg|"
    r"alert|panic)\b)"
)
_NAME = r"[\w./()@-]{1,80}"
_LOG = re.compile(
    rf"""\n [ \t]{{0,4}} (?:[\w.-]{{1,40}}[ ]{{0,20}}\|[ ])? (?:       # docker's prefix
      [\[(]?{_DATE}{_TIME}(?:{_FRACTION}{_ZONE}?|{_ZONE})             # exact time
    | [\[(]?{_DATE}{_TIME}\S{{0,12}}[ \t\])|-]{{1,4}}[^\n]{{0,40}}?(?:\b{_LEVEL}\b|{_MARKED_LEVEL})
    | [\[(]?{_TIME}\S{{0,12}}[ \t\])|-]{{1,4}}(?:{_LEVEL}\b|{_MARKED_LEVEL})
    | \[{_LEVEL}[ ]?\][ \t] | {_LEVEL}:[A-Za-z_][\w.]{{0,80}}: | {_LEVEL}[ \t]+[\[(]?{_DATE}
    | (?:<\d{{1,3}}>)?{_MONTH}[ ]{{1,2}}\d{{1,2}}[ ]{_TIME}[ ]\S{{1,80}}[ ]{_NAME}(?:\[\d+\])?:
    | {_DATE}{_TIME}\S{{0,12}}[ ]\S{{1,80}}[ ]{_NAME}\[\d+\]:          # syslog
    | (?:\S{{1,80}}[ ]){{3}}\[\d\d/{_MONTH}/\d{{4}}:{_TIME}[ ]         # access log
    | \[(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[ ]{_MONTH}[ ][ \d]\d[ ]{_TIME}(?:\.\d+)?[ ]\d{{4}}\]
    | [IWEF]\d{{4}}[ ]{_TIME}\.\d{{1,9}}[ ]{{1,8}}\d{{1,9}}[ ]         # glog
    | \d\d-\d\d[ ]{_TIME}\.\d{{3}}[ \d]{{4,20}}[ ][VDIWEF][ ]          # logcat
    | \[[ ]{{0,8}}\d{{1,8}}\.\d{{6}}\][ ]                             # dmesg
    | (?:time|ts|t|level|lvl)="?[\w:.+-]{{1,40}}"?[ ]{{1,4}}\w{{1,40}}=  # logfmt
    )""",
    re.VERBOSE,
)
_REST = re.compile(r"[^\n]*(?:\n[ \t]++[^\s\-*+][^\n]*)*")
"""The rest of an entry: of its line, and the indented lines after it."""


def logs(text: str) -> tuple[Mark, ...]:
    """Marks of runs of log lines, each entry with the indented lines that go on from it."""
    found: list[Mark] = []
    shifted = "\n" + text  # so that a line that opens the text follows a newline too
    at = 0
    while match := _LOG.search(shifted, at):
        rest = _REST.match(shifted, match.end())
        at = rest.end() if rest else match.end()
        start = match.start()
        if found and found[-1].end == start - 1:  # the newline between two entries
            start = found.pop().start
        found.append(Mark(start, at - 1, "log"))
    return tuple(found)
