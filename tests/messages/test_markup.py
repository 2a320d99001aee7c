"""HTML and XML."""

from proxy.messages.markup import tags, titles, verbatim_elements


def test_tags_are_found_and_comparisons_are_not() -> None:
    text = "a <b class=\"x>y\">bold</b> <br/> 1 < 2 and 3 > 2 <!-- note --> <ns:el a='1'>"
    text += f'<?xml version="1.0"?><!DOCTYPE html><![CDATA[x]]><img\n src="data:{"A" * 5000}">'
    assert [text[m.start : m.end][:20] for m in tags(text)] == [
        '<b class="x>y">', "</b>", "<br/>", "<!--", "-->", "<ns:el a='1'>",
        '<?xml version="1.0"?', "<!DOCTYPE html>", "<![CDATA[", "]]>", '<img\n src="data:AAAA',
    ]  # fmt: skip


def test_what_is_no_tag_is_not_found() -> None:
    for text in ("a < b > c", "<3", "x <- y", "<a <b", '<a href="open>', "< b>"):
        assert tags(text) == (), text


def test_elements_that_hold_no_prose_are_found_whole() -> None:
    code = ["<pre>a  <b>b</b></pre>", '<script src="x">if (a < b) c();</script>', "<CODE>x</CODE>"]
    text = " and ".join(code) + " but <pre> is never closed, nor </style> opened"
    assert [text[s:e] for s, e in verbatim_elements(text)] == code


def test_titles_are_found() -> None:
    text = "<title>A &amp; B</title><h2 id='x'>The roof</h2><h1></h1><h3>a <b>c</b></h3><h2>x</h3>"
    assert [text[s:e] for s, e in titles(text)] == ["A &amp; B", "The roof"]
