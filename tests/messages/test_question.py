"""What counts as the question of a message."""

from itertools import pairwise

from proxy.messages.question import question_marks

PROSE = (
    "The council met on Monday and heard three reports on the library. Mrs. Lee spoke first and "
    "described how the roof had leaked through the winter, and what the builders had offered to "
    "do about it. The second report dealt with the opening hours, which many readers found too "
    "short, above all in the evening and at the weekend. Several members wondered who would pay. "
    "The third report was put off until June, because its author had been taken ill. "
)
LONG = PROSE * 4
LINES = "\n".join(f"Ann: Point {i} is settled then.\nBob: I would say so, yes." for i in range(60))


def asked(text: str) -> list[str]:
    marks = question_marks(text)
    assert all(a.end < b.start for a, b in pairwise(marks))
    assert {m.reason for m in marks} <= {"question"}
    return [text[m.start : m.end] for m in marks]


def share(text: str) -> float:
    return sum(map(len, asked(text))) / len(text)


def test_rag_prompt_keeps_instruction_question_and_cue() -> None:
    text = (
        f"Answer the question using the context.\n\nContext:\n{LONG}\n\n"
        "Question: Who would pay for the roof?\n\nAnswer:"
    )
    assert asked(text) == [
        "Answer the question using the context.",
        "Question: Who would pay for the roof?",
        "Answer:",
    ]


def test_labelled_question_in_the_middle_is_found() -> None:
    text = f"{LONG}\n\nQuestion: Who pays?\nOptions: A) us B) them\n\n{LONG}"
    assert "Question: Who pays?\nOptions: A) us B) them" in asked(text)


def test_block_ends_before_another_label() -> None:
    text = f"{LONG}\nUser question: Who pays?\nContext: {LONG}\n{LONG}"
    assert "User question: Who pays?" in asked(text)


def test_labels_of_all_kinds() -> None:
    headings = ("## Question\n\n", "# Task\n", "**Instructions**\n", "### User Question:\n")
    for label in (
        *"Question: Query: Q: Task: Instructions: Instruction: Prompt: Problem:".split(),
        *("**Question:**", "> Question 2:", "QUESTION :", "Your task:", "User question:", "问题："),
        *headings,
    ):
        text = f"{LONG}\n\n{label} tell me who pays\n\n{LONG}"
        assert f"{label} tell me who pays" in asked(text), label


def test_label_without_text_holds_the_next_paragraph() -> None:
    text = f"{LONG}\n\nQuestion:\n\nWho pays for it?\n\n{LONG}"
    assert "Question:\n\nWho pays for it?" in asked(text)


def test_list_of_instructions_goes_on_over_blank_lines() -> None:
    block = "Instructions:\n1. Read all of it.\n\n2. Be brief.\n\n3. Name the source."
    assert block in asked(f"{LONG}\n\n{block}\n\n{LONG}")


def test_section_under_a_heading_ends_at_the_next_heading() -> None:
    section = "## Task\n\nFind who pays.\n\nName the sum."
    text = f"# Report\n\n{LONG}\n\n{section}\n\n## Context\n\n{LONG}\n\n{LONG}"
    assert section in asked(text)


def test_label_before_a_document_does_not_swallow_it() -> None:
    assert share(f"Task: Summarise this. {LONG * 5}") < 0.1
    assert asked(f"Task: Summarise this. {LONG * 5}")[0].startswith("Task: Summarise this.")


def test_question_tags_are_kept_with_their_content() -> None:
    text = f"<doc>{LONG}</doc>\n<question>\nWho pays?\n\nWhen?\n</question>\n<doc>{LONG}</doc>"
    assert any("<question>\nWho pays?\n\nWhen?\n</question>" in a for a in asked(text))
    assert share(text) < 0.3


def test_an_open_tag_holds_its_paragraph() -> None:
    assert "<query>who pays" in asked(f"{LONG}\n\n<query>who pays\n\n{LONG}")


def test_label_in_the_middle_of_a_line_is_found() -> None:
    text = f"Context: {LONG} Question: Who pays? Answer: {LONG}"
    assert "Question: Who pays?" in asked(text)


def test_document_then_question() -> None:
    assert asked(f"{LONG}\n\nWho would pay for the roof?")[-1] == "Who would pay for the roof?"


def test_question_then_document() -> None:
    text = f"Who would pay for the roof?\n\n{LONG}"
    assert asked(text)[0] == "Who would pay for the roof?"
    assert share(text) < 0.3


def test_greeting_and_thanks_do_not_hide_the_question() -> None:
    text = f"Hi,\n\nwho would pay for the roof\n\n{LONG}\n\nPlease be brief in this\n\nThanks!"
    assert asked(text) == [
        "Hi,",
        "who would pay for the roof",
        "Please be brief in this",
        "Thanks!",
    ]


def test_question_within_a_long_paragraph_is_found() -> None:
    text = f"{PROSE}What did Mrs. Lee say about the roof? {PROSE}"
    assert "What did Mrs. Lee say about the roof?" in asked(text)


def test_huge_paragraph_keeps_its_first_and_last_sentence() -> None:
    text = "Summarise what follows. " + PROSE * 40 + "Write two sentences."
    assert asked(text) == ["Summarise what follows.", "Write two sentences."] or share(text) < 0.05
    assert asked(text)[0].startswith("Summarise what follows.")
    assert asked(text)[-1].endswith("Write two sentences.")


def test_transcript_by_lines_is_not_swallowed() -> None:
    text = f"Summarise the meeting\n{LINES}\nName who said what"
    assert asked(text)[0] == "Summarise the meeting"
    assert asked(text)[-1] == "Name who said what"
    assert share(text) < 0.05


def test_hard_wrapped_text_keeps_whole_sentences() -> None:
    words = ("Please tell me in short what is\nwritten here. " + PROSE * 3).split(" ")
    text = "\n".join(" ".join(words[i : i + 9]) for i in range(0, len(words), 9))
    assert asked(text)[0].startswith("Please tell me in short what is\nwritten here.")


def test_line_breaks_of_windows_and_no_final_newline() -> None:
    text = f"Context:\r\n{LONG}\r\n\r\nQuestion: Who pays?\r\n\r\nAnswer:"
    assert asked(text)[-2:] == ["Question: Who pays?", "Answer:"]


def test_chinese_question_is_found() -> None:
    prose = "委员会星期一开会，听取了关于图书馆的三份报告。" * 60
    assert asked(prose + "谁来付钱？" + prose[:100])[-1] != ""
    assert any(a.endswith("谁来付钱？") for a in asked(prose + "谁来付钱？"))
    assert share(prose + "谁来付钱？") < 0.1


def test_short_message_is_all_question() -> None:
    assert asked("who pays") == ["who pays"]
    assert asked(" \n") == []
    assert asked("") == []


def test_text_of_one_endless_word_holds_no_question() -> None:
    assert asked("x" * 5000) == []
