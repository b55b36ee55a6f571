"""TLS: the tracker's name and certificate are checked before the token leaves the pod."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from tests.integration.sidecar.conftest import Pod, until
from tests.integration.sidecar.double import Double


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed one for `name`: key and certificate."""
    key, crt = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", key, "-out", crt, "-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, crt


def serve_tls(double: Double, key: Path, crt: Path) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    double.stop()
    double.start(context)
    return f"https://localhost:{double.port}"


def test_a_tracker_with_a_known_certificate_is_talked_to(pod: Pod, double: Double, tmp_path: Path) -> None:
    """The CA comes as PEM text from the environment."""
    key, crt = certificate(tmp_path, "localhost")
    (pod.folder() / "stdout.log").write_bytes(b"log")
    pod.start(OUTRIDER_TRACKER_URL=serve_tls(double, key, crt), OUTRIDER_CA=crt.read_text())
    double.wait_for(lambda: double.data("train/0/stdout") == b"log")
    assert pod.end()["unsentBytes"] == 0


@pytest.mark.parametrize("wrong", ["name", "ca"])
def test_nothing_is_said_to_one_that_cannot_be_checked(pod: Pod, double: Double, tmp_path: Path, wrong: str) -> None:
    """Another name, or a certificate that another CA signed: no request ever arrives; the reason is in the log."""
    key, crt = certificate(tmp_path, "other" if wrong == "name" else "localhost")
    trusted = crt
    if wrong == "ca":
        (tmp_path / "ca").mkdir()
        _, trusted = certificate(tmp_path / "ca", "localhost")
    pod.start(OUTRIDER_TRACKER_URL=serve_tls(double, key, crt), OUTRIDER_CA=trusted.read_text(), OUTRIDER_LINGER="0")
    until(lambda: "certificate verify failed" in pod.log.read_text())
    pod.end()
    assert double.requests == 0
