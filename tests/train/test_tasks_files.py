"""Published files in all their forms, and what is said about those that can't be read."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import json
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.train.tasks import find
from proxy.train.tasks_example import Data, Example, Hub
from proxy.train.tasks_files import tables
from tests.train import published

ROWS = [{"a": 1}, {"a": 2}]
HUB = Hub("owner/set", ("one", "two"))


def read(place: Path | str, datasets: frozenset[str] = frozenset()) -> list[tuple[str, Any]]:
    found = tables(Data(str(place), None, datasets), HUB)
    return [(table.name, row) for table in found for _, row in table.read()]


def load(task: str, place: Path | str) -> list[Example]:
    return list(find(task).load(Data(str(place)), find(task)))


@pytest.mark.parametrize(
    "name,content",
    [
        ("x.jsonl", b'{"a": 1}\n\n{"a": 2}\n'),
        ("x.jsonl.gz", gzip.compress(b'{"a": 1}\n{"a": 2}\n')),
        ("x.json", b'[{"a": 1}, {"a": 2}]'),
        ("x.json", b'{"0": {"a": 1}, "1": {"a": 2}}'),
        ("x.json", b'{"canary": "c", "examples": [{"a": 1}, {"a": 2}]}'),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == read(tmp_path) == [("x", row) for row in ROWS]


def test_parquet_gives_them_too(
    tmp_path: Path, needs: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(importlib.util.find_spec("pyarrow") is not None, "pyarrow")
    pyarrow, parquet = (importlib.import_module(n) for n in ("pyarrow", "pyarrow.parquet"))
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "test-0.parquet")
    assert read(tmp_path) == [("test-0", row) for row in ROWS]


def test_archives_are_read_without_unpacking(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("data/b.jsonl", '{"a": 2}\n')
        archive.writestr("data/a.jsonl", '{"a": 1}\n')
        archive.writestr("__MACOSX/data/._a.jsonl", "\0")
    assert read(tmp_path) == [("a", {"a": 1}), ("b", {"a": 2})]
    [first, _] = tables(Data(str(tmp_path)), HUB)
    assert first.path.parts == ("data", "data", "a.jsonl")


@pytest.mark.parametrize(
    "name,content,says",
    [
        ("x.jsonl", "[1]", "x.jsonl:1: not a JSON object"),
        ("x.json", "[1]", "x.json:0: not a JSON object"),
        ("x.json", "{", "x.json: not JSON"),
        ("x.json", '{"a": 1}', "x.json:0: not a JSON object"),
        ("x.zip", "no", "x.zip: not a zip archive"),
        ("x.txt", "no", "holds no .jsonl"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=says):
        read(tmp_path)


class TestHub:
    def fake(self, monkeypatch: pytest.MonkeyPatch, load_dataset: Callable[..., Any]) -> None:
        module = types.ModuleType("datasets")
        module.__spec__ = importlib.util.spec_from_loader("datasets", None)
        module.load_dataset = load_dataset  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "datasets", module)

    def test_configurations_that_are_asked_for_are_loaded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load_dataset(name: str, config: str, split: str) -> list[dict[str, str]]:
            return [{"from": f"{name} {config} {split}"}]

        self.fake(monkeypatch, load_dataset)
        assert read("hub", frozenset({"two"})) == [("two", {"from": "owner/set two test"})]
        assert [name for name, _ in read("other/set")] == ["one", "two"]

    def test_what_can_t_be_loaded_names_the_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def load_dataset(*_: object, **__: object) -> None:
            raise RuntimeError("Dataset scripts are no longer supported")

        self.fake(monkeypatch, load_dataset)
        with pytest.raises(ConfigError, match="give the folder instead"):
            read("hub")

    def test_without_the_package_a_local_path_is_advised(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match="pip install datasets"):
            read("hub")

    def test_a_path_that_is_missing_is_no_id(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no such file or folder"):
            read(tmp_path / "missing" / "file.jsonl")


class TestRows:
    def one(self, folder: Path, row: dict[str, Any]) -> Path:
        return published.lines(folder / "rows.jsonl", [row])

    def test_pairs_written_by_python_are_read(self, tmp_path: Path) -> None:
        pairs = str([{"question": "Who's there?", "answer": "I"}])
        [example] = load("meetingbank-qa", self.one(tmp_path, {"prompt": "T", "QA_pairs": pairs}))
        assert (example.material, example.answers) == ("T", ("I",))
        assert "Question: Who's there?" in example.after

    @pytest.mark.parametrize(
        "task,row,says",
        [
            ("meetingbank-qa", {"prompt": "T"}, "rows.jsonl:1: no list in field 'QA_pairs'"),
            ("meetingbank-qa", {"prompt": "T", "QA_pairs": "["}, "'QA_pairs' can't be read"),
            ("meetingbank-summary", {"prompt": "T"}, "'gpt4_summary' or 'summary'"),
            ("longbench", {"dataset": "no_such"}, "longbench has no data set 'no_such'"),
            (
                "longbench",
                {"dataset": "lcc", "context": "c", "input": "", "answers": []},
                "no list of texts in field 'answers'",
            ),
            ("gsm8k", {"question": "q", "answer": "5"}, "give --demos"),
            ("bbh", {"input": "q", "target": "t"}, "bbh has no data set 'rows'"),
        ],
    )
    def test_rows_of_another_format_are_named(
        self, tmp_path: Path, task: str, row: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(ConfigError, match=says):
            load(task, self.one(tmp_path, row))

    def test_private_answers_are_told_apart(self, tmp_path: Path) -> None:
        row: dict[str, Any] = {"id": "1", "input": "abc", "output": None}
        row |= {"document_start_index": 0, "document_end_index": 3}
        published.lines(tmp_path / "qasper" / "test.jsonl", [row])
        with pytest.raises(ConfigError, match="private, use validation"):
            load("zero-scrolls", tmp_path)

    def test_a_document_outside_its_input_is_named(self, tmp_path: Path) -> None:
        row: dict[str, Any] = {"id": "1", "input": "abc", "output": "x"}
        row |= {"document_start_index": 0, "document_end_index": 4}
        published.lines(tmp_path / "qasper" / "validation.jsonl", [row])
        with pytest.raises(ConfigError, match="document_end_index is 4"):
            load("zero-scrolls", tmp_path)

    def test_gsm8k_s_other_files_are_no_test_problems(self, tmp_path: Path) -> None:
        place = published.gsm8k(tmp_path)
        for name in ("train_socratic", "test_socratic"):
            published.lines(place / f"{name}.jsonl", [{"question": "q", "answer": "#### 1"}])
        assert [example.id for example in load("gsm8k", place)] == ["test/0"]

    def test_bbh_demonstrations_come_as_lines_too(self, tmp_path: Path) -> None:
        place = published.bbh(tmp_path)
        demos = tmp_path / "prompts.jsonl"
        text = (place / "cot-prompts" / "snarks.txt").read_text()
        demos.write_text(json.dumps({"id": "snarks", "text": text}) + "\n")
        task = find("bbh")
        asked = frozenset({"snarks"})
        [same] = task.load(Data(str(place / "bbh"), None, asked), task)
        assert list(task.load(Data(str(place), demos, asked), task)) == [same]
        with pytest.raises(ConfigError, match="no demonstrations of navigate"):
            list(task.load(Data(str(place), demos), task))
