"""All benchmarks one after the other: ``python -m tests.bench``, with ``--quick`` to try it out.

Each runs as a process of its own and saves its results; then one table with all marks, the tables
for the README, and the plots are written to ``bench-results/``. ``--report`` does only that, from
the latest results that are there. A benchmark is a file here that saves results under its name.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import plots, tables
from tests.bench.report import RESULTS, latest

FIRST = ("gateway", "compressor", "mixed", "conversation", "promptcache", "soak")
"""The order; any others come after these."""
_SAVES = re.compile(r'report\.save\(\s*"([\w-]+)"')


def found() -> list[str]:
    """Names of all benchmarks, in order."""
    names = [
        file.stem
        for file in sorted(Path(__file__).parent.glob("*.py"))
        if file.stem in _SAVES.findall(file.read_text(encoding="utf-8"))
    ]
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else 99, name))


def run(name: str, quick: bool) -> str:
    """One benchmark; how it went, in a word or two."""
    print(f"\n=== {name} ===", flush=True)
    started = time.perf_counter()
    command = [sys.executable, "-m", f"tests.bench.{name}", *(["--quick"] if quick else [])]
    code = subprocess.run(command).returncode
    how = {0: "all marks reached", 1: "a mark was missed"}.get(code, f"failed with {code}")
    return f"{how}, {time.perf_counter() - started:.0f} s"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what is asked for and writes the report; 1 if anything missed a mark or failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(found())}")
    parser.add_argument("--quick", action="store_true", help="short runs, to try it out")
    parser.add_argument("--report", action="store_true", help="only write the report anew")
    wish = parser.parse_args(argv)
    if unknown := set(wish.names) - set(found()):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    names = [] if wish.report else wish.names or found()
    how = {name: run(name, wish.quick) for name in names}
    results = {name: told for name in found() if (told := latest(name))}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "table.md").write_text(tables.everything(results), encoding="utf-8")
    (RESULTS / "readme.md").write_text(tables.readme(results), encoding="utf-8")
    drawn = plots.draw(results, RESULTS)
    print("\n" + "\n".join(f"{name}: {what}" for name, what in how.items()))
    files = ("table.md", "readme.md", *(file.name for file in drawn))
    print(f"written to {RESULTS}/: {', '.join(files)}")
    return int(any("all marks" not in what for what in how.values()))


if __name__ == "__main__":
    sys.exit(main())
