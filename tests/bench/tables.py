"""Results of benchmarks as Markdown: all marks in one table, and the tables of the README."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

Results = Mapping[str, Mapping[str, Any]]
"""What each benchmark has saved, by its name."""


def everything(results: Results) -> str:
    """Every mark of every benchmark, and on what it was measured."""
    parts = ["# Benchmarks"]
    for name, told in results.items():
        machine = told["machine"]
        where = f"{machine['cores']} cores, {machine['machine']}, {machine['system']}, "
        where += f"Python {machine['python']}, {machine['time']}, load {machine['load']}"
        parts += [f"## {name}", where, _marks(told.get("marks", ()))]
    return "\n\n".join(parts) + "\n\n" + readme(results)


def readme(results: Results) -> str:
    """The tables of the README's section on what it costs, each after its command."""
    made = {"gateway": _gateway, "compressor": _compressor, "mixed": _mixed, "soak": _soak}
    parts = []
    for name, make in made.items():
        if name in results:
            parts += [f"`python -m tests.bench.{name}`", make(results[name])]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _marks(marks: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            mark["what"],
            f"{mark['value']:.4g} {mark['unit']}".strip(),
            f"{'≥' if mark['at_least'] else '≤'} {mark['limit']:g} {mark['unit']}".strip(),
            "reached" if mark["passed"] else "missed",
        )
        for mark in marks
    ]
    return _table(("what", "measured", "mark", ""), rows)


def _gateway(told: Mapping[str, Any]) -> str:
    names = {
        "direct": "direct",
        "precis": "Precis",
        "bare": "bare starlette + httpx",
        "litellm": "LiteLLM",
        "portkey": "Portkey",
        "headroom": "headroom",
    }
    seen = {name: told["gateway"][name] for name in names if name in told["gateway"]}
    versions = {peer: f" {version}" for peer, version in told["versions"].items()}
    rows = [
        (label, *(_cell(name, one, key, unit) for name, one in seen.items()))
        for label, key, unit in (
            ("added at p50, 1 connection", "added_p50_ms", "ms"),
            ("added at p50, 200 kB prompt", "added_200kb_ms", "ms"),
            ("requests/s, 16 connections", "per_second", ""),
            ("added a streamed chunk", "added_chunk_us", "µs"),
            ("memory after all that", "rss_mb", "MB"),
        )
    ]
    rows.append(("ready after", *(_ready(name, told["starts"]) for name in seen)))
    head = ("", *(names[name] + versions.get(name, "") for name in seen))
    return _table(head, rows)


def _cell(name: str, one: Mapping[str, Any], key: str, unit: str) -> str:
    value = one[key]["median"] if isinstance(one[key], Mapping) else one[key]
    if value is None or (name == "direct" and key != "per_second"):
        return ""
    digits = 1 if unit == "ms" else 0
    return f"{value:,.{digits}f} {unit}".strip()


def _ready(name: str, starts: Mapping[str, Any]) -> str:
    start = starts.get("precis compressing" if name == "precis" else name)
    return f"{median(start['ready_s']):.1f} s" if start else ""


def _compressor(told: Mapping[str, Any]) -> str:
    shapes = {
        "minilm": "MiniLM-L6 shape, same weights",
        "mbert": "mBERT shape, same weights",
    }
    seen = {shape: told[shape] for shape in shapes if shape in told}
    names = list(dict.fromkeys(name for one in seen.values() for name in one))
    rows = [(name, *(_per_second(one, name) for one in seen.values())) for name in names]
    parts = [_table(("tokens/s", *(shapes[shape] for shape in seen)), rows)]
    if "shipped" in told:
        parts.append(_stages(told))
    return "\n\n".join(parts)


def _stages(told: Mapping[str, Any]) -> str:
    """Of each shipped classifier its speed, its stages' shares of the time, and the limit's."""
    rows = []
    for name, int8 in told["int8"].items():
        one = told["shipped"][f"precis {name}"]
        total = sum(one["stages_ms"].values()) or 1
        shares = [
            f"{one['stages_ms'].get(s, 0) / total:.0%}" for s in ("tokenize", "score", "select")
        ]
        rows.append((name, f"{one['overall']:,.0f}", *shares, f"{int8['share']:.0%}"))
    return _table(
        ("as shipped", "tokens/s", "tokenise", "score", "select", "of the int8 limit"), rows
    )


def _per_second(one: Mapping[str, Any], name: str) -> str:
    if name not in one:
        return ""
    rate, base = one[name]["overall"], one.get("llmlingua", {}).get("overall")
    times = f" ({rate / base:.1f} x)" if base and name != "llmlingua" else ""
    return f"{rate:,.0f}{times}"


def _mixed(told: Mapping[str, Any]) -> str:
    rows = [
        (name, *(_three(row, kind) for kind in ("plain", "squeezed")), f"{row['took_s']:.1f} s")
        for name, row in told["mixed"].items()
    ]
    head = ("small requests beside", "passed through, ms", "compressed, ms", "the load took")
    return _table(head, rows) + "\n\np50 / p99 / longest."


def _three(row: Mapping[str, float], kind: str) -> str:
    return " / ".join(f"{row[f'{kind}_{share}_ms']:.1f}" for share in ("p50", "p99", "max"))


def _soak(told: Mapping[str, Any]) -> str:
    soak = told["soak"]
    return _table(
        ("requests", "memory when ready", "highest", "growth per 100,000"), [*_line(soak)]
    )


def _line(soak: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield (
        f"{soak['requests'][-1]:,}",
        f"{soak['rss_mb'][0]:.0f} MB",
        f"{soak['highest_mb']:.0f} MB",
        f"{soak['slope_mb']:.1f} MB",
    )
