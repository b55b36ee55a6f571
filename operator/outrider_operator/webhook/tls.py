"""A TLS context whose certificate is replaced while connections live on."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator


class LiveCertificate:
    """The server's certificate: none at first, then whatever was loaded last.

    New handshakes take the new certificate; established connections keep theirs.
    """

    def __init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded: tuple[str, str] | None = None

    @property
    def loaded(self) -> bool:
        """Whether a handshake can succeed."""
        return self._loaded is not None

    def load(self, certificate: str, key: str) -> bool:
        """Take a PEM chain and its key; False where they are in use already.

        Raises:
            ssl.SSLError: they are no PEM texts, or do not belong together; the old pair stays in use.

        """
        if self._loaded == (certificate, key):
            return False
        with _in_memory(certificate) as chain_path, _in_memory(key) as key_path:
            trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            trial.load_cert_chain(chain_path, key_path)
            self.context.load_cert_chain(chain_path, key_path)
        self._loaded = certificate, key
        return True


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """A path from which OpenSSL reads the text; it never lies on a disk."""
    descriptor = os.memfd_create("outrider-pem")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
