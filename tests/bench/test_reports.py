"""The report of all benchmarks, from results as they save them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench import plots, tables
from tests.bench.__main__ import found
from tests.bench.report import Mark, machine

SEEN = {
    "overall": 5000.0,
    "per_second": {"2000": 4000.0, "8000": 6000.0},
    "seconds": {"2000": [0.5, 0.6], "8000": [1.4, 1.2]},
    "stages_ms": {},
}
PRECIS: dict[str, Any] = {
    "added_p50_ms": 1.1,
    "added_200kb_ms": 2.0,
    "per_second": {"median": 900.0},
    "added_chunk_us": 12.0,
    "rss_mb": 200.0,
    "curve": {"1": 500.0, "16": 900.0},
}
MARK = {**vars(Mark("p99 grows", 7.5, 10, "ms")), "passed": True}
RESULTS: dict[str, dict[str, Any]] = {
    "gateway": {
        "gateway": {
            "direct": {**PRECIS, "curve": {}},
            "precis": PRECIS,
            "portkey": {**PRECIS, "added_chunk_us": None},
        },
        "versions": {"portkey": "1.15.2"},
        "starts": {"precis compressing": {"ready_s": [1.2, 1.4]}},
    },
    "compressor": {
        "minilm": {"llmlingua": SEEN, "precis builtin": SEEN},
        "mbert": {},
        "shipped": {"precis builtin": {**SEEN, "stages_ms": {"tokenize": 1, "score": 8}}},
        "int8": {"builtin": {"share": 0.47, "limit": 1e12}},
    },
    "mixed": {
        "mixed": {
            "alone": {
                f"{kind}_{share}_ms": 1.0
                for kind in ("plain", "squeezed")
                for share in ("p50", "p99", "max")
            }
            | {"took_s": 10.0}
        },
        "marks": [MARK],
    },
    "soak": {
        "soak": {
            "requests": [0, 500],
            "rss_mb": [190.0, 200.0],
            "highest_mb": 200.0,
            "slope_mb": 0.5,
        }
    },
}


def test_all_that_was_measured_is_told() -> None:
    results = {name: {"machine": machine(), **told} for name, told in RESULTS.items()}
    text = tables.everything(results)
    for cell in (
        "Portkey 1.15.2",
        "| 1.1 ms |",
        "5,000 (1.0 x)",
        "| 0.5 MB |",
        "| reached |",
        "| 89% | 0% | 47% |",
    ):
        assert cell in text


def test_what_was_not_measured_is_left_out() -> None:
    assert tables.readme({}) == "\n"
    assert "gateway" not in tables.readme({"soak": RESULTS["soak"]})


def test_every_plot_is_drawn_where_there_is_something_to_draw(tmp_path: Path) -> None:
    files = plots.draw(RESULTS, tmp_path)
    assert {file.stem for file in files} == {"latency", "throughput", "break-even", "soak"}
    assert all(file.stat().st_size > 5000 for file in files)
    assert plots.draw({}, tmp_path) == []


def test_every_benchmark_is_found() -> None:
    assert {"gateway", "compressor", "mixed", "soak"} <= set(found())
