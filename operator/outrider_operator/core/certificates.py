"""Our own CA and its leaves: what to do about them now, as a pure function of the entries and the clock.

The entries are ``ca.crt`` (the bundle that clients trust, the CA that signs now first), ``ca.key``, and a certificate
and key for the webhook and for the tracker; ``certificate_secrets`` says which Secret each lies in. A CA is replaced in
two steps: the next one is trusted half a year before it signs, so that every sidecar of a job that runs less than that
knows both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outrider_operator.core.certificate_entries import CA_CERT, CA_KEY, LEAVES, NEXT_CERT, NEXT_KEY

CA_LIFE: Final = dt.timedelta(days=3650)
CA_PREPARE: Final = dt.timedelta(days=365)  # before its end, the next CA is made and trusted
CA_ROTATE: Final = dt.timedelta(days=185)  # before its end, the next CA signs
LEAF_LIFE: Final = dt.timedelta(days=90)
LEAF_RENEW: Final = dt.timedelta(days=30)
_BACKDATE: Final = dt.timedelta(hours=1)  # clocks of nodes may be behind

Data = Mapping[str, str]
Names = Mapping[str, Sequence[str]]


class Step(StrEnum):
    """What to do about the entries."""

    KEEP = "keep"
    ISSUE = "issue leaves"
    PREPARE = "make the next CA"
    ROTATE = "rotate the CA"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why."""

    step: Step
    why: str
    leaves: tuple[str, ...] = ()
    """Which leaves to issue."""


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """The names by which a Service is called in the cluster, the full one first."""
    stem = f"{service}.{namespace}"
    return f"{stem}.svc", f"{stem}.svc.cluster.local", stem, service


def decide(data: Data | None, now: dt.datetime, names: Names) -> Decision:
    """Decide about the entries.

    Args:
        data: decoded, of both Secrets; None or empty where there is none yet.
        now: aware.
        names: of each leaf (``webhook``, ``tracker``), the DNS names it must be good for.

    """
    data = data or {}
    authority = _authority(data, CA_KEY, CA_CERT)
    everything = tuple(names)
    if authority is None:
        return Decision(Step.ROTATE, "there is no usable CA", everything)
    left = authority.not_valid_after_utc - now
    if left < CA_ROTATE:
        return Decision(Step.ROTATE, f"the CA ends on {authority.not_valid_after_utc:%Y-%m-%d}", everything)
    if left < CA_PREPARE and not _prepared(data):
        return Decision(Step.PREPARE, f"the CA ends on {authority.not_valid_after_utc:%Y-%m-%d}")
    reasons = {leaf: _leaf_problem(data, leaf, authority, now, names[leaf]) for leaf in names}
    bad = {leaf: reason for leaf, reason in reasons.items() if reason}
    if bad:
        return Decision(Step.ISSUE, "; ".join(f"{leaf}: {reason}" for leaf, reason in bad.items()), tuple(bad))
    return Decision(Step.KEEP, "all is good")


def carry_out(decision: Decision, data: Data | None, now: dt.datetime, names: Names) -> dict[str, str]:
    """The entries after the decision; foreign entries stay."""
    out = dict(data or {})
    if decision.step is Step.PREPARE:
        if _authority(out, NEXT_KEY, NEXT_CERT) is None:
            out[NEXT_CERT], out[NEXT_KEY] = _new_authority(now)
        out[CA_CERT] = _bundle([*split_bundle(out[CA_CERT]), out[NEXT_CERT]], now)
    if decision.step is Step.ROTATE:
        if _authority(out, NEXT_KEY, NEXT_CERT) is None:
            out[NEXT_CERT], out[NEXT_KEY] = _new_authority(now)
        out[CA_CERT] = _bundle([out[NEXT_CERT], *split_bundle(out.get(CA_CERT, ""))], now)
        out[CA_KEY] = out[NEXT_KEY]
        del out[NEXT_CERT], out[NEXT_KEY]
    if decision.step is Step.ISSUE:
        out[CA_CERT] = _bundle(split_bundle(out[CA_CERT]), now)  # CAs that have ended leave it
    if decision.leaves:
        authority, signer = _authority(out, CA_KEY, CA_CERT), _load_key(out[CA_KEY])
        if authority is None or signer is None:
            raise ValueError(f"{decision.step}: the entries {CA_CERT} and {CA_KEY} do not belong together")
        for leaf in decision.leaves:
            cert_name, key_name = LEAVES[leaf]
            out[cert_name], out[key_name] = _new_leaf(authority, signer, now, names[leaf])
    return out


def signs(data: Data) -> bool:
    """Whether the CA's key is there and belongs to the first certificate of the bundle."""
    return _authority(data, CA_KEY, CA_CERT) is not None


def split_bundle(bundle: str) -> list[str]:
    """The PEM certificates of a bundle, each with its end of line; what is none is left out."""
    out = []
    for part in bundle.split("-----BEGIN CERTIFICATE-----")[1:]:
        body, end, _ = part.partition("-----END CERTIFICATE-----")
        if end:
            out.append(f"-----BEGIN CERTIFICATE-----{body}{end}\n")
    return out


def _bundle(certificates: Sequence[str], now: dt.datetime) -> str:
    """A bundle of those that are valid, none twice, in the order given."""
    good = []
    for pem in certificates:
        found = _load(pem)
        if found is not None and found.not_valid_after_utc > now and pem not in good:
            good.append(pem)
    return "".join(good)


def _authority(data: Data, key_name: str, cert_name: str) -> x509.Certificate | None:
    """The first certificate of an entry, if the key entry is its key."""
    bundle, key = split_bundle(data.get(cert_name, "")), _load_key(data.get(key_name, ""))
    certificate = _load(bundle[0]) if bundle else None
    if certificate is None or key is None or certificate.public_key() != key.public_key():
        return None
    return certificate


def _prepared(data: Data) -> bool:
    """Whether the next CA is there and trusted."""
    if _authority(data, NEXT_KEY, NEXT_CERT) is None:
        return False
    return split_bundle(data[NEXT_CERT])[0] in split_bundle(data[CA_CERT])


def _leaf_problem(
    data: Data, leaf: str, authority: x509.Certificate, now: dt.datetime, names: Sequence[str]
) -> str | None:
    """Why a leaf must be issued anew; None for a good one."""
    cert_name, key_name = LEAVES[leaf]
    certificate, key = _load(data.get(cert_name, "")), _load_key(data.get(key_name, ""))
    if certificate is None or key is None:
        return "there is none"
    if certificate.public_key() != key.public_key():
        return "certificate and key do not belong together"
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return "another CA issued it"
    if certificate.not_valid_after_utc - now < LEAF_RENEW:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    have = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    missing = set(names) - set(have.get_values_for_type(x509.DNSName))
    return f"it does not name {', '.join(sorted(missing))}" if missing else None


def _new_authority(now: dt.datetime) -> tuple[str, str]:
    """Certificate and key of a new CA, as PEM. Its name tells it apart from every other one."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"outrider CA {serial:x}"[:40])])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _begin(name, name, key, now, CA_LIFE)
        .serial_number(serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return _pem(builder.sign(key, hashes.SHA256())), _key_pem(key)


def _new_leaf(
    authority: x509.Certificate, signer: ec.EllipticCurvePrivateKey, now: dt.datetime, names: Sequence[str]
) -> tuple[str, str]:
    """Certificate and key of a server, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    issuer_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _begin(subject, authority.subject, key, now, LEAF_LIFE)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False)
    )
    return _pem(builder.sign(signer, hashes.SHA256())), _key_pem(key)


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _load(pem: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None


def _load_key(pem: str) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    raw = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return raw.decode()
