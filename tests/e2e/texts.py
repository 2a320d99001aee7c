"""Texts as people send them, long enough to be compressed."""

from __future__ import annotations

from importlib.resources import files

MEETING = (files("proxy.cli") / "demo_data" / "meeting.txt").read_text("utf-8").rstrip("\n")

CODE = "```python\ndef due(pallets: int) -> float:\n    return pallets * 1.25  # not rounded\n```"
DATA = '{"hall": "C", "celsius": [-21, -13.50], "ok": false, "note": null}'
QUESTION = "Which hall lost its cooling on Thursday night, and what did that cost in the end?"
FACTS = ("https://example.org/alarms?id=42&x=%20y", "ops@example.org", "$47,300", "02:40", "ERR-17")

REPORT = f"""{QUESTION}

{MEETING}

The panel showed {FACTS[4]} at {FACTS[3]}, as {FACTS[0]} tells; write to {FACTS[1]} about it. We \
really do have to say, once again and quite clearly, that the loss of {FACTS[2]} was not insured.

{CODE}

{DATA}

{QUESTION}"""
"""A question, a long document with what must survive in it, and the question once more."""
