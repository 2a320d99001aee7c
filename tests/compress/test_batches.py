"""Windows in batches of fixed shapes: every one in its place, whoever else is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.compress import Compressor, batches
from proxy.compress.queue import WindowQueue, Work
from proxy.compress.scorer import FakeScorer, Floats, Ints

lengths = st.lists(st.integers(1, 512), max_size=60)


@given(lengths, st.integers(1, 9000))
def test_every_window_stands_in_one_row_that_holds_it(sizes: list[int], tokens: int) -> None:
    seen: list[int] = []
    for batch in batches.plan(sizes, 512, tokens):
        assert 1 <= len(batch.index) <= batch.rows
        assert batch.rows * batch.length <= max(tokens, 512)
        ids, real = batch.fill([np.full(size, 7) for size in sizes], pad=1)
        assert ids.shape == real.shape == (batch.rows, batch.length)
        for row, index in enumerate(batch.index.tolist()):
            assert real[row].sum() == (ids[row] == 7).sum() == sizes[index]
        assert real.any(axis=1).all(), "attention of a row without a window is not of nothing"
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(len(sizes)))


@given(lengths, st.integers(1, 512))
def test_the_shape_of_a_window_hangs_on_its_length_alone(others: list[int], own: int) -> None:
    (alone,) = batches.plan([own], 512, 4096)
    crowd = [
        batch for batch in batches.plan([*others, own], 512, 4096) if len(others) in batch.index
    ]
    assert [(batch.rows, batch.length) for batch in crowd] == [(alone.rows, alone.length)]


class Batched(FakeScorer):
    """Scores in batches, and remembers how many windows each had."""

    batch_tokens = 100

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def score_many(self, windows: Sequence[Ints]) -> list[Floats]:
        self.sizes.append(len(windows))
        return [self.score(ids) for ids in windows]


def test_a_compressor_hands_over_all_windows_of_a_text_at_once() -> None:
    plain = Compressor.load("builtin")
    text = "The committee met on Tuesday and agreed on nothing at all, as it does. " * 60
    scorer = Batched()
    batched, single = (Compressor(one, plain.reader) for one in (scorer, FakeScorer()))
    assert batched.compress(text, 0.5).kept == single.compress(text, 0.5).kept
    assert len(scorer.sizes) == 1 and scorer.sizes[0] > 2


def gathered(works: list[Work], many: Callable[[Sequence[Ints]], list[Floats]]) -> list[int]:
    """Serves the works with one thread, all of them waiting before it begins."""
    sizes: list[int] = []
    begun, begin = threading.Event(), threading.Event()

    def watched(windows: Sequence[Ints]) -> list[Floats]:
        begun.set()
        assert begin.wait(10)
        sizes.append(len(windows))
        return many(windows)

    queue = WindowQueue(FakeScorer().score, 1, many=watched, batch_tokens=100)
    first = Work("t", [np.arange(1)], lambda: None)
    queue.put(first)  # keeps the thread busy until all others are there
    assert begun.wait(10)
    for work in works:
        queue.put(work)
    begin.set()
    for work in works:
        assert work.finished.wait(10)  # type: ignore[attr-defined]
    queue.close()
    return sizes


def work_of(tenant: str, *sizes: int) -> Work:
    finished = threading.Event()
    work = Work(tenant, [np.full(size, size) for size in sizes], finished.set)
    work.finished = finished  # type: ignore[attr-defined]
    return work


def test_windows_of_all_requests_go_together_up_to_the_tokens_of_a_batch() -> None:
    scorer = FakeScorer()
    works = [work_of("a", 30, 30), work_of("b", 30, 30), work_of("a", 30)]
    sizes = gathered(works, lambda windows: [scorer.score(ids) for ids in windows])
    assert sizes == [1, 4, 1], "four windows of 30 are the first over 100 tokens"
    for work in works:
        for ids, scores in zip(work.windows, work.scores, strict=True):
            assert scores is not None
            np.testing.assert_array_equal(scores, scorer.score(ids))


def test_only_the_request_whose_window_fails_sees_it() -> None:
    def many(windows: Sequence[Ints]) -> list[Floats]:
        if any(len(ids) == 13 for ids in windows):
            raise RuntimeError("unlucky")
        return [FakeScorer().score(ids) for ids in windows]

    good, bad = work_of("a", 20, 21), work_of("b", 13)
    gathered([good, bad], many)
    assert isinstance(bad.error, RuntimeError) and good.error is None
    assert all(scores is not None for scores in good.scores)


def test_the_scheduler_serves_a_scorer_in_batches() -> None:
    from proxy.compress.scheduler import Order, Scheduler
    from proxy.types import Passage, Rules

    scorer = Batched()
    compressor = Compressor(scorer, Compressor.load("builtin").reader)
    scheduler = Scheduler(compressor)
    text = "The committee met on Tuesday and agreed on nothing at all, as it does. " * 60
    try:
        order = Order(Rules(), lambda _: 0.5, "cl100k_base", deadline_ms=60_000)
        (result,) = asyncio.run(scheduler.compress([Passage(0, 0, "user", text)], order))
    finally:
        scheduler.close()
    assert result.text == compressor.compress(text, 0.5).text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "modernbert", "deberta-v2"])
def test_a_window_scores_the_same_in_any_company(family: str, tmp_path: Path, needs: Any) -> None:
    from importlib.util import find_spec

    needs(find_spec("torch") is not None, "pip install '.[torch]'")
    import torch

    from proxy.compress.torch import TorchScorer
    from tests.compress.families import FAMILIES, build, tokenizer

    folder = build(family, tmp_path / "m")
    torch.set_num_threads(1)
    longest = FAMILIES[family].window
    known: dict[str, Any] = {"name": "", "fingerprint": "", "place": torch.device("cpu")}
    known |= {"precision": "fp32", "longest": longest}
    single = TorchScorer(folder, **known)
    batched = TorchScorer(folder, **known, batch_tokens=4 * longest)
    random = np.random.default_rng(0)
    sizes = (longest, 3, longest // 2, longest, 17, 9)
    known_tokens = tokenizer(family).get_vocab_size()
    windows = [random.integers(5, known_tokens, size) for size in sizes]
    together = batched.score_many(windows)
    for ids, scores in zip(windows, together, strict=True):
        np.testing.assert_allclose(scores, single.score(ids), atol=1e-5)
        np.testing.assert_allclose(scores, batched.score(ids), atol=1e-7)
    assert batched.score_many([]) == []
