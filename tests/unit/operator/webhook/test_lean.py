"""The webhook stands in the way of every training pod: it starts fast and holds little."""

import subprocess
import sys

import pytest

from outrider_operator.webhook.command import main

SAY = "import sys, outrider_operator.webhook.command; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def test_it_imports_neither_kopf_nor_the_kubernetes_client_nor_cryptography() -> None:
    """In a fresh process, since this one has them all."""
    done = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True)
    assert "aiohttp" in done.stdout.split()
    assert not {"kopf", "kubernetes", "cryptography", "jsonpatch"} & set(done.stdout.split())


def test_bad_settings_end_it_with_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it opens a port."""
    monkeypatch.setenv("OUTRIDER_INJECTION", "{}")
    assert main(["--cert-dir", "/nowhere"]) == 2
    assert "outrider-operator webhook: missing settings ['image', 'trackerUrl']" in capsys.readouterr().err
    monkeypatch.setenv("OUTRIDER_INJECTION", '{"image": "i", "trackerUrl": "https://t"}')
    for name in ("KUBERNETES_SERVICE_HOST", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    assert main(["--certificates", "a/b"]) == 2
    assert "no API server: this is no pod with a mounted service account token" in capsys.readouterr().err


def test_bad_flags_end_it_with_a_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Argparse's way."""
    monkeypatch.delenv("OUTRIDER_CERTIFICATES", raising=False)
    for flags, sentence in (
        ([], "--certificates, --cert-dir or $OUTRIDER_CERTIFICATES must say where the certificate is"),
        (["--cert-dir", "x", "--listen", "9443"], "'9443' is not HOST:PORT"),
    ):
        with pytest.raises(SystemExit):
            main(flags)
        assert sentence in capsys.readouterr().err
