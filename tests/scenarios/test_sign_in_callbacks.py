"""The way back from the provider, when an attacker writes the address: callbacks, and places to go to."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

import pytest

from tests.harness.plane import EMBEDDED
from tests.harness.visitor import target
from tests.scenarios.sign_in_site import SignInSite
from tests.scenarios.signing_in import ATTEMPT, CALLBACK, OUT, PAGE, SESSION, TOKEN, parameters, person

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)


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
