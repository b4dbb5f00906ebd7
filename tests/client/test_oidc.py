"""Logins at a provider: what is sent, what is believed of the answers, and what is refused."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.harness.http_server import JsonHandler, serving
from tests.harness.oidc import CLIENT, HINT, OidcProvider, oidc_provider
from workspace_authz.client.browser import log_in_by_browser
from workspace_authz.client.device import log_in_by_device
from workspace_authz.client.oidc import Client, RefusedError, TokenSet
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.credentials import unverified_claims


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with oidc_provider({"alice": "token-of-alice", "bob": "token-of-bob"}) as provider:
        yield provider


@pytest.fixture
def client(provider: OidcProvider) -> Client:
    return Client(issuer=provider.url, client_id=CLIENT)


def ignore(text: str) -> None:
    """A remark that nobody reads."""


def visit(page: str) -> None:
    """A browser in which alice is logged in: it follows the provider's redirection to our port."""
    with urllib.request.urlopen(f"{page}&{urlencode({HINT: 'alice'})}", timeout=10) as answer:
        assert b"logged in" in answer.read()


def by_browser(client: Client, *, open_page: Callable[[str], None] = visit, seconds: float = 10) -> TokenSet:
    return log_in_by_browser(client, client.discover(), tell=ignore, open_page=open_page, seconds=seconds)


def by_device(client: Client, provider: OidcProvider, user: str = "alice") -> TokenSet:
    def approve(told: str) -> None:
        """Somebody reads the code, and enters it a moment later."""
        found = re.search(r"the code (\w+)\.", told)
        assert found
        threading.Timer(0.1, partial(provider.approve, found[1], user)).start()

    return log_in_by_device(client, client.discover(), tell=approve)


def test_a_login_in_the_browser(client: Client, provider: OidcProvider) -> None:
    """The provider of the tests verifies PKCE's challenge, and gives the nonce back."""
    tokens = by_browser(client)
    assert unverified_claims(tokens.id_token)["sub"] == "alice"
    assert tokens.refresh_token
    (form,) = provider.asked
    assert len(form["code_verifier"]) >= 43  # RFC 7636, 4.1
    assert urlsplit(form["redirect_uri"]).hostname == "127.0.0.1"


def test_a_login_on_another_device(client: Client, provider: OidcProvider) -> None:
    assert unverified_claims(by_device(client, provider, "bob").id_token)["sub"] == "bob"
    assert len(provider.asked) > 1  # it waited


def test_a_provider_that_says_slow_down_is_asked_more_slowly(client: Client) -> None:
    said = iter(["authorization_pending", "slow_down", "access_denied"])
    slept: list[float] = []

    class Slow(Client):
        def token(self, endpoint: str, form: object) -> dict[str, object]:
            if endpoint.endswith("/device"):
                codes = {"device_code": "d", "user_code": "u", "verification_uri": "https://x"}
                return {**codes, "expires_in": 60, "interval": 1}
            raise RefusedError("refused", next(said))

    slow = Slow(issuer=client.issuer, client_id=CLIENT)
    with pytest.raises(RefusedError):
        log_in_by_device(slow, client.discover(), tell=ignore, sleep=slept.append)
    assert slept == [1, 1, 6]  # RFC 8628, 3.5: five seconds more


def test_the_answer_of_another_page_ends_no_login(client: Client) -> None:
    """Given a page that calls our port without the state, then it is refused, and the login goes on."""

    def attacked(page: str) -> None:
        back = parse_qs(urlsplit(page).query)["redirect_uri"][0]
        for query in ("code=stolen", "code=stolen&state=guessed", "error=x&state="):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(f"{back}?{query}", timeout=10)
        visit(page)

    assert unverified_claims(by_browser(client, open_page=attacked).id_token)["sub"] == "alice"


def test_a_refusal_at_the_provider_is_told(client: Client) -> None:
    def refused(page: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        answer = urlencode({"error": "access_denied", "state": asked["state"]})
        with urllib.request.urlopen(f"{asked['redirect_uri']}?{answer}", timeout=10):
            pass

    with pytest.raises(ConfigurationError, match="access_denied"):
        by_browser(client, open_page=refused)


def test_the_answer_of_another_provider_is_refused(client: Client) -> None:
    """RFC 9207: given two providers, then the code of one is not given to the other."""

    def mixed_up(page: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        answer = urlencode({"code": "c", "state": asked["state"], "iss": "https://elsewhere"})
        with urllib.request.urlopen(f"{asked['redirect_uri']}?{answer}", timeout=10):
            pass

    with pytest.raises(ConfigurationError, match="came from another provider"):
        by_browser(client, open_page=mixed_up)


def test_a_redirection_takes_no_secret_elsewhere(client: Client) -> None:
    """Given a token endpoint that leads on, then the refresh token goes no further."""
    arrived: list[bytes] = []

    class Elsewhere(JsonHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
            arrived.append(self.read())
            self.answer({})

    class Leading(JsonHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
            self.read()
            self.send_response(307)
            self.send_header("Location", elsewhere)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with (
        serving(Elsewhere) as elsewhere,
        serving(Leading) as leading,
        pytest.raises(ConfigurationError, match="answered 307"),
    ):
        client.refreshed(TokenSet(id_token="a.b.c", refresh_token="secret"), leading)
    assert arrived == []


def test_a_login_that_nobody_ends_ends(client: Client) -> None:
    with pytest.raises(ConfigurationError, match="--device"):
        by_browser(client, open_page=ignore, seconds=0.05)


@pytest.mark.parametrize(
    "claims",
    [{"aud": "another"}, {"iss": "https://elsewhere"}, {"nonce": "replayed"}, {"exp": 1}, {"exp": "never"}],
)
def test_a_token_for_another_login_is_refused(
    client: Client, provider: OidcProvider, claims: dict[str, object]
) -> None:
    provider.claims.update(claims)
    with pytest.raises(ConfigurationError, match="not one for this login"):
        by_browser(client)


def test_tokens_are_renewed_for_the_same_person_only(client: Client, provider: OidcProvider) -> None:
    tokens = by_browser(client)
    endpoint = client.discover()["token_endpoint"]
    renewed = client.refreshed(tokens, endpoint)
    assert renewed.refresh_token != tokens.refresh_token
    with pytest.raises(RefusedError, match="invalid_grant"):
        client.refreshed(tokens, endpoint)  # it has been used
    provider.claims["sub"] = "bob"
    with pytest.raises(RefusedError, match="somebody else"):
        client.refreshed(renewed, endpoint)


def test_a_provider_by_another_name_or_without_tls_is_refused(provider: OidcProvider) -> None:
    with pytest.raises(ConfigurationError, match="calls itself"):
        Client(issuer=f"{provider.url}/", client_id=CLIENT).discover()
    with pytest.raises(ConfigurationError, match="https://"):
        Client(issuer="http://provider.example.com", client_id=CLIENT).discover()


def test_a_netrc_is_not_asked(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``requests`` sends its credentials by itself, and none is the provider's."""
    seen: list[requests.PreparedRequest] = []

    def send(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        seen.append(request)
        raise requests.ConnectionError

    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(file))
    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        client.discover()
    assert "Authorization" not in seen[0].headers
