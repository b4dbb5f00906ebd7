"""Keys and certificates of a state directory."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from workspace_authz.devplane.pki import create_pki, issue_client_certificate


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_it_is_made_once(tmp_path: Path) -> None:
    first = create_pki(tmp_path / "pki")
    content = first.ca_key.read_bytes()
    assert create_pki(tmp_path / "pki") == first
    assert first.ca_key.read_bytes() == content


def test_an_incomplete_set_is_replaced_as_a_whole(tmp_path: Path) -> None:
    pki = create_pki(tmp_path)
    content = pki.ca_cert.read_bytes()
    pki.admin_key.unlink()
    assert create_pki(tmp_path).ca_cert.read_bytes() != content
    certificate(pki.serving_cert).verify_directly_issued_by(certificate(pki.ca_cert))


def test_private_keys_are_private(tmp_path: Path) -> None:
    pki = create_pki(tmp_path / "pki")
    keys = (pki.ca_key, pki.serving_key, pki.client_ca_key, pki.admin_key, pki.service_account_key)
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert pki.directory.stat().st_mode & 0o777 == 0o700


def test_the_serving_certificate_is_for_loopback(tmp_path: Path) -> None:
    pki = create_pki(tmp_path)
    names = (
        certificate(pki.serving_cert).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    )
    assert IPv4Address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
    assert "localhost" in names.get_values_for_type(x509.DNSName)


def test_client_certificates_name_user_and_groups(tmp_path: Path) -> None:
    pki = create_pki(tmp_path)
    file, _ = issue_client_certificate(pki, name="carol", groups=("a", "b"))
    issued = certificate(file)
    issued.verify_directly_issued_by(certificate(pki.client_ca_cert))
    assert [each.value for each in issued.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["carol"]
    groups = issued.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [each.value for each in groups] == ["a", "b"]
    admin = certificate(pki.admin_cert).subject
    assert admin.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:masters"
