"""Where a credential's secret is found again, and that it does not show."""

from __future__ import annotations

import base64

import pytest

from workspace_authz.kubernetes.credentials import AssertedUser, AudienceToken, BearerToken

TOKEN = "sha256~opaque-OpenShift_token"


def basic(text: str) -> bytes:
    return base64.b64encode(text.encode())


@pytest.mark.parametrize(
    "value",
    [
        TOKEN.encode(),
        b"Bearer " + TOKEN.encode(),
        b"session=x; token=" + TOKEN.encode(),
        b"Basic " + basic(f"user:{TOKEN}"),
        b" basic  " + basic(f"system:serviceaccount:a:b:{TOKEN}") + b" ",
        b"Basic " + basic(f"{TOKEN}:"),
    ],
)
def test_a_token_is_found_in_a_value_that_holds_it(value: bytes) -> None:
    assert BearerToken(TOKEN).is_in(value)
    assert AudienceToken(TOKEN).is_in(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer " + TOKEN[:-1].encode(),
        b"Basic " + basic("user:of a provider, with another and longer password"),
        b"Basic not base64 although it is as long as the token",
        b"Digest " + basic(f"user:{TOKEN}"),
    ],
)
def test_a_token_is_not_found_elsewhere(value: bytes) -> None:
    assert not BearerToken(TOKEN).is_in(value)
    assert not AudienceToken(TOKEN).is_in(value)


def test_a_credential_is_a_key_and_does_not_show_its_token() -> None:
    assert {BearerToken(TOKEN): 1}[BearerToken(TOKEN)] == 1
    assert BearerToken(TOKEN) != BearerToken("other")
    assert TOKEN not in repr(BearerToken(TOKEN))
    assert TOKEN not in repr(AudienceToken(TOKEN))


def test_the_kinds_are_never_equal() -> None:
    kinds: set[object] = {BearerToken(TOKEN), AudienceToken(TOKEN)}
    assert len(kinds) == 2


def test_an_asserted_user_has_no_secret() -> None:
    assert not AssertedUser().is_in(b"")
    assert AssertedUser() == AssertedUser()


def test_an_empty_token_is_in_nothing() -> None:
    assert not BearerToken("").is_in(b"anything")
    assert not AudienceToken("").is_in(b"anything")
