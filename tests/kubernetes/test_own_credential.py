"""Tokens and certificates in files are read again while the process runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.fakes import ManualClock
from workspace_authz.devplane.pki import Pki, create_pki
from workspace_authz.kubernetes.own_credential import ClientAuth, CredentialError, FileCredential


def in_file(path: Path, clock: ManualClock, token: str = "") -> FileCredential:
    return FileCredential(token, token_file=path, monotonic=clock.monotonic)


async def test_a_new_token_is_used_within_a_minute(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    credential = in_file(path, clock)
    assert await credential.current() == ClientAuth("first")
    path.write_text("second\n")
    clock.advance(59)
    assert await credential.current() == ClientAuth("first")
    clock.advance(1)
    assert await credential.current() == ClientAuth("second")
    path.write_text("third")
    assert await credential.current() == ClientAuth("second")
    clock.advance(60)
    assert await credential.current() == ClientAuth("third")


@pytest.mark.parametrize("content", [None, b"two words", b"\xff"])
async def test_a_file_that_cannot_be_read_changes_nothing(
    tmp_path: Path, clock: ManualClock, content: bytes | None
) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    credential = in_file(path, clock)
    await credential.current()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    clock.advance(60)
    assert await credential.current() == ClientAuth("first")


@pytest.mark.parametrize("content", ["", " \n"])
async def test_an_empty_file_changes_nothing(tmp_path: Path, clock: ManualClock, content: str) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    credential = in_file(path, clock)
    await credential.current()
    path.write_text(content)
    clock.advance(60)
    assert await credential.current() == ClientAuth("first")


async def test_a_rejected_token_is_read_again_at_once(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    credential = in_file(path, clock)
    first = await credential.current()
    assert await credential.renewed(first) == first
    path.write_text("second")
    assert await credential.renewed(first) == ClientAuth("second")
    path.write_text("third")
    assert await credential.renewed(first) == ClientAuth("second")  # which nobody has rejected


async def test_the_file_comes_before_the_token_that_is_given(tmp_path: Path, clock: ManualClock) -> None:
    """As in client-go: "the last successfully read content takes precedence over Token"."""
    path = tmp_path / "token"
    credential = in_file(path, clock, token="given")
    assert await credential.current() == ClientAuth("given")
    path.write_text("from-file")
    clock.advance(60)
    assert await credential.current() == ClientAuth("from-file")
    path.unlink()
    clock.advance(60)
    assert await credential.current() == ClientAuth("from-file")


async def test_a_token_that_is_given_is_all_there_is() -> None:
    credential = FileCredential("given")
    assert await credential.renewed(await credential.current()) == ClientAuth("given")


async def test_a_certificate_is_replaced_with_its_key(tmp_path: Path, pki: Pki, clock: ManualClock) -> None:
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    cert.write_bytes(pki.admin_cert.read_bytes())
    key.write_bytes(pki.admin_key.read_bytes())
    credential = FileCredential(certificate=(cert, key), monotonic=clock.monotonic)
    first = await credential.current()
    other = create_pki(tmp_path / "other")
    cert.write_bytes(other.admin_cert.read_bytes())
    clock.advance(60)
    assert await credential.current() == first  # half of a new pair is none
    key.write_bytes(other.admin_key.read_bytes())
    clock.advance(60)
    second = (await credential.current()).certificate
    assert second is not None
    assert second.key == other.admin_key.read_bytes()


async def test_a_certificate_that_is_none_is_refused_unseen(pki: Pki) -> None:
    for pair in ((b"hidden", b"hidden"), (pki.admin_cert.read_bytes(), pki.serving_key.read_bytes())):
        with pytest.raises(CredentialError, match="client certificates") as error:
            await FileCredential(certificate=pair).current()
        assert "hidden" not in str(error.value)


def test_no_secret_is_in_the_representation(pki: Pki) -> None:
    assert "hidden" not in repr(ClientAuth("hidden"))
