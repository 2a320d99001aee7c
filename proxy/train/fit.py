"""Fine-tunes an encoder to tell which words stay: token classification in LLMLingua-2's format.

Takes JSON lines ``{"text", "words", "labels", "doc", "source", "weight"}`` (labels hard or soft, on
surface words by character offsets) from ``labels.py`` or ``annotate.py``, and writes a directory
that both ``compressor.model`` and llmlingua load. What its authors' script got wrong and this one
does not: it trains on the text that inference sees, masks padding and special tokens out of the
loss, clips gradients after ``backward``, and splits by document.

One process on whatever device there is; ``accelerate launch -m proxy.train.fit ARGUMENTS`` runs it
on several.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from rich.console import Console
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer

from proxy.compress.tokenize import CAPITAL
from proxy.errors import ConfigError
from proxy.train import fit_report, fit_shape, fit_state
from proxy.train.distill_console import progress
from proxy.train.fit_rows import Windows, balance, batches, labels_mean, read, windows_of

LOOK = 20
"""Steps whose mean loss is one point of the picture."""


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
    dropout: float = -1.0
    """Of the encoder and the head, attention's is 0 then; negative for the encoder's own. Without
    attention's a CPU is twice as fast."""
    weight_decay: float = 0.01
    """AdamW's."""
    clip: float = 1.0
    """Largest norm of a step's gradient."""
    average: float = 0.0
    """Decay of the running mean of the weights (EMA) that is saved; 0 for the last weights."""
    layers: int = 0
    """Keep only the first layers of the encoder; 0 for all."""
    inner: int = 0
    """Keep only so many inner units of each layer's feed-forward part, the heaviest; 0 for all."""
    activation: str = ""
    """Of the inner units, such as relu, which is the fastest; the encoder's own if not given."""
    capitals: bool = False
    """Tell an uncased encoder by token types which words start with a capital letter."""
    blind: float = 0.1
    """Share of the windows whose capitals are hidden, so that text without them is read too."""
    held_out: float = 0.03
    """Share of the documents that only validate."""
    source_weights: dict[str, float] = field(default_factory=dict)
    """Weight of a source's windows in the loss."""
    keep_weight: float = 1.0
    """Weight of the keep side of the loss against the drop side; 0 to balance the classes."""
    max_words: int = 0
    """Stop reading after so many words; 0 for all."""
    rate: float = 0.33
    """Rate at which the best checkpoint is chosen."""
    bf16: bool = False
    """Half precision: on a GPU, or a CPU with bf16 of its own (AMX)."""
    seed: int = 0
    """Of the head, the split and the order."""
    threads: int = 0
    """Threads on a CPU; 0 for torch's choice. One is faster where other work goes on."""
    save_steps: int = 500
    """Save where the run stands after so many steps, as after each epoch; 0 for epochs only."""
    resume: bool = False
    """Go on where a run into the same directory stands, if there is one."""


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
    """The encoder with a fresh head of two labels, made smaller if asked."""
    config = AutoConfig.from_pretrained(
        str(settings.encoder),
        num_labels=2,
        id2label={0: "drop", 1: "keep"},
        label2id={"drop": 0, "keep": 1},
        trust_remote_code=False,
    )
    if settings.activation:
        fit_shape.set_activation(config, settings.activation)
    model = AutoModelForTokenClassification.from_pretrained(
        str(settings.encoder),
        config=config,
        attn_implementation="sdpa",
        trust_remote_code=False,
    )
    if settings.layers:
        fit_shape.cut_layers(model, settings.layers)
    if settings.inner:
        fit_shape.cut_inner(model, settings.inner)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Dropout) and settings.dropout >= 0:
            # Attention that drops nothing runs fused.
            module.p = 0.0 if "self" in name.split(".") else settings.dropout
    if settings.capitals:
        model.config.token_types = "capitals"
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
        self.train, self.valid = self._read()
        self.keep_weight = settings.keep_weight or balance(self.train)
        self.epoch_steps = self._epoch_steps()
        model = load_encoder(settings)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        self.average = self._moving_mean(model) if settings.average else None
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        steps = settings.epochs * self.epoch_steps
        rising = min(settings.warm_up * steps, steps - 1)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=settings.lr,
            total_steps=steps,
            # A single step of warm-up is none: the schedule would divide by nothing.
            pct_start=0.0 if math.isclose(rising, 1) else rising / steps,
        )
        self.step, self.epoch, self.best = 0, 0, -1.0
        self.history: list[dict[str, Any]] = []
        self._losses: list[torch.Tensor] = []
        """Of the steps since the last look, left on the device: reading one waits for it."""

    def _read(self) -> tuple[Windows, Windows]:
        settings = self.settings
        rows = read(settings)
        for part, remedy in zip(rows, ("lower", "raise"), strict=True):
            if not part:
                raise ConfigError(
                    [f"{settings.rows}: a side of the split is empty; {remedy} --held-out"]
                )
        # A copy: what is saved beside the weights keeps its own truncation and padding.
        fast = copy.deepcopy(self.tokenizer.backend_tokenizer)
        fast.no_truncation()
        fast.no_padding()
        train, valid = (windows_of(part, fast, settings) for part in rows)
        return train, valid

    def _epoch_steps(self) -> int:
        """Steps of one process in an epoch: as many for all, or some would wait for ever."""
        steps = -(-len(self.train) // self.settings.batch)
        processes = int(self.accelerator.num_processes)
        if steps < processes:
            raise ConfigError([f"{steps} batches for {processes} processes; lower --batch"])
        return steps // processes

    def _moving_mean(self, model: Any) -> AveragedModel:
        moving_mean: Any = get_ema_multi_avg_fn
        average = AveragedModel(model, multi_avg_fn=moving_mean(self.settings.average))
        return average.to(self.accelerator.device)

    def forward(self, model: Any, windows: Windows, index: torch.Tensor) -> tuple[Any, Any, Any]:
        """Logits, labels and weights of some windows, cut to the longest of them."""
        device = self.accelerator.device
        ids, mask, labels = (part.to(device) for part in windows.batch(index))
        inputs = {"input_ids": ids % CAPITAL, "attention_mask": mask}
        if self.settings.capitals:
            types = ids // CAPITAL
            if model.training:
                types = types * (torch.rand(len(ids), 1, device=device) >= self.settings.blind)
            inputs["token_type_ids"] = types
        logits = model(**inputs).logits
        return logits, labels, windows.weights[index].to(device)

    def train_epoch(self, tell: Callable[[], None] = lambda: None) -> None:
        """One pass, or what is left of it; each process takes its share of the batches."""
        self.model.train()
        accelerator = self.accelerator
        mine = list(batches(self.train, self.settings, self.epoch))[accelerator.process_index :]
        mine = mine[:: accelerator.num_processes][: self.epoch_steps]
        for index in mine[self.step - self.epoch * self.epoch_steps :]:
            self.train_step(index)
            if self.step % LOOK == 0 or self.step % self.epoch_steps == 0:
                loss = float(torch.stack(self._losses).mean())
                self.history.append({"step": self.step, "train_loss": loss})
                self._losses.clear()
            if self.settings.save_steps and self.step % self.settings.save_steps == 0:
                self.save_state()
            tell()

    def train_step(self, index: torch.Tensor) -> None:
        """One step down the gradient of some windows."""
        logits, labels, weights = self.forward(self.model, self.train, index)
        loss = loss_of(logits, labels, weights, self.keep_weight)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self._losses.append(loss.detach())
        if self.average is not None:
            self.average.update_parameters(self.accelerator.unwrap_model(self.model))

    @torch.inference_mode()
    def validate(self) -> fit_report.Score:
        """Scores the weights that would be saved on the held-out documents."""
        model = self.chosen().eval()
        losses: list[float] = []
        windows = []
        for index in batches(self.valid, self.settings, 0):
            logits, labels, weights = self.forward(model, self.valid, index)
            losses.append(float(loss_of(logits, labels, weights, self.keep_weight)))
            keep = logits.float().softmax(-1)[..., 1].cpu().numpy()
            for one, other in zip(keep, labels.cpu().numpy(), strict=True):
                windows.append((one[other >= 0], other[other >= 0]))
        return fit_report.score(float(np.mean(losses)), windows, self.settings.rate)

    def chosen(self) -> Any:
        """The running mean of the weights if there is one, else the weights."""
        if self.average is not None:
            return self.average.module
        return self.accelerator.unwrap_model(self.model)

    def save(self, score: fit_report.Score) -> None:
        """The weights if they are the best so far; the flags, the picture and the state always."""
        out = self.settings.out
        if score.agreement > self.best:
            self.best = score.agreement
            if self.accelerator.is_main_process:
                self.chosen().save_pretrained(out)
                self.tokenizer.save_pretrained(out)
        if self.accelerator.is_main_process:
            out.mkdir(parents=True, exist_ok=True)
            fit_report.plot(self.history, out / "fit.png")
        self.save_state()

    def save_state(self) -> None:
        """Where the run stands; written by the first process alone, as all stand at the same."""
        if self.accelerator.is_main_process:
            fit_state.save(self)


def main(settings: Settings, console: Console | None = None) -> float:
    """Trains and saves; returns the best agreement on held-out documents."""
    run = Run(settings)
    first = run.accelerator.is_main_process
    console = (console or Console(stderr=True)) if first else Console(quiet=True)
    console.print(narrate(run), highlight=False)
    if settings.resume and fit_state.load(run):
        console.print(f"going on at step {run.step}, epoch {run.epoch + 1}", highlight=False)
    with progress(console) as bar:
        total = settings.epochs * run.epoch_steps
        task = bar.add_task("fit", total=total, completed=run.step, note="")

        def tell() -> None:
            losses = [row["train_loss"] for row in run.history if "train_loss" in row]
            bar.update(task, completed=run.step, note=f"loss {losses[-1]:.4f}" if losses else "")

        while run.epoch < settings.epochs:
            run.train_epoch(tell)
            run.epoch += 1
            score = run.validate()
            run.history.append({"step": run.step, **asdict(score)})
            console.print(f"epoch {run.epoch}: {score}", highlight=False)
            run.save(score)
            run.accelerator.wait_for_everyone()
    console.print(f"best agreement {run.best:.4f}; the classifier is in {settings.out}")
    return run.best


def narrate(run: Run) -> str:
    """What is about to happen."""
    settings = run.settings
    share = labels_mean(run.train)
    return (
        f"{len(run.train):,} windows to train on, {len(run.valid):,} of other documents held out; "
        f"{share:.0%} of the words' labels say keep, weighed {run.keep_weight:.2f} to 1; "
        f"{settings.epochs * run.epoch_steps:,} steps on {run.accelerator.device}"
        f"{' in bf16' if settings.bf16 else ''}"
    )


if __name__ == "__main__":
    import typer

    from proxy.train.commands import fit_command

    typer.run(fit_command())
