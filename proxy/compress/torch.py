"""The PyTorch engine, and the only serving file that imports torch; also traces for ONNX.

For accelerators, in batches of fixed shapes (``batches``): nothing waits for the device before the
last of them is under way, and the scores come back in one piece. On a CPU one window a call, as the
ONNX engine. Precision ``auto`` is half where the device has it (bf16, or fp16 on older cards and
Apple's) and scores stay the same with it.
"""

from __future__ import annotations

import contextlib
import pickle
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForTokenClassification

from proxy.compress import batches, trial
from proxy.compress.scorer import Bools, Floats, Ints
from proxy.compress.tokenize import unpack
from proxy.errors import CheckpointError

BATCH_TOKENS = 4096
"""Of one array: enough to fill a large card's cores, some 10 ms of its time with a large model."""
GO_TOKENS = 4 * BATCH_TOKENS
"""Of windows to ask for in one go, so that each length finds its like."""
_BROAD = frozenset("bert camembert distilbert roberta xlm-roberta".split())
"""Families that take a mask of four dimensions as it is. Of one of two, transformers looks whether
anything is masked at all, which waits for the device, and picks another kernel if not."""
_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


class TorchScorer:
    """A token classifier from a Hugging Face directory."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        fingerprint: str,
        label_keep: int = 1,
        precision: str = "auto",
        sample: Sequence[Ints] = (),
        longest: int = 512,
        place: torch.device | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        """``sample``: windows on which ``auto`` makes sure that half precision is good enough.

        ``longest``: tokens of the longest window. ``place`` is the accelerator if not given;
        ``batch_tokens`` what suits it, 0 for one window a call.
        """
        self.name = name
        self.device = place or device()
        usual = 0 if self.device.type == "cpu" else GO_TOKENS
        self.batch_tokens = usual if batch_tokens is None else batch_tokens
        self._keep, self._longest = label_keep, longest
        self._model = load(folder).to(self.device)
        config = self._model.config
        attention = getattr(config, "_attn_implementation", "")
        self._broad = config.model_type in _BROAD and attention == "sdpa"
        self._pad = config.pad_token_id or 0
        self.precision = self._lower(precision, sample)
        if self.precision == "fp32" and self._model.dtype != torch.float32:
            self._model = load(folder).to(self.device)
        self.fingerprint = f"{fingerprint}-torch-{self.device.type}-{self.precision}"
        if self.device.type == "cpu":
            torch.set_num_threads(1)  # windows run side by side, each in one thread

    def _lower(self, precision: str, sample: Sequence[Ints]) -> str:
        """Turns the weights to the asked precision; the name of the one to run at."""
        dtype = _dtype(precision, self.device)
        if dtype == torch.float32:
            return "fp32"
        exact = [self.score(ids) for ids in sample]
        self._model = self._model.to(dtype)
        if precision == "auto" and exact:
            near = trial.compare(exact, [self.score(ids) for ids in sample])
            return _NAMES[dtype] if near.good else "fp32"
        return _NAMES[dtype]

    def score(self, ids: Ints) -> Floats:
        """P(keep) of each token, shape ``(tokens,)``."""
        if self.batch_tokens:
            return self.score_many([ids])[0]
        return score(self._model, ids, self._keep)

    def score_many(self, windows: Sequence[Ints]) -> list[Floats]:
        """P(keep) of each token of each window, each of shape ``(tokens,)``, in order."""
        if not self.batch_tokens or not windows:
            return [score(self._model, ids, self._keep) for ids in windows]
        size = min(self.batch_tokens, BATCH_TOKENS)
        plan = list(batches.plan([len(ids) for ids in windows], self._longest, size))
        with torch.inference_mode():
            parts = [self._run(*batch.fill(windows, self._pad)) for batch in plan]
            flat: Floats = torch.cat(parts).cpu().numpy()  # the only wait for the device
        found: list[Floats] = [flat[:0]] * len(windows)
        start = 0
        for batch in plan:
            for row, index in enumerate(batch.index.tolist()):
                at = start + row * batch.length
                found[index] = flat[at : at + len(windows[index])]
            start += batch.rows * batch.length
        return found

    def _run(self, ids: Ints, real: Bools) -> torch.Tensor:
        """P(keep) of all tokens of a batch on the device, not waited for."""
        mask = self._moved(real)  # (rows, length)
        if self._broad:
            mask = mask[:, None, None, :]  # for all heads and all that look
        plain, types = unpack(ids)
        inputs = {"input_ids": self._moved(plain), "attention_mask": mask}
        if types.any():
            inputs["token_type_ids"] = self._moved(types)
        logits = self._model(**inputs).logits
        keep: torch.Tensor = logits.float().softmax(-1)[..., self._keep]  # (rows, length)
        return keep.flatten()

    def _moved(self, array: Ints | Bools) -> torch.Tensor:
        host = torch.from_numpy(array)
        if self.device.type == "cuda":
            host = host.pin_memory()  # else the copy would wait for what runs already
        return host.to(self.device, non_blocking=True)


def load(folder: Path, *, eager: bool = False) -> Any:
    """The classifier in fp32 on the CPU, with plain attention for tracing if ``eager``.

    No code of the checkpoint's runs: pickles are read as weights only. Raises CheckpointError if
    it can't be loaded, or if a weight is missing that transformers would make up at random.
    """
    wanted: dict[str, Any] = {"attn_implementation": "eager"} if eager else {}
    try:
        with _quiet():
            model, info = AutoModelForTokenClassification.from_pretrained(
                str(folder),
                trust_remote_code=False,
                local_files_only=True,
                weights_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                **wanted,
            )
    except (
        OSError, ValueError, TypeError, RuntimeError, KeyError, AttributeError, EOFError,
        ImportError, SafetensorError, pickle.UnpicklingError,
    ) as exc:  # fmt: skip
        raise CheckpointError(f"{folder}: not a token classifier: {_first_line(exc)}") from exc
    missing = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
    if missing:
        shown = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        raise CheckpointError(
            f"{folder}: its weights lack {shown}; it is no trained token classifier"
        )
    if model.config.num_labels != 2:
        raise CheckpointError(
            f"{folder}: a classifier with {model.config.num_labels} labels; "
            "LLMLingua-2's format has 2, drop and keep"
        )
    return model.eval()


def score(model: Any, ids: Ints, keep: int) -> Floats:
    """P(keep) of each token of one window, shape ``(tokens,)``."""
    with torch.inference_mode():
        ids, types = unpack(ids)
        batch = {"input_ids": torch.from_numpy(ids)[None].to(model.device)}  # (1, tokens)
        if types.any():
            batch["token_type_ids"] = torch.from_numpy(types)[None].to(model.device)
        logits = model(**batch).logits[0].float()  # (tokens, 2)
        scores: Floats = logits.softmax(-1)[:, keep].cpu().numpy()
    return np.ascontiguousarray(scores)


class _Logits(torch.nn.Module):
    """The classifier with only the inputs that vary.

    Token types are the model's own zeros, unless it was trained with capitals marked by them.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits

    @property
    def names(self) -> list[str]:
        """The inputs' names, in order."""
        capitals = getattr(self.model.config, "token_types", None) == "capitals"
        return ["input_ids", "attention_mask", *["token_type_ids"] * capitals]


def trace(model: Any, file: Path) -> None:
    """Writes the loaded classifier as an ONNX file with free batch and token axes.

    Weights over 2 GB go into files beside it, so ``file`` wants a directory of its own.
    """
    traced = _Logits(model).eval()  # else the exporter leaves the model in training mode
    ids = torch.ones(1, 12, dtype=torch.long)
    free = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of every shape that it sees; export checks other shapes afterwards.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced,
            (ids,) * len(traced.names),
            str(file),
            input_names=traced.names,
            output_names=["logits"],
            dynamic_axes=dict.fromkeys([*traced.names, "logits"], free),
            opset_version=17,
            dynamo=False,
        )


def device() -> torch.device:
    """The accelerator, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "int8":
        raise CheckpointError("engine torch has no int8; use engine onnx, or precision bf16")
    if precision == "bf16":
        return torch.bfloat16
    if precision == "fp32" or device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, reports or warnings: what matters of them is raised as an error."""
    log: Any = transformers.utils.logging
    level = log.get_verbosity()
    log.set_verbosity(50)
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(level)


def _first_line(exc: BaseException) -> str:
    return str(exc).strip().split("\n")[0] or type(exc).__name__
