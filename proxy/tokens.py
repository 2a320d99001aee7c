"""Counting tokens the way the upstream does, offline. Knows nothing of the classifier's own tokens.

tiktoken fetches its vocabularies at run time; litellm's wheel carries them under the same cache
names, so its folder serves as tiktoken's cache. litellm itself is never imported here.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tiktoken
from tiktoken.model import encoding_name_for_model

from proxy.errors import ConfigError

DEFAULT_ENCODING = "cl100k_base"
"""For models whose tokenizer is unknown: GPT-3.5's and GPT-4's."""

# Same vocabulary for ordinary text, so no file of their own is needed.
_SAME_VOCABULARY = {"o200k_harmony": "o200k_base", "p50k_edit": "p50k_base"}
_Loaded = tuple[tiktoken.Encoding, npt.NDArray[np.int64]]
_LOADED: dict[str, _Loaded] = {}
_LOADING = threading.Lock()


class Encoding:
    """One tiktoken encoding that takes any text, special-looking or damaged, as plain text."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._core, self._token_lengths = _load(_SAME_VOCABULARY.get(name, name))

    def count(self, text: str) -> int:
        """Number of tokens of ``text``; ``<|endoftext|>`` and lone surrogates are ordinary text."""
        return len(self.ids(text))

    def token_ends(self, ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Byte offset into ``text.encode()`` at which each token ends, shape ``(tokens,)``."""
        return np.cumsum(self._token_lengths[ids])

    def ids(self, text: str) -> npt.NDArray[np.uint32]:
        """The tokens of ``text``, shape ``(tokens,)``."""
        # A buffer: a list of a million numbers is made while no other thread can run.
        try:
            return self._core.encode_to_numpy(text, disallowed_special=())
        except UnicodeEncodeError:
            return np.array(self._core.encode_ordinary(text), dtype=np.uint32)


def let_go() -> None:
    """Frees tiktoken's second copy of each vocabulary that is loaded, 10 MB.

    For a process that is all ours: who extends an encoding reads it off tiktoken's own object.
    """
    with _LOADING:
        for core, _ in _LOADED.values():
            core._mergeable_ranks = {}


@functools.lru_cache(maxsize=8)
def encoding(name: str = DEFAULT_ENCODING) -> Encoding:
    """The encoding called ``name``, loaded once. Raises ConfigError if it cannot be had."""
    return Encoding(name)


@functools.lru_cache(maxsize=512)
def encoding_for(model: str) -> str:
    """Name of the encoding that a model counts with; GPT-3.5's where that is not known.

    A provider prefix is ignored: ``openai/gpt-4o`` counts as ``gpt-4o``.
    """
    try:
        return encoding_name_for_model(model.rsplit("/", 1)[-1])
    except KeyError:
        return DEFAULT_ENCODING


def _load(name: str) -> _Loaded:
    """The encoding and the bytes of each of its tokens."""
    with _LOADING:
        if name not in _LOADED:
            _LOADED[name] = _made(_fetch(name))
        return _LOADED[name]


def _made(core: tiktoken.Encoding) -> _Loaded:
    # Private, but the public way asks for each of 100,000 tokens by itself, at start-up.
    ranks = core._mergeable_ranks
    count = len(ranks)
    lengths = np.zeros(core.n_vocab, dtype=np.int64)
    lengths[np.fromiter(ranks.values(), np.int64, count)] = np.fromiter(
        map(len, ranks), np.int64, count
    )
    return core, lengths


def _fetch(name: str) -> tiktoken.Encoding:
    folder = _vocabularies()
    if folder is not None:
        # tiktoken takes its cache folder from the environment alone.
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
    try:
        return tiktoken.get_encoding(name)
    except ValueError as exc:
        known = ", ".join(sorted(tiktoken.list_encoding_names()))
        raise ConfigError([f"no encoding {name!r}; choose one of {known}"]) from exc
    except OSError as exc:  # requests' errors are OSErrors
        raise ConfigError(
            [
                f"the vocabulary of encoding {name!r} is not in the package and could not be "
                "fetched; use cl100k_base, o200k_base or p50k_base, or set "
                "TIKTOKEN_CACHE_DIR to a folder that has it"
            ]
        ) from exc


def _vocabularies() -> Path | None:
    found = importlib.util.find_spec("litellm")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "litellm_core_utils" / "tokenizers"
    return folder if folder.is_dir() else None
