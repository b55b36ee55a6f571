"""Daemons are started once, found again by another supervisor, replaced when they change, and ended for sure."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.cluster.layout import Layout
from tools.cluster.processes import Daemon, Supervisor, start_time
from tools.cluster.system import until

FOREVER = ("sleep", "1000")
DEAF = ("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1000; done")


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    """A cluster's folders, without a cluster; what is left running in them is ended."""
    found = Layout("t", tmp_path)
    for folder in (found.logs, found.run):
        folder.mkdir()
    yield found
    left = Supervisor(found, tagged=False)
    left.stop(left.names(), grace=0)


def test_a_daemon_is_started_once_and_found_again(layout: Layout) -> None:
    """By a supervisor of another command, too."""
    first = Supervisor(layout, tagged=False)
    assert first.start(Daemon("d", FOREVER))
    pid = first.pid("d")
    again = Supervisor(layout, tagged=False)
    assert not again.start(Daemon("d", FOREVER))
    assert pid
    assert again.pid("d") == pid


def test_changed_arguments_or_settings_replace_it(layout: Layout) -> None:
    """A file that it reads is part of what it is."""
    config = layout.root / "config"
    config.write_text("a")
    supervisor = Supervisor(layout, tagged=False)
    supervisor.start(Daemon("d", FOREVER, (config,)))
    before = supervisor.pid("d")
    config.write_text("b")
    assert supervisor.start(Daemon("d", FOREVER, (config,)))
    assert supervisor.pid("d") != before
    assert before
    assert start_time(before) is None


def test_a_process_with_a_reused_id_is_not_taken_for_the_daemon(layout: Layout) -> None:
    """Only process id and start time together name a process; nobody else's may ever be ended."""
    (layout.run / "d.json").write_text(f'{{"pid": {os.getpid()}, "start": "1", "identity": ""}}')
    supervisor = Supervisor(layout, tagged=False)
    assert supervisor.pid("d") is None
    supervisor.stop(["d"], grace=0)  # this very process would be gone
    assert supervisor.names() == []


def test_what_does_not_heed_sigterm_is_killed(layout: Layout) -> None:
    """After the grace."""
    supervisor = Supervisor(layout, tagged=False)
    supervisor.start(Daemon("d", DEAF))
    until("its trap to be set", lambda: "deaf" in supervisor.tail("d"), timeout=10, every=0.01)
    pid = supervisor.pid("d")
    supervisor.stop(["d"], grace=0.1)
    assert pid
    assert start_time(pid) is None


def test_one_that_ends_is_told_with_its_last_words(layout: Layout) -> None:
    """So that waiting for it stops at once and says why."""
    supervisor = Supervisor(layout, tagged=False)
    supervisor.start(Daemon("d", ("sh", "-c", "echo no such flag >&2; exit 3")))
    words = until("its end", supervisor.ended, timeout=10, every=0.01)
    assert "d ended with exit code 3" in words
    assert "no such flag" in words


def test_one_that_ended_before_its_record_was_written_does_not_run(layout: Layout) -> None:
    """Its start could not be read any more: "no start time" names no process, least of all one that is gone."""
    (layout.run / "d.json").write_text(f'{{"pid": {2**22 - 1}, "start": null, "identity": ""}}')
    supervisor = Supervisor(layout, tagged=False)
    assert start_time(2**22 - 1) is None
    assert supervisor.pid("d") is None
    supervisor.stop(["d"])
    assert supervisor.names() == []


def test_the_environment_of_the_starter_does_not_reach_it(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy set for the user would stand between the API server and its webhooks."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    supervisor = Supervisor(layout, tagged=False)
    supervisor.start(Daemon("d", ("sh", "-c", "env; exec sleep 1000")))
    until("its environment", lambda: "HOME=" in supervisor.tail("d"), timeout=10, every=0.01)
    assert "PROXY" not in supervisor.tail("d")


def test_stopping_a_gone_daemon_is_no_error(layout: Layout) -> None:
    """`down` after a crash has to go through."""
    supervisor = Supervisor(layout, tagged=False)
    supervisor.start(Daemon("d", FOREVER))
    pid = supervisor.pid("d")
    assert pid
    os.kill(pid, signal.SIGKILL)
    until("its end", lambda: start_time(pid) is None, timeout=10, every=0.01)
    supervisor.stop(["d"])
    assert supervisor.names() == []
