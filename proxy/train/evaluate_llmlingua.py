"""The package ``llmlingua`` as a method: its own windows, words and choice, on one checkpoint.

It rebuilds text from tokens, so what it kept is found again in the original word by word. Needs
the package and a checkpoint with PyTorch weights; counts rates in cl100k tokens only.
"""

from __future__ import annotations

import tempfile
import time
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from proxy.compress import checkpoint
from proxy.errors import CheckpointError
from proxy.tokens import encoding
from proxy.train.devsets import Bools, Text
from proxy.train.evaluate_methods import Clock, Step

# It takes its rules for words from a part of the name (its issue #168).
_NAMES = {
    "bert": "bert-base-multilingual-cased",
    "xlm-roberta": "xlm-roberta-large",
}
_AHEAD = 200
"""Characters within which a kept word must come, else it is one that the text has not."""


def why_not(model: str) -> str:
    """Why the package can't be measured on this checkpoint; empty if it can."""
    if find_spec("llmlingua") is None:
        return "not installed: pip install 'precis-proxy[parity]'"
    try:
        found = checkpoint.find(model)
    except CheckpointError as exc:
        return exc.message
    if not found.torch:
        return f"{model} has no PyTorch weights, which it needs; name another with --llmlingua"
    kind = found.config.get("model_type")
    return "" if kind in _NAMES else f"it knows {' and '.join(_NAMES)} models only, not {kind}"


class Package:
    """``PromptCompressor.compress_prompt_llmlingua2``, without its filter over contexts."""

    def __init__(self, model: str) -> None:
        """``model``: a directory or a hub id for which ``why_not`` says nothing."""
        found = checkpoint.find(model)
        self.name = f"llmlingua on {Path(model).name}"
        self.fingerprint = f"llmlingua {version('llmlingua')} {found.fingerprint}"
        self._clock = Clock()
        encoding()  # tells tiktoken where its vocabularies are, for the package too
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from llmlingua import PromptCompressor  # torch and transformers, heavy

            link = Path(folder) / _NAMES[found.config["model_type"]]
            link.symlink_to(found.path.resolve(), target_is_directory=True)
            settings = {"trust_remote_code": False}
            self._inner: Any = PromptCompressor(
                str(link), device_map="cpu", use_llmlingua2=True, model_config=settings
            )

    def prepare(self, texts: Sequence[Text], step: Step) -> None:
        """Nothing: it scores a text anew for each rate."""
        for _ in texts:
            step()

    def keeps(self, text: Text, rate: float, counted: str) -> Bools | None:
        """The units of which it kept every character."""
        if counted != "tokens":
            return None
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = self._inner.compress_prompt_llmlingua2(
                [text.text], rate=rate, use_context_level_filter=False, return_word_label=True
            )
        self._clock.add(time.perf_counter() - started, text.tokens)
        labelled = result["fn_labeled_original_prompt"].split("\t\t|\t\t")
        return whole_units(text, (entry.rsplit(" ", 1) for entry in labelled))

    def ms(self) -> float:
        return self._clock.ms


def whole_units(text: Text, labelled: Iterable[Sequence[str]]) -> Bools:
    """Units that words labelled 1 cover whole, shape ``(units,)``; words come in text order.

    Words are compared without case and accents, which the package's tokenizer may take off.
    """
    plain, origin = _plain(text.text)
    kept = np.zeros(len(text.text) + 1, dtype=np.int64)
    at = 0
    for word, label in labelled:
        needle, _ = _plain(word)
        start = plain.find(needle, at, at + _AHEAD + len(needle)) if needle else -1
        if start < 0:
            continue  # an unknown token, or a character that its tokenizer rewrote
        at = start + len(needle)
        if label == "1":
            kept[origin[start] : origin[at - 1] + 1] = 1
    covered = np.concatenate([[0], np.cumsum(kept[:-1])])
    units = text.units
    return np.asarray(covered[units.ends] - covered[units.starts] == units.ends - units.starts)


def _plain(text: str) -> tuple[str, list[int]]:
    """Lower case without accents or white space, and the offset that each character came from."""
    letters: list[str] = []
    origin: list[int] = []
    for index, character in enumerate(text):
        for part in unicodedata.normalize("NFKD", character).lower():
            if not part.isspace() and not unicodedata.combining(part):
                letters.append(part)
                origin.append(index)
    return "".join(letters), origin
