"""Trains toys: random encoders of a few thousand weights with tokenizers made here."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

if os.environ.get("CI") != "true":  # there a missing package is a failure
    for package in ("torch", "accelerate", "onnx"):
        pytest.importorskip(package, reason="training needs the extra [train]")

import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from transformers import (
    AutoModelForTokenClassification,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
)

from proxy.compress import Compressor
from proxy.errors import ConfigError
from proxy.train import evaluate_llmlingua, export, fit, fit_report, fit_rows
from proxy.train.devsets import Text

# Of the packages underneath, which warn about one another.
pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = "the a of mayor lyon paris signed twelve papers um well budget rose fell".split()
KEEP = {"mayor", "lyon", "paris", "signed", "twelve", "papers", "budget", "rose", "fell"}


def _encoder(folder: Path) -> Path:
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


def _rows(file: Path, count: int = 60) -> Path:
    random = np.random.default_rng(0)
    with file.open("w", encoding="utf-8") as lines:
        for number in range(count):
            words = random.choice(WORDS, size=40).tolist()
            starts = np.cumsum([0] + [len(word) + 1 for word in words[:-1]]).tolist()
            row = {
                "text": " ".join(words),
                "words": [[s, s + len(w)] for s, w in zip(starts, words, strict=True)],
                "labels": [float(word in KEEP) for word in words],
                "doc": f"d{number // 2}",
                "source": "toy",
                "weight": 1.0,
            }
            lines.write(json.dumps(row) + "\n")
    return file


def _settings(tmp_path: Path, **more: Any) -> fit.Settings:
    encoder, rows = _encoder(tmp_path / "encoder"), _rows(tmp_path / "rows.jsonl")
    toy: dict[str, Any] = {"window": 32, "epochs": 3, "batch": 8, "lr": 5e-3, "held_out": 0.2}
    toy["threads"] = 1
    return fit.Settings(rows, encoder, tmp_path / "out", **{**toy, **more})


def test_a_fitted_toy_keeps_what_it_was_taught_to_keep(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    fit.main(settings)
    export.main(settings.out, tmp_path / "onnx", {"window": 32}, ["the mayor of paris signed"])
    result = Compressor.load(str(tmp_path / "onnx")).compress(
        "um the mayor of lyon well signed twelve of the papers", target_tokens=6
    )
    kept = result.text.split()
    assert {"mayor", "lyon", "signed", "twelve", "papers"} <= set(kept)
    assert len(kept) <= 6, "what fits beside them is a word of no weight"


def test_llmlingua_loads_what_is_exported(tmp_path: Path, needs: Any) -> None:
    needs(find_spec("llmlingua") is not None, "pip install '.[parity]'")
    settings = _settings(tmp_path, window=48)
    config = json.loads((settings.encoder / "config.json").read_text())
    assert config["max_position_embeddings"] == 512, "the package pads every window to 512"
    fit.main(settings)
    out = tmp_path / "out of fit"
    export.main(settings.out, out, {"window": 48})
    assert not evaluate_llmlingua.why_not(str(out))
    text = Text("um the mayor of lyon well signed twelve of the papers")
    kept = evaluate_llmlingua.Package(str(out)).keeps(text, 0.5, "tokens")
    words = [word for word, on in zip(text.units.strings, kept, strict=True) if on]
    assert set(words) <= KEEP and len(words) >= 3


def test_a_stopped_export_makes_no_finished_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path, epochs=1)
    fit.main(settings)
    out = tmp_path / "onnx"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(export, "to_int8", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        export.main(settings.out, out, {})
    with monkeypatch.context() as patch:
        patch.setattr(export, "to_onnx", lambda *_: pytest.fail("made twice"))
        export.main(settings.out, out, {})
    assert (out / "model_int8.onnx").is_file()
    fit.main(replace(settings, seed=3))
    made: list[Path] = []
    with monkeypatch.context() as patch:
        to_onnx = export.to_onnx
        patch.setattr(export, "to_onnx", lambda m, f: (made.append(f), to_onnx(m, f)))
        export.main(settings.out, out, {})
    assert made, "other weights"
    with pytest.raises(ConfigError, match="a directory of its own"):
        export.main(out, out, {})


def test_onnx_agrees_with_torch(tmp_path: Path) -> None:
    settings = _settings(tmp_path, epochs=1)
    fit.main(settings)
    report = export.main(settings.out, tmp_path / "onnx", {}, ["the budget rose um well"])
    by_engine = {row.engine: row for row in report}
    assert by_engine["onnx fp32"].largest_difference < 1e-4
    assert by_engine["onnx int8"].correlation > 0.9


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    settings = _settings(tmp_path, epochs=2, average=0.9)
    whole = fit.main(settings)
    broken = replace(settings, out=tmp_path / "broken")
    run = fit.Run(broken)
    run.train_epoch()
    run.epoch = 1
    run.save(run.validate())
    assert fit.main(replace(broken, resume=True)) == pytest.approx(whole)
    same_weights(settings.out, broken.out)


def same_weights(one: Path, other: Path) -> None:
    parts = [load_file(folder / "model.safetensors") for folder in (one, other)]
    for name, tensor in parts[0].items():
        torch.testing.assert_close(tensor, parts[1][name])


def test_a_run_killed_within_an_epoch_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    settings = _settings(tmp_path, epochs=2, save_steps=2)
    fit.main(settings)
    broken = replace(settings, out=tmp_path / "broken")

    def kill(run: fit.Run) -> Callable[[], None]:
        def after() -> None:
            if run.step == 3:
                raise KeyboardInterrupt

        return after

    run = fit.Run(broken)
    with pytest.raises(KeyboardInterrupt):
        run.train_epoch(kill(run))
    assert run.epoch_steps > 3
    (broken.out / "state.tmp").write_bytes(b"half of a state")
    said = Console(record=True, quiet=False, file=io.StringIO())
    fit.main(replace(broken, resume=True), said)
    assert "going on at step 2, epoch 1" in said.export_text()
    same_weights(settings.out, broken.out)


def test_a_run_is_not_resumed_with_other_flags(tmp_path: Path) -> None:
    settings = _settings(tmp_path, epochs=1)
    fit.main(settings)
    with pytest.raises(ConfigError, match=r"--lr 0\.1 \(was 0\.005\)"):
        fit.main(replace(settings, resume=True, lr=0.1))


def test_bf16_works_on_a_cpu_too(tmp_path: Path) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # it is one for a process
    settings = _settings(tmp_path, bf16=True)
    assert fit.main(settings) > 0.8
    assert load_file(settings.out / "model.safetensors")["classifier.weight"].dtype == torch.float32
    AcceleratorState._reset_state(reset_partial_state=True)


def test_balance_gives_both_classes_the_same_weight(tmp_path: Path) -> None:
    run = fit.Run(_settings(tmp_path, keep_weight=0))
    labels = run.train.labels[run.train.labels >= 0]
    kept, dropped = float(labels.sum()), float((1 - labels).sum())
    assert run.keep_weight * kept == pytest.approx(dropped, rel=1e-4)
    run.train.labels.fill_(1.0)
    with pytest.raises(ConfigError, match="100% of the labels say keep"):
        fit_rows.balance(run.train)


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """As ``accelerate launch`` starts them on a machine without accelerators."""
    settings = _settings(tmp_path)
    flags = ["--window", "32", "--epochs", "1", "--batch", "4", "--lr", "5e-3", "--held-out", "0.2"]
    places = [str(place) for place in (settings.rows, settings.encoder, settings.out)]
    command = [sys.executable, "-W", "ignore", "-m", "proxy.train.fit", *places, *flags]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True,
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    said = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert [text.count("windows to train on") for text in said] == [1, 0]
    history = json.loads((settings.out / "fit.json").read_text())["history"]
    told = re.search(r"(\d+) windows to train on", said[0])
    assert told
    windows = int(told[1])
    assert history[0]["step"] == -(-windows // 4) // 2, "each took half of the batches"


@pytest.mark.parametrize("warm_up", [0.0, 1.0, 0.5])
def test_runs_of_a_step_or_two_come_to_an_end(tmp_path: Path, warm_up: float) -> None:
    settings = _settings(tmp_path, epochs=2, batch=1000, warm_up=warm_up)
    fit.main(settings)
    assert (settings.out / "model.safetensors").is_file()


def test_a_narrow_layer_is_saved_as_one(tmp_path: Path) -> None:
    settings = _settings(tmp_path, epochs=1, inner=16)
    fit.main(settings)
    told = json.loads((settings.out / "config.json").read_text())
    assert told["intermediate_size"] == 16
    AutoModelForTokenClassification.from_pretrained(settings.out)


def test_the_first_layers_alone_can_be_fitted(tmp_path: Path) -> None:
    settings = _settings(tmp_path, epochs=1, layers=1)
    fit.main(settings)
    assert json.loads((settings.out / "config.json").read_text())["num_hidden_layers"] == 1


def test_a_document_is_on_one_side_of_the_split(tmp_path: Path) -> None:
    train, valid = fit_rows.read(_settings(tmp_path))
    assert train
    assert valid
    assert not {row["doc"] for row in train} & {row["doc"] for row in valid}


def test_an_empty_side_of_the_split_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="raise --held-out"):
        fit.Run(_settings(tmp_path, held_out=0.0))


def test_padding_and_special_tokens_do_not_count() -> None:
    logits = torch.zeros(1, 4, 2)
    logits[0, 0] = logits[0, 3] = torch.tensor([100.0, -100.0])
    labels = torch.tensor([[fit_rows.IGNORE, 1.0, 0.0, fit_rows.IGNORE]])
    assert float(fit.loss_of(logits, labels, torch.ones(1))) == pytest.approx(np.log(2))


def test_tokens_take_the_label_of_their_word() -> None:
    row = {"words": [[0, 5], [6, 9]], "labels": [0.25, 1.0]}
    offsets = [(0, 2), (2, 5), (5, 6), (6, 9), (9, 10)]
    ignored = fit_rows.IGNORE
    assert fit_rows.token_labels(row, offsets) == [0.25, 0.25, ignored, 1.0, ignored]


def test_flags_and_a_picture_are_saved_beside_the_weights(tmp_path: Path) -> None:
    settings = _settings(tmp_path, epochs=1, seed=7)
    fit.main(settings)
    assert json.loads((settings.out / "fit.json").read_text())["seed"] == 7
    assert (settings.out / "fit.png").read_bytes().startswith(b"\x89PNG")


def test_agreement_is_the_share_of_the_best_labels_found() -> None:
    scores = np.array([0.9, 0.8, 0.1, 0.2], dtype=np.float32)
    labels = np.array([1.0, 0.0, 1.0, 0.0], dtype=np.float32)
    assert fit_report.agreement(scores, labels, 0.5) == 0.5
