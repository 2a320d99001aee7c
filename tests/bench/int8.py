"""The int8 limit: how fast a classifier would be if it were nothing but matrix products.

A token of a window of ``w`` costs ``layers * (8 h² + 4 h f + 4 w h)`` operations: 2 for each weight
of the layer's four products (``h`` wide to queries, keys and values, to the attention's output, to
the feed-forward's ``f`` and back), and those of the attention, taken for int8 as well. The limit is
the operations that ONNX Runtime's ``MatMulInteger`` does in a second on these very products, one
thread a core, over the operations of a token. The products' inputs are quantized already: what
quantizing costs is a model's loss.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

_TURNS = 20
"""Products that each thread does one after the other."""


@dataclass(frozen=True)
class Shape:
    """A BERT encoder's size."""

    layers: int
    width: int
    inner: int

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read off a checkpoint's config.json."""
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(told["num_hidden_layers"], told["hidden_size"], told["intermediate_size"])

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of a layer's weights."""
        h, f = self.width, self.inner
        return (h, 3 * h), (h, h), (h, f), (f, h)

    def operations(self, window: float) -> float:
        """Of one token in a window of so many."""
        weights = sum(rows * columns for rows, columns in self.products)
        return self.layers * (2 * weights + 4 * window * self.width)


class Products:
    """The products of one layer over one window, ready to run on every core at once."""

    def __init__(self, shape: Shape, window: int) -> None:
        self._shape = shape
        self._window = window
        self._cores = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._cores)
        self._sessions = [_session(rows, columns) for rows, columns in shape.products]
        dice = np.random.default_rng(0)
        self._inputs = [
            dice.integers(0, 256, (window, rows), dtype=np.uint8) for rows, _ in shape.products
        ]
        self.per_second()

    def per_second(self) -> float:
        """Operations that all cores do in a second."""
        started = time.perf_counter()
        list(self._pool.map(self._run, range(self._cores)))
        seconds = time.perf_counter() - started
        weights = sum(rows * columns for rows, columns in self._shape.products)
        return 2 * self._window * weights * _TURNS * self._cores / seconds

    def _run(self, _: int) -> None:
        for _ in range(_TURNS):
            for session, given in zip(self._sessions, self._inputs, strict=True):
                session.run(None, {"x": given})

    def close(self) -> None:
        self._pool.shutdown()


def _session(rows: int, columns: int) -> Any:
    dice = np.random.default_rng(1)
    weights = dice.integers(-127, 128, (rows, columns), dtype=np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w", "zero_x", "zero_w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [None, rows])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [None, columns])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array(128, dtype=np.uint8), "zero_x"),
            numpy_helper.from_array(np.zeros(columns, dtype=np.int8), "zero_w"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
