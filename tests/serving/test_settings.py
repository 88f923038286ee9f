from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from actreel.errors import ConfigError
from actreel.feedback import default_folder
from actreel.statistics import default_statistics_folder
from serving.settings import Settings
from tests.conftest import ROOT


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment(
        {"ACTREEL_WORKERS": "2", "ACTREEL_RATE_EXEMPT": "10.0.0.1, ::1", "ACTREEL_STATE_DIR": "/x", "PATH": "/bin"}
    )
    assert (settings.workers, settings.state_dir) == (2, Path("/x"))
    assert settings.rate_exempt == {"10.0.0.1", "::1"}
    assert Settings.from_environment({}).workers == 1


def test_folders_may_lie_below_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service manager hands `~` on as it is; a folder of that name would be made in the working folder."""
    monkeypatch.setenv("HOME", "/home/anna")
    names = ("state_dir", "feedback_dir", "statistics_dir")
    settings = Settings.from_environment({f"ACTREEL_{name.upper()}": f"~/{name}" for name in names})
    assert [str(getattr(settings, name)) for name in names] == [f"/home/anna/{name}" for name in names]
    monkeypatch.setenv("ACTREEL_FEEDBACK_DIR", "~/f")
    monkeypatch.setenv("ACTREEL_STATISTICS_DIR", "~/s")
    assert [default_folder(), default_statistics_folder()] == [Path("/home/anna/f"), Path("/home/anna/s")]


def test_a_bad_value_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="ACTREEL_MAX_PIXELS: Input should be a valid integer"):
        Settings.from_environment({"ACTREEL_MAX_PIXELS": "many"})


@pytest.mark.parametrize("key", ["", " sesame", "sesame ", "s\u00e9same", "a\nb"])
def test_a_key_that_does_not_fit_a_header_is_refused_and_not_printed(key: str) -> None:
    with pytest.raises(ConfigError, match=r"ACTREEL_API_KEY: .*printable ASCII") as refused:
        Settings.from_environment({"ACTREEL_API_KEY": key})
    assert not key.strip() or key not in str(refused.value)


@pytest.mark.parametrize("folder", ["", ".", "project", "/no/such/project"])
def test_a_project_is_named_by_its_absolute_path(folder: str) -> None:
    with pytest.raises(ConfigError, match=r"ACTREEL_PROJECT_DIR: .*absolute path of a project's folder"):
        Settings.from_environment({"ACTREEL_PROJECT_DIR": folder})
    assert Settings.from_environment({"ACTREEL_PROJECT_DIR": str(ROOT)}).project_dir == ROOT


def test_a_misspelt_variable_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"ACTREEL_MAX_PIXEL\. Did you mean ACTREEL_MAX_PIXELS\?"):
        Settings.from_environment({"ACTREEL_MAX_PIXEL": "1000"})


def test_the_log_level_is_no_setting_of_the_service() -> None:
    assert Settings.from_environment({"ACTREEL_LOG_LEVEL": "WARNING"}) == Settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().workers = 3  # type: ignore[misc]


def test_a_key_is_not_printed() -> None:
    assert "sesame" not in repr(Settings.from_environment({"ACTREEL_API_KEY": "sesame"}))


def test_what_the_pipeline_is_told_in_the_same_shell_does_not_stop_the_service() -> None:
    assert Settings.from_environment({"ACTREEL_SCHEDULER": "tcp://host:8786"}) == Settings.from_environment({})
