"""What survives in the units that stay: answers, links, marks, negations, numbers. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from proxy.compress import keep
from proxy.tokens import encoding
from proxy.train.devsets import Bools, Text
from proxy.train.words import NEGATIONS

Measure = Callable[[Sequence[Text], Sequence[Bools]], dict[str, float]]


def answers_kept(texts: Sequence[Text], keeps: Sequence[Bools]) -> dict[str, float]:
    """Shares of questions whose answer stays, and stays linked.

    An answer stays if one occurrence keeps all its content words; it is linked if the sentence of
    that occurrence also keeps half of the question's content words that stood there, and in
    ``linked all`` if it keeps every one.
    """
    whole = linked = strictly = total = 0
    for text, kept in zip(texts, keeps, strict=True):
        for question in text.questions:
            stay = [
                (len(link), int(kept[list(link)].sum()))
                for answer, link in zip(question.answers, question.links, strict=True)
                if kept[list(answer)].all()
            ]
            whole += bool(stay)
            linked += any(2 * there >= size for size, there in stay)
            strictly += any(there == size for size, there in stay)
            total += 1
    counts = {"answers": whole, "linked": linked, "linked all": strictly}
    return {name: count / max(total, 1) for name, count in counts.items()}


def marks_kept(texts: Sequence[Text], keeps: Sequence[Bools]) -> dict[str, float]:
    """On content words: F1 of kept against marked, and how much likelier the marked ones stay.

    ``lift`` is P(kept | marked) / P(kept); ``odds`` is P(kept | marked) / P(kept | not marked).
    """
    both = stay = mark = total = 0
    for text, kept in zip(texts, keeps, strict=True):
        both += int((kept & text.marked & text.content).sum())
        stay += int((kept & text.content).sum())
        mark += int((text.marked & text.content).sum())
        total += int(text.content.sum())
    inside, outside = both / max(mark, 1), (stay - both) / max(total - mark, 1)
    share = stay / max(total, 1)
    lifts = {"lift": inside / max(share, 1e-9), "odds": inside / max(outside, 1e-9)}
    return {"f1": 2 * both / max(stay + mark, 1), **lifts, "content kept": share}


def kinds_kept(texts: Sequence[Text], keeps: Sequence[Bools]) -> dict[str, float]:
    """Shares of negations and of units with a digit that stay."""
    seen: Counter[str] = Counter()
    stay: Counter[str] = Counter()
    for text, kept in zip(texts, keeps, strict=True):
        for unit, stays in zip(text.units.strings, kept.tolist(), strict=True):
            negation = unit.lower().replace("’", "'") in NEGATIONS
            digit = any(character.isdigit() for character in unit)
            for kind in ("negations",) * negation + ("numbers",) * digit:
                seen[kind] += 1
                stay[kind] += stays
    return {kind: stay[kind] / max(seen[kind], 1) for kind in ("negations", "numbers")}


def rate_reached(texts: Sequence[Text], keeps: Sequence[Bools]) -> float:
    """Share of the cl100k tokens that the shorter texts have left."""
    count = encoding().count
    after = sum(count(keep.join(text.units, kept)) for text, kept in zip(texts, keeps, strict=True))
    return after / max(sum(text.tokens for text in texts), 1)
