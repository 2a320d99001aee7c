"""Surface words and sentences as character offsets, and the word lists that the labels know.

The labels, the baselines and the scores all speak of the same words, cut here from the
original text, so that nothing in training sees another text than inference does.
"""

import re
from collections.abc import Sequence

Span = tuple[int, int]

#: A tag such as ``{disfmarker}``, a word with its inner joints (3.5, it's, B2B-like), or one sign.
_WORD = re.compile(r"\{\w+\}|\w+(?:['’.,:/@&_-]\w+)*|[^\w\s]")
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*\s+|\n+")
_SPEAKER = re.compile(r"^[A-Z][^:\n]{0,40}:", re.MULTILINE)

NEGATIONS = frozenset(
    "no not nor never none nobody nothing nowhere neither cannot without hardly scarcely barely "
    "unless except don't doesn't didn't won't wouldn't can't couldn't shouldn't mustn't isn't "
    "aren't wasn't weren't haven't hasn't hadn't needn't ain't n't".split()
)
STOPWORDS = frozenset(
    "a an the this that these those i me my mine myself we us our ours ourselves you your yours "
    "yourself he him his himself she her hers herself it its itself they them their theirs "
    "themselves one's and or but if then else so because as until while of at by for with about "
    "against between into through during before after above below to from up down in out on off "
    "over under again further once here there when where why how what which who whom whose is am "
    "are was were be been being have has had having do does did doing done can could may might "
    "must shall should will would ought all any both each few more most other some such only own "
    "same than too very just also even still yet now s t ll re ve d m o it's i'm i'll i've i'd "
    "you're you'll you've we're we'll we've they're they'll they've he's she's that's there's "
    "what's let's not no nor don't doesn't didn't won't wouldn't can't couldn't shouldn't isn't "
    "aren't wasn't weren't haven't hasn't hadn't".split()
)
FILLERS = frozenset(
    "um uh er erm eh ah oh hmm hm mm mhm huh yeah yep yup okay ok well anyway basically actually "
    "really quite just simply like sort kind mean know right alright gonna wanna so very indeed "
    "moreover furthermore however therefore thus hence perhaps rather somewhat essentially "
    "literally obviously clearly certainly".split()
)

VERBS = frozenset(
    "went gone wrote written took taken gave given made said held won led built born became "
    "become began begun known knew found left lost met paid put ran run rose risen sang "
    "sung saw seen sent set shot showed shown sold spent stood spoke spoken struck swore "
    "taught thought threw thrown told understood wore worn brought bought broke broken "
    "caught chose chosen came cut dealt drew drawn drove driven fell fallen fed felt fought "
    "flew flown forgot got grew grown hit hung kept laid lay let lit meant read rode ridden "
    "sat slept stole stolen stuck swam swept torn withdrew bred fled sought wound dies died "
    "plays want wants need needs think thinks say says agree agrees decide decides means "
    "makes make take takes gives give find finds keep keeps gets get becomes include "
    "includes contains consists remains begins starts ends lives works refers causes uses "
    "allows produces occurs happens".split()
)
"""Verbs that no ending tells: irregular forms, and common ones of the present."""
_VERB_END = re.compile(r"[a-z]{3,}(?:ed|ing)")


def words_of(text: str) -> list[Span]:
    """Offsets of the surface words of `text`, signs standing alone, in order."""
    return [match.span() for match in _WORD.finditer(text)]


def sentences_of(text: str, words: Sequence[Span], longest: int = 64) -> list[int]:
    """The sentence number of each word; a sentence of over `longest` words is cut there."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    numbers: list[int] = []
    sentence, length, next_end = 0, 0, 0
    for start, _ in words:
        passed = False
        while next_end < len(ends) and ends[next_end] <= start:
            next_end += 1
            passed = True
        if numbers and (passed or length >= longest):
            sentence, length = sentence + 1, 0
        numbers.append(sentence)
        length += 1
    return numbers


def speakers_of(text: str) -> list[Span]:
    """Spans of the ``Name:`` that opens a turn in a transcript."""
    return [match.span() for match in _SPEAKER.finditer(text)]


def is_sign(word: str) -> bool:
    """Whether `word` has no letter and no digit, or is a transcript's tag."""
    return word.startswith("{") or not any(character.isalnum() for character in word)


def is_content(word: str) -> bool:
    """Whether `word` carries meaning of its own: neither sign nor stop word."""
    return not is_sign(word) and word.lower().replace("’", "'") not in STOPWORDS


def is_verb(word: str) -> bool:
    """Whether `word` looks like a verb; of its bare forms only the common ones do."""
    return word in VERBS or bool(_VERB_END.fullmatch(word))


def stem(word: str) -> str:
    """A crude stem, the first six letters in lower case: equal stems count as a repetition."""
    return word.lower()[:6]
