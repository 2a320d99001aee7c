"""The compressor: one classifier, its tokenizer, and the way from a text to a shorter one."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from proxy.compress import trial
from proxy.compress.checkpoint import find
from proxy.compress.draft import Draft, Job, Reader, as_it_came
from proxy.compress.engine import open_scorer
from proxy.compress.scorer import BatchScorer, Floats, Ints, Scorer
from proxy.compress.windows import Window
from proxy.tokens import DEFAULT_ENCODING, encoding
from proxy.types import Compressed, Context, Mark, Region, Rules, Span


class Compressor:
    """Compresses texts with one classifier. Safe to share between threads."""

    def __init__(self, scorer: Scorer, reader: Reader, *, threads: int | None = None) -> None:
        self.scorer = scorer
        self.reader = reader
        self.batch_tokens = scorer.batch_tokens if isinstance(scorer, BatchScorer) else 0
        # Batches run one after the other: while one is scored, another thread gathers the next.
        self.threads = threads or (2 if self.batch_tokens else os.cpu_count() or 1)
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="score")

    @classmethod
    def load(
        cls,
        model: str = "builtin",
        *,
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        cache: Path | None = None,
    ) -> Self:
        """The classifier called ``model``: ``builtin``, ``builtin-fast``, a directory or a hub id.

        ``cache`` is where a model that has to be exported to ONNX is kept; the user's own cache
        directory if not given. Raises CheckpointError if the classifier cannot be used.
        """
        checkpoint = find(model)
        tokenizer = checkpoint.tokenizer(cache)
        scorer = open_scorer(checkpoint, tokenizer, engine, precision, cache)
        reader = Reader(
            tokenizer, checkpoint.window, checkpoint.languages, checkpoint.sentence_share
        )
        return cls(scorer, reader, threads=threads)

    @property
    def name(self) -> str:
        return self.scorer.name

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever scores may: with the checkpoint, and with how this machine runs it.

        Another version of the engine, or another processor, rounds in another way; that shows in
        the scores of a sample.
        """
        sample = trial.windows(self.reader.tokenizer, self.reader.window)[-2:][0]
        seen = hashlib.blake2b(self.scorer.score(sample).tobytes(), digest_size=8)
        return f"{self.scorer.fingerprint}-{seen.hexdigest()}"

    def compress(
        self,
        text: str,
        rate: float = 0.5,
        *,
        target_tokens: int | None = None,
        encoding: str = DEFAULT_ENCODING,
        intact: Sequence[Mark] = (),
        forced: Sequence[Mark] = (),
        dropped: Sequence[Mark] = (),
        regions: Sequence[Region] = (),
        contexts: Sequence[Span] = (),
        force_context_ids: Collection[int] = (),
        **rules: Any,
    ) -> Compressed:
        """``text`` with about ``rate`` of its tokens, or ``target_tokens`` of them.

        ``rate`` is in (0, 1] and counts tokens of ``encoding``, the upstream's; 1.0 gives the text
        back. What the marks and regions mean is said at ``Passage``. With ``context_rate`` or
        ``target_context`` some of the ``contexts``, spans such as documents, go as a whole, but
        for those whose places ``force_context_ids`` names. ``rules`` are the fields of ``Rules``
        (``force_tokens=["."]``, ``threshold=0.4``). Raises ValueError for a rate or target out of
        range.
        """
        if not 0 < rate <= 1:
            raise ValueError(
                f"rate is {rate}; give a share of tokens to keep, over 0 and at most 1"
            )
        if target_tokens is not None and target_tokens < 1:
            raise ValueError(f"target_tokens is {target_tokens}; give at least 1")
        lists: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in rules.items()
        }
        marks = tuple(intact), tuple(forced), tuple(dropped)
        parts = tuple(Context(*c, i in force_context_ids) for i, c in enumerate(contexts))
        job = Job(text, Rules(**lists), rate, target_tokens, *marks, tuple(regions), contexts=parts)
        return self.run(job, encoding)

    def run(self, job: Job, encoding_name: str = DEFAULT_ENCODING) -> Compressed:
        """Compresses one text in this thread, its windows scored in the pool."""
        started = time.perf_counter()
        early = self.settle(job, encoding_name)
        if early is not None:
            return early
        draft = Draft.of(job, self.reader)
        read = time.perf_counter()
        packed = self._levels_of_all(draft)
        scored = time.perf_counter()
        result = self.finish(draft, packed, encoding_name)
        ended = time.perf_counter()
        ms = {"tokenize": read - started, "score": scored - read, "select": ended - scored}
        return replace(result, ms={stage: 1000 * seconds for stage, seconds in ms.items()})

    def warm(self, encoding_names: Iterable[str] = (DEFAULT_ENCODING,)) -> None:
        """Load and run everything once, so that the first request finds it ready."""
        for name in encoding_names:
            self.run(Job("A first sentence, to be ready. " * 8), name)

    def settle(self, job: Job, encoding_name: str) -> Compressed | None:
        """The result where no classifier is needed to know it: nothing there, or all of it kept."""
        counter = encoding(encoding_name)
        if not job.text or job.text.isspace():
            return as_it_came(job, counter, "empty")
        if job.rules.threshold is not None or any(r.rate is not None for r in job.regions):
            return None
        if job.target_tokens is not None:
            ids = counter.ids(job.text) if job.token_ids is None else job.token_ids
            if len(ids) > job.target_tokens:
                return None
            return as_it_came(replace(job, token_ids=ids), counter, "fits")
        return as_it_came(job, counter, "rate") if job.rate >= 1 else None

    def score(self, ids: Ints) -> Floats:
        """P(keep) of each token of one window, without the special tokens, shape ``(tokens,)``."""
        tokenizer = self.reader.tokenizer
        inner = self.scorer.score(tokenizer.around(ids))
        return inner[len(tokenizer.prefix) : len(inner) - len(tokenizer.suffix)]

    def score_many(self, windows: Sequence[Ints]) -> list[Floats]:
        """What ``score`` gives for each window, in one go where the classifier can do that."""
        if not isinstance(self.scorer, BatchScorer):
            return [self.score(ids) for ids in windows]
        tokenizer = self.reader.tokenizer
        whole = self.scorer.score_many([tokenizer.around(ids) for ids in windows])
        before, after = len(tokenizer.prefix), len(tokenizer.suffix)
        return [scores[before : len(scores) - after] for scores in whole]

    def _levels_of_all(self, draft: Draft) -> list[bytes]:
        windows = [draft.ids(window) for window in draft.windows]
        batched = self.batch_tokens > 0
        scores = self.score_many(windows) if batched else list(self.pool.map(self.score, windows))
        # Packed now and not in between, where it would push the classifier out of the caches.
        pairs = zip(draft.windows, scores, strict=True)
        return [draft.levels(window, tokens) for window, tokens in pairs]

    def levels(self, draft: Draft, window: Window) -> bytes:
        """The scores of one window's words, packed."""
        return draft.levels(window, self.score(draft.ids(window)))

    def finish(self, draft: Draft, packed: Sequence[bytes], encoding_name: str) -> Compressed:
        """Chooses from the draft with the packed scores of all of its windows."""
        result = draft.finish(packed, self.reader.tokenizer, encoding(encoding_name))
        return replace(result, model=self.scorer.name)
