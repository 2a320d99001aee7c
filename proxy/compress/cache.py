"""A directory of things that take long to make: each is made once, whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy.errors import CheckpointError


def default(environ: Mapping[str, str]) -> Path:
    """Where this user's programs keep what they can make again: ``XDG_CACHE_HOME`` if given.

    Raises CheckpointError for a user without a home directory.
    """
    if environ.get("XDG_CACHE_HOME"):
        return Path(environ["XDG_CACHE_HOME"]) / "precis"
    try:
        home = Path.home()
    except RuntimeError as exc:
        raise CheckpointError(
            "there is no home directory to keep an exported model in; set XDG_CACHE_HOME"
        ) from exc
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "precis"
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "precis"
    return home / ".cache" / "precis"


def entry(cache: Path, key: str, make: Callable[[Path], None]) -> Path:
    """The directory ``key`` of the cache; ``make`` fills it if it is not there yet.

    It appears under its name by one rename when all is written, so other processes see it whole;
    of two that make it at once, one's work is thrown away. Raises CheckpointError if the cache
    can't be written to.
    """
    folder = cache / key
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as scratch:
            made = Path(scratch) / key
            made.mkdir()
            make(made)
            for file in made.iterdir():
                _flush(file)
            _rename(made, folder)
    except OSError as exc:
        raise CheckpointError(
            f"cannot write to the cache {cache}: {exc.strerror or exc}; set XDG_CACHE_HOME to a "
            "directory that can be written to, or give a checkpoint with model.onnx"
        ) from exc
    return folder


def _rename(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise


def _flush(file: Path) -> None:
    # A rename must not reach the disk before what it names.
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())
