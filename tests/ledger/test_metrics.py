"""Metrics: they can be read by Prometheus, add up, and have labels that nobody can make up."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from proxy.ledger import Metrics
from tests.ledger.test_receipts import receipt


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}


def test_a_request_is_counted_with_what_it_saved() -> None:
    metrics = Metrics(["m"])
    metrics.count(receipt(), 200)
    metrics.count(receipt(), 200)
    seen = samples(metrics)
    assert seen[("precis_requests_total", "compressed", "m", "200", "acme")] == 2
    assert seen[("precis_prompt_tokens_before_total", "m", "acme")] == 20
    assert seen[("precis_prompt_tokens_after_total", "m", "acme")] == 8
    assert seen[("precis_compression_seconds_count",)] == 2
    assert abs(seen[("precis_compression_seconds_sum",)] - 0.002) < 1e-9


def test_what_was_not_compressed_counts_as_a_request_alone() -> None:
    metrics = Metrics(["m"])
    bypassed = replace(receipt(), decision="bypassed", tokens_before=None, tokens_after=None, ms={})
    metrics.count(bypassed, 429)
    seen = samples(metrics)
    assert seen[("precis_requests_total", "bypassed", "m", "429", "acme")] == 1
    assert seen[("precis_compression_seconds_count",)] == 0
    assert ("precis_prompt_tokens_before_total", "m", "acme") not in seen


def test_models_that_are_not_written_out_share_one_label() -> None:
    metrics = Metrics(["m", "openai/*"])
    for number in range(100):
        metrics.count(replace(receipt(), model=f"openai/made-up-{number}"), 200)
    requests = {k: v for k, v in samples(metrics).items() if k[0] == "precis_requests_total"}
    assert requests == {("precis_requests_total", "compressed", "other", "200", "acme"): 100}


def test_two_servers_in_one_process_count_apart() -> None:
    first, second = Metrics(["m"]), Metrics(["m"])
    first.count(receipt(), 200)
    assert not [key for key in samples(second) if key[0] == "precis_requests_total"]
