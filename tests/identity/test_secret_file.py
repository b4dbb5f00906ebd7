"""Secrets in a file: compared as a whole, rotated without a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.fakes import ManualClock
from workspace_authz.errors import ConfigurationError
from workspace_authz.identity.secret_file import REREAD_SECONDS, SHORTEST, SecretFile

OLD, NEW = b"o" * SHORTEST, b"n" * SHORTEST


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(OLD + b"\n")
    return path


def write(path: Path, content: bytes | None) -> None:
    """Nothing, for None."""
    path.unlink() if content is None else path.write_bytes(content)


async def test_only_the_whole_secret_counts(path: Path, clock: ManualClock) -> None:
    file = SecretFile(path, monotonic=clock.monotonic)
    assert await file.holds(OLD)
    for wrong in (b"", b"o", OLD[:-1], OLD + b"o", OLD + b"\n", NEW, OLD.upper()):
        assert not await file.holds(wrong)


async def test_a_rotated_secret_counts_within_a_second(path: Path, clock: ManualClock) -> None:
    """Given both in the file for a while, as one rotates without an interruption, then both hold."""
    file = SecretFile(path, monotonic=clock.monotonic)
    write(path, NEW + b"\n\n" + OLD)
    assert not await file.holds(NEW)
    clock.advance(REREAD_SECONDS)
    assert await file.holds(NEW)
    assert await file.holds(OLD)
    write(path, NEW)
    clock.advance(REREAD_SECONDS)
    assert not await file.holds(OLD)
    assert await file.holds(NEW)


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"short", NEW + b"\nshort"])
async def test_a_file_that_cannot_be_used_changes_nothing_and_is_told_of_once(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    file = SecretFile(path, monotonic=clock.monotonic)
    write(path, content)
    for _ in range(3):
        clock.advance(REREAD_SECONDS)
        assert await file.holds(OLD)
        assert not await file.holds(NEW)
    assert len(caplog.records) == 1
    assert "stay in force" in caplog.text
    write(path, NEW)
    clock.advance(REREAD_SECONDS)
    assert await file.holds(NEW)
    assert not await file.holds(OLD)


@pytest.mark.parametrize("content", [None, b"", b"short", NEW + b"\nshort"])
def test_at_the_start_it_must_be_usable(path: Path, clock: ManualClock, content: bytes | None) -> None:
    write(path, content)
    with pytest.raises(ConfigurationError, match="WORKSPACE_AUTHZ_PROXY_SECRET_FILE") as caught:
        SecretFile(path, monotonic=clock.monotonic)
    assert "short" not in str(caught.value)


def test_it_shows_no_secret(path: Path, clock: ManualClock) -> None:
    file = SecretFile(path, monotonic=clock.monotonic)
    assert OLD.decode() not in repr(vars(file))
