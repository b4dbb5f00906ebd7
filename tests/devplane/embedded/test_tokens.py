"""Tokens of service accounts: what they say, and of what they die."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from tests.devplane.embedded.conftest import START, Clock
from workspace_authz.devplane.embedded.kinds import NAMESPACES, SECRETS, SERVICE_ACCOUNTS, Kind
from workspace_authz.devplane.embedded.objects import Object, uid_of
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.embedded.tokens import (
    API_AUDIENCES,
    CREDENTIAL_ID,
    ISSUER,
    LEEWAY_SECONDS,
    ServiceAccountTokens,
    TokenError,
)
from workspace_authz.devplane.pki import Pki, create_pki


def create(registry: Registry, kind: Kind, name: str, namespace: str = "") -> Object:
    new = registry.prepare(kind, {"metadata": {"name": name}}, namespace=namespace)
    return registry.create(kind, new, namespace=namespace)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return create_pki(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(pki: Pki, store: Store, clock: Clock) -> ServiceAccountTokens:
    return ServiceAccountTokens(pki.service_account_key, store, clock=clock)


@pytest.fixture
def account(registry: Registry) -> Object:
    create(registry, NAMESPACES, "team-a")
    return create(registry, SERVICE_ACCOUNTS, "trainer", "team-a")


def issue(tokens: ServiceAccountTokens, account: Object, secret: Object | None = None) -> str:
    return tokens.issue(account, audiences=API_AUDIENCES, seconds=600, secret=secret)


def test_claims(tokens: ServiceAccountTokens, account: Object, pki: Pki) -> None:
    key = pki.service_account_public_key.read_bytes()
    claims = jwt.decode(
        issue(tokens, account),
        key,
        algorithms=["ES256"],
        audience=ISSUER,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    assert claims["sub"] == "system:serviceaccount:team-a:trainer"
    assert (claims["iat"], claims["exp"]) == (START, START + 600)
    assert claims["kubernetes.io"] == {
        "namespace": "team-a",
        "serviceaccount": {"name": "trainer", "uid": uid_of(account)},
    }


def test_who_it_is(tokens: ServiceAccountTokens, account: Object) -> None:
    identity = tokens.authenticate(issue(tokens, account), API_AUDIENCES)
    assert identity is not None
    user = identity.user
    assert user.username == "system:serviceaccount:team-a:trainer"
    assert user.uid == uid_of(account)
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:team-a")
    ((key, (value,)),) = user.extra
    assert key == CREDENTIAL_ID
    assert value.startswith("JTI=")


def test_it_expires(tokens: ServiceAccountTokens, account: Object, clock: Clock) -> None:
    token = issue(tokens, account)
    clock.now += 600 + LEEWAY_SECONDS
    assert tokens.authenticate(token, API_AUDIENCES)
    clock.now += 1
    with pytest.raises(TokenError, match="has expired"):
        tokens.authenticate(token, API_AUDIENCES)


def test_it_is_not_valid_before_its_time(tokens: ServiceAccountTokens, account: Object, clock: Clock) -> None:
    token = issue(tokens, account)
    clock.now -= LEEWAY_SECONDS + 1
    with pytest.raises(TokenError, match="not valid yet"):
        tokens.authenticate(token, API_AUDIENCES)


def test_it_is_good_for_its_audiences_only(tokens: ServiceAccountTokens, account: Object) -> None:
    token = tokens.issue(account, audiences=["mlflow", "other"], seconds=600)
    identity = tokens.authenticate(token, ["x", "mlflow"])
    assert identity is not None
    assert identity.audiences == ("mlflow",)
    with pytest.raises(TokenError, match="is invalid for the target audiences"):
        tokens.authenticate(token, API_AUDIENCES)


def test_it_dies_with_the_account(tokens: ServiceAccountTokens, account: Object, registry: Registry) -> None:
    token = issue(tokens, account)
    registry.store.remove(SERVICE_ACCOUNTS.resource, "team-a", name="trainer")
    with pytest.raises(TokenError, match="not found"):
        tokens.authenticate(token, API_AUDIENCES)
    create(registry, SERVICE_ACCOUNTS, "trainer", "team-a")
    with pytest.raises(TokenError, match="does not match claim"):
        tokens.authenticate(token, API_AUDIENCES)


def test_it_dies_with_the_secret_it_is_bound_to(
    tokens: ServiceAccountTokens, account: Object, registry: Registry
) -> None:
    secret = create(registry, SECRETS, "lease", "team-a")
    token = issue(tokens, account, secret)
    assert tokens.authenticate(token, API_AUDIENCES)
    registry.store.remove(SECRETS.resource, "team-a", name="lease")
    with pytest.raises(TokenError, match="invalidated"):
        tokens.authenticate(token, API_AUDIENCES)
    create(registry, SECRETS, "lease", "team-a")
    with pytest.raises(TokenError, match="does not match"):
        tokens.authenticate(token, API_AUDIENCES)


def test_another_key_is_no_signature(
    tokens: ServiceAccountTokens, account: Object, tmp_path: Path, store: Store, clock: Clock
) -> None:
    other = ServiceAccountTokens(create_pki(tmp_path / "other").service_account_key, store, clock=clock)
    with pytest.raises(TokenError, match="invalid signature"):
        tokens.authenticate(issue(other, account), API_AUDIENCES)


def test_no_signature_at_all_is_invalid(tokens: ServiceAccountTokens, account: Object) -> None:
    claims = jwt.decode(issue(tokens, account), options={"verify_signature": False})
    with pytest.raises(TokenError):
        tokens.authenticate(jwt.encode(claims, "", algorithm="none"), API_AUDIENCES)


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "sha256~opaque"])
def test_what_is_none_of_ours(tokens: ServiceAccountTokens, token: str) -> None:
    assert tokens.authenticate(token, API_AUDIENCES) is None


def test_a_token_of_another_issuer_is_none_of_ours(tokens: ServiceAccountTokens) -> None:
    token = jwt.encode({"iss": "https://elsewhere.test"}, "k" * 32, algorithm="HS256")
    assert tokens.authenticate(token, API_AUDIENCES) is None
