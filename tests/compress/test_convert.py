"""A vocabulary that is only a SentencePiece model becomes a tokenizer: needs ``[torch]``."""

from __future__ import annotations

import json
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from proxy.compress.checkpoint import find
from proxy.errors import CheckpointError
from tests.compress.families import TEXTS, build

pytestmark = pytest.mark.filterwarnings("ignore")
NORMAL, UNKNOWN, CONTROL = 1, 2, 3


def _field(tag: int, content: bytes) -> bytes:
    size, length = b"", len(content)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([tag]) + size + bytes([length]) + content


def _piece(text: str, score: float, kind: int) -> bytes:
    body = _field(0x0A, text.encode()) + b"\x15" + struct.pack("<f", score)
    return _field(0x0A, body + bytes([0x18, kind]))


def _model(pieces: list[tuple[str, float]]) -> bytes:
    """A Unigram model as SentencePiece writes it: pieces, then how it was trained."""
    first = [_piece("<unk>", 0, UNKNOWN), _piece("<s>", 0, CONTROL), _piece("</s>", 0, CONTROL)]
    rest = [_piece(text, score, NORMAL) for text, score in pieces if text[:1] != "<"]
    return b"".join([*first, *rest]) + _field(0x12, b"\x18\x01")


@pytest.fixture
def folder(tmp_path: Path, needs: Any) -> Path:
    """An XLM-R checkpoint without tokenizer.json."""
    there = all(find_spec(name) for name in ("torch", "transformers", "sentencepiece"))
    needs(there, "pip install '.[torch]'")
    build("xlm-roberta", tmp_path / "m")
    whole = tmp_path / "m" / "tokenizer.json"
    pieces = json.loads(whole.read_text())["model"]["vocab"]
    (tmp_path / "m" / "sentencepiece.bpe.model").write_bytes(_model(pieces))
    whole.unlink()
    (tmp_path / "m" / "tokenizer_config.json").unlink()
    return tmp_path / "m"


def test_a_sentencepiece_model_alone_is_enough(folder: Path, tmp_path: Path) -> None:
    tokenizer = find(str(folder)).tokenizer(tmp_path / "cache")
    assert (tokenizer.prefix.tolist(), tokenizer.suffix.tolist()) == ([0], [2])
    text = TEXTS["german"]
    tokens = tokenizer.encode(text, [(0, len(text))])
    assert len(tokens) > 10 and tokens.ends[-1] == len(text)


def test_a_damaged_sentencepiece_model_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "sentencepiece.bpe.model").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="its vocabulary can't be converted"):
        find(str(folder)).tokenizer(tmp_path / "cache")


def test_what_reads_such_a_vocabulary_is_named_where_it_is_missing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.compress.convert.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"pip install 'precis-proxy\[torch\]'"):
        find(str(folder)).tokenizer(tmp_path / "cache")
