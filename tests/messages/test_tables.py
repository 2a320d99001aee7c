"""Tables as blocks."""

from proxy.messages.tables import tables
from proxy.types import Mark


def parts(text: str, marks: tuple[Mark, ...]) -> list[str]:
    return [text[m.start : m.end] for m in marks]


def test_tables_are_found() -> None:
    for table in (
        "| a | b |\n|---|:-:|\n| 1 | 2 |",
        "a | b\n--- | ---\n1 | 2\n3 | 4",
        "+---+---+\n| a | b |\n+---+---+",
        "name\tage\nAnn\t3\nBob\t4",
        'id,name,price\n1,"Lee, Ann",3.50\n2,Bob,4.00',
        " id | name\n----+------\n  1 | Ann\n  2 | Bob",
        "NAME      READY   AGE\nweb-7d9   1/1     12d\njobs-0    0/1     3h",
        "Kettle  12.50\nTeapot   8.00\nTray     3.25",
        "id;name;price\n1;Ann;3,50\n2;Bob;4,00",
    ):
        text = f"The table:\n\n{table}\n\nSo it is, I think, yes."
        assert parts(text, tables(text)) == [table]


def test_prose_with_commas_is_no_table() -> None:
    line = "Well, I said, we should go home now, if you ask me.\n"
    assert tables(line * 5) == ()
    assert tables("a,b,c\nd,e,f\n") == ()


def test_prose_with_two_spaces_after_a_sentence_is_no_table() -> None:
    text = (
        "We met on Monday.  Nobody knew what to say about it, so we waited.\n"
        "It was cold there.  The caretaker had gone home, and so did we in the end.\n"
        "That was all of it.  I would do it again, of course, if anybody asked me.\n"
    )
    assert tables(text) == ()
    assert tables("1.  bread and butter\n2.  jam\n\nend") == ()
