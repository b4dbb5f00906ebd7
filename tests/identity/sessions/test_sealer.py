"""Only this server reads and makes what is sealed, each for its purpose, with keys that can be replaced."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from tests.harness.fakes import ManualClock
from tests.identity.sessions.keys import key_file, new_key
from workspace_authz.errors import ConfigurationError
from workspace_authz.identity.sessions.sealer import MOST_SEALED_BYTES, Sealer, SealError, SessionKeys


@pytest.fixture
def sealer(tmp_path: Path) -> Sealer:
    return Sealer(SessionKeys(key_file(tmp_path / "keys")))


def test_what_is_sealed_opens_for_its_purpose_only(sealer: Sealer) -> None:
    sealed = sealer.seal(b"content", purpose="cookie")
    assert b"content" not in sealed
    assert sealer.open(sealed, purpose="cookie") == b"content"
    with pytest.raises(SealError):
        sealer.open(sealed, purpose="row")


def test_nothing_is_sealed_twice_alike(sealer: Sealer) -> None:
    assert sealer.seal(b"content", purpose="a") != sealer.seal(b"content", purpose="a")


def test_what_was_changed_does_not_open(sealer: Sealer) -> None:
    """Each part of it, one character at a time, cut off, and repeated."""
    sealed = sealer.seal(b"content", purpose="cookie")
    changed = [
        sealed[:place] + (b"B" if sealed[place : place + 1] == b"A" else b"A") + sealed[place + 1 :]
        # The last character of base64 may hold bits that mean nothing.
        for place in range(0, len(sealed) - 1, 7)
    ]
    for each in (*changed, sealed[:-5], sealed + sealed, b"", b"....", b"\xff" * 40):
        with pytest.raises(SealError):
            sealer.open(each, purpose="cookie")


def test_another_servers_does_not_open(sealer: Sealer, tmp_path: Path) -> None:
    foreign = Sealer(SessionKeys(key_file(tmp_path / "foreign")))
    with pytest.raises(SealError):
        sealer.open(foreign.seal(b"content", purpose="cookie"), purpose="cookie")


def test_it_is_not_persuaded_of_another_algorithm(tmp_path: Path) -> None:
    """Also not with the right key, which somebody may have who has an old backup of the file."""
    line = new_key()
    sealer = Sealer(SessionKeys(key_file(tmp_path / "keys", line)))
    key = OctKey.import_key(base64.b64decode(line))
    wrapped = jwe.encrypt_compact(
        {"alg": "A256KW", "enc": "A256GCM", "typ": "cookie"},
        b"content",
        key,
        algorithms=["A256KW", "A256GCM"],
    )
    packed = jwe.encrypt_compact(
        {"alg": "dir", "enc": "A256GCM", "zip": "DEF", "typ": "cookie"},
        b"content",
        key,
        algorithms=["dir", "A256GCM", "DEF"],
    )
    for each in (wrapped, packed):
        with pytest.raises(SealError):
            sealer.open(each.encode(), purpose="cookie")


async def test_a_replaced_key_still_opens(tmp_path: Path, clock: ManualClock) -> None:
    """Given a session, when a new key is put first, then both open, and the new one seals."""
    old, new = new_key(), new_key()
    file = key_file(tmp_path / "keys", old)
    keys = SessionKeys(file)
    sealer = Sealer(keys)
    before = sealer.seal(b"content", purpose="a")
    key_file(file, new, old)
    await read_again(keys, clock)
    after = sealer.seal(b"content", purpose="a")
    assert _key_id(before) != _key_id(after)
    assert sealer.open(before, purpose="a") == sealer.open(after, purpose="a") == b"content"

    key_file(file, new)
    await read_again(keys, clock)
    with pytest.raises(SealError):
        sealer.open(before, purpose="a")

    file.write_text("nonsense")
    await read_again(keys, clock)
    assert sealer.open(after, purpose="a") == b"content"


async def read_again(keys: SessionKeys, clock: ManualClock) -> None:
    """Let the file be read at least once more."""
    begun = len(clock.slept)
    following = asyncio.create_task(keys.follow(clock))
    while len(clock.slept) < begun + 2:  # noqa: ASYNC110 - the clock tells nobody that somebody sleeps
        await asyncio.sleep(0.01)
    following.cancel()
    assert set(clock.slept) == {10.0}


def test_what_is_too_large_is_not_sealed(sealer: Sealer) -> None:
    large = b"x" * MOST_SEALED_BYTES
    assert sealer.open(sealer.seal(large, purpose="a"), purpose="a") == large
    with pytest.raises(SealError):
        sealer.seal(large + b"x", purpose="a")


@pytest.mark.parametrize("content", ["", "not base64!", "c2hvcnQ=", "é"])
def test_a_file_without_good_keys_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="head -c 32 /dev/urandom"):
        SessionKeys(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        SessionKeys(tmp_path / "missing")


def test_no_key_is_shown(tmp_path: Path) -> None:
    line = new_key()
    (key,) = SessionKeys(key_file(tmp_path / "keys", line))()
    assert line not in repr(key)


def _key_id(sealed: bytes) -> str:
    header = sealed.split(b".")[0]
    found: str = json.loads(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))["kid"]
    return found
