"""The frozen values that travel between the stages of a request. Knows nothing of any stage.

All offsets are in characters (Unicode code points) of the original text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.spans import Span

__all__ = [
    "Compressed",
    "Context",
    "Decision",
    "Escape",
    "Mark",
    "Passage",
    "Region",
    "Rules",
    "Span",
]


@dataclass(frozen=True, slots=True)
class Mark:
    """A span of a text that must survive, and why ("question", "code", "number", ...)."""

    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class Region:
    """A span of a text with a budget of its own: a tagged span, a string of a JSON document."""

    start: int
    end: int
    rate: float | None = None
    """Share of its tokens to keep; ``None`` for that of the text."""


@dataclass(frozen=True, slots=True)
class Escape:
    r"""A span that stands for one other character, which the classifier reads in its place.

    It is kept or dropped whole: ``\n`` or ``\u00e9`` in a string of a JSON document.
    """

    start: int
    end: int
    char: str


@dataclass(frozen=True, slots=True)
class Context:
    """A span of a text that may go as a whole: a document, a paragraph."""

    start: int
    end: int
    stays: bool = False
    """Whether it must not: something in it has to be kept."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One text of one message: the unit that is compressed, and what in it may be touched.

    ``intact`` blocks are cut out before scoring and do not count towards the rate (the question,
    code, JSON, tables). ``forced`` spans are read by the classifier with their surroundings,
    always stay, and count towards the rate (numbers, negations, URLs, quotes). Both are sorted
    and free of overlap, and every marked span comes out byte for byte. ``dropped`` spans (obeyed
    tags) are neither read nor sent, whatever else happens; no other mark overlaps them. Each of
    the ``regions`` has its own rate and budget, and something of it stays. A passage with a
    ``reason`` is left alone as a whole.
    """

    message: int
    """Index in the request's list of messages."""
    part: int | None
    """Index in the message's list of parts; ``None`` where the content is a plain string."""
    role: str
    text: str = field(repr=False)
    intact: tuple[Mark, ...] = ()
    forced: tuple[Mark, ...] = ()
    reason: str = ""
    dropped: tuple[Mark, ...] = ()
    regions: tuple[Region, ...] = ()
    escapes: tuple[Escape, ...] = ()
    documents: tuple[Span, ...] = ()
    """JSON documents of which strings may become shorter."""
    contexts: tuple[Context, ...] = ()
    """Spans that may go as a whole, and then with all marks in them; sorted, free of overlap."""
    key: bytes = field(default=b"", compare=False)
    """Hash of all that the passage was made from; empty if nothing is to be remembered of it."""
    sha256: str = field(default="", compare=False)
    """Of the text, where it is known already."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How words are scored and chosen: LLMLingua-2's parameters, under its own names.

    See arXiv 2403.12968 and the package ``llmlingua`` 0.2.2. ``rate`` and ``target_tokens`` are
    not here because they change from text to text.
    """

    force_tokens: tuple[str, ...] = ()
    force_patterns: tuple[str, ...] = ()
    force_reserve_digit: bool = False
    drop_consecutive: bool = False
    chunk_end_tokens: tuple[str, ...] = (".", "\n")
    token_to_word: str = "mean"
    """``mean`` or ``first``: a word's score from the scores of its tokens."""
    threshold: float | None = None
    """Keep words with P(keep) at or above this, whatever the rate would be."""
    budget: str = "global"
    """``global``: one budget over all windows; ``window``: the package's percentile in each."""
    context_rate: float | None = None
    """Share of the contexts to keep (theirs: ``context_level_rate``)."""
    target_context: int | None = None
    """Number of contexts to keep at most."""
    keep_labels: bool = False
    """Whether the label that opens a line (``Ines:``), or the key of a list's item, stays as long
    as a word under it does."""
    keep_list_marks: bool = False
    """Whether the mark of a list's item stays as long as a word of the item does."""
    keep_quote_marks: bool = False
    """Whether the mark of a quoted line stays as long as a word of the line does."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """A text after compression: ``text`` is the concatenation of the input's ``kept`` spans."""

    text: str = field(repr=False)
    kept: Sequence[Span]
    tokens_before: int
    tokens_after: int
    reason: str
    """Empty if words were dropped; else why not ("short", "language", "no saving", ...)."""
    model: str = ""
    ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds per stage: tokenize, score, select."""
    cache: str = "off"
    """Whether its scores came from the cache: ``hit``, ``partial``, ``miss``, or ``off`` where
    none were asked for."""

    @property
    def rate(self) -> float:
        """Share of tokens kept, in [0, 1]; 1.0 for an empty text."""
        return self.tokens_after / self.tokens_before if self.tokens_before else 1.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What was done with one passage, in numbers and words but without its text."""

    message: int
    part: int | None
    role: str
    action: str
    """``compressed`` or ``unchanged``."""
    reason: str
    tokens_before: int
    tokens_after: int
    sha256_before: str
    """Of the text in UTF-8, 64 hex digits."""
    sha256_after: str
    """Of the text as it would be sent; in shadow mode the original goes out all the same."""
    kept: Sequence[Span]
    """The mask: what of the text stays. Empty for an unchanged text, of which all stays."""
    spans: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What was protected, by its class: ``{"number": {"forced": 3, "characters": 12}}``.

    ``intact`` and ``forced`` count spans, as ``Passage`` tells them apart.
    """
