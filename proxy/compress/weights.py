"""A checkpoint's weight files: which there are, whether they are whole, and what they hash to.

Reads a few megabytes at most of a large file; loads nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from proxy.errors import CheckpointError
from proxy.types import Span

ONNX = {"int8": "model_int8.onnx", "fp32": "model.onnx"}
"""ONNX files by their precision, the smallest first."""
_TORCH = ("model.safetensors", "pytorch_model.bin")
_MB = 1 << 20
_WHOLE = 64 * _MB
"""Files up to this size are hashed whole."""
_SMALL = 64 * 1024
"""Tensors of larger files up to this size are hashed whole: a classifier's head is one."""
_SAMPLE = 4096
_POINTER = b"version https://git-lfs"


def onnx_files(folder: Path) -> dict[str, Path]:
    """The directory's ONNX files by precision."""
    found = {precision: folder / name for precision, name in ONNX.items()}
    return {precision: file for precision, file in found.items() if file.is_file()}


def torch_files(folder: Path) -> tuple[Path, ...]:
    """The files that hold its PyTorch weights, safetensors before pickle; none if it has none.

    Raises CheckpointError if an index names a part that is not there.
    """
    for name in _TORCH:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return (folder / name,)
        if index.is_file():
            return _parts(index)
    return ()


def _parts(index: Path) -> tuple[Path, ...]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CheckpointError(f"{index} is damaged: it has no weight_map") from exc
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise CheckpointError(f"{index.parent} lacks {', '.join(missing)}; download it again")
    return tuple(index.parent / name for name in names)


def check(file: Path) -> None:
    """Raises CheckpointError if a weight file is empty, a Git LFS pointer, or cut short."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(len(_POINTER))
        if not start:
            raise CheckpointError(f"{file} is empty; download it again")
        if start == _POINTER:
            raise CheckpointError(f"{file} is a Git LFS pointer; fetch the file: git lfs pull")
        if file.suffix == ".safetensors":
            _check_safetensors(file, stream, size)


def _check_safetensors(file: Path, stream: BinaryIO, size: int) -> None:
    begin, tensors = _tensors(stream, size)
    if begin < 0:
        raise CheckpointError(f"{file} is damaged: no safetensors header; download it again")
    end = max((end for _, end in tensors), default=begin)
    if end != size:
        raise CheckpointError(
            f"{file} is damaged: {size} bytes where its header tells of {end}; download it again"
        )


def _tensors(stream: BinaryIO, size: int) -> tuple[int, list[Span]]:
    """Where the tensors of a safetensors file begin (-1 if it is none), and the span of each."""
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    if not 2 <= length <= min(size - 8, 100 * _MB):
        return -1, []
    try:
        header = json.loads(stream.read(length))
        spans = [tensor["data_offsets"] for name, tensor in header.items() if name[:2] != "__"]
        begin = 8 + length
        return begin, [(begin + int(start), begin + int(end)) for start, end in spans]
    except (ValueError, KeyError, TypeError, AttributeError):
        return -1, []


def digest(files: Iterable[Path]) -> str:
    """SHA-256 of names and contents; changes whenever a training run has changed a file.

    Small files are hashed whole. Of larger ones the size, both ends, a piece of every megabyte
    and, for safetensors, all small tensors: training changes all of a tensor's numbers, so a few
    from everywhere tell, and gigabytes need not be read. (The end of a pickle's archive holds a
    checksum of each tensor.)
    """
    total = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        total.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            for start, end in _pieces(file, stream, size):
                stream.seek(start)
                total.update(stream.read(end - start))
    return total.hexdigest()


def _pieces(file: Path, stream: BinaryIO, size: int) -> list[Span]:
    if size <= _WHOLE:
        return [(0, size)]
    pieces = [(0, _MB), (size - _MB, size)]
    pieces += [(start, start + _SAMPLE) for start in range(_MB, size - _MB, _MB)]
    if file.suffix == ".safetensors":
        _, tensors = _tensors(stream, size)
        pieces += [span for span in tensors if span[1] - span[0] <= _SMALL]
    return pieces
