"""What is freed of a vocabulary is not missed."""

from __future__ import annotations

import pickle

import tiktoken

from proxy import tokens


def test_an_encoding_counts_as_before_and_others_find_theirs_whole() -> None:
    counter = tokens.encoding("p50k_base")
    shared = tiktoken.get_encoding("p50k_base")
    assert shared._mergeable_ranks  # who extends an encoding reads it here
    kept, ids = shared._mergeable_ranks, counter.ids("A word or two, für alle.")
    try:
        tokens.let_go()
        assert not shared._mergeable_ranks
        tokens.encoding.cache_clear()
        again = tokens.encoding("p50k_base")
        assert again.ids("A word or two, für alle.").tolist() == ids.tolist()
        ends = again.token_ends(ids).tolist()
        assert ends == sorted(ends) and ends[-1] == len("A word or two, für alle.".encode())
        assert pickle.loads(pickle.dumps(shared)).encode("word") == shared.encode("word")
    finally:
        shared._mergeable_ranks = kept
