"""A 401 says what was wrong with what came, and repeats none of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews, ScriptedTokenReviews
from tests.identity.jwts import jwt
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.audiences import AudienceAuthenticator, Audiences
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.issuers import IssuerAuthenticator
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules
from workspace_authz.kubernetes.reviews import REJECTED
from workspace_authz.types import UserInfo

ISSUER = "https://idp.example"
PAST = 1_600_000_000
PAST_AS_TEXT = "2020-09-13 12:26:40 UTC"
SAID = f"and says that it expired at {PAST_AS_TEXT}."


class Rejecting:
    """An issuer that accepts nothing."""

    async def owner(self, token: str) -> UserInfo:
        raise UnauthenticatedError("This ID token is not accepted here.")


@dataclass
class World:
    """All kinds of tokens; the API server and the issuer accept none of them."""

    clock: ManualClock
    server_time: float | None = None
    reviews: ScriptedReviews = field(default_factory=ScriptedReviews)
    tokens: ScriptedTokenReviews = field(default_factory=ScriptedTokenReviews)

    def __post_init__(self) -> None:
        self.reviews.who_answer = self.tokens.answer = UnauthenticatedError("It is not accepted.")
        rules = TokenRules(self.clock, server_time=lambda: self.server_time)
        self.chain = AuthenticatorChain(
            (
                IssuerAuthenticator({ISSUER: Rejecting()}, rules),
                AudienceAuthenticator(Audiences(("mlflow",)), self.tokens, rules=rules),
                TokenAuthenticator(self.reviews, rules),
            )
        )

    async def refusal(self, *headers: tuple[bytes, bytes], gateway: bool = False) -> str:
        with pytest.raises(UnauthenticatedError) as refusal:
            await self.chain.authenticate(Presented(headers, gateway=gateway), unverified=lambda _: None)
        return refusal.value.message


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World(clock)


def bearer(token: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + token.encode()


def basic(token: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Basic " + base64.b64encode(b"alice:" + token.encode())


KINDS = [{"sub": "x"}, {"aud": ["mlflow"]}, {"iss": ISSUER}]
"""The claims by which a token is of each kind."""


@pytest.mark.parametrize("claims", KINDS)
@pytest.mark.parametrize(
    ("header", "place"),
    [(bearer, "Authorization (Bearer)"), (basic, "the password in Authorization (Basic)")],
)
async def test_a_token_that_says_it_expired_is_told_so_and_where_it_was_read(
    world: World, claims: dict[str, object], header: object, place: str
) -> None:
    assert callable(header)
    token = jwt({**claims, "exp": PAST})
    message = await world.refusal(header(token))
    assert f"The token was read from {place}, {SAID}" in message
    assert all(part not in message for part in token.split("."))


@pytest.mark.parametrize("claims", KINDS)
@pytest.mark.parametrize("end", [None, 9_000_000_000, -1, -1e300, 1e300, "1600000000", True])
async def test_another_token_is_not_said_to_have_expired(
    world: World, claims: dict[str, object], end: object
) -> None:
    message = await world.refusal(bearer(jwt({**claims, "exp": end})))
    assert "The token was read from Authorization (Bearer)." in message
    assert "expired at" not in message


async def test_the_api_servers_clock_counts_where_it_is_known(world: World) -> None:
    world.server_time = PAST - 1
    assert "expired at" not in await world.refusal(bearer(jwt({"exp": PAST})))
    world.server_time = PAST
    assert SAID in await world.refusal(bearer(jwt({"exp": PAST})))


async def test_a_token_without_claims_is_only_not_accepted(world: World) -> None:
    message = await world.refusal(bearer("sha256~opaque"))
    assert message == f"{REJECTED} The token was read from Authorization (Bearer)."


@pytest.mark.parametrize(
    "value", [b"sha256~secret", b"Token sha256~secret", b"AWS4-HMAC-SHA256 Credential=secret"]
)
async def test_a_scheme_that_is_not_read_is_told_apart_from_nothing(world: World, value: bytes) -> None:
    message = await world.refusal((b"authorization", value))
    assert message.startswith(
        "This request carries no Kubernetes token. Authorization came, but begins neither with Bearer nor "
        "with Basic."
    )
    assert "secret" not in message
    assert "AWS4" not in message


async def test_at_the_gateway_its_own_header_is_looked_at(world: World) -> None:
    headers = [
        (b"x-mlflow-authorization", b"sha256~secret"),
        (b"authorization", b"Negotiate for-the-provider"),
    ]
    message = await world.refusal(*headers, gateway=True)
    assert "X-MLflow-Authorization came, but begins neither" in message
    assert " Authorization came" not in message
    # Elsewhere it is nobody's.
    assert "X-MLflow-Authorization" not in await world.refusal(headers[0])


async def test_nothing_is_said_of_what_did_not_come(world: World) -> None:
    message = await world.refusal((b"accept", b"*/*"))
    assert message == f"This request carries no Kubernetes token. {world.chain.advice}"
