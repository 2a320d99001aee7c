"""Runs of distillation on small texts, as its tests want them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from proxy.tokens import encoding
from proxy.train.distill import DistillReport, distill_texts
from proxy.train.distill_cost import Price
from proxy.train.distill_journal import read_rows
from proxy.train.distill_plan import DistillSettings

QUIET = Console(quiet=True)
COUNT = encoding("cl100k_base").count


def texts_file(folder: Path, number: int) -> Path:
    path = folder / "texts.jsonl"
    rows = [{"id": f"d{n}", "text": f"Text {n} has some words to lose."} for n in range(number)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings_for(folder: Path, url: str, number: int = 5, **changes: Any) -> DistillSettings:
    usual = DistillSettings(
        texts_file(folder, number),
        folder / "pairs.jsonl",
        "teacher",
        base_url=url,
        backoff_s=0.001,
        price=Price(1e-6, 2e-6),
    )
    return replace(usual, **changes)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)]


def run(settings: DistillSettings) -> DistillReport:
    return distill_texts(settings, console=QUIET)
