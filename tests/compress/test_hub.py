"""Hub ids, fetched by a process of its own from a hub on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.compress.hub import wanted
from tests.compress.hub import serving

BUILTIN = Path(__file__).parents[2] / "proxy" / "models" / "builtin"
_LOAD = """
import sys
from proxy.compress import Compressor, hub
from proxy.errors import CheckpointError
hub._TIMEOUT = 1.0
try:
    loaded = Compressor.load(sys.argv[1])
except CheckpointError as exc:
    sys.exit(f"refused: {exc.message}")
print(loaded.name, loaded.compress("The old mayor has signed the new plan today.", 0.5).text)
"""


def load(model: str, url: str, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """What a new process says of that model; the hub's package reads its settings at import."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", _LOAD, model],
        env={**kept, "HF_ENDPOINT": url, "HF_HOME": str(home), "HOME": str(home), **settings},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_hub_id_is_fetched_once_and_then_works_offline(tmp_path: Path) -> None:
    files = {file.name: file.read_bytes() for file in BUILTIN.iterdir() if file.is_file()}
    extra = {"README.md": b"#", "modeling_evil.py": b"1/0", "onnx/model.onnx": b"x"}
    with serving({"acme/any-name": {**files, **extra}}) as hub:
        first = load("acme/any-name", hub.url, tmp_path)
        assert first.stdout.startswith("acme/any-name "), first.stderr
        fetched = {path.rsplit("/", 1)[1] for path in hub.asked if "/resolve/" in path}
        assert fetched == {"config.json", "precis.json", "tokenizer.json", "model_int8.onnx"}
    offline = load("acme/any-name", hub.url, tmp_path)  # nobody listens there any more
    assert offline.stdout == first.stdout, offline.stderr
    told = load("acme/any-name", hub.url, tmp_path, HF_HUB_OFFLINE="1")
    assert told.stdout == first.stdout, told.stderr


def test_an_unknown_hub_id_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with serving({}) as hub:
        result = load("acme/missing", hub.url, tmp_path)
    assert result.returncode == 1
    assert "refused: the hub has no model 'acme/missing'" in result.stderr
    assert "hf auth login" in result.stderr


def test_a_repository_without_a_classifier_says_what_it_lacks(tmp_path: Path) -> None:
    with serving({"acme/texts": {"README.md": b"#"}}) as hub:
        empty = load("acme/texts", hub.url, tmp_path)
    assert "'acme/texts' has no configuration and no weights" in empty.stderr


def test_without_a_network_the_remedy_is_named(tmp_path: Path) -> None:
    result = load("acme/any-name", "http://127.0.0.1:9", tmp_path)
    assert "refused: no directory 'acme/any-name' here" in result.stderr
    assert "give its directory" in result.stderr


def test_a_hub_that_never_answers_does_not_hang_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = load("acme/any-name", f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert "refused: no directory 'acme/any-name' here" in result.stderr


@pytest.mark.parametrize(
    "names,expected",
    [
        ("model.safetensors pytorch_model.bin tf_model.h5", "model.safetensors"),
        ("pytorch_model.bin vocab.txt", "vocab.txt pytorch_model.bin"),
        ("model.onnx model.onnx_data", "model.onnx model.onnx_data"),
        ("onnx/model.onnx vocab.txt run.py training_args.bin", "vocab.txt"),
        ("a.md model-1-of-2.safetensors", "model-1-of-2.safetensors"),
    ],
)
def test_only_what_is_needed_is_fetched(names: str, expected: str) -> None:
    assert wanted(names.split()) == expected.split()
