"""Pages of other sites, whose requests a browser sends with the cookie of a session: none of them counts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

import pytest

from tests.harness.plane import EMBEDDED
from tests.scenarios.people import TEAM_A
from tests.scenarios.sign_in_site import SEARCH, SignInSite, signed_in, status
from tests.scenarios.signing_in import OUT, SESSION, TOKEN, Person, person

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)

EVIL = "https://evil.example"
CREATE = "/ajax-api/2.0/mlflow/experiments/create"

OTHER_SITES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "cross-site": (("Sec-Fetch-Site", "cross-site"), ("Origin", EVIL)),
    "same-site": (("Sec-Fetch-Site", "same-site"), ("Origin", "https://other.127.0.0.1")),
    "cross-site, without an origin": (("Sec-Fetch-Site", "cross-site"),),
    "cross-site, with a forged origin": (("Sec-Fetch-Site", "cross-site"), ("Origin", "OWN")),
    "a form's navigation": (
        *(("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")),
        *(("Sec-Fetch-Dest", "document"), ("Origin", EVIL)),
    ),
    "typed into the address bar": (("Sec-Fetch-Site", "none"),),
    "an old browser": (("Origin", EVIL),),
    "an old browser, from a file": (("Origin", "null"),),
    "another port": (("Origin", "https://127.0.0.1:1"),),
    "another scheme": (("Origin", "HTTP"),),
    "the origin in capitals": (("Origin", "HTTPS"),),
    "two origins": (("Origin", "OWN"), ("Origin", EVIL)),
    "two sites": (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")),
    "nothing at all": (),
    "only a referrer": (("Referer", "OWN"),),
}

WRITES: Mapping[str, tuple[str, str, str]] = {
    "JSON": ("POST", CREATE, "application/json"),
    "plain text": ("POST", CREATE, "text/plain"),
    "a form": ("POST", CREATE, "application/x-www-form-urlencoded"),
    "a form of parts": ("POST", CREATE, "multipart/form-data; boundary=x"),
    "no type": ("POST", CREATE, ""),
    "PATCH": ("PATCH", "/ajax-api/2.0/mlflow/mlflow-artifacts/artifacts/x", "application/json"),
    "DELETE": ("DELETE", "/ajax-api/2.0/mlflow/registered-models/delete", "application/json"),
    "PUT": ("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/1/x", "application/octet-stream"),
    "GraphQL": ("POST", "/graphql", "application/json"),
    "a route of FastAPI": ("POST", "/ajax-api/3.0/mlflow/mcp-servers", "application/json"),
    "another route of FastAPI": ("DELETE", "/ajax-api/3.0/mlflow/mcp-servers/x", "application/json"),
    "the gateway": ("POST", "/gateway/x/mlflow/invocations", "text/plain"),
    "traces": ("POST", "/v1/traces", "application/x-protobuf"),
    "an unknown route": ("POST", "/no/such/route", "text/plain"),
}


def spelled(headers: Iterable[tuple[str, str]], own: str) -> list[tuple[str, str]]:
    """The headers, with the server's own address where they say so."""
    values = {"OWN": own, "HTTP": own.replace("https", "http"), "HTTPS": own.replace("https", "HTTPS")}
    return [(name, values.get(value, value)) for name, value in headers]


def write(somebody: Person, kind: str, headers: Iterable[tuple[str, str]]) -> int:
    """The status of a write that would come through, if it came from the server's own page."""
    method, path, content_type = WRITES[kind]
    given = spelled(headers, somebody.url)
    if content_type:
        given.append(("Content-Type", content_type))
    body = f'{{"name": "forged-{secrets.token_hex(8)}"}}'.encode()
    return somebody.ask(method, path, workspace=TEAM_A, headers=given, body=body).status


@pytest.mark.parametrize("site", OTHER_SITES)
def test_another_sites_page_writes_nothing(sign_in: SignInSite, site: str) -> None:
    """Given alice's cookie and a page of another site, then no kind of write comes through to any route."""
    with signed_in(sign_in, "alice") as alice:
        found = {kind: write(alice, kind, OTHER_SITES[site]) for kind in WRITES}
        assert found == dict.fromkeys(WRITES, 403)
        search = "/ajax-api/2.0/mlflow/experiments/search?max_results=1000"
        names = alice.ask("GET", search, workspace=TEAM_A).text
        assert "forged-" not in names


@pytest.mark.parametrize("headers", [(("Sec-Fetch-Site", "same-origin"),), (("Origin", "OWN"),)], ids=str)
def test_the_servers_own_page_writes(sign_in: SignInSite, headers: tuple[tuple[str, str], ...]) -> None:
    with signed_in(sign_in, "alice") as alice, signed_in(sign_in, "carol") as carol:
        given, body = spelled(headers, alice.url), {"name": f"own-{secrets.token_hex(8)}"}
        answers = [
            somebody.ask("POST", CREATE, workspace=TEAM_A, headers=given, json_body=body)
            for somebody in (carol, alice)
        ]
        assert [answer.status for answer in answers] == [403, 200]


READS: Mapping[str, tuple[Mapping[str, str], int]] = {
    "the own page": ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
    "the address bar": ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
    "a link on another site": ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    "a script's request": ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": EVIL}, 403),
    "a script's blind request": ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    "a neighbour's script": ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    "an unknown site": ({"Sec-Fetch-Site": "x", "Sec-Fetch-Mode": "cors"}, 403),
}


@pytest.mark.parametrize("kind", READS)
def test_another_sites_page_reads_nothing(sign_in: SignInSite, kind: str) -> None:
    headers, wanted = READS[kind]
    with signed_in(sign_in, "alice") as alice:
        assert status(alice, **headers) == wanted


@pytest.mark.parametrize("site", OTHER_SITES)
def test_nobody_is_signed_out_or_in_by_another_sites_page(sign_in: SignInSite, site: str) -> None:
    """Given a page of another site with a token of an attacker's, then its form signs nobody in with it."""
    headers = spelled(OTHER_SITES[site], sign_in.server.url)
    form = ("Content-Type", "application/x-www-form-urlencoded")
    with signed_in(sign_in, "alice") as alice, person(sign_in.server) as victim:
        assert alice.ask("POST", OUT, headers=headers).status == 403
        assert status(alice) == 200
        body = f"token={sign_in.cluster.people.carol.token}".encode()
        assert victim.ask("POST", TOKEN, headers=[*headers, form], body=body).status == 403
        assert SESSION not in victim.cookies


@pytest.mark.parametrize("path", [OUT, TOKEN])
def test_signing_out_or_in_is_no_link(sign_in: SignInSite, path: str) -> None:
    with signed_in(sign_in, "alice") as alice:
        assert alice.ask("GET", path).status in (404, 405)
        assert status(alice) == 200


@pytest.mark.parametrize("path", ["/", "/workspace-authz/sign-in", "/workspace-authz/sign-in/callback"])
def test_no_page_is_framed_by_another_site(sign_in: SignInSite, path: str) -> None:
    """Given a page that a browser shows, then another site cannot lay itself over it."""
    with signed_in(sign_in, "alice") as alice:
        answer = alice.ask("GET", path)
        assert answer.header("x-frame-options") in (["DENY"], ["SAMEORIGIN"]), answer.headers


def test_a_cross_site_request_does_not_show_whether_a_cookie_is_good(sign_in: SignInSite) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    with signed_in(sign_in, "alice") as alice:
        answers = [alice.ask("GET", SEARCH, workspace=TEAM_A, headers=headers)]
        alice.cookies[SESSION] = alice.cookies[SESSION][:-1]
        answers.append(alice.ask("GET", SEARCH, workspace=TEAM_A, headers=headers))
        assert answers[0].without("date") == answers[1].without("date")
