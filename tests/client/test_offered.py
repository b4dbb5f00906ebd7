"""What a server says about logins from the command line, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness.http_server import JsonHandler, serving
from workspace_authz.client.offered import offered_client
from workspace_authz.errors import ConfigurationError

ONE = {"name": "one", "issuer": "https://one.example.com", "clientId": "cli", "scope": "openid"}
TWO = {**ONE, "name": "two", "issuer": "https://two.example.com"}
BROWSERS = {"name": "for-browsers", "title": "For browsers"}


@contextmanager
def server(*providers: object, status: int = 200) -> Iterator[str]:
    """A server that names them below its static prefix."""

    class Page(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
            assert self.path == "/mlflow/workspace-authz/sign-in"
            assert self.headers["Accept"] == "application/json"
            assert "Authorization" not in self.headers
            self.answer({"providers": list(providers), "tokens": True}, status=status)

    with serving(Page) as url:
        yield f"{url}/mlflow"


@pytest.mark.parametrize("suffix", ["", "/", "/workspaces/team-a", "/workspaces/team-a/"])
def test_the_only_one_is_taken(suffix: str) -> None:
    with server(BROWSERS, ONE) as url:
        client = offered_client(url + suffix, "", environ={})
    assert (client.issuer, client.client_id, client.scope) == ("https://one.example.com", "cli", "openid")


def test_of_several_one_is_chosen() -> None:
    with server(ONE, TWO) as url:
        assert offered_client(url, "two", environ={}).issuer == "https://two.example.com"
        for name in ("", "three"):
            with pytest.raises(ConfigurationError, match="--provider: one, two"):
                offered_client(url, name, environ={})


@pytest.mark.parametrize(
    "provider", [BROWSERS, {**ONE, "issuer": None}, {**ONE, "scope": ["openid"]}, {"clientId": "x"}, "one", 7]
)
def test_half_an_offer_is_none(provider: object) -> None:
    with server(provider) as url, pytest.raises(ConfigurationError, match="--issuer URL and --client-id ID"):
        offered_client(url, "", environ={})


def test_a_server_without_such_a_page_or_none_at_all() -> None:
    with server(ONE, status=404) as url, pytest.raises(ConfigurationError, match="names no provider"):
        offered_client(url, "", environ={})
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        offered_client(url, "", environ={})
