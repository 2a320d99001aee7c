"""Small checkpoints of every family, made once and loaded as asked."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from proxy.compress import Compressor
from proxy.compress.checkpoint import Checkpoint, find
from tests.compress.families import FAMILIES, build


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture
def checkpoint(workshop: Path, needs: Callable[[bool, str], None]) -> Callable[[str], Checkpoint]:
    """A checkpoint of a family, under a name that says nothing of it."""
    there = all(find_spec(package) for package in ("torch", "transformers", "onnx"))
    needs(there, "pip install '.[torch]'")

    def get(family: str) -> Checkpoint:
        folder = workshop / f"Übung {list(FAMILIES).index(family)} (final)"
        return find(str(folder if folder.is_dir() else build(family, folder)))

    return get


@pytest.fixture
def load(workshop: Path, checkpoint: Callable[[str], Checkpoint]) -> Callable[..., Compressor]:
    def get(family: str, kind: str, precision: str) -> Compressor:
        folder = str(checkpoint(family).path)
        return Compressor.load(
            folder, engine=kind, precision=precision, threads=1, cache=workshop / "cache"
        )

    return get
