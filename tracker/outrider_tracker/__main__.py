"""`outrider-tracker serve`, and the commands of commands.py."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from outrider_tracker import __version__, arenas, commands, failpoints, garbage
from outrider_tracker.app import Settings, Tracker
from outrider_tracker.auth.entities import EntityMap
from outrider_tracker.auth.jwks import KeySet, fetch
from outrider_tracker.auth.tokens import Cluster, issuer_of
from outrider_tracker.core import quotas
from outrider_tracker.core.principals import Person
from outrider_tracker.ingest.watermarks import Watermarks
from outrider_tracker.serving import Address, Certificate, bind, serve
from outrider_tracker.store.errors import SchemaRefusedError
from outrider_tracker.store.folder import FolderRefusedError
from outrider_tracker.store.people import has_people, new_key, put_person
from outrider_tracker.store.store import Store

ADMIN = "admin"
SWITCH_SECONDS = 0.00005


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; the exit code. What a person must know goes to stdout, complaints to stderr."""
    chosen = _parser().parse_args(arguments)
    try:
        failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
        return int(chosen.run(chosen))
    except (FolderRefusedError, SchemaRefusedError, ValueError, OSError) as error:
        sys.stderr.write(f"outrider-tracker: {error}\n")
        return 2


def default_data() -> Path:
    """The data folder of a person without flags."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "outrider" / "tracker"


def _serve(chosen: argparse.Namespace) -> int:
    arenas.share()
    settings = Settings(
        data=chosen.data,
        cluster=_cluster(chosen),
        entities=EntityMap.load(chosen.entity_map) if chosen.entity_map else EntityMap(),
        marks=_watermarks(chosen.watermarks),
        quotas=quotas.parse(chosen.quota),
        public_url=chosen.public_url,
        trusted_proxies=tuple(chosen.trusted_proxy),
        seal_interval=chosen.seal_interval,
        seal_bytes=chosen.seal_bytes,
    )
    if (chosen.tls_listen is None) != (chosen.tls_cert is None) or (chosen.tls_cert is None) != (
        chosen.tls_key is None
    ):
        raise ValueError("--tls-listen, --tls-cert and --tls-key belong together: give all three or none")
    plain = bind(chosen.listen)
    tls = None
    if chosen.tls_listen is not None:
        tls = (bind(chosen.tls_listen), Certificate(chosen.tls_cert, chosen.tls_key))

    # The event loop and the writer take the interpreter back many times a request: at the usual 5 ms each time, one
    # thread that parses somebody's large document would hold up everybody.
    sys.setswitchinterval(SWITCH_SECONDS)

    async def run() -> int:
        tracker = Tracker(settings)
        _first_admin(tracker.store, chosen.admin_key_file)
        garbage.tame()
        return await serve(tracker, plain, tls)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def _first_admin(store: Store, key_file: Path | None) -> None:
    """The administrator's key: from the file, or (in a store without people) a fresh one, shown once."""
    if key_file is not None:
        key = key_file.read_text().strip()
        store.writer.run(lambda connection: put_person(connection, Person(ADMIN, admin=True), key, store.clock()))
        return
    if store.readers.read(has_people):
        return
    key = new_key()
    store.writer.run(lambda connection: put_person(connection, Person(ADMIN, admin=True), key, store.clock()))
    sys.stdout.write(f"First start: the API key of user {ADMIN} is {key} (shown once; its hash is kept)\n")
    sys.stdout.flush()


def _cluster(chosen: argparse.Namespace) -> Cluster | None:
    issuer: str | None = chosen.issuer
    if issuer is None and chosen.jwks is not None and chosen.jwks_token_file is not None:
        issuer = issuer_of(chosen.jwks_token_file.read_text().strip())
    if (issuer is None) != (chosen.jwks is None):
        raise ValueError("--issuer and --jwks belong together: give both to accept pods' tokens, or none")
    if issuer is None:
        if chosen.controller_subject is not None:
            raise ValueError("--controller-subject needs --issuer and --jwks: without them no token can be checked")
        return None
    keys = KeySet(lambda: fetch(chosen.jwks, chosen.jwks_token_file, chosen.jwks_ca))
    return Cluster(issuer, keys, chosen.controller_subject)


def _public_url(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no site's address: https://HOST or https://HOST:PORT is expected"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _watermarks(text: str) -> Watermarks:
    try:
        files, logs, everything = (float(part) / 100 for part in text.split(","))
    except ValueError:
        raise ValueError("--watermarks takes three percentages: files,logs,all") from None
    return Watermarks(files, logs, everything)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="outrider-tracker", description="Keeps and shows tracked training runs.")
    parser.add_argument("--version", action="version", version=__version__)
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    run = parsers.add_parser("serve", help="run the tracker")
    run.set_defaults(run=_serve)
    _data(run)
    run.add_argument(
        "--listen",
        type=Address.parse,
        default=Address("127.0.0.1", 8080),
        metavar="HOST:PORT",
        help="plain HTTP, for the UI behind an ingress (default 127.0.0.1:8080)",
    )
    run.add_argument(
        "--public-url",
        type=_public_url,
        default="",
        metavar="URL",
        help="address at which people open the tracker; with https:// their sessions never travel over plain HTTP",
    )
    run.add_argument(
        "--trusted-proxy",
        type=ipaddress.ip_network,
        action="append",
        default=[],
        metavar="CIDR",
        help="proxies whose X-Forwarded-Host and X-Forwarded-Proto are believed; may be given several times",
    )
    run.add_argument("--tls-listen", type=Address.parse, metavar="HOST:PORT", help="TLS, for pods")
    run.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM; reloaded when it changes")
    run.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM")
    run.add_argument(
        "--issuer",
        metavar="URL",
        help="issuer of the cluster's service-account tokens (default: that of --jwks-token-file)",
    )
    run.add_argument("--jwks", metavar="FILE|URL", help="the cluster's key set (/openid/v1/jwks)")
    run.add_argument("--jwks-token-file", type=Path, metavar="FILE", help="bearer token for it, read anew each time")
    run.add_argument("--jwks-ca", type=Path, metavar="FILE", help="CAs of its server, PEM")
    run.add_argument(
        "--controller-subject", metavar="SUBJECT", help="system:serviceaccount:NAMESPACE:NAME of the operator"
    )
    run.add_argument("--admin-key-file", type=Path, metavar="FILE", help=f"API key of the user {ADMIN}, 40 hex digits")
    run.add_argument("--entity-map", type=Path, metavar="FILE", help='JSON: [{"issuer"?, "namespace", "entity"}, ...]')
    run.add_argument(
        "--watermarks",
        default="85,92,97",
        metavar="FILES,LOGS,ALL",
        help="percent of the disk in use from which files, then logs and metrics, then all but events are refused",
    )
    run.add_argument(
        "--quota",
        action="append",
        default=[],
        metavar="[ENTITY:]NAME=AMOUNT,...",
        help=f"what an entity (all that have none of their own) may use: {', '.join(quotas.NAMES)}; bytes and requests "
        "are a second's, series a run's; 500, 20M, 3T or none (default: "
        + ",".join(f"{name}={getattr(quotas.Quotas(), name):.0f}".replace("=inf", "=none") for name in quotas.NAMES)
        + ")",
    )
    run.add_argument("--seal-interval", type=float, default=5.0, metavar="SECONDS", help="pause between compactions")
    run.add_argument("--seal-bytes", type=int, default=8 << 20, metavar="BYTES", help="least raw bytes of an object")
    commands.declare(parsers, _data)
    return parser


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=default_data(),
        metavar="DIR",
        help="data folder, on a local disk (default: %(default)s)",
    )


if __name__ == "__main__":
    sys.exit(main())
