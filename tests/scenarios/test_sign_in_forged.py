"""Requests that an attacker makes, or makes somebody's browser make: callbacks, cookies, and addresses."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, urljoin, urlsplit

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from tests.harness.http import bearer
from tests.harness.plane import EMBEDDED
from tests.harness.visitor import target
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.sign_in_site import SignInSite
from tests.scenarios.signing_in import (
    ATTEMPT,
    CALLBACK,
    OUT,
    PAGE,
    SESSION,
    TOKEN,
    Person,
    parameters,
    person,
)

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)

SEARCH = "/ajax-api/2.0/mlflow/experiments/search?max_results=1"


@contextmanager
def signed_in(site: SignInSite, user: str) -> Iterator[Person]:
    """Somebody who has signed in."""
    with person(site.server) as somebody:
        assert somebody.sign_in(user).status == 303
        yield somebody


def status(somebody: Person, workspace: str = TEAM_A, **headers: str) -> int:
    return somebody.ask("GET", SEARCH, workspace=workspace, headers=headers).status


# The way back from the provider.


def test_a_callback_without_the_cookie_of_its_attempt_is_refused(sign_in: SignInSite) -> None:
    """Given a code and a state of an attacker's, when a victim opens that address, then nobody signs in.

    (RFC 6819, 4.4.1.8: the victim would work in the attacker's account.)
    """
    with person(sign_in.server) as mallory, person(sign_in.server) as victim:
        callback = mallory.log_in_at(mallory.begin(), "mallory")
        assert victim.ask("GET", callback).status == 401
        victim.begin()  # an attempt of their own does not help
        assert victim.ask("GET", callback).status == 401
        assert SESSION not in victim.cookies


def test_each_part_of_a_callback_belongs_to_its_attempt(sign_in: SignInSite) -> None:
    """Given two attempts, then the code of one does not come with the state or the cookie of the other."""
    with person(sign_in.server) as first, person(sign_in.server) as second:
        codes = [somebody.log_in_at(somebody.begin(), "alice") for somebody in (first, second)]
        one, two = map(parameters, codes)
        for code, state in ((one["code"], two["state"]), (two["code"], one["state"]), (two["code"], "")):
            assert first.ask("GET", f"{CALLBACK}?code={code}&state={state}").status == 401
        # The state is right, but the code was asked for with another verifier of PKCE.
        assert first.ask("GET", f"{CALLBACK}?code={two['code']}&state={one['state']}").status == 401
        assert SESSION not in first.cookies


def test_a_code_counts_once(sign_in: SignInSite) -> None:
    with person(sign_in.server) as alice:
        callback = alice.log_in_at(alice.begin(), "alice")
        attempt = alice.cookies[ATTEMPT]
        assert alice.ask("GET", callback).status == 303
        assert ATTEMPT not in alice.cookies
        del alice.cookies[SESSION]
        assert alice.ask("GET", callback).status == 401
        alice.cookies[ATTEMPT] = attempt  # a copy
        assert alice.ask("GET", callback).status == 401
        assert SESSION not in alice.cookies


@pytest.mark.parametrize(
    "query",
    [
        "code={code}&code=other&state={state}",
        "code={code}&state={state}&state=other",
        "code=&state={state}",
        "state={state}",
        "code={code}",
        "",
        "error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state={state}",
        "code={code}&error=access_denied&state={state}",
        "code={code}&state={state}&iss=https://evil.example",
        "code={code}&state=%ff%fe",
        "code=%00%0d%0aSet-Cookie:%20x=y&state={state}",
        "&".join(f"f{number}=x" for number in range(1000)),
    ],
)
def test_a_crooked_callback_signs_nobody_in(sign_in: SignInSite, query: str) -> None:
    with person(sign_in.server) as alice:
        answer = alice.ask(
            "GET", f"{CALLBACK}?{query.format(**parameters(alice.log_in_at(alice.begin(), 'alice')))}"
        )
        assert answer.status in (400, 401), answer.text
        assert "<script>alert" not in answer.text
        assert SESSION not in alice.cookies


def test_no_code_or_state_is_written_anywhere(sign_in: SignInSite) -> None:
    with person(sign_in.server) as alice:
        login = alice.begin()
        callback = alice.log_in_at(login, "alice")
        attempt = alice.cookies[ATTEMPT]
        alice.ask("GET", callback)
        sign_in.server.skip_records()
        written = sign_in.server.process.output + sign_in.server.audit_file.read_text()
        found = [*parameters(callback).values(), parameters(login)["nonce"], attempt, alice.cookies[SESSION]]
        assert not [value for value in found if value in written]


# Cookies.

Forgery = Callable[[str], str]


def sealed_by(key: bytes) -> Forgery:
    def forge(_: str) -> str:
        header = {"alg": "dir", "enc": "A256GCM", "typ": "session-cookie"}
        return jwe.encrypt_compact(header, secrets.token_bytes(32), OctKey.import_key(key))

    return forge


def without_key(cookie: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"session-cookie"}').rstrip(b"=").decode()
    return ".".join((header, *cookie.split(".")[1:]))


def flipped(part: int) -> Forgery:
    def forge(cookie: str) -> str:
        parts = cookie.split(".")
        parts[part] = ("A" if parts[part][:1] != "A" else "B") + parts[part][1:]
        return ".".join(parts)

    return forge


FORGERIES: dict[str, Forgery] = {
    **{f"part {part} changed": flipped(part) for part in (0, 1, 2, 3, 4)},
    "one character less": lambda cookie: cookie[:-1],
    "the first half": lambda cookie: cookie[: len(cookie) // 2],
    "one character more": lambda cookie: cookie + "A",
    "empty": lambda _: "",
    "dots": lambda _: "....",
    "another server's": sealed_by(secrets.token_bytes(32)),
    "with the key of nothing": sealed_by(bytes(32)),
    "without a key": without_key,
    "not base64": lambda _: "ä.ö.ü.ß.é",
    "five kilobytes": lambda cookie: cookie + "A" * 5000,
    "thirty kilobytes": lambda _: "A" * 30_000,
    "quoted": lambda cookie: f'"{cookie}"',
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_a_forged_cookie_is_nobodys(sign_in: SignInSite, kind: str) -> None:
    with signed_in(sign_in, "alice") as alice:
        alice.cookies[SESSION] = FORGERIES[kind](alice.cookies[SESSION])
        answer = alice.ask("GET", SEARCH, workspace=TEAM_A)
        assert (answer.status, answer.json["error_code"]) == (401, "UNAUTHENTICATED")


def test_a_cookie_is_good_for_its_purpose_only(sign_in: SignInSite) -> None:
    with person(sign_in.server) as alice:
        callback = alice.log_in_at(alice.begin(), "alice")
        alice.cookies[SESSION] = alice.cookies[ATTEMPT]
        assert status(alice) == 401
        alice.ask("GET", callback)
        session = alice.cookies[SESSION]
        login = alice.begin()
        alice.cookies[ATTEMPT] = session
        assert alice.ask("GET", alice.log_in_at(login, "alice")).status == 401


def test_two_sessions_at_once_are_none(sign_in: SignInSite) -> None:
    """Given a cookie that another host below the same domain has added, then neither counts."""
    with signed_in(sign_in, "alice") as alice, signed_in(sign_in, "carol") as carol:
        other = carol.cookies[SESSION]
        assert status(alice, Cookie=f"{SESSION}={other}") == 401
        assert status(alice, Cookie=f"x=y; {SESSION}={other}; z=1") == 401
        assert status(alice) == 200


@pytest.mark.parametrize("name", ["workspace-authz-session", "__Secure-workspace-authz-session", "session"])
def test_a_cookie_of_another_name_is_none(sign_in: SignInSite, name: str) -> None:
    with signed_in(sign_in, "alice") as alice:
        alice.cookies = {name: alice.cookies[SESSION]}
        assert status(alice) == 401


def test_signing_in_ends_the_session_that_the_browser_had(sign_in: SignInSite) -> None:
    """Given a session that an attacker has put into the victim's browser, then it does not become theirs."""
    with signed_in(sign_in, "mallory") as mallory, person(sign_in.server) as victim:
        planted = mallory.cookies[SESSION]
        victim.cookies[SESSION] = planted
        assert victim.sign_in("alice").status == 303
        assert victim.cookies[SESSION] != planted
        assert (status(victim), status(mallory)) == (200, 401)


def test_a_copied_cookie_is_worthless_after_signing_out(sign_in: SignInSite) -> None:
    with signed_in(sign_in, "alice") as alice, person(sign_in.server) as thief:
        thief.cookies[SESSION] = alice.cookies[SESSION]
        assert status(thief) == 200
        assert alice.ask("POST", OUT, headers={"Sec-Fetch-Site": "same-origin"}).status == 303
        assert SESSION not in alice.cookies
        assert status(thief) == 401


# A session beside another credential.


def test_a_token_beside_a_session_is_who_asks(sign_in: SignInSite) -> None:
    """Given alice's session and carol's token, then carol asks, with her rights; nothing is merged."""
    carol = sign_in.cluster.people.carol.token
    with signed_in(sign_in, "alice") as alice:
        assert (status(alice, TEAM_A), status(alice, TEAM_B)) == (200, 200)
        sign_in.server.skip_records()
        assert (status(alice, TEAM_A, **bearer(carol)), status(alice, TEAM_B, **bearer(carol))) == (403, 200)
        assert [record["user"] for record in sign_in.server.records(2)] == ["carol", "carol"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer nobody-knows-this-token"},
        {"Authorization": "Basic YWxpY2U6d3Jvbmc="},
        {"X-Forwarded-Access-Token": "nobody-knows-this-token"},
    ],
    ids=str,
)
def test_a_bad_token_beside_a_good_session_is_refused(sign_in: SignInSite, headers: dict[str, str]) -> None:
    with signed_in(sign_in, "alice") as alice:
        assert status(alice, **headers) == 401


# Addresses.

PLACES = [
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "/%09/evil.example/",
    "/\t/evil.example",
    "/\n/evil.example",
    "https://evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "///evil.example",
    "/./\\evil.example",
    "@evil.example",
    ".evil.example",
    "/\u2044evil.example",
    "/x\r\nSet-Cookie: a=b",
    "/" + "x" * 9000,
    OUT,
]


@pytest.mark.parametrize("place", PLACES, ids=ascii)
def test_nobody_is_sent_elsewhere(sign_in: SignInSite, place: str) -> None:
    """Given an address of an attacker's to come back to, then signing in ends on a page of this server."""
    home = sign_in.server.url
    with person(sign_in.server) as alice:
        answer = alice.sign_in("alice", back_to=quote(place, safe=""))
        assert_stays(home, target(answer))
        page = alice.ask("GET", f"{PAGE}?next={quote(place, safe='')}").text
        for link in page.split('href="')[1:]:
            assert_stays(home, link.partition('"')[0])
        form = f"token={sign_in.cluster.people.alice.token}&next={quote(place, safe='')}"
        headers = {"Origin": home, "Content-Type": "application/x-www-form-urlencoded"}
        pasted = alice.ask("POST", TOKEN, headers=headers, body=form.encode())
        assert_stays(home, target(pasted))


def assert_stays(home: str, place: str) -> None:
    """As browsers read an address: a backslash is a slash, and tabs and line ends are left out."""
    seen = place.translate({9: None, 10: None, 13: None}).replace("\\", "/")
    parts = urlsplit(urljoin(f"{home}/", seen))
    assert f"{parts.scheme}://{parts.netloc}" == home, place
    assert parts.path != OUT


def test_a_place_within_the_server_is_kept(sign_in: SignInSite) -> None:
    place = "/?workspace=team-a&x=%20y#/experiments/1/runs?o=a%2Fb"
    with person(sign_in.server) as alice:
        assert target(alice.sign_in("alice", back_to=quote(place, safe=""))) == place


@pytest.mark.parametrize("host", ["evil.example", "evil.example:443", "127.0.0.1.evil.example"])
def test_the_host_that_a_request_names_is_no_place_to_come_back_to(sign_in: SignInSite, host: str) -> None:
    with person(sign_in.server) as alice:
        headers = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "http"}
        answer = alice.ask("GET", f"{PAGE}/start?provider=stand-in", headers=headers)
        if answer.status == 303:
            assert parameters(target(answer))["redirect_uri"] == sign_in.server.url + CALLBACK
        else:
            assert answer.status in (400, 403)
