from __future__ import annotations

import pytest

from proxy.compress.scheduler import Order, Scheduler
from proxy.types import Passage, Rules
from tests.compress.readers import fake

STEPS = ((10, 0.8), (100, 0.4))


@pytest.mark.parametrize(("tokens", "rate"), [(10, 1.0), (11, 0.8), (100, 0.8), (101, 0.4)])
def test_the_last_step_that_a_text_is_over_gives_its_rate(tokens: int, rate: float) -> None:
    assert Order(Rules(), STEPS, "cl100k_base").rate_for(tokens) == rate


async def test_longer_texts_of_one_request_are_compressed_harder() -> None:
    scheduler = Scheduler(fake())
    texts = ["the word of a", "the word of a number " * 8, "the word of a number is on " * 40]
    passages = [Passage(i, None, "user", text) for i, text in enumerate(texts)]
    order = Order(Rules(), STEPS, "cl100k_base", deadline_ms=60_000)
    short, middle, long = await scheduler.compress(passages, order)
    scheduler.close()
    assert short.reason == "rate"
    assert middle.rate == pytest.approx(0.8, abs=0.03)
    assert long.rate == pytest.approx(0.4, abs=0.01)
