"""The subcommand ``controller``: settings, logs, signals, exit status."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from outrider_operator.controller.app import App
from outrider_operator.controller.fenced import NotLeading
from outrider_operator.controller.settings import Settings, read
from outrider_operator.kube.credentials import ConfigurationError, Credentials, find
from outrider_operator.kube.lease import LeaseLost

log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "ts": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _logging(settings: Settings) -> None:
    handler = logging.StreamHandler()
    text = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(JsonLines() if settings.json_logs else logging.Formatter(text))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # kopf tells of every object that it sees.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # It says at each start that signals are not its business: it runs in a thread of its own.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


async def _serve(settings: Settings, credentials: Credentials) -> int:
    app = App(settings, credentials)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop)
    status = 0
    try:
        await app.run()
    except* (LeaseLost, NotLeading) as errors:
        log.error("the Lease is lost, this process ends: %s", errors.exceptions[0])
        status = 1
    return status


def main(argv: Sequence[str]) -> int:
    """Work until SIGTERM or SIGINT; 2 where the settings are wrong, 1 where it cannot go on."""
    try:
        settings = read(argv)
        credentials = find(settings.kubeconfig)
        if not settings.namespace:
            settings = replace(settings, namespace=credentials.namespace)
    except ConfigurationError as error:
        print(f"outrider-operator controller: {error}", file=sys.stderr)
        return 2
    _logging(settings)
    try:
        return asyncio.run(_serve(settings, credentials))
    except Exception as error:  # the last resort: say it and let the process be started again
        log.critical("cannot go on: %r", error, exc_info=error)
        return 1
