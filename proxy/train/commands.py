"""The commands of the stages that are functions elsewhere: fit, export, evaluate."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from proxy.errors import ConfigError
from proxy.train.commands_flags import flagged
from proxy.train.distill_console import FAILED, exit_codes
from proxy.train.distill_cost import Price
from proxy.train.judge import Budget, judge, tell
from proxy.train.judge_plan import Goal, JudgeSettings
from proxy.train.tasks import TASKS, find
from proxy.train.tasks_example import Data

_RATES = "0.2,0.33,0.5,0.8"


def fit_command() -> Callable[..., None]:
    """The command ``fit``. Raises ModuleNotFoundError where torch is missing."""
    from proxy.train import fit  # torch takes seconds, and may not be there

    return flagged(fit.Settings, fit.main, "Fine-tune an encoder to tell which words stay.")


def export(
    source: Annotated[Path, typer.Argument(help="What fit wrote.")],
    out: Annotated[Path, typer.Argument(help="The directory for compressor.model.")],
    card: Annotated[
        Path | None, typer.Option(help="JSON for precis.json: name, window, languages, ...")
    ] = None,
    sample: Annotated[
        Path | None, typer.Option(help="A text file to compare the engines on, at blank lines.")
    ] = None,
) -> None:
    """Make ONNX files, fp32 and int8, and compare them with torch."""
    console = Console(stderr=True)
    with exit_codes(console):
        from proxy.train import export as stage  # torch takes seconds, and may not be there

        texts = sample.read_text("utf-8").split("\n\n") if sample else None
        for row in stage.main(source, out, _card(card, source, out), texts):
            console.print(row)


def _card(file: Path | None, source: Path, out: Path) -> dict[str, Any]:
    """What precis.json says; without a file, the name and the window that fit trained with."""
    if file is not None:
        try:
            return dict(json.loads(file.read_text("utf-8")))
        except (ValueError, TypeError) as exc:
            raise ConfigError([f"{file}: not a JSON object ({exc})"]) from exc
    card: dict[str, Any] = {"name": out.name, "label_keep": 1}
    flags = source / "fit.json"
    if flags.is_file():
        card["window"] = json.loads(flags.read_text("utf-8"))["window"]
    return card


def evaluate(
    model: Annotated[
        str, typer.Option(help="builtin, builtin-fast, a directory or a hub id.")
    ] = "builtin",
    data: Annotated[
        str,
        typer.Option(help="Folder of the dev sets; with --task its file, folder, zip or hub id."),
    ] = "",
    rates: Annotated[str, typer.Option(help=f"Shares of tokens to keep, as {_RATES}.")] = "",
    target_tokens: Annotated[
        str, typer.Option(help="With --task: tokens to keep, as 2000,3000; instead of rates.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most texts of each set; 0 for all.")] = 0,
    task: Annotated[str, typer.Option(help=f"Ask an LLM: {', '.join(TASKS)}.")] = "",
    llm: Annotated[str, typer.Option(help="The LLM, by its provider's or litellm's name.")] = "",
    demos: Annotated[
        Path | None, typer.Option(help="Demonstrations, where they don't lie with the task.")
    ] = None,
    datasets: Annotated[str, typer.Option(help="Only these of the task's data sets, a,b.")] = "",
    base_url: Annotated[
        str, typer.Option(help="An OpenAI-compatible URL (http://localhost:8000/v1); else litellm.")
    ] = "",
    key_env: Annotated[str, typer.Option(help="Environment variable that holds the API key.")] = "",
    temperature: Annotated[float, typer.Option(min=0.0, max=2.0)] = 0.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at the same time.")] = 8,
    retries: Annotated[int, typer.Option(min=0, help="Of a failed request.")] = 6,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for an answer.")] = 300.0,
    price_in: Annotated[
        float | None, typer.Option(min=0.0, help="Dollars for a million tokens in.")
    ] = None,
    price_out: Annotated[
        float | None, typer.Option(min=0.0, help="Dollars for a million tokens out.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before spending.")] = False,
) -> None:
    """Measure a classifier on the dev sets, or with --task what an LLM makes of its output."""
    console = Console(stderr=True)
    with exit_codes(console):
        if not task:
            _refuse({"--llm": llm, "--target-tokens": target_tokens, "--demos": demos})
            _without_llm(model, data, _numbers(rates or _RATES, "--rates"), limit, out)
            return
        if not llm or out is None:
            raise ConfigError(["--task needs --llm MODEL and --out FOLDER"])
        settings = JudgeSettings(
            find(task),
            Data(data or "hub", demos, frozenset(_words(datasets))),
            out,
            llm,
            model,
            goals(rates, target_tokens),
            limit,
            base_url,
            _api_key(key_env, base_url),
            temperature,
            concurrency,
            retries,
            timeout_s=timeout,
            price=_price(price_in, price_out),
        )
        failed = _with_llm(settings, yes, console)
    if failed:
        raise typer.Exit(FAILED)


def _without_llm(
    model: str, data: str, rates: tuple[float, ...], limit: int, out: Path | None
) -> None:
    from proxy.train import evaluate as stage  # reads vocabularies, and may draw

    if not data:
        raise ConfigError(["--data: give the folder of the dev sets"])
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    file = out / "evaluate.json" if out else None
    stage.main(Path(data), models=(model,), rates=rates, limit=limit, out=file)


def _with_llm(settings: JudgeSettings, yes: bool, console: Console) -> bool:
    """Whether something is left to be asked for again."""

    def confirm(budget: Budget) -> bool:
        console.print(budget.sentence(), highlight=False)
        return yes or typer.confirm("Go on?", err=True)

    report = judge(settings, confirm, console)
    if not report.left:
        tell(console, settings, report)
    return bool(report.left or report.failed)


def goals(rates: str, target_tokens: str) -> tuple[Goal, ...]:
    """From the options; the paper's rates where none is given. Raises ConfigError."""
    found = [Goal(rate=rate) for rate in _numbers(rates, "--rates")]
    for word in _words(target_tokens):
        if not word.isascii() or not word.isdigit() or int(word) < 1:
            raise ConfigError([f"--target-tokens {word}: give whole numbers, as 2000,3000"])
        found.append(Goal(tokens=int(word)))
    return tuple(found) or (Goal(0.33), Goal(0.5))


def _numbers(text: str, name: str) -> tuple[float, ...]:
    found = []
    for word in _words(text):
        try:
            rate = float(word)
        except ValueError:
            rate = 0.0
        if not 0 < rate <= 1:
            raise ConfigError([f"{name} {word}: give shares over 0 and at most 1, as {_RATES}"])
        found.append(rate)
    return tuple(found)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _refuse(options: dict[str, object]) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise ConfigError([f"{', '.join(given)}: only with --task, one of {', '.join(TASKS)}"])


def _api_key(variable: str, base_url: str) -> str:
    """No variable is needed where litellm finds its keys itself, or a server wants none."""
    if variable and not os.environ.get(variable):
        raise ConfigError([f"--key-env: the environment variable {variable} is not set"])
    default = "OPENAI_API_KEY" if base_url else ""
    return os.environ.get(variable or default, "")


def _price(millions_in: float | None, millions_out: float | None) -> Price | None:
    if (millions_in is None) != (millions_out is None):
        raise ConfigError(["--price-in and --price-out only make sense together"])
    if millions_in is None or millions_out is None:
        return None
    return Price(millions_in / 1e6, millions_out / 1e6)
