"""What making an ONNX file takes of memory, which decides where a large checkpoint can be used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.serving import ROOT

MOST = 5.0
"""Times the size of the weights, of which one is the model itself; seen are 4.3."""
EXPORT = """
import pathlib, resource, sys
import onnx, onnxruntime.transformers.optimizer, torch
from transformers import XLMRobertaConfig, XLMRobertaForTokenClassification
from proxy.compress import onnx as _, torch as _
from proxy.compress.export import to_onnx

def peak():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss, which on Linux begins with the parent's.
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])

config = XLMRobertaConfig(
    vocab_size=40_000, hidden_size=512, num_hidden_layers=8, num_attention_heads=8,
    intermediate_size=2048, num_labels=2, attn_implementation="eager",
)
before = peak()
model = XLMRobertaForTokenClassification(config).eval()
to_onnx(model, pathlib.Path(sys.argv[1]))
print((peak() - before) / sum(4 * weight.numel() for weight in model.parameters()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nobody tells of a peak there")
def test_an_export_takes_few_times_the_weights(
    tmp_path: Path, needs: Callable[[bool, str], None]
) -> None:
    there = all(find_spec(package) for package in ("torch", "transformers", "onnx"))
    needs(there, "pip install '.[torch]'")
    command = [sys.executable, "-c", EXPORT, str(tmp_path / "model.onnx")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 1 < float(done.stdout) < MOST
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
