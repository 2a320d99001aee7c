"""How each data set is asked and scored: data, in our own words.

The context stands in the middle with the question after it, as in the benchmarks, and the longest
answers are the benchmarks' own.
"""

from __future__ import annotations

from proxy.train.tasks_example import Prompt

_QA = ("f1", "exact")
_ROUGE = ("rougeL", "rouge1", "rouge2")
_SHORT = "Reply with the answer alone: no sentence around it, no explanation."
_KURZ_ZH = "只写答案，不要解释。"

MEETINGBANK_QA = {
    "meetingbank-qa": Prompt(
        "Below is the transcript of a meeting; words may be missing from it. Use it to answer the "
        "question at the end.\n\n{context}\n\nQuestion: {input}\nAnswer:",
        ("found", "f1", "exact"),
        100,
        first_line=True,
    )
}
MEETINGBANK_SUMMARY = {
    "meetingbank-summary": Prompt(
        "Below is the transcript of a meeting; words may be missing from it. Sum up what was said "
        "and decided.\n\n{context}\n\nSummary of the meeting:",
        ("rouge1", "rouge2", "rougeL"),
        400,
    )
}


def _about(kind: str, tokens: int, extra: str = "") -> Prompt:
    return Prompt(
        f"Read {kind} and answer the question that follows.{extra} {_SHORT}\n\n{{context}}\n\n"
        f"That was {kind}. {_SHORT}{extra}\n\nQuestion: {{input}}\nAnswer:",
        _QA,
        tokens,
    )


def _summary(kind: str, query: str = "") -> Prompt:
    if query:
        text = f"Read {kind}, then {query}.\n\n{{context}}\n\nRequest: {{input}}\nAnswer:"
    else:
        text = f"Summarise {kind} on one page.\n\n{{context}}\n\nOne-page summary:"
    return Prompt(text, _ROUGE, 512)


def _few_shot(task: str, scores: tuple[str, ...], tokens: int) -> Prompt:
    text = f"{task} Examples come first, the one to do comes last.\n\n{{context}}\n{{input}}"
    return Prompt(text, scores, tokens, first_line=True)


_YES_NO = (
    ' To a question of yes or no answer "yes" or "no"; if the article does not tell, answer '
    '"unanswerable".'
)
_PASSAGES = "these passages"

LONGBENCH = {
    "narrativeqa": _about("this story, a book or a film script,", 128),
    "qasper": _about("this scientific article", 128, _YES_NO),
    "multifieldqa_en": _about("this text", 64),
    "multifieldqa_zh": Prompt(
        "请阅读文章，然后用中文简短回答后面的问题。\n\n{context}\n\n"
        + _KURZ_ZH
        + "\n\n问题：{input}\n答案：",
        _QA,
        64,
    ),
    "hotpotqa": _about(_PASSAGES, 32),
    "2wikimqa": _about(_PASSAGES, 32),
    "musique": _about(_PASSAGES, 32),
    "dureader": Prompt(
        "请根据下列文章回答后面的问题。\n\n{context}\n\n问题：{input}\n答案：", _ROUGE, 128
    ),
    "gov_report": _summary("this report of a government agency"),
    "qmsum": _summary(
        "this transcript of a meeting", "do what the request says, in a few sentences"
    ),
    "multi_news": _summary("these news articles, all of them together,"),
    "vcsum": Prompt("请总结下列会议记录的内容。\n\n{context}\n\n总结：", _ROUGE, 512),
    "trec": _few_shot("Name the type of each question.", ("class",), 64),
    "triviaqa": _few_shot(f"Answer the question after each passage. {_SHORT}", _QA, 32),
    "samsum": _few_shot("Sum up each dialogue in a few short sentences.", _ROUGE, 128),
    "lsht": Prompt(
        "请判断最后一篇新闻的类别，前面是例子。\n\n{context}\n{input}", ("class",), 64, True
    ),
    "passage_count": Prompt(
        "Some of the paragraphs below occur more than once. Count the different ones.\n\n{context}"
        "\n\nReply with one number, nothing else. Number of different paragraphs:",
        ("count",),
        32,
    ),
    "passage_retrieval_en": Prompt(
        "Below are numbered paragraphs and, after them, a summary of one of them.\n\n{context}\n\n"
        'Summary: {input}\n\nWhich paragraph does it sum up? Reply in the form "Paragraph 7".\n'
        "Answer:",
        ("count",),
        32,
    ),
    "passage_retrieval_zh": Prompt(
        "下面是编号的段落，最后是其中一段的摘要。\n\n{context}\n\n摘要：{input}\n\n"
        "这个摘要出自哪一段？请按“段落7”的格式回答。\n答案：",
        ("count",),
        32,
    ),
    "lcc": Prompt(
        "Continue this program. Write its next line of code and no more.\n\n{context}"
        "\nNext line of code:\n",
        ("code",),
        64,
    ),
    "repobench-p": Prompt(
        "Continue the program at the end. Write its next line of code and no more.\n\n{context}"
        "{input}\nNext line of code:\n",
        ("code",),
        64,
    ),
}
"""LongBench's 21 data sets (arXiv 2308.14508, table 1)."""

# Their inputs hold their instructions already, so nothing is put around them but this.
_ALONE = Prompt(_SHORT + "\n\n{context}", _QA, 128)


def _scrolls(score: str, tokens: int) -> Prompt:
    return Prompt(_ALONE.text, (score, "exact"), tokens)


_SCROLLS_SUMMARY = ("rouge", *_ROUGE)

ZERO_SCROLLS = {
    "gov_report": Prompt("{context}", _SCROLLS_SUMMARY, 1024),
    "summ_screen_fd": Prompt("{context}", _SCROLLS_SUMMARY, 512),
    "qmsum": Prompt("{context}", _SCROLLS_SUMMARY, 512),
    "squality": Prompt("{context}", _SCROLLS_SUMMARY, 512),
    "qasper": _ALONE,
    "narrative_qa": Prompt(_ALONE.text, _QA, 64),
    "musique": Prompt(_ALONE.text, _QA, 32),
    "quality": _scrolls("option", 10),
    "space_digest": _scrolls("closeness", 36),
    "book_sum_sort": _scrolls("order", 256),
}
"""ZeroSCROLLS's ten data sets (arXiv 2305.14196, table 1)."""

GSM8K = {
    "gsm8k": Prompt(
        "Here are solved problems; words may be missing from them. Solve the last one in the same "
        'way and end with "The answer is" and the number.\n\n{context}\n\nQuestion: {input}\n'
        "Let's think step by step\n",
        ("number",),
        400,
    )
}

_OPTIONS = (
    "date_understanding disambiguation_qa geometric_shapes hyperbaton "
    "logical_deduction_five_objects logical_deduction_seven_objects "
    "logical_deduction_three_objects movie_recommendation penguins_in_a_table "
    "reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks "
    "temporal_sequences tracking_shuffled_objects_five_objects "
    "tracking_shuffled_objects_seven_objects tracking_shuffled_objects_three_objects"
).split()
_FREE = (
    "boolean_expressions causal_judgement dyck_languages formal_fallacies multistep_arithmetic_two "
    "navigate object_counting sports_understanding web_of_lies word_sorting"
).split()
_STEPS = "{context}\n\nQ: {input}\nA: Let's think step by step.\n"

BBH = {
    name: Prompt(_STEPS, ("answer",), 800 if name == "geometric_shapes" else 400)
    for name in sorted((*_OPTIONS, *_FREE))
}
"""BIG-Bench Hard's 27 data sets (arXiv 2210.09261); their descriptions come with the examples."""
