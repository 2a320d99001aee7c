"""URLs, e-mail and IP addresses, domain names, file names and paths.

Every search starts at a sign that only they have, takes the piece without white space around it,
and then judges the piece, so that time is linear in the text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from proxy.types import Span

_LOOK_BACK = 120

_FILE_TYPES = (
    "pyi?|ipynb|[cm]?js|tsx?|jsx|java|kt|go|rs|rb|php|pl|cc?|cpp|h|hpp|cs|swift|scala|sh|bash|ps1|"
    "bat|sql|html?|s?css|xml|jsonl?|ya?ml|toml|ini|cfg|conf|env|md|rst|txt|log|csv|tsv|xlsx?|docx?|"
    "pptx?|pdf|png|jpe?g|gif|svg|webp|mp[34]|wav|zip|tar|t?gz|7z|exe|dll|so|jar|whl|lock|parquet|"
    "onnx|safetensors|proto|vue|tex|bib"
)
_DOMAINS = "com|org|net|io|dev|ai|edu|gov|info|app|eu|uk|de|fr|ch"
_OUTSIDE = r"\s<>\"`“”„«»|*"  # what no address holds, and what marks it up

_SEED = re.compile(  # each branch starts with a literal, for which the engine skips ahead
    r"://|@|/|\\|\.(?:[A-Za-z]|\d{1,3}\.\d)|::[\da-fA-F]|:[\da-fA-F]{1,4}:[\da-fA-F]{1,4}:"
)
_IP = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?)(?::\d+)?|\[?([\da-fA-F:.]{3,45}(?:/\d+)?)\]?")
_AFTER = re.compile(rf"[^{_OUTSIDE}]*+")
_BEFORE = re.compile(rf"[^{_OUTSIDE},;'’()\[\]{{}}=]*+")
_TRAILING = ".,;:!?'’…"
_BRACKETS = {")": "(", "]": "[", "}": "{"}

_SEGMENT = r"[\w.@+%~$-]++"
_ADDRESS = re.compile(
    rf"""
      www\..+
    | (?:mailto:)?[\w.+%-]++@[\w-]++(?:\.[\w-]++)++                     # e-mail
    | (?:[\w-]++\.)++(?:{_DOMAINS})(?::\d++)?(?:[/?\#].*)?              # example.org/x
    | (?:~|\.{{1,2}})?/{_SEGMENT}(?:/{_SEGMENT})*+/?(?::\d++)*+          # /etc/hosts  ./run.sh
    | (?:{_SEGMENT}/)*+[\w.@+%-]*\w\.(?:{_FILE_TYPES})(?::\d++)*+       # src/main.py:12
    | (?=.*[^\W\d])(?:{_SEGMENT}/)++(?:{_SEGMENT})?(?<=[/\d_.])         # data/raw/  a/b_1
    | (?:[A-Za-z]:|\\)\\.+                                              # C:\x  \\server\share
    """,
    re.VERBOSE,
)


def addresses(text: str) -> Iterator[Span]:
    """Spans of the addresses in the text, in order, free of overlap."""
    end = 0
    for seed in _SEED.finditer(text):
        if seed.start() < end:
            continue
        before = text[max(end, seed.start() - _LOOK_BACK) : seed.start()]
        back = _BEFORE.match(before[::-1])
        after = _AFTER.match(text, seed.start())
        if back is None or after is None:  # neither can fail: both match the empty string
            continue
        start = seed.start() - back.end()
        end = after.end()
        stop = _without_trailing(text, start, end)
        if _is_address(text[start:stop]):
            yield start, stop


def _is_address(piece: str) -> bool:
    scheme = piece.partition("://")[0]
    if len(scheme) + 3 < len(piece) and scheme[-1:].isalnum():
        return True
    return _ADDRESS.fullmatch(piece) is not None or _is_ip(piece)


def _is_ip(piece: str) -> bool:
    match = _IP.fullmatch(piece)
    if match is None:
        return False
    try:
        ipaddress.ip_interface(match[1] or match[2])
    except ValueError:
        return False
    return True


def _without_trailing(text: str, start: int, end: int) -> int:
    """The end without the punctuation of the sentence around, unless a bracket opened inside."""
    counts = {sign: text.count(sign, start, end) for pair in _BRACKETS.items() for sign in pair}
    while end > start:
        last = text[end - 1]
        if last in _BRACKETS:
            if counts[_BRACKETS[last]] >= counts[last]:
                return end
            counts[last] -= 1
        elif last not in _TRAILING:
            return end
        end -= 1
    return end
