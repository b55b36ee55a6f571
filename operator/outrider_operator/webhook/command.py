"""The subcommand ``webhook``: flags, signals, and where certificates come from."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from outrider_operator.core.certificate_entries import CA_CERT, WEBHOOK_CERT, WEBHOOK_KEY
from outrider_operator.core.injection_config import ENV_CONFIG, ConfigError, from_env
from outrider_operator.kube.credentials import ConfigurationError, find
from outrider_operator.kube.secret_watch import watch_secret
from outrider_operator.webhook.server import Webhook, serving

log = logging.getLogger(__name__)

ENV_SECRET: Final = "OUTRIDER_CERTIFICATES"  # noqa: S105  names a Secret, is none
_FILE_POLL: Final = 0.5  # seconds between two looks at --cert-dir


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; 2 where the settings are wrong."""
    args = _arguments(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        webhook = Webhook(from_env(os.environ))
        certificates = _certificates(args)
    except (ConfigError, ConfigurationError) as error:
        print(f"outrider-operator webhook: {error}", file=sys.stderr)
        return 2
    asyncio.run(_serve(webhook, certificates, args))
    return 0


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="outrider-operator webhook",
        description=f"Injects the sidecar into pods at admission. Injection is set by the JSON object in {ENV_CONFIG}.",
    )
    parser.add_argument("--listen", type=_address, default=":9443", metavar="HOST:PORT", help="admission (TLS)")
    parser.add_argument("--health", type=_address, default=":8081", metavar="HOST:PORT", help="health and metrics")
    parser.add_argument(
        "--certificates",
        default=os.environ.get(ENV_SECRET),
        metavar="[NAMESPACE/]SECRET",
        help=f"Secret with {CA_CERT}, {WEBHOOK_CERT} and {WEBHOOK_KEY}, watched (default: ${ENV_SECRET})",
    )
    parser.add_argument("--cert-dir", type=Path, metavar="DIR", help="the same from files of these names")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    args = parser.parse_args(argv)
    if not args.cert_dir and not args.certificates:
        parser.error(f"--certificates, --cert-dir or ${ENV_SECRET} must say where the certificate is")
    return args


def _address(text: str) -> tuple[str | None, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or None, int(port)


def _certificates(args: argparse.Namespace) -> AsyncIterator[Mapping[str, str]]:
    if args.cert_dir:
        return _from_folder(args.cert_dir)
    namespace, _, name = args.certificates.rpartition("/")
    credentials = find()
    return watch_secret(credentials, namespace or credentials.namespace, name)


async def _from_folder(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """The files' content, now and whenever it changes; nothing while one of them is missing."""
    seen: dict[str, str] = {}
    while True:
        try:
            found = {name: (folder / name).read_text() for name in (CA_CERT, WEBHOOK_CERT, WEBHOOK_KEY)}
        except FileNotFoundError:
            found = seen
        if found != seen:
            seen = found
            yield found
        await asyncio.sleep(_FILE_POLL)


async def _serve(webhook: Webhook, certificates: AsyncIterator[Mapping[str, str]], args: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with serving(webhook, args.listen, args.health) as ports:
        log.info("admission on port %d, health on port %d", *ports)
        following = asyncio.create_task(_follow(webhook, certificates))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (following, stopping):
            task.cancel()
        ended = await asyncio.gather(following, stopping, return_exceptions=True)
    failures = [end for end in ended if isinstance(end, Exception)]
    if failures:
        raise failures[0]
    log.info("stopped")


async def _follow(webhook: Webhook, certificates: AsyncIterator[Mapping[str, str]]) -> None:
    async for data in certificates:
        if not data.get(WEBHOOK_CERT) or not data.get(WEBHOOK_KEY):
            log.info("waiting for the controller to fill %s and %s", WEBHOOK_CERT, WEBHOOK_KEY)
            continue
        try:
            webhook.use(data[WEBHOOK_CERT], data[WEBHOOK_KEY], data.get(CA_CERT, ""))
        except ssl.SSLError as error:
            log.error("the new certificate is unusable, the old one stays in use: %s", error)
