"""Where a client puts its token, and what is refused."""

from __future__ import annotations

import base64

import pytest

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.credentials import (
    MAX_TOKEN_BYTES,
    find_credential,
    provider_keeps_authorization,
    what_came,
    workspaces_of_basic,
)

TOKEN = "sha256~opaque-OpenShift_token"
Headers = list[tuple[bytes, bytes]]


def basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def token_of(*headers: tuple[bytes, bytes], gateway: bool = False) -> str:
    found = find_credential(headers, gateway=gateway)
    assert found is not None
    return found.bearer.token


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
        [(b"authorization", b"Negotiate")],
        [(b"x-mlflow-authorization", b"Bearer " + TOKEN.encode())],  # not a gateway route
    ],
)
def test_a_request_without_a_token_presents_none(headers: Headers) -> None:
    assert find_credential(headers, gateway=False) is None


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer two words",
        "Bearer tök".encode(),
        b"Bearer a\x00b",
        b"Bearer " + b"x" * (MAX_TOKEN_BYTES + 1),
        b"Basic not-base64!",
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


EMPTY: Headers = [
    (b"authorization", b""),
    (b"authorization", b"Bearer"),
    (b"authorization", b"Bearer "),
    (b"authorization", b"Basic "),
    (b"authorization", basic("", "")),
    (b"authorization", basic("alice", "")),  # oauth2-proxy's and OpenShift oauth-proxy's default
    (b"authorization", basic("system:serviceaccount:team-a:trainer", "")),
    (b"x-forwarded-access-token", b""),
    (b"x-forwarded-access-token", b"  "),
]
GIVEN: Headers = [
    (b"authorization", b"Bearer " + TOKEN.encode()),
    (b"authorization", basic("alice", TOKEN)),
    (b"x-forwarded-access-token", TOKEN.encode()),
]


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize("given", GIVEN)
def test_a_header_that_presents_nothing_is_no_credential(
    empty: tuple[bytes, bytes], given: tuple[bytes, bytes]
) -> None:
    assert find_credential([empty], gateway=False) is None
    assert token_of(empty, given) == token_of(given, empty) == TOKEN


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer ", basic("alice", "")])
def test_an_empty_header_of_the_gateway_leaves_authorization_to_this_server(value: bytes) -> None:
    headers = [(b"authorization", b"Bearer " + TOKEN.encode()), (b"x-mlflow-authorization", value)]
    assert token_of(*headers, gateway=True) == TOKEN
    assert not provider_keeps_authorization(headers, gateway=True)


FORWARDED = (b"x-forwarded-access-token", TOKEN.encode())
PROXYS_OWN = (b"authorization", basic("alice", "the-proxys-password"))


def test_a_proxys_own_password_is_not_read_where_a_setting_says_that_there_is_a_proxy() -> None:
    with pytest.raises(UnauthenticatedError, match="two different credentials"):
        find_credential([PROXYS_OWN, FORWARDED], gateway=False)
    found = find_credential([PROXYS_OWN, FORWARDED], gateway=False, oauth_proxy=True)
    assert found is not None
    assert (found.bearer.token, found.header) == (TOKEN, "X-Forwarded-Access-Token")


def test_behind_a_proxy_too_other_credentials_must_agree() -> None:
    headers = [(b"authorization", b"Bearer other"), FORWARDED]
    with pytest.raises(UnauthenticatedError, match="two different credentials"):
        find_credential(headers, gateway=False, oauth_proxy=True)
    # Without a forwarded token, Basic holds the caller's.
    found = find_credential([(b"authorization", basic("alice", TOKEN))], gateway=False, oauth_proxy=True)
    assert found is not None
    assert found.bearer.token == TOKEN


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ((b"authorization", basic("u", "p w")), "the password in Authorization (Basic)"),
        ((b"authorization", b"Bearer p w"), "Authorization (Bearer)"),
        ((b"x-forwarded-access-token", b"p w"), "X-Forwarded-Access-Token"),
    ],
)
def test_a_refusal_names_the_header_that_was_read(header: tuple[bytes, bytes], told: str) -> None:
    with pytest.raises(UnauthenticatedError) as refusal:
        find_credential([header], gateway=False)
    assert f"no Kubernetes token; it was read from {told}. " in refusal.value.message


def test_empty_headers_are_named_and_their_values_are_not() -> None:
    headers = [(b"authorization", basic("alice", "")), (b"x-forwarded-access-token", b"")]
    told = "These headers are empty: Authorization (Basic), X-Forwarded-Access-Token."
    assert what_came(headers, gateway=False) == told
    assert what_came([FORWARDED], gateway=False) == ""


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


KEYS = (b"x-api-key", b"x-goog-api-key", b"api-key")


@pytest.mark.parametrize("key", KEYS)
def test_a_providers_key_header_holds_the_token_where_nothing_else_presents_anything(key: bytes) -> None:
    carried = (key, TOKEN.encode())
    assert find_credential([carried], gateway=False) is None
    assert token_of(carried, gateway=True) == token_of((key, b" " + TOKEN.encode()), gateway=True) == TOKEN
    for empty in (*EMPTY, (b"x-mlflow-authorization", b"Bearer "), *((other, b" ") for other in KEYS)):
        assert token_of(empty, carried, gateway=True) == TOKEN
    assert token_of(*((each, TOKEN.encode()) for each in KEYS), gateway=True) == TOKEN


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "given",
    [
        *GIVEN,
        (b"x-mlflow-authorization", b"Bearer " + TOKEN.encode()),
        (b"x-mlflow-authorization", basic("alice", TOKEN)),
    ],
)
def test_beside_another_credential_it_is_the_providers_key(key: bytes, given: tuple[bytes, bytes]) -> None:
    assert token_of((key, b"the-providers-key"), given, gateway=True) == TOKEN
    assert token_of(given, (key, b"not a token at all"), gateway=True) == TOKEN


@pytest.mark.parametrize(
    "given",
    [
        (b"authorization", b"Negotiate abc"),  # presents something, which nobody here can read
        (b"x-mlflow-authorization", b"Negotiate abc"),
        (b"authorization", b"opaque"),
    ],
)
def test_it_is_not_read_beside_a_header_that_presents_anything(given: tuple[bytes, bytes]) -> None:
    assert find_credential([given, (b"x-api-key", TOKEN.encode())], gateway=True) is None


def test_two_key_headers_that_disagree_are_refused() -> None:
    with pytest.raises(UnauthenticatedError, match="two different credentials, in Api-Key and X-Api-Key"):
        token_of((b"api-key", b"one"), (b"x-api-key", b"two"), gateway=True)


@pytest.mark.parametrize("value", [b"two words", b"x" * (MAX_TOKEN_BYTES + 1), "schlüssel".encode()])
def test_what_cannot_be_a_token_in_a_key_header_is_not_repeated(value: bytes) -> None:
    with pytest.raises(UnauthenticatedError, match="it was read from X-Goog-Api-Key") as refusal:
        token_of((b"x-goog-api-key", value), gateway=True)
    assert value.decode() not in refusal.value.message


@pytest.mark.parametrize(
    ("user", "named"),
    [
        ("workspace:team-a", ("team-a",)),
        ("workspace:Team A", ("Team A",)),  # is refused later, as any other impossible name
        ("workspace:", ()),
        ("workspace", ()),
        ("Workspace:team-a", ()),
        ("team-a", ()),
        ("x-workspace:team-a", ()),
        ("system:serviceaccount:team-a:trainer", ()),
        ("", ()),
    ],
)
def test_the_user_name_of_basic_means_nothing_unless_it_is_a_workspace(
    user: str, named: tuple[str, ...]
) -> None:
    header = (b"authorization", basic(user, TOKEN))
    assert token_of(header) == TOKEN
    assert workspaces_of_basic([header], gateway=False) == named


def test_a_workspace_is_read_only_where_the_password_is() -> None:
    """Given user names that belong to somebody else's password, or to none, then they name no workspace."""
    ours, foreign = basic("workspace:team-a", TOKEN), basic("workspace:team-b", "of-the-provider")
    assert workspaces_of_basic([(b"authorization", basic("workspace:team-a", ""))], gateway=False) == ()
    assert workspaces_of_basic([(b"authorization", b"Basic not-base64!")], gateway=False) == ()
    assert workspaces_of_basic([(b"authorization", b"Bearer workspace:team-a:x")], gateway=False) == ()
    # At the gateway, Authorization is the provider's beside the gateway's own header.
    both = [(b"authorization", foreign), (b"x-mlflow-authorization", ours)]
    assert workspaces_of_basic(both, gateway=True) == ("team-a",)
    assert workspaces_of_basic(both, gateway=False) == ("team-b",)
    # Behind an OAuth proxy with a password of its own, people choose their own user names.
    proxied = [(b"authorization", foreign), FORWARDED]
    assert workspaces_of_basic(proxied, gateway=False, oauth_proxy=True) == ()
    assert workspaces_of_basic([(b"authorization", ours)], gateway=False, oauth_proxy=True) == ("team-a",)


def test_every_workspace_that_is_named_counts() -> None:
    headers = [(b"authorization", basic(f"workspace:{name}", TOKEN)) for name in ("team-a", "team-b")]
    assert token_of(*headers) == TOKEN
    assert workspaces_of_basic(headers, gateway=False) == ("team-a", "team-b")
