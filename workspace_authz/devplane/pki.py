"""The keys and certificates of a development control plane, made once per state directory.

Two separate certificate authorities, as in a real cluster: one vouches for the server, the other for
clients, so that a serving certificate is never a credential. All keys are on the curve P-256: a
service-account token is then signed and checked in a fraction of a millisecond (ES256).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=3650)
_BACKDATED = timedelta(hours=1)  # tolerate a clock that was set back
_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True, slots=True)
class Pki:
    """Where the files are. All are PEM; private keys are readable by their owner only."""

    directory: Path
    ca_cert: Path
    """Vouches for ``serving_cert``; what a kubeconfig holds as ``certificate-authority``."""
    ca_key: Path
    serving_cert: Path
    """For 127.0.0.1, ::1 and localhost."""
    serving_key: Path
    client_ca_cert: Path
    """Vouches for client certificates (kube-apiserver's ``--client-ca-file``)."""
    client_ca_key: Path
    admin_cert: Path
    """Client certificate of the user ``admin`` in the group ``system:masters``."""
    admin_key: Path
    service_account_key: Path
    """Signs service-account tokens (``--service-account-signing-key-file``)."""
    service_account_public_key: Path
    """Checks them (``--service-account-key-file``)."""


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def create_pki(directory: Path) -> Pki:
    """Make everything below ``directory``, or return what an earlier call made there.

    A directory that misses a file gets an entirely new set. Raises ``OSError``.
    """
    pki = _paths(directory)
    if all(path.exists() for path in _files(pki)):
        return pki
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    server_ca, client_ca = _authority("devplane-ca"), _authority("devplane-client-ca")
    for authority, cert, key in (
        (server_ca, pki.ca_cert, pki.ca_key),
        (client_ca, pki.client_ca_cert, pki.client_ca_key),
    ):
        _write(cert, authority.certificate.public_bytes(Encoding.PEM))
        _write(key, _private_pem(authority.key), secret=True)
    _issue_server(server_ca, pki)
    _issue_client(client_ca, pki.admin_cert, key_file=pki.admin_key, name="admin", groups=("system:masters",))
    signing = ec.generate_private_key(ec.SECP256R1())
    _write(pki.service_account_key, _private_pem(signing), secret=True)
    public = signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(pki.service_account_public_key, public)
    return pki


def issue_client_certificate(pki: Pki, *, name: str, groups: Sequence[str] = ()) -> tuple[Path, Path]:
    """Make a client certificate for the user ``name`` (CN) in ``groups`` (O): its file and its key's file."""
    authority = _read_authority(pki.client_ca_cert, pki.client_ca_key)
    cert_file, key_file = pki.directory / f"client-{name}.crt", pki.directory / f"client-{name}.key"
    _issue_client(authority, cert_file, key_file=key_file, name=name, groups=groups)
    return cert_file, key_file


def issue_serving_certificate(pki: Pki, directory: Path, *, addresses: Sequence[IPv4Address] = ()) -> Pki:
    """The same with another serving certificate, which is made in ``directory``, also for ``addresses``."""
    other = replace(pki, serving_cert=directory / "serving.crt", serving_key=directory / "serving.key")
    _issue_server(_read_authority(pki.ca_cert, pki.ca_key), other, addresses=addresses)
    return other


def _read_authority(certificate: Path, key_file: Path) -> _Authority:
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key_file} is not an elliptic-curve key")
    return _Authority(x509.load_pem_x509_certificate(certificate.read_bytes()), key)


def _paths(directory: Path) -> Pki:
    return Pki(
        directory=directory,
        ca_cert=directory / "ca.crt",
        ca_key=directory / "ca.key",
        serving_cert=directory / "serving.crt",
        serving_key=directory / "serving.key",
        client_ca_cert=directory / "client-ca.crt",
        client_ca_key=directory / "client-ca.key",
        admin_cert=directory / "admin.crt",
        admin_key=directory / "admin.key",
        service_account_key=directory / "service-account.key",
        service_account_public_key=directory / "service-account.pub",
    )


def _files(pki: Pki) -> tuple[Path, ...]:
    return (
        pki.ca_cert,
        pki.ca_key,
        pki.serving_cert,
        pki.serving_key,
        pki.client_ca_cert,
        pki.client_ca_key,
        pki.admin_cert,
        pki.admin_key,
        pki.service_account_key,
        pki.service_account_public_key,
    )


def _authority(common_name: str) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        _builder(name, name, public_key=key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _Authority(builder.sign(key, SHA256()), key)


def _issue_server(authority: _Authority, pki: Pki, *, addresses: Sequence[IPv4Address] = ()) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    everywhere: tuple[IPv4Address | IPv6Address, ...] = (
        IPv4Address("127.0.0.1"),
        IPv6Address("::1"),
        *addresses,
    )
    names = x509.SubjectAlternativeName(
        [*(x509.DNSName(name) for name in _SERVER_NAMES), *(x509.IPAddress(each) for each in everywhere)]
    )
    builder = _leaf(authority, subject, key=key, purpose=ExtendedKeyUsageOID.SERVER_AUTH).add_extension(
        names, critical=False
    )
    _write(pki.serving_cert, builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM))
    _write(pki.serving_key, _private_pem(key), secret=True)


def _issue_client(
    authority: _Authority, cert_file: Path, *, key_file: Path, name: str, groups: Sequence[str]
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _leaf(authority, subject, key=key, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    _write(cert_file, builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM))
    _write(key_file, _private_pem(key), secret=True)


def _leaf(
    authority: _Authority,
    subject: x509.Name,
    *,
    key: ec.EllipticCurvePrivateKey,
    purpose: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        _builder(subject, authority.certificate.subject, public_key=key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(issuer_key, critical=False)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, *, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, *, secret: bool = False) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
