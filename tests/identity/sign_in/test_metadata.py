"""What a provider says about itself is asked for once, kept, and asked for again when its keys change."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from joserfc.jwk import ECKey, OctKey

from tests.harness.fakes import ManualClock
from tests.harness.http_server import JsonHandler, serving
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.sign_in.metadata import ProviderMetadata
from workspace_authz.identity.sign_in.provider import ProviderError


@dataclass
class Provider:
    """Answers as a test says."""

    url: str = ""
    status: int = 200
    changes: dict[str, Any] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> object:
        self.asked.append(path)
        if path == "/keys":
            return {"keys": self.keys}
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token"} | (
            self.changes
        )


def public(kid: str) -> dict[str, Any]:
    return {**ECKey.generate_key("P-256").as_dict(private=False), "kid": kid}


@pytest.fixture
def provider() -> Iterator[Provider]:
    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
            answer = script.answer(self.path)
            self.answer(answer, status=script.status)

    script = Provider(keys=[public("one")])
    with serving(Handler) as script.url:
        yield script


@pytest_asyncio.fixture
async def metadata(provider: Provider, clock: ManualClock) -> AsyncIterator[ProviderMetadata]:
    metadata = ProviderMetadata(
        f"{provider.url}/configuration", tls=ssl.create_default_context(), clock=clock, issuer=provider.url
    )
    yield metadata
    await metadata.close()


async def test_it_is_asked_once_for_all_and_kept_for_an_hour(
    metadata: ProviderMetadata, provider: Provider, clock: ManualClock
) -> None:
    found = await asyncio.gather(*(metadata.endpoint("token_endpoint") for _ in range(20)))
    assert set(found) == {f"{provider.url}/token"}
    clock.advance(3599)
    await metadata.endpoint("token_endpoint")
    assert provider.asked == ["/configuration"]
    clock.advance(1)
    await metadata.endpoint("token_endpoint")
    assert provider.asked == ["/configuration"] * 2


async def test_new_keys_are_fetched_when_a_token_names_one(
    metadata: ProviderMetadata, provider: Provider, clock: ManualClock
) -> None:
    """Given a provider that has changed its keys, then the first token by the new one is verified; and tokens
    that name invented keys do not make the server ask again and again."""
    assert [key.kid for key in await metadata.keys(key_id="one")] == ["one"]
    provider.keys.append(public("two"))
    clock.advance(11)
    assert [key.kid for key in await metadata.keys(key_id="two")] == ["one", "two"]
    for number in range(20):
        await metadata.keys(key_id=f"invented-{number}")
    assert provider.asked.count("/keys") == 2


async def test_secret_keys_and_those_for_encryption_verify_nothing(
    metadata: ProviderMetadata, provider: Provider
) -> None:
    secret = {**OctKey.generate_key(256).as_dict(), "kid": "secret"}
    provider.keys += [secret, {**public("encrypting"), "use": "enc"}]
    assert [key.kid for key in await metadata.keys(key_id="one")] == ["one"]


async def test_after_a_failure_it_is_left_alone_for_a_moment(
    metadata: ProviderMetadata, provider: Provider, clock: ManualClock
) -> None:
    provider.status = 500
    for _ in range(20):
        with pytest.raises(ProviderError):
            await metadata.endpoint("token_endpoint")
    assert len(provider.asked) == 1
    provider.status = 200
    clock.advance(1)
    assert await metadata.endpoint("token_endpoint")


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": "http://idp.example/token"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": None},
        {"token_endpoint": 7},
    ],
)
async def test_a_configuration_that_cannot_be_trusted_is_not_used(
    metadata: ProviderMetadata, provider: Provider, changes: dict[str, Any]
) -> None:
    provider.changes = changes
    with pytest.raises(ProviderError):
        await metadata.required_endpoint("token_endpoint")


@pytest.mark.parametrize("keys", [[], [{}], [{"kty": "EC"}], ["x"]])
async def test_keys_that_cannot_be_read_are_an_outage(
    metadata: ProviderMetadata, provider: Provider, keys: list[Any]
) -> None:
    provider.keys = keys
    with pytest.raises(ProviderError):
        await metadata.keys(key_id="one")


async def test_a_401_is_about_the_token_that_was_sent(metadata: ProviderMetadata, provider: Provider) -> None:
    provider.status = 401
    with pytest.raises(UnauthenticatedError):
        await metadata.ask(f"{provider.url}/userinfo", "token")
    with pytest.raises(ProviderError):  # nobody's fault who signs in
        await metadata.endpoint("token_endpoint")


async def test_a_port_at_which_nothing_listens_is_an_outage(clock: ManualClock) -> None:
    metadata = ProviderMetadata("http://127.0.0.1:9/", tls=ssl.create_default_context(), clock=clock)
    with pytest.raises(ProviderError):
        await metadata.endpoint("token_endpoint")
    await metadata.close()
