import os
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.settings import MASK, Settings, load_settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("STROP_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def _write(folder: Path, text: str) -> None:
    (folder / "strop.toml").write_text(text)


def _origins(settings: Settings) -> dict[str, tuple[str, str]]:
    return {e.name: (e.value, e.origin) for e in settings.effective()}


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings(directory=tmp_path)
    assert settings.home_path == tmp_path / ".strop"
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8321, "auto")
    assert settings.limits().max_steps == 40
    assert {origin for _, origin in _origins(settings).values()} == {"default"}


def test_arguments_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, 'model = "file"\nport = 1\nmax_steps = 3\n')
    monkeypatch.setenv("STROP_MODEL", "variable")
    monkeypatch.setenv("STROP_PORT", "2")
    settings = load_settings(directory=tmp_path, model="argument", host=None)
    seen = _origins(settings)
    assert seen["model"] == ("argument", "given")
    assert seen["port"] == ("2", "environment")
    assert seen["max_steps"] == ("3", str(tmp_path / "strop.toml"))
    assert seen["host"] == ("127.0.0.1", "default")


def test_the_file_of_the_home_counts_when_the_directory_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    _write(home, "concurrency = 7\n")
    monkeypatch.setenv("STROP_HOME", str(home))
    assert load_settings(directory=tmp_path).concurrency == 7


def test_an_empty_variable_counts_as_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_PORT", "")
    assert load_settings(directory=tmp_path).port == 8321


def test_lists_are_read_from_commas_and_from_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, 'plugins = ["one.tools", "two"]\n')
    monkeypatch.setenv("STROP_ALLOWED_HOSTS", "example.org, *.example.net,")
    settings = load_settings(directory=tmp_path)
    assert settings.plugins == ("one.tools", "two")
    assert settings.allowed_hosts == ("example.org", "*.example.net")


def test_a_wrong_value_is_told_with_its_variable_and_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_PORT", "eighty")
    monkeypatch.setenv("STROP_WITHHOLDING_RATE", "2")
    with pytest.raises(SettingsError) as caught:
        load_settings(directory=tmp_path)
    assert "STROP_PORT: " in str(caught.value)
    assert "'eighty'" in str(caught.value)
    assert "STROP_WITHHOLDING_RATE: " in str(caught.value)


def test_a_mistyped_variable_is_named_with_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_BUGDET_USD", "1")
    with pytest.raises(SettingsError, match=r"STROP_BUGDET_USD .* STROP_BUDGET_USD"):
        load_settings(directory=tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [("prot = 1\n", "did you mean 'port'"), ("port = \n", "readable TOML"), ("\xff", "TOML")],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, said: str) -> None:
    _write(tmp_path, text)
    with pytest.raises(SettingsError, match=said) as caught:
        load_settings(directory=tmp_path)
    assert str(tmp_path / "strop.toml") in str(caught.value)


def test_secrets_are_masked_and_keys_of_providers_are_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_MODEL_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("STROP_DATABASE_URL", "postgresql://me:hidden@host/db")
    settings = load_settings(directory=tmp_path)
    seen = _origins(settings)
    assert seen["model_api_key"][0] == MASK
    assert seen["database_url"][0] == f"postgresql://me:{MASK}@host/db"
    assert settings.provider_keys == {"OPENAI_API_KEY": "sk-other"}
    assert "sk-" not in repr(settings)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"4"', {"*": 4}),
        ("4", {"*": 4}),
        ('"qwen=1, openai/gpt-4o=8,*=4"', {"qwen": 1, "openai/gpt-4o": 8, "*": 4}),
        ("{ qwen = 2 }", {"qwen": 2}),
    ],
)
def test_calls_at_once_are_bounded_for_every_model_or_by_name(
    tmp_path: Path, written: str, read: dict[str, int]
) -> None:
    _write(tmp_path, f"model_concurrency = {written}\n")
    settings = load_settings(directory=tmp_path)
    assert settings.model_concurrency == read
    shown = ", ".join(f"{name}={bound}" for name, bound in read.items())
    assert _origins(settings)["model_concurrency"][0] == shown


@pytest.mark.parametrize("written", ["many", "qwen=0", "qwen=", "qwen=1.5"])
def test_a_bound_that_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str
) -> None:
    monkeypatch.setenv("STROP_MODEL_CONCURRENCY", written)
    with pytest.raises(SettingsError, match="STROP_MODEL_CONCURRENCY"):
        load_settings(directory=tmp_path)


def test_hosts_and_secrets_of_sandboxes_are_lists_in_one_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_SANDBOX_HOSTS", "*.example.org, 127.0.0.1:8080")
    monkeypatch.setenv("STROP_SANDBOX_SECRETS", "TOKEN=env:GITHUB_TOKEN, KEY=file:/etc/a=b")
    settings = load_settings(directory=tmp_path)
    assert settings.sandbox_hosts == ("*.example.org", "127.0.0.1:8080")
    assert settings.sandbox_secrets == {"TOKEN": "env:GITHUB_TOKEN", "KEY": "file:/etc/a=b"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STROP_SANDBOX_HOSTS", "http://example.org"),
        ("STROP_SANDBOX_HOSTS", "10.0.0.1"),
        ("STROP_SANDBOX_SECRETS", "TOKEN"),
        ("STROP_SANDBOX_SECRETS", "TOKEN=hunter2"),
        ("STROP_SANDBOX_SECRETS", "A B=env:X"),
    ],
)
def test_hosts_and_secrets_that_cannot_be_meant_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings(directory=tmp_path)
