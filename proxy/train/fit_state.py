"""Where a run stands, on the disk: everything that going on needs, and whether it is the same run.

A file of weights, optimizer, schedule and random numbers. It is either the old one or the whole
new one, so a run that is killed while it writes goes on from the one before.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.train.fit import Run, Settings

_FREE = frozenset({"out", "threads", "resume", "save_steps"})
"""Flags that may differ between a run and its continuation."""
_STANDING = ("step", "epoch", "best", "history")


def flags_of(settings: Settings) -> dict[str, Any]:
    """The flags as they are written beside the weights."""
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in asdict(settings).items()
    }


def save(run: Run) -> None:
    """Writes ``state.pt`` and, for people, ``fit.json`` with the flags and the history."""
    out = run.settings.out
    out.mkdir(parents=True, exist_ok=True)
    flags = flags_of(run.settings)
    text = json.dumps({**flags, "history": run.history}, indent=1)
    (out / "fit.json").write_text(text + "\n", encoding="utf-8")
    state = {name: part.state_dict() for name, part in _parts(run).items()}
    at = {name: getattr(run, name) for name in _STANDING}
    random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
    whole = {**state, "at": at, "random": random, "flags": json.dumps(flags)}
    torch.save(whole, out / "state.tmp")
    (out / "state.tmp").replace(out / "state.pt")


def load(run: Run) -> bool:
    """Goes back to the last saved step; False if there is none.

    Raises ConfigError if the run there was made with other flags.
    """
    file = run.settings.out / "state.pt"
    if not file.is_file():
        return False
    state = torch.load(file, map_location="cpu", weights_only=True)
    if "flags" not in state:
        raise ConfigError([f"{file} is of an older version; give another out"])
    _check(file, json.loads(state["flags"]), flags_of(run.settings))
    for name, part in _parts(run).items():
        part.load_state_dict(state[name])
    for name in _STANDING:
        setattr(run, name, state["at"][name])
    torch.set_rng_state(state["random"]["cpu"])
    if len(state["random"]["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    return True


def _parts(run: Run) -> dict[str, Any]:
    parts = {
        "model": run.accelerator.unwrap_model(run.model),
        "optimizer": run.optimizer,
        "schedule": run.schedule,
    }
    return parts if run.average is None else {**parts, "average": run.average}


def _check(file: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    other = sorted(
        name for name in now if name not in _FREE and before.get(name, now[name]) != now[name]
    )
    if other:
        told = ", ".join(
            f"--{name.replace('_', '-')} {now[name]} (was {before[name]})" for name in other
        )
        raise ConfigError([f"{file}: that run had other flags: {told}; give them, or another out"])
