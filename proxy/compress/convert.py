"""Makes a tokenizer.json from older vocabulary files, with transformers."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from transformers import AutoTokenizer

from proxy.errors import CheckpointError


def to_tokenizer_json(source: Path, file: Path) -> None:
    """Converts the vocabulary in ``source`` (vocab.txt, merges.txt, *.model) into ``file``.

    Raises CheckpointError if it can't be read, or no fast tokenizer exists for it.
    """
    if list(source.glob("*.model")) and find_spec("sentencepiece") is None:
        raise CheckpointError(
            f"{source}: its SentencePiece vocabulary needs sentencepiece to be read: "
            "pip install 'precis-proxy[torch]'"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(source), trust_remote_code=False, local_files_only=True
        )
    except Exception as exc:  # the converters raise whatever their parsers do
        raise CheckpointError(f"{source}: its vocabulary can't be converted: {exc}") from exc
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is None:
        raise CheckpointError(
            f"{source}: transformers has no fast {type(tokenizer).__name__}, so no tokenizer.json "
            "can be made from it"
        )
    inner.save(str(file))
