"""E-mail: headers as blocks, and the lines between messages."""

from proxy.messages.mail import mail_headers, mail_lines

HEADERS = (
    "From: Ines <i@example.org>\nTo: Per\nDate: Tue, 4 Feb 2025 09:12:44 +0100\nSubject: Re: Water"
)


def test_headers_are_found_with_the_lines_that_they_are_folded_over() -> None:
    folded = (
        "Received: from a.example\n\tby b.example; Tue, 4 Feb 2025\nX-Spam-Score: 0\n" + HEADERS
    )
    for block in (HEADERS, folded, "**From:** Ines\n**Subject:** Water", "> From: Ines\n> To: Per",
                  "Von: Ines\nGesendet: Montag\nBetreff: Wasser"):  # fmt: skip
        text = f"See below.\n\n{block}\n\nDear Per,\nthank you."
        assert [text[m.start : m.end].strip() for m in mail_headers(text)] == [block]


def test_labels_in_prose_are_no_headers() -> None:
    for text in (
        "From: the desk of Ines\n\nTo: Per",
        "To: do\nCc: later\n",
        "Date: 5 May\nPlace: here",
    ):
        assert mail_headers(text) == (), text


def test_the_lines_between_two_messages_are_found() -> None:
    lines = [
        "On Mon, Feb 3, 2025 at 5:40 PM Ines Okafor <i@example.org> wrote:",
        "On Mon, Feb 3, 2025 at 5:40 PM Ines Okafor\n<i@example.org> wrote:",
        "Am 03.02.2025 um 17:40 schrieb Ines Okafor:",
        "-----Original Message-----",
        "---------- Forwarded message ----------",
        "Begin forwarded message:",
        "________________________________",
    ]
    for line in lines:
        text = f"Thank you.\n\n{line}\n> Dear Per,\n"
        assert [text[s:e] for s, e in mail_lines(text)] == [line]
    text = "Thank you.\n-- \nTom Marsh\n"
    assert [text[s:e] for s, e in mail_lines(text)] == ["--"]
    assert list(mail_lines("On the whole I would say that she wrote well -- or did she?")) == []
