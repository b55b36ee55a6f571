"""`outrider-sidecar run`: the collector. Exit status 0 at the end of the pod, 2 where its settings are wrong."""

from __future__ import annotations

import os
import resource
import signal
import ssl
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from outrider_sidecar import __version__
from outrider_sidecar.config import VARIABLES, ConfigError, from_env

if TYPE_CHECKING:
    from outrider_sidecar.collector import Collector


def usage() -> str:
    """The help text, with every variable."""
    width = max(len(name) for name, _, _ in VARIABLES)
    lines = [
        "usage: outrider-sidecar run | --help | --version",
        "",
        "run: follow the output on the shared volume and send it to the tracker, until SIGTERM.",
        "It is set by environment variables:",
        "",
        *(f"  {name:<{width}}  {meaning} (default: {default})" for name, meaning, default in VARIABLES),
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; `argv` without the program's name."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--help"], ["-h"], ["run", "--help"], ["run", "-h"]):
        sys.stdout.write(usage())
        return 0
    if arguments == ["--version"]:
        sys.stdout.write(f"outrider-sidecar {__version__}\n")
        return 0
    if arguments != ["run"]:
        sys.stderr.write(usage())
        return 2
    return run()


def run() -> int:
    """Collect until SIGTERM or SIGINT; a second one ends at once."""
    # First of all: the pod may end while this process still starts.
    asked = [0]

    def ask(_number: int, _frame: object) -> None:
        asked[0] += 1
        if collector is not None:
            collector.stop()

    collector: Collector | None = None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)

    from outrider_sidecar.collector import Collector as Runs

    try:
        collector = Runs(from_env(os.environ))
    except ConfigError as error:
        sys.stderr.write(f"outrider-sidecar: {error}\n")
        return 2
    except ssl.SSLError as error:
        sys.stderr.write(f"outrider-sidecar: OUTRIDER_CA holds no usable PEM certificate: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"outrider-sidecar: the shared volume cannot be used: {error}\n")
        return 2
    # A file is held open for each stream: a job that restarts often has many.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if asked[0]:
        collector.stop()
    collector.run()
    sys.stderr.flush()
    # Threads may still wait for a tracker that does not answer; nobody waits for them.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
