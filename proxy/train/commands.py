"""The commands of the stages that are functions elsewhere: fit, export, evaluate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from proxy.errors import ConfigError
from proxy.train.commands_flags import flagged
from proxy.train.commands_llm import (
    Asking,
    BaseUrl,
    Concurrency,
    KeyEnv,
    PriceIn,
    PriceOut,
    Retries,
    Temperature,
    Timeout,
    Yes,
)
from proxy.train.distill_console import FAILED, exit_codes, show
from proxy.train.judge import Budget, judge, tell
from proxy.train.judge_plan import Goal, JudgeSettings
from proxy.train.tasks import TASKS, find
from proxy.train.tasks_example import Data

_RATES = "0.2,0.33,0.5,0.65,0.8"


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
        for row in stage.main(source, out, _card(card, source, out), texts, console):
            numbers = asdict(row)
            show(console, f"{numbers.pop('engine')} against torch", numbers)
        console.print(f"compressor.model: {out}", highlight=False)


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
        str, typer.Option(help="builtin, builtin-fast, a directory or a hub id; or several, a,b.")
    ] = "builtin",
    data: Annotated[
        str,
        typer.Option(help="Folder of the dev sets; with --task its file, folder, zip or hub id."),
    ] = "",
    rates: Annotated[str, typer.Option(help=f"Shares of tokens to keep, as {_RATES}.")] = "",
    target_tokens: Annotated[
        str, typer.Option(help="With --task: tokens to keep, as 2000,3000; instead of rates.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; a run goes on from there.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most texts of each set; 0 for all.")] = 0,
    llmlingua: Annotated[
        str, typer.Option(help="Checkpoint that the package llmlingua is measured on.")
    ] = "",
    task: Annotated[str, typer.Option(help=f"Ask an LLM: {', '.join(TASKS)}.")] = "",
    llm: Annotated[str, typer.Option(help="The LLM, by its provider's or litellm's name.")] = "",
    demos: Annotated[
        Path | None, typer.Option(help="Demonstrations, where they don't lie with the task.")
    ] = None,
    datasets: Annotated[str, typer.Option(help="Only these of the task's data sets, a,b.")] = "",
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    temperature: Temperature = 0.0,
    concurrency: Concurrency = 8,
    retries: Retries = 6,
    timeout: Timeout = 300.0,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    yes: Yes = False,
) -> None:
    """Measure a classifier on the dev sets, or with --task what an LLM makes of its output."""
    asking = Asking(
        base_url, key_env, temperature, concurrency, retries, timeout, price_in, price_out
    )
    console = Console(stderr=True)
    failed = False
    with exit_codes(console):
        if task:
            if not llm or out is None:
                raise ConfigError(["--task needs --llm MODEL and --out FOLDER"])
            material = Data(data or "hub", demos, frozenset(_words(datasets)))
            wanted = goals(rates, target_tokens)
            settings = JudgeSettings(
                find(task), material, out, llm, model, wanted, limit, **asking.settings()
            )
            failed = _with_llm(settings, yes, console)
        else:
            _refuse({"--llm": llm, "--target-tokens": target_tokens, "--demos": demos})
            at = _numbers(rates or _RATES, "--rates")
            _without_llm(_words(model), data, at, limit, out, llmlingua)
    if failed:
        raise typer.Exit(FAILED)


def _without_llm(
    models: list[str],
    data: str,
    rates: tuple[float, ...],
    limit: int,
    out: Path | None,
    package: str,
) -> None:
    from proxy.train import evaluate as stage  # reads vocabularies, and may draw

    if not data:
        raise ConfigError(["--data: give the folder of the dev sets"])
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    file = out / "evaluate.json" if out else None
    stage.main(Path(data), models or ("builtin",), rates, limit, file, package=package)


def _with_llm(settings: JudgeSettings, yes: bool, console: Console) -> bool:
    """Whether something is left to be asked for again."""

    def confirm(budget: Budget) -> bool:
        console.print(budget.sentence(), highlight=False)
        return yes or typer.confirm("Go on?", err=True)

    report = judge(settings, confirm, console)
    if report.lines:
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
