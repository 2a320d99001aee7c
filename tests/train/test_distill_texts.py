"""What a teacher is asked about and what its answers are: chunks, clean pairs, faults."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.train.chunks import chunks, sentences
from proxy.train.distill_prompt import clean, fault
from tests.train.distilling import COUNT


class TestChunks:
    @given(st.text(max_size=400), st.integers(1, 40))
    def test_joined_chunks_are_the_text(self, text: str, limit: int) -> None:
        spans = chunks(text, COUNT, limit)
        assert "".join(text[a:b] for a, b in spans) == text
        assert all(a < b for a, b in spans)

    @given(st.lists(st.sampled_from(["a", "word", ".", "\n", " ", "3.5", "Dr.", "go!"])))
    def test_no_chunk_of_short_words_is_over_the_limit(self, parts: list[str]) -> None:
        text = " ".join(parts)
        assert all(COUNT(text[a:b]) <= 12 for a, b in chunks(text, COUNT, 12))

    def test_chunks_end_at_sentence_ends(self) -> None:
        text = "Dr. J. Smith paid 3.5 million. He left at 5 p.m. sharp! Did he? Yes. " * 30
        spans = chunks(text, COUNT, 100)
        assert len(spans) > 3
        assert all(text[a:b].rstrip()[-1] in ".!?" for a, b in spans)
        assert all(text[a:b].startswith(("Dr.", "He", "Did", "Yes")) for a, b in spans)

    def test_abbreviations_end_no_sentence(self) -> None:
        text = "See Fig. 3, e.g. Mr. Smith vs. Dr. Who. Then J. R. left… for good. End."
        found = [text[a:b].strip() for a, b in sentences(text)]
        assert found == [
            "See Fig. 3, e.g. Mr. Smith vs. Dr. Who.",
            "Then J. R. left… for good.",
            "End.",
        ]

    def test_long_sentence_is_cut_between_words(self) -> None:
        text = "alpha beta-gamma http://example.org/a/b,c 10,000 " * 40
        spans = chunks(text, COUNT, 50)
        words = [word for a, b in spans for word in text[a:b].split()]
        assert words == text.split()
        assert max(COUNT(text[a:b]) for a, b in spans) <= 50

    def test_chinese_is_cut_at_its_full_stops_and_between_characters(self) -> None:
        text = "今天天气很好。我们去公园散步。" * 10
        assert all(text[a:b].endswith("。") for a, b in chunks(text, COUNT, 60))
        assert len(chunks("好" * 300, COUNT, 60)) > 4

    def test_word_over_the_limit_stays_whole(self) -> None:
        text = "Before it. " + "x1" * 300 + " after it."
        assert "x1" * 300 in {text[a:b].strip() for a, b in chunks(text, COUNT, 40)}

    def test_text_without_white_space_ends(self) -> None:
        for text in ("." * 50_000, "a," * 20_000, " " * 50_000, "\n" * 50_000):
            assert "".join(text[a:b] for a, b in chunks(text, COUNT, 512)) == text


class TestAnswers:
    def test_wrappings_are_taken_off_unless_the_text_had_them(self) -> None:
        assert clean("<think>hm</think>\nHere is the shortened text:\n\na b", "a c b") == "a b"
        assert clean("```text\na b\n```", "a c b") == "a b"
        assert clean("Compressed: a b", "Compressed: a c b") == "Compressed: a b"

    def test_refusals_are_told_from_texts_that_begin_like_one(self) -> None:
        refusal = "I'm sorry, but I can't help with shortening this material."
        assert fault(refusal, "The council met on Monday to vote.", "stop", False)
        assert not fault("Sorry I late.", "Sorry that I am late.", "stop", False)
        assert fault("anything", "anything at all", "content_filter", False)
        assert fault("anything", "anything at all", "stop", True)

    @given(st.text(), st.text())
    def test_any_answer_is_judged(self, answer: str, original: str) -> None:
        assert isinstance(fault(clean(answer, original), original, "stop", False), str)
