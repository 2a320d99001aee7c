from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.compress import cache
from proxy.errors import CheckpointError


def test_a_thing_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("content")

    for _ in range(3):
        assert (cache.entry(tmp_path / "new", "key", make) / "file").read_text() == "content"
    assert len(made) == 1


def test_of_two_that_make_it_at_once_both_get_one_whole_thing(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def make(folder: Path) -> None:
        (folder / "first").write_text("1")
        together.wait(timeout=20)
        (folder / "second").write_text("2")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cache.entry(tmp_path, "key", make), range(4)))
    assert set(found) == {tmp_path / "key"}
    assert sorted(file.name for file in found[0].iterdir()) == ["first", "second"]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").write_text("a file")
        raise CheckpointError("no more")

    with pytest.raises(CheckpointError, match="no more"):
        cache.entry(tmp_path, "key", make)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_to_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"cannot write to the cache .*file.*XDG_CACHE_HOME"):
        cache.entry(tmp_path / "file", "key", lambda folder: None)


@pytest.mark.parametrize(
    "platform,environ,expected",
    [
        ("linux", {}, "home/.cache/precis"),
        ("linux", {"XDG_CACHE_HOME": ""}, "home/.cache/precis"),
        ("linux", {"XDG_CACHE_HOME": "/var/x"}, "/var/x/precis"),
        ("darwin", {}, "home/Library/Caches/precis"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/precis"),
        ("win32", {}, "home/AppData/Local/precis"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_them(
    monkeypatch: pytest.MonkeyPatch, platform: str, environ: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert cache.default(environ) == Path(expected)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(CheckpointError, match="set XDG_CACHE_HOME"):
        cache.default({})
    assert cache.default({"XDG_CACHE_HOME": "/x"}) == Path("/x/precis")
