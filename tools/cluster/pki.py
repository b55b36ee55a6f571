"""The cluster's certificate authorities and what they sign: elliptic curve keys, kept as PEM files in one folder."""

import base64
import datetime as dt
import ipaddress
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Usage = Literal["client", "server", "both"]
_LIFETIME = dt.timedelta(days=3650)
_USAGES = {
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "both": [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH],
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    crt: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Pki:
    """The certificates in one folder; each is made when it is first asked for."""

    folder: Path

    def authority(self, name: str) -> Pair:
        """A self-signed authority."""
        pair = self._pair(name)
        if not pair.crt.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"outrider-cluster {name}")])
            builder = _builder(subject, subject, key.public_key()).add_extension(
                x509.BasicConstraints(True, 0), critical=True
            )
            builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
            self._write(pair, key, builder.sign(key, hashes.SHA256()))
        return pair

    def signed(
        self,
        name: str,
        by: str,
        common_name: str,
        groups: Sequence[str] = (),
        *,
        hosts: Iterable[str] = (),
        usage: Usage = "client",
    ) -> Pair:
        """A certificate signed by the authority `by`; Kubernetes reads a user from its common name and groups from O.

        hosts: DNS names and IP addresses that a server answers to. A certificate with other hosts is made anew.
        """
        hosts = list(dict.fromkeys(hosts))
        pair = self._pair(name)
        if pair.crt.exists() and _hosts(x509.load_pem_x509_certificate(pair.crt.read_bytes())) == sorted(hosts):
            return pair
        signer = self.authority(by)
        signer_key = serialization.load_pem_private_key(signer.key.read_bytes(), None)
        assert isinstance(signer_key, ec.EllipticCurvePrivateKey)
        authority = x509.load_pem_x509_certificate(signer.crt.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = (
            _builder(subject, authority.subject, key.public_key())
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)  # type: ignore[arg-type]
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_USAGES[usage]), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            )
        self._write(pair, key, builder.sign(signer_key, hashes.SHA256()))
        return pair

    def token_key(self) -> tuple[Path, Path]:
        """The key that service account tokens are signed with: the private and the public half."""
        private, public = self.folder / "service-account.key", self.folder / "service-account.pub"
        if not public.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            _put(private, _private_pem(key))
            _put(public, _public_pem(key))
        return private, public

    def kubeconfig(self, path: Path, server: str, user: Pair, cluster: str) -> Path:
        """Write a kubeconfig with everything inside it (JSON is YAML), readable by its owner alone."""
        embedded = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {"server": server, "certificate-authority-data": _base64(self.authority("ca").crt)},
                }
            ],
            "users": [
                {
                    "name": cluster,
                    "user": {"client-certificate-data": _base64(user.crt), "client-key-data": _base64(user.key)},
                }
            ],
        }
        text = json.dumps(embedded, indent=1).encode()
        if not path.exists() or path.read_bytes() != text:
            _put(path, text)
        return path

    def _pair(self, name: str) -> Pair:
        return Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    @staticmethod
    def _write(pair: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        _put(pair.key, _private_pem(key))
        _put(pair.crt, certificate.public_bytes(serialization.Encoding.PEM))  # last: it says that the pair is whole


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    """What all certificates have; with the key identifiers that strict clients, such as Python 3.13, ask for."""
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _hosts(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return sorted(str(name.value) for name in names)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # SEC1, which controller manager and API server both read as a token key
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
