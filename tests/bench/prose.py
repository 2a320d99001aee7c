"""Plain prose of any length, made up the same way every time, free of anyone's rights."""

from __future__ import annotations

import random

from proxy.tokens import encoding

_WHO = (
    "the committee|a member of the audience|the harbour master|Mrs Albright|the second engineer|"
    "our supplier in Rotterdam|the youngest of the clerks|the council|Dr Okafor|a neighbour|"
    "the finance team|nobody on the board|the librarian|the people from the survey"
).split("|")
_DID = (
    "agreed to postpone|did not mention|had already described|was careful to measure|asked about|"
    "could hardly remember|paid for|refused to sign|explained at some length|wrote a letter about|"
    "will report on|compared|hoped to finish|quietly dropped"
).split("|")
_WHAT = (
    "the new warehouse|the repairs of the eastern bridge|last year's figures|the water supply|"
    "the timetable|a cheaper kind of insulation|the agreement of 1987|the broken turbine|"
    "the missing invoices|the election of a treasurer|the noise at night|the training programme|"
    "the third draft of the report|some 4,200 tonnes of gravel"
).split("|")
_WHEN = (
    "on the following Tuesday|before the winter|because the budget allowed no more|"
    "as far as anyone could tell|although the minutes say otherwise|in spite of the rain|"
    "without waiting for the auditors|while the others were at lunch|for the first time since May|"
    "with unexpected patience|when the results came in|to everyone's relief|more than once"
).split("|")
_LINK = (
    "|However,|After that,|In other words,|At the same time,|As a result,|Of course|Still,".split(
        "|"
    )
)


def prose(tokens: int, seed: int = 0) -> str:
    """English paragraphs of about so many cl100k tokens."""
    dice = random.Random(seed)
    paragraphs: list[str] = []
    size = 0
    while size < tokens:
        paragraph = " ".join(_sentence(dice) for _ in range(dice.randint(4, 9)))
        paragraphs.append(paragraph)
        size += encoding("cl100k_base").count(paragraph) + 1
    return "\n\n".join(paragraphs)


def _sentence(dice: random.Random) -> str:
    parts = [dice.choice(words) for words in (_LINK, _WHO, _DID, _WHAT, _WHEN)]
    if dice.random() < 0.4:
        parts[-1] += f", and {dice.choice(_WHO)} {dice.choice(_DID)} {dice.choice(_WHAT)}"
    text = " ".join(part for part in parts if part)
    return text[0].upper() + text[1:] + "."
