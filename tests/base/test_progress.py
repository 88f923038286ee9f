import io
import logging
import subprocess
import sys

import pytest

from actreel.base import progress
from actreel.base.progress import Progress, tracked


@pytest.fixture(autouse=True)
def _at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="actreel")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_file_gets_one_line_at_the_end(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert list(tracked(range(1000), "extract", 1000)) == list(range(1000))
    (line,) = caplog.messages
    assert line.startswith("extract: 100% 1000/1000 ")
    assert "clip/s" in line
    assert capfd.readouterr() == ("", "")


def test_a_log_file_gets_a_line_every_few_seconds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with Progress("extract", 100) as bar:
        for _ in range(100):
            now += 0.3
            bar.update()
    assert [line.split()[2].split("/")[0] for line in caplog.messages] == ["34", "68", "100"]
    assert "3.33clip/s" in caplog.messages[0]


def test_on_a_terminal_there_is_a_bar_and_no_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("download", 2000, unit="B", done=500) as bar:
        bar.update(1500)
    assert bar.done == 2000
    assert "download: 100%|" in terminal.getvalue()
    assert "2.00k/2.00k" in terminal.getvalue()
    assert not caplog.messages


def test_quiet_is_quiet_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="actreel")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("extract", 3) as bar:
        bar.update(3)
    assert not terminal.getvalue()


def test_work_that_stops_says_how_far_it_came(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        with Progress("extract", 10) as bar:
            bar.update(4)
            raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        work()
    assert "4/10" in caplog.messages[-1]


def test_an_unknown_total_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    with Progress("download", None, unit="B") as bar:
        bar.update(3_000_000)
    assert "3.00MB" in caplog.messages[-1]


def test_what_serves_does_not_import_tqdm() -> None:
    code = "import sys, serving.api, actreel.cli; sys.exit('tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
