"""The config.yaml that ships: it loads, and says what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.config import Config
from proxy.config_file import load, shipped
from proxy.config_policy import Policy

HASH = "sha256:" + "ab" * 32


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("config.yaml")


def config(path: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    path.write_text(text)
    return load(path, environ or {}).config


def test_the_shipped_file_loads_without_any_environment() -> None:
    loaded = load(shipped(), {})
    assert [entry.model_name for entry in loaded.config.model_list][-1] == "echo"
    assert len(loaded.warnings) == 2
    assert all("is not set" in line for line in loaded.warnings)


def test_the_shipped_default_policy_is_the_built_in_one_without_orphan_stops() -> None:
    assert load(shipped(), {}).config.policy("default") == Policy(drop_consecutive=True)


def test_the_shipped_example_of_a_tenant_loads_once_it_is_no_comment(here: Path) -> None:
    text = shipped().read_text()
    head, example = text.split("# tenants:\n")
    example = re.sub(r"(?m)^# ?", "", example).replace("sha256:...", HASH)
    loaded = config(
        here, f"{head}tenants:\n{example}", {"OPENAI_API_KEY": "a", "MISTRAL_API_KEY": "b"}
    )
    assert loaded.tenants["acme"].models == ("gpt-3.5-turbo",)


def test_the_shipped_settings_have_the_defaults_that_the_file_claims() -> None:
    loaded = load(shipped(), {}).config
    assert (loaded.server, loaded.compressor) == (Config().server, Config().compressor)


def test_an_installed_package_finds_the_file_inside_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "proxy"
    package.mkdir(parents=True)
    monkeypatch.setattr("proxy.config_file.__file__", str(package / "config_file.py"))
    assert shipped() == tmp_path / "site-packages" / "config.yaml"
    (package / "config.yaml").touch()
    assert shipped() == package / "config.yaml"
