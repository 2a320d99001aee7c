"""Spans of running text that must stay."""

import pytest

from proxy.messages.protect import CLASSES, protected


def found(text: str, name: str) -> list[str]:
    return [text[m.start : m.end] for m in protected(text, [name])]


@pytest.mark.parametrize(
    "number",
    [
        "7", "-5", "+3", "±2", "3.5", ".5", "10,000", "1'000", "1 000 000", "$10,000.50", "€ 5",
        "US$ 5 million", "EUR 20", "20 €", "12%", "12 percent", "5°C", "3.5GHz", "3 kg", "90 km/h",
        "10 years", "2024-05-01", "12/03/2024", "12 March 2024", "March 3", "3rd", "10:30",
        "10:30 am", "1990s", "1990–1995", "v1.2.3-beta.1", "3.x", "B2B", "GPT-4", "H2O", "MP3",
        "covid-19", "3-year-old", "#123", "No. 5", "1e-5", "2x4", "½1", "Fig.4", "~30", "٣٤",
        "T-1000", "½", "1 ½", "10^-3", "2**8", "10⁻³", "minus 21 degrees", "Minus $4", "plus 7",
        "< 0.05", ">= 3.8", "!= 4.0", "≥ 5", "± 2 percent", "-> 80%", "= 12",
    ],
)  # fmt: skip
def test_number_is_whole(number: str) -> None:
    assert found(f"word ({number}) and {number}, then {number}.", "numbers") == [number] * 3


def test_operators_between_numbers_are_parts_of_them() -> None:
    text = "so 12 - 5 = 7, 3 + 4, 2 x 10^-5 and 40% / (8) * 2 but a - 5"
    assert [n.strip() for n in found(text, "numbers")] == [
        "12", "- 5", "= 7", "3", "+ 4", "2", "x 10^-5", "40%", "8", "* 2", "5",
    ]  # fmt: skip


def test_marks_of_lists_and_quotations_are_no_signs() -> None:
    assert found("- 5 a\n* 6 b\n+ 7 c\n> 8 d\n  - 9 e", "numbers") == ["5", "6", "7", "8", "9"]


def test_number_between_ideographs_leaves_them_free() -> None:
    assert found("我们在2024年5月见面", "numbers") == ["2024年", "5月"]


def test_words_without_a_digit_are_no_numbers() -> None:
    assert found("three first state-of-the-art May March $ % - and a.b", "numbers") == []


@pytest.mark.parametrize(
    "url",
    [
        "https://en.wikipedia.org/wiki/A_(b)", "http://x.y:80/z?a=b&c=%20#d", "www.example.net/a",
        "s3://bucket/key", "first.last+tag@ex-ample.co.uk", "10.0.0.1", "10.0.0.1:8080",
        "10.0.0.0/8", "fe80::1", "2001:db8:0:0:0:0:0:1", "example.com", "docs.example.org/a?b=c",
        "/usr/local/bin", "~/.bashrc", "./run.sh", "../a/b", "/etc/hosts", "src/main.py",
        "src/main.py:12", "config.yaml", "data/raw/", "C:\\Users\\me\\a.txt", "\\\\host\\share",
        "README.md", "archive.tar.gz", "mailto:a@b.io",
    ],
)  # fmt: skip
def test_address_is_whole_without_the_punctuation_around(url: str) -> None:
    text = f"See {url}, ({url}) or <{url}>; at last {url}."
    assert found(text, "urls") == [url] * 4


def test_what_only_looks_like_an_address_is_none() -> None:
    text = (
        "and/or he/she TCP/IP e.g. this, i.e. that. std::vector @home 24/7 a.b End.Start 1:30 ://"
    )
    assert found(text, "urls") == []


def test_negations_in_all_forms() -> None:
    text = (
        "No, not NOT none nor never Neither nothing nobody nowhere cannot without unless except "
        "hardly barely scarcely can't don’t WON'T isn't shan't dont ain't doesn't"
    )
    assert found(text, "negations") == text.replace(",", "").split()


def test_words_that_hold_a_negation_are_none() -> None:
    assert (
        found("know note another nonetheless want went Norway exceptional cant's it's", "negations")
        == []
    )


def test_negations_beside_ideographs_are_words() -> None:
    text = "中文without文 isn't中 也not也 nota中"
    assert found(text, "negations") == ["without", "isn't", "not"]


def test_negation_cut_off_its_verb_is_found() -> None:
    assert found("they do n't say , and that 's all", "negations") == ["n't"]


def test_negation_with_another_short_form_is_found() -> None:
    text = "wouldn't've couldn’t’ve never'd nobody's nothing’s"
    assert found(text, "negations") == ["wouldn't", "couldn’t", "never", "nobody", "nothing"]


def test_negation_in_quotes_is_found() -> None:
    assert found("he said 'not' and \"never\"", "negations") == ["not", "never"]


@pytest.mark.parametrize(
    "quote",
    [
        '"a b c"',
        "“a b”",
        "«a b»",
        "„a b“",
        "「你好」",
        "'a b'",
        "'it's fine'",
        "‘so’",
        '"two\nlines"',
    ],
)
def test_quotation_is_whole(quote: str) -> None:
    assert found(f"He said {quote}, then {quote}.", "quotes") == [quote] * 2


def test_what_only_looks_like_a_quotation_is_none() -> None:
    for text in (
        'a 5" disk and a 3" disk',
        "the dogs' and the cats' food",
        "don't and won't",
        'open "but never closed',
        '"a\n\nb"',
        '"' + "long " * 60 + '"',
    ):
        assert found(text, "quotes") == [], text


def test_inline_code_is_kept() -> None:
    text = "run `rm -rf`, ``a ` b`` `over\nlines` but not `over\n\nparagraphs`"
    assert found(text, "code") == ["`rm -rf`", "``a ` b``", "`over\nlines`"]


def test_only_the_named_classes_are_found() -> None:
    text = '- not 5 "q" http://a.b `c`'
    assert [m.reason for m in protected(text, ["numbers"])] == ["number"]
    assert [m.reason for m in protected(text, [])] == []
    assert [m.reason for m in protected(text, list(CLASSES))] == [
        "negation", "number", "quote", "url", "code",
    ]  # fmt: skip


def test_number_within_a_quotation_belongs_to_it() -> None:
    assert [m.reason for m in protected('say "5 of 7"', ["numbers", "quotes"])] == ["quote"]


@pytest.mark.parametrize(
    "formula",
    ["$x^2 + y_1 \\neq 0$", "$x$", "$a - b = c$", "$$\\int_0^1 f(x)\\,dx\n= -3$$",
     "\\(f(x) = -x\\)", "\\[E = mc^2\\]", "\\begin{align}a&=b\\\\c&\\not=d\\end{align}",
     "$p < 0.05$"],
)  # fmt: skip
def test_formula_is_whole(formula: str) -> None:
    text = f"It holds that {formula}, and {formula} too."
    assert found(text, "code") == [formula] * 2


def test_prices_and_variables_are_no_formulas() -> None:
    text = "It cost $5 or $6, then $7 = US$ 8; set $HOME and $PATH to a_b. C:\\dir\\(x) \\[ and"
    assert found(text, "code") == []


@pytest.mark.parametrize(
    "text", ["$a=" * 50_000, "\\(" * 50_000, "\\begin{a}" * 20_000, "$$x" * 50_000]
)
def test_hostile_formulas_end(text: str) -> None:
    found(text, "code")
