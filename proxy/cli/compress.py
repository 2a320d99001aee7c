"""``precis compress``: shorten a file or standard input, without a server."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.cli.check import complain
from proxy.compress import Compressed, Compressor
from proxy.compress.cache import default as default_cache
from proxy.compress.draft import Job, as_it_came
from proxy.config_file import load, shipped
from proxy.config_policy import Policy
from proxy.errors import CheckpointError, ConfigError
from proxy.gate import verify
from proxy.messages.segment import passage
from proxy.tokens import encoding as load_encoding
from proxy.types import Rules


def compress(
    file: Annotated[str, typer.Argument(help="A text file, or - for standard input.")] = "-",
    rate: Annotated[
        float | None, typer.Option(help="Share of tokens to keep, over 0 and at most 1.")
    ] = None,
    target_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens to keep.")] = None,
    config: Annotated[Path | None, typer.Option(help="The config.yaml with the policy.")] = None,
    policy: Annotated[str | None, typer.Option(help="A policy of the config.yaml.")] = None,
    model: Annotated[
        str | None, typer.Option(help="builtin, builtin-fast, a directory or a hub id.")
    ] = None,
    precision: Annotated[str, typer.Option(help="auto, fp32, int8 or bf16.")] = "auto",
    encoding: Annotated[str, typer.Option(help="tiktoken encoding to count with.")] = "cl100k_base",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help='FILE has one {"text": ...} a line, so has the output.')
    ] = False,
) -> None:
    """Print a shorter text. With --policy, the text is treated as a user's message under it."""
    try:
        wish = _Wish.of(rate, target_tokens, config, policy)
        load_encoding(encoding)
        compressor = Compressor.load(
            model or wish.model,
            engine=wish.engine,
            precision=_precision(precision),
            cache=default_cache(os.environ),
        )
    except ConfigError as exc:
        complain(exc.problems)
        raise typer.Exit(2) from None
    except CheckpointError as exc:
        complain([exc.message])
        raise typer.Exit(2) from None
    for text in _texts(file, jsonl):
        started = time.perf_counter()
        result = wish.compress(compressor, text, encoding)
        ms = 1000 * (time.perf_counter() - started)
        if as_json or jsonl:
            _write(json.dumps(_as_json(result, compressor.name, ms)) + "\n")
        else:
            _write(result.text)


class _Wish:
    """What the options ask for."""

    def __init__(self, rate: float | None, target: int | None, policy: Policy | None) -> None:
        self.rate, self.target, self.policy = rate, target, policy
        self.model, self.engine = "builtin", "auto"

    @classmethod
    def of(
        cls, rate: float | None, target: int | None, config: Path | None, policy: str | None
    ) -> _Wish:
        problems = []
        if rate is not None and not 0 < rate <= 1:
            problems.append(f"--rate {rate}: give a share of tokens to keep, over 0 and at most 1")
        if rate is not None and target is not None:
            problems.append("--rate and --target-tokens exclude each other; give one")
        if problems:
            raise ConfigError(problems)
        if config is None and policy is None:
            return cls(rate, target, None)
        loaded = load(config or shipped(), os.environ).config
        if policy is not None and policy not in loaded.policies:
            known = ", ".join(loaded.policies) or "none"
            raise ConfigError([f"--policy {policy}: no such policy; there are: {known}"])
        wish = cls(rate, target, loaded.policy(policy) if policy else None)
        wish.model, wish.engine = loaded.compressor.model, loaded.compressor.engine
        return wish

    def compress(self, compressor: Compressor, text: str, encoding: str) -> Compressed:
        if self.policy is None:
            job = Job(text, Rules(), self.rate or 0.5, self.target)
            return compressor.run(job, encoding)
        return self._under_policy(compressor, text, encoding, self.policy)

    def _under_policy(
        self, compressor: Compressor, text: str, encoding: str, policy: Policy
    ) -> Compressed:
        tokens = load_encoding(encoding).count(text)
        found = passage(text, "user", policy)
        # An explicit --rate or --target-tokens takes the place of both settings of the policy.
        given = self.rate is not None or self.target is not None
        target = self.target if given else policy.target_tokens
        rate = self.rate or (0.5 if given else policy.rate_for(tokens))
        small = "short" if tokens < policy.min_tokens else ""
        poor = "no saving" if tokens < policy.worth_from else ""
        reason = found.reason or small or poor
        job = Job.of(found, policy.rules, rate, target)
        if reason:
            done = as_it_came(job, load_encoding(encoding), reason)
        else:
            done = compressor.run(job, encoding)
        return verify(found, done, policy, load_encoding(encoding))


def _precision(precision: str) -> str:
    if precision not in ("auto", "fp32", "int8", "bf16"):
        raise ConfigError([f"--precision {precision}: choose auto, fp32, int8 or bf16"])
    return precision


def _texts(file: str, jsonl: bool) -> Iterator[str]:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        whole = raw.decode("utf-8")
    except OSError as exc:
        complain([f"{file}: {exc.strerror}"])
        raise typer.Exit(2) from None
    except UnicodeDecodeError as exc:
        complain([f"{file}: not UTF-8 at byte {exc.start}; convert it first"])
        raise typer.Exit(2) from None
    if not jsonl:
        yield whole
        return
    for number, line in enumerate(whole.split("\n"), 1):
        if line.strip():
            yield _text_of(line, f"{file}:{number}")


def _text_of(line: str, where: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        complain([f'{where}: expected one JSON object with a string "text"'])
        raise typer.Exit(2)
    return text


def _as_json(result: Compressed, model: str, ms: float) -> dict[str, Any]:
    return {
        "text": result.text,
        "tokens_before": result.tokens_before,
        "tokens_after": result.tokens_after,
        "kept": [list(span) for span in result.kept],
        "model": model,
        "ms": round(ms, 3),
    }


def _write(text: str) -> None:
    # Bytes as they are: no line end is added or translated, and lone surrogates pass through.
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
    sys.stdout.buffer.flush()
