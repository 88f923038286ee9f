from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from actreel.errors import ConfigError
from serving.scratch import Scratch, make_private
from serving.settings import Settings


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment(
        {"ACTREEL_WORKERS": "2", "ACTREEL_RATE_EXEMPT": "10.0.0.1, ::1", "ACTREEL_STATE_DIR": "/x", "PATH": "/bin"}
    )
    assert (settings.workers, settings.state_dir) == (2, Path("/x"))
    assert settings.rate_exempt == {"10.0.0.1", "::1"}
    assert Settings.from_environment({}).workers == 1


def test_a_bad_value_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="ACTREEL_MAX_PIXELS: Input should be a valid integer"):
        Settings.from_environment({"ACTREEL_MAX_PIXELS": "many"})


@pytest.mark.parametrize("key", ["", " sesame", "sesame ", "s\u00e9same", "a\nb"])
def test_a_key_that_no_header_holds_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(ConfigError, match=r"ACTREEL_API_KEY: .*printable ASCII") as refused:
        Settings.from_environment({"ACTREEL_API_KEY": key})
    assert not key.strip() or key not in str(refused.value)


def test_a_variable_spelt_wrong_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"ACTREEL_MAX_PIXEL\. Did you mean ACTREEL_MAX_PIXELS\?"):
        Settings.from_environment({"ACTREEL_MAX_PIXEL": "1000"})


def test_the_log_level_is_no_setting_of_the_service() -> None:
    assert Settings.from_environment({"ACTREEL_LOG_LEVEL": "WARNING"}) == Settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().workers = 3  # type: ignore[misc]


def test_a_key_is_not_printed() -> None:
    assert "sesame" not in repr(Settings.from_environment({"ACTREEL_API_KEY": "sesame"}))


def test_scratch_is_for_its_owner_only(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "state")
    with scratch.private() as folder:
        (folder / "video").write_bytes(b"x")
        for path in (tmp_path / "state", scratch.folder, folder):
            assert path.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    scratch.close()


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="ACTREEL_STATE_DIR"):
        make_private(tmp_path / "state")


def test_a_sweep_takes_only_what_nobody_owns(tmp_path: Path) -> None:
    one, other = Scratch(tmp_path / "state"), Scratch(tmp_path / "state")
    (other.folder / "request-left").mkdir()
    assert one.sweep() == {one.owner, other.owner}
    other._lock.close()  # as the kernel does when a process is killed
    assert one.sweep() == {one.owner}
    assert not other.folder.exists()
    one.close()
