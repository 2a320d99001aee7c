"""Starts ``llmlingua_worker.py`` in the peers' environment and asks it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from proxy.tokens import encoding
from tests.bench.peers import LLMLINGUA

WORKER = Path(__file__).with_name("llmlingua_worker.py")


class LLMLingua:
    """One running worker with one checkpoint."""

    def __init__(self, folder: Path) -> None:
        encoding()  # finds tiktoken's vocabularies and tells where in the environment
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in __exit__
        self._process = subprocess.Popen(
            [LLMLINGUA.python, WORKER, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ,
        )
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)
        self._log.close()

    def seconds(self, text: str, rate: float) -> float:
        """How long it takes to compress the text. Raises RuntimeError if it fails."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"text": text, "rate": rate}) + "\n")
        self._process.stdin.flush()
        return float(self._read()["seconds"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"llmlingua failed:\n{self._log.read()[-3000:]}")
        told: dict[str, Any] = json.loads(line)
        return told
