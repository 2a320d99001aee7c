"""Reads published data sets: JSON lines, JSON, Parquet, folders and zip archives of them, the hub.

Knows rows, not what is in them. The ``datasets`` package and pyarrow are used where they are
installed; neither is needed for JSON.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from proxy.errors import ConfigError
from proxy.train.distill_journal import read_rows
from proxy.train.tasks_example import Data, Hub

Row = dict[str, Any]
_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one file or one configuration. ``read`` gives each with its place, for errors."""

    path: PurePosixPath
    """Inside the folder or the archive, or the configuration's name on the hub."""
    read: Callable[[], Iterator[tuple[str, Row]]]

    @property
    def name(self) -> str:
        """The file's name without its suffixes."""
        return self.path.name.split(".", 1)[0]


def tables(data: Data, hub: Hub) -> list[Table]:
    """All tables in a place, by name. Raises ConfigError if it holds none or does not exist."""
    path = Path(data.place)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.name.endswith((*_SUFFIXES, ".zip")))
        found = [table for file in files for table in _of_file(file, file.relative_to(path))]
    elif path.is_file():
        found = _of_file(path, Path(path.name))
    else:
        return _of_hub(data, hub)
    if not found:
        raise ConfigError([f"{path}: holds no {', '.join(_SUFFIXES)} or .zip file"])
    return found


def _of_file(file: Path, name: Path) -> list[Table]:
    inside = PurePosixPath(name.as_posix())
    if file.suffix == ".zip":
        return _of_zip(file, inside)
    if file.suffix == ".parquet":
        return [Table(inside, lambda: _parquet(file))]
    if file.suffix == ".json":
        return [Table(inside, lambda: _rows(file.read_bytes(), str(file)))]
    return [Table(inside, lambda: ((f"{file}:{n}", row) for n, row in read_rows(file)))]


def _of_zip(file: Path, inside: PurePosixPath) -> list[Table]:
    def table(member: str) -> Table:
        def read() -> Iterator[tuple[str, Row]]:
            with zipfile.ZipFile(file) as archive:
                yield from _rows(archive.read(member), f"{file}:{member}")

        return Table(inside.with_suffix("") / member, read)

    try:
        with zipfile.ZipFile(file) as archive:
            members = [name for name in archive.namelist() if name.endswith((".jsonl", ".json"))]
    except zipfile.BadZipFile as exc:
        raise ConfigError([f"{file}: not a zip archive ({exc})"]) from exc
    # Archives made on a Mac hold a shadow of each file.
    return [table(name) for name in sorted(members) if not name.startswith("__MACOSX")]


def _rows(content: bytes, place: str) -> Iterator[tuple[str, Row]]:
    """Of JSON lines, of a list, of ``{"examples": [...]}``, or of an object of objects."""
    try:
        if place.endswith(".jsonl"):
            lines = enumerate(content.splitlines(), 1)
            rows = [(f"{place}:{n}", json.loads(line)) for n, line in lines if line.strip()]
        else:
            whole = json.loads(content)
            if isinstance(whole, dict):
                whole = whole.get("examples", list(whole.values()))
            rows = [(f"{place}:{n}", row) for n, row in enumerate(whole)]
    except (ValueError, TypeError) as exc:
        raise ConfigError([f"{place}: not JSON as it is published ({exc})"]) from exc
    for where, row in rows:
        if not isinstance(row, dict):
            raise ConfigError([f"{where}: not a JSON object"])
        yield where, row


def _parquet(file: Path) -> Iterator[tuple[str, Row]]:
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError([f"{file}: needs pyarrow (pip install pyarrow), or make it JSON lines"])
    parquet = importlib.import_module("pyarrow.parquet")  # heavy, and no dependency of ours
    rows = parquet.read_table(io.BytesIO(file.read_bytes())).to_pylist()
    yield from ((f"{file}:{number}", row) for number, row in enumerate(rows))


def _of_hub(data: Data, hub: Hub) -> list[Table]:
    """Configurations of a data set on the hub; ``hub`` as the place is where its authors put it."""
    name = hub.id if data.place == "hub" else data.place
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise ConfigError([f"{data.place}: no such file or folder, and no id of a data set"])
    if importlib.util.find_spec("datasets") is None:
        raise ConfigError([f"{name} is on the hub: pip install datasets, or give a local path"])
    wanted = [config for config in hub.configs if not data.datasets or config in data.datasets]
    return [_of_config(name, config, hub.split) for config in wanted or [""]]


def _of_config(name: str, config: str, split: str) -> Table:
    def read() -> Iterator[tuple[str, Row]]:
        hub = importlib.import_module("datasets")  # heavy, and no dependency of ours
        try:
            rows = hub.load_dataset(name, config or None, split=split)
        except (ValueError, RuntimeError, OSError) as exc:
            raise ConfigError(
                [f"{name} {config}: {exc}; download its files and give the folder instead"]
            ) from exc
        yield from ((f"{name}/{config}:{number}", dict(row)) for number, row in enumerate(rows))

    return Table(PurePosixPath(config or split), read)
