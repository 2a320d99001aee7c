"""Same weights, a text of one window: the same words as the package ``llmlingua`` keeps.

Needs the extra ``[parity]``: torch, transformers and llmlingua.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy.compress import Compressor
from proxy.compress.draft import Draft, Job
from proxy.compress.words import split
from proxy.tokens import encoding
from proxy.types import Rules

# Plain words on purpose: where the package breaks "3.5", "don't" and "well-known" into pieces and
# drops them one by one, units differ by design.
TEXTS = [
    "The committee met on Tuesday to discuss the budget for the coming year. After a long debate "
    "the members agreed that the city should spend more on schools and less on new roads. The "
    "mayor said that she would sign the plan, but only if the council finds money for repairs.",
    "Photosynthesis is the process by which green plants turn light into chemical energy. It takes "
    "place in small bodies inside the cells of leaves, where a green pigment catches the light. "
    "Water comes up from the roots, carbon dioxide comes in from the air, and sugar is what the "
    "plant makes of them. Oxygen is given off, and almost all animals depend on it.",
    "Our team looked at the logs of the failed release and found that two services had been "
    "started in the wrong order. The first service waited for a lock that the second one never "
    "gave back. Nobody noticed the problem in the test system, because there both services run on "
    "one machine and the lock is never needed. We propose to start the services in a fixed order, "
    "and to give up the lock after ten seconds in any case.",
    "When the old lighthouse keeper retired, the village held a small party for him on the beach. "
    "Children sang, somebody had baked a cake in the shape of a boat, and the priest made a speech "
    "that was much too long. Late in the evening the keeper climbed the stairs one last time, lit "
    "the lamp, and looked out over the dark sea until the morning came.",
]
RATES = (0.2, 0.33, 0.5, 0.7, 0.9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, needs: Callable[[bool, str], None]) -> Path:
    """A MiniLM-sized checkpoint in the published format, under a name that the package knows."""
    needs(importlib.util.find_spec("llmlingua") is not None, "pip install '.[parity]'")
    import torch
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    # The package takes its rules for words from this part of the name (its issue #168).
    folder = tmp_path_factory.mktemp("parity") / "bert-base-multilingual-cased-sized-as-minilm"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30_522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        initializer_range=0.2,  # wide enough that scores differ from word to word
        num_labels=2,
    )
    BertForTokenClassification(config).save_pretrained(folder)
    shipped = Path(__file__).parents[2] / "proxy" / "models" / "builtin" / "tokenizer.json"
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad", "mask")}
    PreTrainedTokenizerFast(tokenizer_file=str(shipped), **names).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(shipped.read_bytes())
    return folder


@pytest.fixture(scope="module")
def package(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoding().count("")  # tells tiktoken where its vocabularies are, for the package too
        from llmlingua import PromptCompressor

        return PromptCompressor(str(folder), device_map="cpu", use_llmlingua2=True)


@pytest.fixture(scope="module")
def ours(folder: Path) -> Compressor:
    return Compressor.load(str(folder), engine="torch", precision="fp32", threads=1)


def words_of_package(package: Any, text: str, rate: float) -> list[tuple[str, bool]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = package.compress_prompt_llmlingua2(
            [text], rate=rate, use_context_level_filter=False, return_word_label=True
        )
    labelled = result["fn_labeled_original_prompt"].split("\t\t|\t\t")
    pairs = (entry.rsplit(" ", 1) for entry in labelled)
    return [(word, label == "1") for word, label in pairs]


def words_of_ours(ours: Compressor, text: str, rate: float) -> list[tuple[str, bool]]:
    result = ours.compress(text, rate, budget="window")
    units = split(text)
    kept = [
        any(s <= start and end <= e for s, e in result.kept)
        for start, end in zip(units.starts, units.ends, strict=True)
    ]
    return list(zip((string.lower() for string in units.strings), kept, strict=True))


@pytest.mark.parametrize("rate", RATES)
def test_the_same_words_are_kept(package: Any, ours: Compressor, rate: float) -> None:
    same = total = 0
    for text in TEXTS:
        theirs, mine = words_of_package(package, text, rate), words_of_ours(ours, text, rate)
        assert [word for word, _ in mine] == [word for word, _ in theirs]
        same += sum(a == b for (_, a), (_, b) in zip(mine, theirs, strict=True))
        total += len(mine)
    assert same / total >= 0.99


def test_token_probabilities_are_those_of_the_model(package: Any, ours: Compressor) -> None:
    import torch

    for text in TEXTS:
        draft = Draft.of(Job(text, Rules()), ours.reader)
        assert len(draft.windows) == 1
        read = package.tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            theirs = package.model(**read).logits.softmax(-1)[0, 1:-1, 1].numpy()
        mine = ours.score(draft.ids(draft.windows[0]))
        np.testing.assert_allclose(mine, theirs, atol=2e-5)


def test_the_global_budget_keeps_nearly_the_same_words(package: Any, ours: Compressor) -> None:
    """On one window a global budget is the package's own, but for its rounding of percentiles."""
    agreed: list[float] = []
    for text in TEXTS:
        theirs = [kept for _, kept in words_of_package(package, text, 0.5)]
        result = ours.compress(text, 0.5)
        units = split(text)
        mine = [
            any(s <= a and b <= e for s, e in result.kept)
            for a, b in zip(units.starts, units.ends, strict=True)
        ]
        words = np.array([string[0].isalnum() for string in units.strings])
        agreed.append(float((np.array(theirs) == np.array(mine))[words].mean()))
    assert np.mean(agreed) >= 0.93


def test_numbers_that_the_package_breaks_come_back_whole(package: Any, ours: Compressor) -> None:
    text = "The price rose from $10,000 to $12,500 (or 3.5 %) in May. " + TEXTS[0]
    broken = package.compress_prompt_llmlingua2([text], rate=0.9, use_context_level_filter=False)
    whole = ours.compress(text, 0.9, force_reserve_digit=True)
    assert "$10,000" not in broken["compressed_prompt"]
    assert "$10,000" in whole.text and "$12,500" in whole.text and "3.5 %" in whole.text
