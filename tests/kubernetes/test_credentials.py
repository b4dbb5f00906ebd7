"""Where a credential is recognised in a header's value."""

from __future__ import annotations

import base64

import pytest

from workspace_authz.kubernetes.credentials import AssertedUser, BearerToken

TOKEN = BearerToken("the.callers-token")


def basic(text: bytes, scheme: bytes = b"Basic ") -> bytes:
    return scheme + base64.b64encode(text)


@pytest.mark.parametrize(
    "value",
    [
        b"the.callers-token",
        b"Bearer the.callers-token",
        b"bearer  the.callers-token ",
        b"session=1; token=the.callers-token; a=b",
        basic(b"alice:the.callers-token"),
        basic(b":the.callers-token", b"bAsIc  "),
        basic(b"system:serviceaccount:a:b:the.callers-token"),
        basic(b"the.callers-token:"),
    ],
)
def test_a_token_is_found_as_it_is_and_encoded(value: bytes) -> None:
    assert TOKEN.is_in(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer another-token-of-some-length",
        b"Bearer the.callers-toke",
        basic(b"alice:another-token-of-some-length"),
        b"Basic the-callers-token-is-not-in-here!",
        b"Basic",
    ],
)
def test_nothing_else_holds_it(value: bytes) -> None:
    assert not TOKEN.is_in(value)


def test_no_token_is_in_nothing() -> None:
    assert not BearerToken("").is_in(b"anything")


def test_a_user_who_is_only_asserted_has_no_secret() -> None:
    assert not AssertedUser().is_in(b"")
    assert AssertedUser() == AssertedUser()


def test_a_credential_is_a_key_and_shows_no_token() -> None:
    assert {TOKEN: 1}[BearerToken("the.callers-token")] == 1
    assert "callers" not in repr(TOKEN)
