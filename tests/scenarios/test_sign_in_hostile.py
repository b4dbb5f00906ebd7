"""ID tokens and answers that a provider should never give: nobody signs in with them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.harness.hostile_oidc import KEY_ID, Claims, Misbehaviour, Signer, sign_rightly
from tests.harness.http import Answer
from tests.harness.plane import EMBEDDED
from tests.harness.visitor import target
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.sign_in_site import BARE, SEARCH, SignInSite
from tests.scenarios.signing_in import ATTEMPT, OUT, SESSION, Person, parameters, person

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)


def encoded(content: bytes | Mapping[str, Any]) -> str:
    """In base64url; a mapping as JSON."""
    given = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(given).rstrip(b"=").decode()


def unsigned(**header: object) -> Signer:
    return lambda claims, _: f"{encoded({'typ': 'JWT', **header})}.{encoded(claims)}."


def with_public_key(material: str) -> Signer:
    """Key confusion: HMAC whose secret is what everybody can fetch."""

    def sign(claims: Claims, key: rsa.RSAPrivateKey) -> str:
        public = key.public_key()
        secret = {
            "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "PEM, stripped": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
            "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "modulus": str(jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)["n"]).encode(),
            "nothing": b"",
        }[material]
        head = f"{encoded({'alg': 'HS256', 'kid': KEY_ID})}.{encoded(claims)}"
        return f"{head}.{encoded(hmac.digest(secret, head.encode(), hashlib.sha256))}"

    return sign


def with_foreign_key(*, embedded: str = "") -> Signer:
    """A key of the attacker's, under the provider's key id, perhaps offered in the header (RFC 7515, 4.1)."""

    def sign(claims: Claims, _: rsa.RSAPrivateKey) -> str:
        foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(foreign.public_key(), as_dict=True)
        offers = {"jwk": {**public, "kid": KEY_ID}, "jku": "https://evil.example/keys"}
        header = {"kid": KEY_ID, **({embedded: offers[embedded]} if embedded else {})}
        return jwt.encode(claims, foreign, algorithm="RS256", headers=header)

    return sign


def changed_afterwards(claims: Claims, key: rsa.RSAPrivateKey) -> str:
    header, _, signature = sign_rightly(claims, key).split(".")
    return f"{header}.{encoded({**claims, 'preferred_username': 'carol', 'sub': 'carol'})}.{signature}"


def signed(claims: Claims, key: rsa.RSAPrivateKey, **header: object) -> str:
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": KEY_ID, **header})


SIGNATURES: Mapping[str, Signer] = {
    "alg none": unsigned(alg="none"),
    "alg None, with the key's id": unsigned(alg="None", kid=KEY_ID),
    "no alg": unsigned(kid=KEY_ID),
    **{
        f"HS256 with {material}": with_public_key(material)
        for material in ("PEM", "PEM, stripped", "DER", "modulus", "nothing")
    },
    "another key": with_foreign_key(),
    "another key in the header": with_foreign_key(embedded="jwk"),
    "another key at an address": with_foreign_key(embedded="jku"),
    "changed after it was signed": changed_afterwards,
    "without its signature": lambda claims, key: sign_rightly(claims, key).rpartition(".")[0] + ".",
    "with half of its signature": lambda claims, key: sign_rightly(claims, key)[:-170],
    "two parts": lambda claims, key: sign_rightly(claims, key).rpartition(".")[0],
    "an unknown critical header": lambda claims, key: signed(claims, key, crit=["cap"], cap=1),
    "an unknown key": lambda claims, key: signed(claims, key, kid="key-2"),
    "no JSON": lambda claims, key: f"{encoded(b'no JSON')}.{encoded(b'none here')}.{encoded(b'x')}",
    "a list": lambda claims, key: f"{encoded({'alg': 'RS256'})}.{encoded(b'[]')}.{encoded(b'x')}",
    "not ASCII": lambda claims, key: "ü." + sign_rightly(claims, key),
    "empty": lambda claims, key: "",
}

_DECADE: Final = 315_360_000
"""Seconds: whenever these claims are used, that long after they were written here."""

CLAIMS: Mapping[str, Mapping[str, object]] = {
    "another issuer": {"iss": "https://evil.example"},
    "nearly the issuer": {"iss": "http://127.0.0.1"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "another-client"},
    "other audiences": {"aud": ["account", "another-client"]},
    "no audience": {"aud": None},
    "an audience that only begins so": {"aud": "mlflow-staging"},
    "another authorized party": {"aud": ["mlflow", "another-client"], "azp": "another-client"},
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "a list of nonces": {"nonce": ["another"]},
    "expired": {"exp": int(time.time()) - 3600},
    "never expires": {"exp": None},
    "expires as a text": {"exp": "tomorrow"},
    "not yet valid": {"nbf": int(time.time()) + _DECADE},
    "issued in the future": {"iat": int(time.time()) + _DECADE},
    "another access token's hash": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "no subject": {"sub": None},
    "a number as subject": {"sub": 7},
    "no name": {"preferred_username": None},
    "an empty name": {"preferred_username": ""},
    "a list of names": {"preferred_username": ["alice"]},
    "groups in a mapping": {"groups": {"team-a-editors": True}},
    "groups that are no texts": {"groups": ["people", 7]},
}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_a_signature_that_is_not_the_providers_signs_nobody_in(sign_in: SignInSite, kind: str) -> None:
    refused(sign_in, Misbehaviour(sign=SIGNATURES[kind]))


@pytest.mark.parametrize("kind", CLAIMS)
def test_claims_that_do_not_fit_sign_nobody_in(sign_in: SignInSite, kind: str) -> None:
    refused(sign_in, Misbehaviour(claims=CLAIMS[kind]))


ANSWERS: Mapping[str, Misbehaviour] = {
    "no ID token": Misbehaviour(token_answer={"id_token": None}),
    "an ID token that is no text": Misbehaviour(token_answer={"id_token": {"sub": "alice"}}),
    "no JSON": Misbehaviour(raw=b"<html>busy</html>"),
    "a list": Misbehaviour(raw=b"[]"),
    "nothing": Misbehaviour(raw=b""),
    "deeply nested": Misbehaviour(raw=b"[" * 100_000),
    "without end": Misbehaviour(raw=b'{"id_token": "' + b"A" * 2**22 + b'"}'),
    "an error": Misbehaviour(status=500),
    "an error of the client": Misbehaviour(raw=b'{"error": "invalid_client"}', status=401),
    "an error of the person": Misbehaviour(raw=b'{"error": "invalid_grant"}', status=400),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_broken_answer_of_the_provider_signs_nobody_in(sign_in: SignInSite, kind: str) -> None:
    refused(sign_in, ANSWERS[kind])


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": ["system:masters"]},
        {"groups": ["people", "system:masters"]},
        {"groups": ["system:serviceaccounts"]},
        {"preferred_username": "system:admin"},
        {"preferred_username": f"system:serviceaccount:{TEAM_A}:trainer"},
    ],
    ids=str,
)
def test_names_of_kubernetes_own_are_nobodys(sign_in: SignInSite, claims: Mapping[str, object]) -> None:
    """Given a provider without prefixes, then it makes nobody an administrator or a service account."""
    refused(sign_in, Misbehaviour(claims=claims), provider=BARE)


@pytest.mark.parametrize("name", ["al\nice", "alice\x00", "alice\x7f", "a" * 5000], ids=ascii)
def test_a_name_that_would_break_a_log_is_refused(sign_in: SignInSite, name: str) -> None:
    refused(sign_in, Misbehaviour(claims={"preferred_username": name}))


def test_a_name_in_other_letters_is_a_name(sign_in: SignInSite) -> None:
    """Given a name that is not ASCII, then it signs in, without rights, and is written as it is."""
    with person(sign_in.server) as somebody, misbehaving(sign_in, {"preferred_username": "Ärger 管理者"}):
        sign_in.server.skip_records()
        assert somebody.sign_in("alice").status == 303
        assert somebody.ask("GET", SEARCH, workspace=TEAM_A).status == 403
        assert {record["user"] for record in sign_in.server.records(3)} == {None, "oidc:Ärger 管理者"}


def many_groups(count: int) -> list[str]:
    return [f"a-department-with-a-rather-long-name-{number:05}" for number in range(count - 1)] + [
        "last-of-many"
    ]


def test_many_groups_count(sign_in: SignInSite) -> None:
    """Given somebody in a thousand groups, then the last one counts, and the cookie is as short as ever."""
    with person(sign_in.server) as somebody, misbehaving(sign_in, {"groups": many_groups(1000)}):
        assert somebody.sign_in("mallory").status == 303
        assert len("; ".join(somebody.cookies.values())) < 1000
        statuses = [somebody.ask("GET", SEARCH, workspace=team).status for team in (TEAM_A, TEAM_B)]
        assert statuses == [200, 403]
        signed_out = somebody.ask("POST", OUT, headers={"Sec-Fetch-Site": "same-origin"})
        assert len(target(signed_out)) < 8000  # proxies refuse longer addresses


def test_few_groups_fit_into_the_address_of_signing_out(sign_in: SignInSite) -> None:
    """Given an ID token of the usual size, then the provider gets it back and need not ask who signs out."""
    with person(sign_in.server) as alice:
        alice.sign_in("alice")
        signed_out = alice.ask("POST", OUT, headers={"Sec-Fetch-Site": "same-origin"})
        assert "id_token_hint" in parameters(target(signed_out))


def test_who_has_too_many_groups_is_told_so(sign_in: SignInSite) -> None:
    answer = refused(sign_in, Misbehaviour(claims={"groups": many_groups(10_000)}))
    assert "more than 1,000 groups" in answer.text


@pytest.mark.parametrize("groups", [["x" * 2000], ["x" * 300] * 10_000, list(map(str, range(200_000)))])
def test_groups_without_bound_are_refused(sign_in: SignInSite, groups: list[str]) -> None:
    refused(sign_in, Misbehaviour(claims={"groups": groups}))


def test_a_header_that_is_not_understood_is_ignored(sign_in: SignInSite) -> None:
    """Given a field of the provider's own in the header of its token (RFC 7515, 4), then it is good."""
    extended = Misbehaviour(sign=lambda claims, key: signed(claims, key, **{"vendor.example": "x" * 600}))
    with person(sign_in.server) as alice, sign_in.provider.misbehaving(extended):
        assert alice.sign_in("alice").status == 303


def misbehaving(site: SignInSite, claims: Mapping[str, object]) -> Any:
    return site.provider.misbehaving(Misbehaviour(claims=claims))


def refused(site: SignInSite, misbehaviour: Misbehaviour, *, provider: str = "stand-in") -> Answer:
    """Whoever comes back from the provider is told so and has no session."""
    with person(site.server) as alice, site.provider.misbehaving(misbehaviour):
        answer = alice.ask("GET", alice.log_in_at(alice.begin(provider), "alice"))
        assert answer.status in (400, 401, 503), f"{answer.status} {answer.text}"
        assert 'role="alert"' in answer.text
        assert SESSION not in alice.cookies
        assert is_nobody(alice)
        return answer


def is_nobody(somebody: Person) -> bool:
    """Whether they have no session, whatever cookies they hold."""
    assert set(somebody.cookies) <= {ATTEMPT}
    return somebody.ask("GET", SEARCH, workspace=TEAM_A).status == 401
