"""The command line: first start, users, TLS beside plain, certificates that change under living connections."""

from __future__ import annotations

import datetime as dt
import json
import re
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from outrider_tracker.__main__ import main
from tests.integration.tracker.process import Sidecar, TrackerProcess, until


def certificate(folder: Path, name: str) -> None:
    """A self-signed pair for localhost, put in place at once as a Secret's volume does."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for file, content in (("tls.crt", made.public_bytes(pem)), ("tls.key", secret)):
        (folder / f"{file}.new").write_bytes(content)
        (folder / f"{file}.new").rename(folder / file)


def shown_name(port: int) -> str:
    """The common name of the certificate that a new connection gets."""
    found = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())
    return str(found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def test_a_changed_certificate_is_used_and_connections_live_on(tmp_path: Path) -> None:
    """New handshakes get the new pair; a connection from before goes on; a pair that does not fit changes nothing."""
    certificate(tmp_path, "first")
    arguments = (
        "--tls-listen",
        "127.0.0.1:0",
        "--tls-cert",
        str(tmp_path / "tls.crt"),
        "--tls-key",
        str(tmp_path / "tls.key"),
    )
    with TrackerProcess(tmp_path / "data", *arguments) as tracker:
        port = int(tracker.listening["https"].rpartition(":")[2])
        assert shown_name(port) == "first"
        pinned = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
        headers = {"Authorization": tracker.client.headers["Authorization"]}
        # By itself the client gives a connection up that was quiet for 5 s: as long as the tracker's look may take.
        kept = httpx.Limits(keepalive_expiry=None)
        with httpx.Client(
            base_url=f"https://localhost:{port}",
            verify=pinned,
            headers=headers,
            limits=kept,
            trust_env=False,
            timeout=30.0,
        ) as client:
            sidecar = Sidecar(client, "pod-1")
            assert sidecar.declare().status_code == 200
            certificate(tmp_path, "second")
            until(lambda: shown_name(port) == "second", "the new certificate is used")
            # This client trusts the first one only: a new handshake would fail.
            assert sidecar.declare().status_code == 200
        (tmp_path / "tls.key").write_text("damaged")
        until(lambda: "tls.reload.failed" in tracker.log.read_text(), "the damage is told")
        assert shown_name(port) == "second"


def test_the_first_start_prints_a_key_that_works(tmp_path: Path) -> None:
    """A real process with nothing but a data folder; the second start prints no key."""
    command = [
        sys.executable,
        "-m",
        "outrider_tracker",
        "serve",
        "--data",
        str(tmp_path / "d"),
        "--listen",
        "127.0.0.1:0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        base = json.loads(process.stdout.readline())["http"]
        match = re.search(r"user admin is ([0-9a-f]{40}) ", first)
        assert match is not None
        headers = {"Authorization": f"Bearer {match.group(1)}"}
        assert (
            httpx.get(f"{base}/api/v1/control/feed", headers=headers, trust_env=False, timeout=30.0).status_code == 200
        )
        process.terminate()
        assert process.wait(60) == 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "listening"
        process.terminate()
        assert process.wait(60) == 0


def test_a_user_is_added_beside_a_running_tracker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key works at once; a second key of the same user works too."""
    with TrackerProcess(tmp_path / "data") as tracker:
        for _ in range(2):
            assert main(["user", "add", "ada", "--admin", "--data", str(tmp_path / "data")]) == 0
            match = re.search(r"API key: ([0-9a-f]{40})", capsys.readouterr().out)
            assert match is not None
            headers = {"Authorization": f"Bearer {match.group(1)}"}
            assert (
                httpx.get(
                    f"{tracker.base}/api/v1/control/feed", headers=headers, trust_env=False, timeout=30.0
                ).status_code
                == 200
            )


WRONG = {
    "role": (["user", "add", "ada", "--entity", "ml:king"], "role admin, member or viewer"),
    "short key": (["user", "add", "ada", "--key", "secret"], "40 to 128 characters"),
    "name": (["user", "add", "a/b"], "is no name"),
    "half of TLS": (["serve", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"], "belong together"),
    "half of a cluster": (["serve", "--listen", "127.0.0.1:0", "--issuer", "x"], "belong together"),
    "subject without cluster": (["serve", "--listen", "127.0.0.1:0", "--controller-subject", "x"], "--issuer"),
    "watermarks": (["serve", "--listen", "127.0.0.1:0", "--watermarks", "1,2"], "three percentages"),
}


@pytest.mark.parametrize(("arguments", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """Exit code 2 and a sentence, no traceback."""
    assert main([*arguments, "--data", str(tmp_path / "data")]) == 2
    assert sentence in capsys.readouterr().err
