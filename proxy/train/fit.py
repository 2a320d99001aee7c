"""Fine-tunes an encoder to tell which words stay: token classification in LLMLingua-2's format.

Takes JSON lines ``{"text", "words", "labels", "doc", "source", "weight"}`` (labels hard or soft, on
surface words by character offsets) from ``labels.py`` or ``annotate.py``, and writes a directory
that both ``compressor.model`` and llmlingua load. What its authors' script got wrong and this one
does not: it trains on the text that inference sees, masks padding and special tokens out of the
loss, clips gradients after ``backward``, and splits by document.

One process on whatever device there is; ``accelerate launch`` runs it on several.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import AutoModelForTokenClassification, AutoTokenizer

from proxy.errors import ConfigError
from proxy.train import fit_report
from proxy.train.fit_rows import Windows, batches, read, windows_of


@dataclass(frozen=True)
class Settings:
    """Flags of one run; saved beside the weights."""

    rows: Path
    """Labelled rows, JSON lines."""
    encoder: Path
    """Directory or hub id of any Hugging Face encoder."""
    out: Path
    """Directory for the classifier."""
    window: int = 256
    """Tokens of a window, special tokens included."""
    epochs: int = 4
    """Passes over the rows."""
    batch: int = 16
    """Windows in a step, on each device."""
    lr: float = 2e-4
    """Highest learning rate of the one cycle."""
    warm_up: float = 0.1
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    """AdamW's."""
    clip: float = 1.0
    """Largest norm of a step's gradient."""
    average: float = 0.0
    """Decay of the running mean of the weights (EMA) that is saved; 0 for the last weights."""
    layers: int = 0
    """Keep only the first layers of the encoder; 0 for all."""
    held_out: float = 0.03
    """Share of the documents that only validate."""
    source_weights: dict[str, float] = field(default_factory=dict)
    """Weight of a source's windows in the loss."""
    keep_weight: float = 1.0
    """Weight of the keep side of the loss against the drop side."""
    max_words: int = 0
    """Stop reading after so many words; 0 for all."""
    rate: float = 0.33
    """Rate at which the best checkpoint is chosen."""
    bf16: bool = False
    """Half precision, for a GPU."""
    seed: int = 0
    """Of the head, the split and the order."""
    threads: int = 0
    """Threads on a CPU; 0 for torch's choice. One is faster where other work goes on."""
    resume: bool = False
    """Go on after the last finished epoch of a run into the same directory."""


def loss_of(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, keep_weight: float = 1.0
) -> torch.Tensor:
    """Weighted mean cross-entropy against soft labels, over tokens that count.

    ``logits`` (windows, tokens, 2), ``labels`` (windows, tokens), ``weights`` (windows,).
    """
    counts = labels >= 0
    targets = torch.stack([1 - labels, labels * keep_weight], dim=-1)[counts]  # (counted, 2)
    losses = cross_entropy(logits[counts].float(), targets, reduction="none")
    scale = weights[:, None].expand_as(labels)[counts]
    return (losses * scale).sum() / scale.sum()


def load_encoder(settings: Settings) -> Any:
    """The encoder with a fresh head of two labels, cut to its first layers if asked."""
    model = AutoModelForTokenClassification.from_pretrained(
        str(settings.encoder),
        num_labels=2,
        id2label={0: "drop", 1: "keep"},
        label2id={"drop": 0, "keep": 1},
        attn_implementation="sdpa",
    )
    if settings.layers:
        layers = model.base_model.encoder.layer
        model.base_model.encoder.layer = layers[: settings.layers]
        model.config.num_hidden_layers = settings.layers
    return model


class Run:
    """A run's moving parts: the model, its optimizer, where it stands, what it has seen."""

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.settings = settings
        self.accelerator = Accelerator(mixed_precision="bf16" if settings.bf16 else "no")
        self.tokenizer = AutoTokenizer.from_pretrained(str(settings.encoder))
        rows = read(settings)
        for part, remedy in zip(rows, ("lower", "raise"), strict=True):
            if not part:
                raise ConfigError(
                    [f"{settings.rows}: a side of the split is empty; {remedy} --held-out"]
                )
        self.train, self.valid = (windows_of(part, self._fast(), settings) for part in rows)
        processes = self.accelerator.num_processes
        self.epoch_steps = max(1, -(-len(self.train) // settings.batch) // processes)
        model = load_encoder(settings)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        moving_mean: Any = get_ema_multi_avg_fn
        average = AveragedModel(model, multi_avg_fn=moving_mean(settings.average))
        self.average = average.to(self.accelerator.device)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=settings.lr,
            total_steps=settings.epochs * self.epoch_steps,
            pct_start=settings.warm_up,
        )
        self.step, self.epoch, self.best = 0, 0, -1.0
        self.history: list[dict[str, Any]] = []
        self.started, self.first = time.time(), 0

    def _fast(self) -> Any:
        # A copy: what is saved beside the weights keeps its own truncation and padding.
        fast = copy.deepcopy(self.tokenizer.backend_tokenizer)
        fast.no_truncation()
        fast.no_padding()
        return fast

    def forward(self, model: Any, windows: Windows, index: torch.Tensor) -> tuple[Any, Any, Any]:
        """Logits, labels and weights of some windows, cut to the longest of them."""
        device = self.accelerator.device
        ids, mask, labels = (part.to(device) for part in windows.batch(index))
        logits = model(input_ids=ids, attention_mask=mask).logits
        return logits, labels, windows.weights[index].to(device)

    def train_epoch(self) -> None:
        """One pass; each process takes its share of the batches."""
        self.model.train()
        accelerator, settings = self.accelerator, self.settings
        mine = list(batches(self.train, settings, self.epoch))[accelerator.process_index :]
        for index in mine[:: accelerator.num_processes][: self.epoch_steps]:
            logits, labels, weights = self.forward(self.model, self.train, index)
            loss = loss_of(logits, labels, weights, settings.keep_weight)
            self.optimizer.zero_grad()
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(self.model.parameters(), settings.clip)
            self.optimizer.step()
            self.schedule.step()
            self.step += 1
            if settings.average:
                self.average.update_parameters(accelerator.unwrap_model(self.model))
            self._tell(float(loss.detach()))

    def _tell(self, loss: float) -> None:
        steps = self.settings.epochs * self.epoch_steps
        if self.step % 20 and self.step != steps:
            return
        self.history.append({"step": self.step, "train_loss": loss})
        each = (time.time() - self.started) / (self.step - self.first)
        left = each * (steps - self.step)
        self.accelerator.print(
            f"step {self.step}/{steps} loss {loss:.4f}, {left / 60:.0f} min left", flush=True
        )

    @torch.inference_mode()
    def validate(self) -> fit_report.Score:
        """Scores the weights that would be saved on the held-out documents."""
        model = self.chosen().eval()
        losses: list[float] = []
        windows = []
        for index in batches(self.valid, self.settings, 0):
            logits, labels, weights = self.forward(model, self.valid, index)
            losses.append(float(loss_of(logits, labels, weights)))
            keep = logits.float().softmax(-1)[..., 1].cpu().numpy()
            for one, other in zip(keep, labels.cpu().numpy(), strict=True):
                windows.append((one[other >= 0], other[other >= 0]))
        return fit_report.score(float(np.mean(losses)), windows, self.settings.rate)

    def chosen(self) -> Any:
        """The running mean of the weights if there is one, else the weights."""
        unwrapped = self.accelerator.unwrap_model(self.model)
        return self.average.module if self.settings.average else unwrapped

    def save(self, score: fit_report.Score) -> None:
        """The weights if they are the best so far; the flags, the picture and the state always."""
        out = self.settings.out
        if not self.accelerator.is_main_process:
            return
        out.mkdir(parents=True, exist_ok=True)
        if score.agreement > self.best:
            self.best = score.agreement
            self.chosen().save_pretrained(out)
            self.tokenizer.save_pretrained(out)
        flags = {
            key: str(value) if isinstance(value, Path) else value
            for key, value in asdict(self.settings).items()
        }
        text = json.dumps({**flags, "history": self.history}, indent=1)
        (out / "fit.json").write_text(text + "\n", encoding="utf-8")
        fit_report.plot(self.history, out / "fit.png")
        torch.save({**self._parts(), "at": self._at()}, out / "state.tmp")
        (out / "state.tmp").replace(out / "state.pt")

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.accelerator.unwrap_model(self.model).state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def _at(self) -> dict[str, Any]:
        names = ("step", "epoch", "best", "history")
        return {name: getattr(self, name) for name in names}

    def resume(self) -> None:
        """Goes back to the end of the last finished epoch, if there is one."""
        file = self.settings.out / "state.pt"
        if not file.is_file():
            return
        state = torch.load(file, map_location=self.accelerator.device, weights_only=True)
        self.accelerator.unwrap_model(self.model).load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        for name, value in state["at"].items():
            setattr(self, name, value)
        self.first = self.step


def main(settings: Settings) -> float:
    """Trains and saves; returns the best agreement on held-out documents."""
    run = Run(settings)
    run.accelerator.print(f"{len(run.train)} windows to train on, {len(run.valid)} held out")
    if settings.resume:
        run.resume()
    while run.epoch < settings.epochs:
        run.train_epoch()
        run.epoch += 1
        score = run.validate()
        run.history.append({"step": run.step, **asdict(score)})
        run.accelerator.print(f"epoch {run.epoch}: {score}", flush=True)
        run.save(score)
        run.accelerator.wait_for_everyone()
    return run.best
