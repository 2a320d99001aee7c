"""The ONNX Runtime engine, and the only file that imports it; also fuses and quantizes.

One window a call, unpadded, one thread a call, as many calls in parallel as there are cores: on a
CPU that is faster than batches, and a window's scores can't depend on its neighbours (dynamic int8
takes its scale over the whole input).
"""

from __future__ import annotations

import gc
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from proxy.compress.scorer import Floats, Ints
from proxy.compress.tokenize import unpack
from proxy.errors import CheckpointError

_FUSED = frozenset("bert roberta xlm-roberta camembert distilbert".split())
"""Families with BERT's attention, whose pattern the optimizer finds."""
_EMBEDDINGS_FUSED = frozenset("bert distilbert".split())
"""Those of them whose embeddings it fuses with what comes after."""
_SLOWER = ["SkipLayerNormFusion", "BiasSkipLayerNormFusion"]
"""What ONNX Runtime would fuse on opening a file: adds and normalizes in one kernel, which takes
six times as long as two (340 against 57 us for 187 tokens of width 384)."""
_LIMIT = 1_900_000_000
"""Bytes that one ONNX file may have, with room for its graph; more goes into a second file."""


class OnnxScorer:
    """A token classifier as an ONNX file: ``input_ids`` (and a mask, all ones) -> ``logits``."""

    def __init__(self, file: Path, *, name: str, fingerprint: str, label_keep: int = 1) -> None:
        """Raises CheckpointError if the file is damaged or is no classifier with two labels."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A plan of memory for each length of input costs 4 % of the time, and keeps what it plans.
        options.enable_mem_pattern = False
        try:
            self._session = onnxruntime.InferenceSession(
                str(file),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_SLOWER,
            )
        except Exception as exc:  # onnxruntime's own errors share no public base class
            raise CheckpointError(f"{file} is no ONNX model that can be run: {exc}") from exc
        self._inputs = {node.name for node in self._session.get_inputs()}
        if "input_ids" not in self._inputs or "logits" not in self._outputs():
            raise CheckpointError(f"{file} must take input_ids and give logits")
        self._keep, self._drop = label_keep, 1 - label_keep
        self.name = name
        self.fingerprint = fingerprint
        self._try(file)

    def _outputs(self) -> set[str]:
        return {node.name for node in self._session.get_outputs()}

    def _try(self, file: Path) -> None:
        try:
            logits = self._logits(np.zeros(3, dtype=np.int64))
        except Exception as exc:  # as above
            raise CheckpointError(f"{file} can't be run as a token classifier: {exc}") from exc
        if logits.shape != (3, 2):
            raise CheckpointError(
                f"{file} gives logits of shape {logits.shape} for 3 tokens; LLMLingua-2's format "
                "has 2 a token, drop and keep"
            )

    def score(self, ids: Ints) -> Floats:
        """P(keep) of each token, shape ``(tokens,)``."""
        logits = self._logits(ids)
        gap = logits[:, self._drop] - logits[:, self._keep]
        scores: Floats = (1.0 / (1.0 + np.exp(gap))).astype(np.float32)
        return scores

    def _logits(self, ids: Ints) -> Floats:
        ids, types = unpack(ids)
        feed = {"input_ids": ids[None, :]}  # (1, tokens)
        if "attention_mask" in self._inputs:
            feed["attention_mask"] = np.ones_like(feed["input_ids"])
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = types[None, :]
        logits: Floats = self._session.run(["logits"], feed)[0][0]  # (tokens, 2)
        return logits


def fuse(raw: Path, file: Path, family: str, heads: int, width: int) -> None:
    """Writes ``file`` from a traced model, its attention fused where ONNX Runtime knows how.

    ``family`` is the config's model_type; other families are fused when a session opens them, as
    far as that goes.
    """
    external = sum(file.stat().st_size for file in raw.parent.iterdir()) > _LIMIT
    if family in _FUSED:
        from onnx.external_data_helper import load_external_data_for_model
        from onnxruntime.transformers import fusion_options, optimizer  # heavy, only for export

        wanted = fusion_options.FusionOptions("bert")
        wanted.enable_skip_layer_norm = wanted.enable_bias_skip_layer_norm = False  # see _SLOWER
        fused = optimizer.optimize_model(
            _without_weights(raw, width, embeddings=family in _EMBEDDINGS_FUSED),
            model_type="bert",
            num_heads=heads,
            hidden_size=width,
            optimization_options=wanted,
            opt_level=0,  # what a session does on opening a file need not be done here
        )
        _drop_masks(fused)
        gc.collect()  # what fusing has made and left is bound up with itself
        if external:
            load_external_data_for_model(fused.model, str(raw.parent))
            fused.save_model_to_file(str(file), use_external_data_format=True)
        else:
            fused.save_model_to_file(str(raw))
            _write_whole(raw, file)
    elif external:
        import onnx

        location = f"{file.name}.data"
        onnx.save_model(onnx.load(raw), file, save_as_external_data=True, location=location)
    else:
        shutil.copy(raw, file)


def _without_weights(raw: Path, width: int, *, embeddings: bool) -> Any:
    """The model with its weights left in files beside it, but for those that fusing reads.

    Fusing copies a model several times over; this way the copies are small. It reads what is as
    wide as it is high, which are the weights of attention, vectors, and ``embeddings`` if they are
    fused too.
    """
    import onnx
    from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

    model = onnx.load(_apart(raw), load_external_data=False)
    for tensor in filter(uses_external_data, model.graph.initializer):
        small = len(tensor.dims) == 1 or list(tensor.dims) == [width, width]
        if small or (embeddings and "embeddings" in tensor.name):
            load_external_data_for_tensor(tensor, str(raw.parent))
            _set_inside(tensor)
    return model


def _apart(file: Path) -> Path:
    """The model with its weights in files of their own: as it is, or else a copy beside it."""
    import onnx
    from onnx.external_data_helper import uses_external_data

    model = onnx.load(file, load_external_data=False)
    if any(map(uses_external_data, model.graph.initializer)):
        return file
    copy = file.with_name("apart.onnx")
    location = f"{copy.name}.data"
    onnx.save_model(model, copy, save_as_external_data=True, location=location)
    return copy


def _write_whole(apart: Path, file: Path) -> None:
    """Writes a model and its weights into one file, with one weight at a time in memory.

    Protocol buffers may be written piece by piece: what is read is the pieces merged, and lists
    (here the graph's weights) are merged by putting one behind the other.
    """
    import onnx
    from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

    model = onnx.load(apart, load_external_data=False)
    weights = list(model.graph.initializer)
    inside = [tensor for tensor in weights if not uses_external_data(tensor)]
    with file.open("wb") as out:
        del model.graph.initializer[:]
        model.graph.initializer.extend(inside)
        out.write(model.SerializeToString())
        for tensor in filter(uses_external_data, weights):
            piece = onnx.ModelProto()
            weight = piece.graph.initializer.add()
            weight.CopyFrom(tensor)
            load_external_data_for_tensor(weight, str(apart.parent))
            _set_inside(weight)
            out.write(piece.SerializeToString())


def _set_inside(tensor: Any) -> None:
    tensor.ClearField("data_location")
    tensor.ClearField("external_data")


def _drop_masks(fused: Any) -> None:
    """Takes the mask from attention: windows are never padded.

    To add its zeros to all pairs of tokens takes 5 to 7 % of the time.
    """
    mask = 3  # place among the inputs of the operator
    for node in fused.get_nodes_by_op_type("Attention"):
        if len(node.input) > mask:
            node.input[mask] = ""
    fused.prune_graph()


def quantize(source: Path, file: Path) -> None:
    """Writes ``file`` with int8 weights of matrix products and embeddings, scales per channel."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = sum(part.stat().st_size for part in source.parent.glob(f"{source.name}*"))
    external = whole / 4 > _LIMIT
    # It speaks through logging's shortcut functions, which set the root logger up if nobody has.
    silence = logging.NullHandler()
    logging.getLogger().addHandler(silence)
    try:
        quantize_dynamic(
            str(source),
            str(file),
            weight_type=QuantType.QInt8,
            per_channel=True,
            use_external_data_format=external,
            # Fused nodes are not ONNX's own, so their types can't be inferred: all are floats.
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.getLogger().removeHandler(silence)
    if not external:
        _take_embeddings_apart(file)


def _take_embeddings_apart(file: Path) -> None:
    import onnx

    from proxy.compress import embeddings

    model = onnx.load(file)
    if embeddings.take_apart(model):
        onnx.save_model(model, file)
