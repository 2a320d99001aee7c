"""The ONNX Runtime engine, and the only file that imports it.

One window a call, unpadded, one thread a call, as many calls in parallel as there are cores: on a
CPU that is faster than batches, and a window's scores can't depend on its neighbours (dynamic int8
takes its scale over the whole input).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from proxy.compress.scorer import Floats, Ints
from proxy.errors import CheckpointError


class OnnxScorer:
    """A token classifier as an ONNX file: ``input_ids``, ``attention_mask`` -> ``logits``."""

    def __init__(self, file: Path, *, name: str, fingerprint: str, label_keep: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # onnxruntime's own errors share no public base class
            raise CheckpointError(f"{file} is no ONNX model that can be run: {exc}") from exc
        self._inputs = {node.name for node in self._session.get_inputs()}
        if "input_ids" not in self._inputs or "logits" not in self._outputs():
            raise CheckpointError(f"{file} must take input_ids and give logits")
        self._keep, self._drop = label_keep, 1 - label_keep
        self.name = name
        self.fingerprint = fingerprint

    def _outputs(self) -> set[str]:
        return {node.name for node in self._session.get_outputs()}

    def score(self, ids: Ints) -> Floats:
        """P(keep) of each token, shape ``(tokens,)``."""
        feed = {"input_ids": ids[None, :]}  # (1, tokens)
        if "attention_mask" in self._inputs:
            feed["attention_mask"] = np.ones_like(feed["input_ids"])
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros_like(feed["input_ids"])
        logits = self._session.run(["logits"], feed)[0][0]  # (tokens, 2)
        gap = logits[:, self._drop] - logits[:, self._keep]
        scores: Floats = (1.0 / (1.0 + np.exp(gap))).astype(np.float32)
        return scores
