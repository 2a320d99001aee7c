"""Code without a fence, as tools return it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

import proxy
from proxy.config_policy import Policy
from proxy.messages.loose_code import loose_code
from proxy.messages.segment import passage
from tests.e2e.texts import MEETING

SOURCES = {
    "python": (
        '"""Says how much."""\nimport os\n\ndef due(pallets, rate=1.25):\n'
        "    # never rounded down\n    if pallets != 0 and rate <= 2:\n"
        "        return pallets * rate - 1\n    raise ValueError(pallets)"
    ),
    "javascript": (
        "import { useState } from 'react'\nconst Hall = ({ a, b }) => {\n"
        "  const [x, setX] = useState(null)\n  if (!x && a !== b) return null\n"
        "  return x ? wrap(x) : null\n}\nexport default Hall"
    ),
    "go": (
        'package main\n\nimport "fmt"\n\nfunc main() {\n\tfor i := 0; i < 10; i++ {\n'
        '\t\tif i%2 != 0 {\n\t\t\tcontinue\n\t\t}\n\t\tfmt.Println("odd", i)\n\t}\n}'
    ),
    "sql": (
        "SELECT u.id, u.name\nFROM users u\nLEFT JOIN orders o ON o.user_id = u.id\n"
        "WHERE o.total >= 5 AND NOT u.deleted\nGROUP BY u.id;"
    ),
    "yaml": (
        "server:\n  host: 0.0.0.0\n  port: 8484\n  debug: false\nroutes:\n  - match: api\n"
        "    policy: strict"
    ),
    "toml": '[project]\nname = "precis"\npython = ">=3.11"\n[tool.ruff]\nline-length = 100',
    "settings": "HOST=db.internal\nRETRIES=3\nVERBOSE=no\nPATH=/usr/bin:$PATH",
    "pretty": "[{'id': 1,\n  'ok': False,\n  'err': None},\n {'id': 2,\n  'err': None}]",
    "repr": "[{'id': 1, 'ok': False, 'err': None}, {'id': 2, 'ok': True, 'err': None}]",
    "record": "Receipt(id='req_1', ok=False, reason=None, parts=[Part(a=1, b=-2.5)])",
    "matches": "src/a.py:12:def due(self):\nsrc/a.py:40:    raise Late from exc\nsrc/b.py:7:x = 1",
    "numbered": "     1\timport os\n     2\t\n     3\tdef f(x):\n     4\t    return x - 1",
    "minified": "!function(e){var t={};for(var n in e)t[n]=e[n]-1;return t}(window);" * 5,
}


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in loose_code(text)]


@pytest.mark.parametrize("name", SOURCES)
def test_code_is_found_without_a_fence(name: str) -> None:
    source = SOURCES[name]
    assert parts(source) == [source]
    assert parts(f"{MEETING}\n\n{source}\n\n{MEETING}") == [source]


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_that_a_tool_returns_stays_whole(name: str) -> None:
    assert passage(SOURCES[name], "tool", Policy()).reason == "code"


@pytest.mark.parametrize(
    "prose",
    [
        MEETING,
        (files("proxy") / "models" / "builtin" / "README.md").read_text("utf-8"),
        "Ann: So {sighs}\nBob: Or {pause}\nAnn: Right, or not {sighs}\nBob: Mm - hmm {pause}\n" * 5,
        "The parties agree that\n(a) the buyer pays on time;\n(b) the seller delivers the goods;\n"
        "(c) neither of them tells anybody else about it;\n(d) the price is not changed later;",
        "Let x = 3 be given.\nThen we go on (as before) and find no other.\nThat is all there is.",
        "user: I would like to know where my parcel is\nagent: Let me have a look at that for you\n"
        "user: Thank you very much, that is kind\nagent: It has not left the warehouse yet",
        "09:15:30 Ann: good morning to you all\n09:15:42 Bob: hello\n09:16:01 Ann: let us begin\n"
        * 3,
        "Dear all,\n\nthanks for coming.\n\nBest,\nAnn (finance)\nmake sure you come back",
    ],
)
def test_prose_is_none(prose: str) -> None:
    code = "```"
    assert not [part for part in parts(prose) if code not in part and "|" not in part]


def test_our_own_sources_are_code() -> None:
    sources = [p.read_text("utf-8") for p in Path(proxy.__file__).parent.glob("messages/*.py")]
    found = sum(len(part) for source in sources for part in parts(source))
    assert found > 0.9 * sum(map(len, sources))


def test_prose_in_json_is_still_compressed() -> None:
    body = json.dumps({"id": 7, "ok": False, "text": MEETING}, indent=2)
    found = passage(f"What it said:\n\n{body}\n\nWhat is that?", "tool", Policy())
    assert found.regions and not found.reason


@pytest.mark.parametrize(
    "line",
    ["f(" + "(" * 197, "f" + "()" * 99, "a," * 99, "a: " + "b " * 98, " " * 198 + "x", "a." * 99,
     "class " + "a" * 190, "if " + "a " * 98, "'a'," * 49, "not and or " * 18, "f(a" * 66],
)  # fmt: skip
def test_hostile_lines_end(line: str) -> None:
    list(loose_code(f"{line}\n" * 5_000))
    list(loose_code(line * 5_000))
