"""E-mail: blocks of headers, and the lines that part one message of a thread from the next.

Every search starts at a line and looks a bounded way, so that time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.types import Mark, Span

_NAME = (
    r"(?:From|To|Cc|CC|Bcc|Date|Sent|Subject|Reply-To|Sender|Message-I[Dd]|In-Reply-To|References|"
    r"Received|Return-Path|Delivered-To|Envelope-To|MIME-Version|Content-[A-Z][\w-]{1,30}|Importance|"
    r"Priority|Attachments?|List-[A-Z][\w-]{1,30}|User-Agent|Authentication-Results|DKIM-Signature|"
    r"ARC-[A-Z][\w-]{1,30}|X-[\w-]{1,40}|"
    r"Von|An|Gesendet|Betreff|Datum|De|À|Envoyé|Objet|Para|Enviado|Asunto)"
)
_HEADER = (
    rf"[ \t>]{{0,8}}\*{{0,2}}{_NAME}:\*{{0,2}}[ \t][^\n]*(?:\n(?:>[ ]?)*+[ \t]+[^\s>][^\n]*)*+"
)
_HEADERS = re.compile(rf"\n(?P<block>{_HEADER}(?:\n{_HEADER})+)")
_SAYS_MAIL = re.compile(
    r"(?:\A|\n)[ \t>*]*(?:From|Subject|Sent|Von|Betreff|De|Objet|Asunto|Received|Content-Type):"
)

_WROTE = r"(?:wrote|writes|schrieb|a écrit|escribió|ha scritto|schreef)"
_ATTRIBUTION = re.compile(
    rf"\n[ \t>]{{0,8}}(?P<line>(?:On|Am|Le|El|Il|Op)[ ][^\n]{{4,160}}?"
    rf"(?:\n[ \t>]{{0,8}}[^\n]{{0,80}}?)?\b{_WROTE}\b[^\n:]{{0,60}}:)[ \t]*(?=\r?(?:\n|\Z))"
)
_SEPARATOR = re.compile(
    r"\n[ \t>]{0,8}(?P<line>-{2,20}[ ]?(?i:original message|forwarded message|original appointment|"
    r"ursprüngliche nachricht|weitergeleitete nachricht|message d'origine|mensaje original)"
    r"[ ]?-{2,20}|Begin forwarded message:|_{10,80}|--(?=[ ]?\r?\n))"
)


def mail_headers(text: str) -> tuple[Mark, ...]:
    """Blocks of at least two header lines in a row, one of them a telling one."""
    shifted = "\n" + text
    return tuple(
        Mark(match.start(), match.end() - 1, "mail header")
        for match in _HEADERS.finditer(shifted)
        if _SAYS_MAIL.search(match["block"])
    )


def mail_lines(text: str) -> Iterator[Span]:
    """Spans of attributions (``On ... wrote:``), separators and the ``--`` before a signature."""
    shifted = "\n" + text
    for pattern in (_ATTRIBUTION, _SEPARATOR):
        for match in pattern.finditer(shifted):
            yield match.start("line") - 1, match.end("line") - 1
