"""Where a client puts its token, and what is refused."""

from __future__ import annotations

import base64

import pytest

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.credentials import (
    MAX_TOKEN_BYTES,
    find_credential,
    provider_keeps_authorization,
)

TOKEN = "sha256~opaque-OpenShift_token"
Headers = list[tuple[bytes, bytes]]


def basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def token_of(*headers: tuple[bytes, bytes], gateway: bool = False) -> str:
    found = find_credential(headers, gateway=gateway)
    assert found is not None
    return found.token


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer " + TOKEN.encode())],
        [(b"authorization", b"bearer   " + TOKEN.encode() + b" ")],
        [(b"authorization", basic("anyone", TOKEN))],
        [(b"authorization", b"basic " + basic("", TOKEN).removeprefix(b"Basic "))],
        [(b"authorization", basic("system:serviceaccount:team-a:trainer", TOKEN))],
        [(b"x-forwarded-access-token", TOKEN.encode())],
        [(b"authorization", b"Negotiate abc"), (b"x-forwarded-access-token", TOKEN.encode())],
        # The same token twice does not disagree.
        [(b"authorization", b"Bearer " + TOKEN.encode()), (b"x-forwarded-access-token", TOKEN.encode())],
        [(b"authorization", b"Bearer " + TOKEN.encode()), (b"authorization", basic("u", TOKEN))],
    ],
)
def test_a_token_is_found(headers: Headers) -> None:
    assert token_of(*headers) == TOKEN


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Negotiate abc")],
        [(b"cookie", b"token=" + TOKEN.encode())],
        [(b"x-mlflow-authorization", b"Bearer " + TOKEN.encode())],  # not a gateway route
    ],
)
def test_a_request_without_a_token_presents_none(headers: Headers) -> None:
    assert find_credential(headers, gateway=False) is None


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer two words",
        "Bearer tök".encode(),
        b"Bearer a\x00b",
        b"Bearer " + b"x" * (MAX_TOKEN_BYTES + 1),
        b"Basic ",
        b"Basic not-base64!",
        basic("user", ""),
        basic("user", "p w"),
    ],
)
def test_what_cannot_be_a_token_is_refused_and_not_repeated(value: bytes) -> None:
    with pytest.raises(UnauthenticatedError) as refusal:
        find_credential([(b"authorization", value)], gateway=False)
    for word in value.split()[1:]:
        assert word.decode("latin-1") not in refusal.value.message
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    "other",
    [
        (b"x-forwarded-access-token", b"other"),
        (b"authorization", b"Bearer other"),
        (b"authorization", basic("alice", "other")),
    ],
)
def test_two_credentials_that_disagree_are_refused(other: tuple[bytes, bytes]) -> None:
    with pytest.raises(UnauthenticatedError, match="two different credentials"):
        token_of((b"authorization", b"Bearer " + TOKEN.encode()), other)


def test_on_a_gateway_route_the_gateways_header_counts_and_authorization_is_the_providers() -> None:
    headers = [
        (b"authorization", b"Bearer provider-key"),
        (b"x-mlflow-authorization", b"Bearer " + TOKEN.encode()),
    ]
    assert token_of(*headers, gateway=True) == TOKEN
    assert provider_keeps_authorization(headers, gateway=True)
    assert not provider_keeps_authorization(headers, gateway=False)


def test_on_a_gateway_route_without_the_gateways_header_authorization_counts() -> None:
    headers = [(b"authorization", b"Bearer " + TOKEN.encode())]
    assert token_of(*headers, gateway=True) == TOKEN
    assert not provider_keeps_authorization(headers, gateway=True)
