"""Cookies that are forged, stolen, planted, or sent beside another credential."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from tests.harness.http import bearer
from tests.harness.plane import EMBEDDED
from tests.harness.visitor import target
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.sign_in_site import SEARCH, SignInSite, signed_in, status
from tests.scenarios.signing_in import ATTEMPT, OUT, PAGE, SESSION, parameters, person
from workspace_authz.identity.sessions.cookies import MARK

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)

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


# MLflow's own Logout, whose script deletes the mark.

FETCHED = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
TYPED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def test_a_session_without_its_mark_is_nobodys(sign_in: SignInSite) -> None:
    """Given alice's browser without the mark, then its scripts are refused, and end nothing."""
    with signed_in(sign_in, "alice") as alice, person(sign_in.server) as program:
        program.cookies[SESSION] = alice.cookies[SESSION]
        assert status(alice, **FETCHED) == 200
        del alice.cookies[MARK]
        assert [status(alice, **FETCHED) for _ in range(2)] == [401, 401]
        assert status(program) == 200  # no browser: it never had a mark


def test_after_logout_the_page_ends_the_session_and_leads_to_the_provider(sign_in: SignInSite) -> None:
    """Given that MLflow's script asked without the mark, then its page is led away, and copies are out."""
    with signed_in(sign_in, "alice") as alice, person(sign_in.server) as program:
        program.cookies[SESSION] = alice.cookies[SESSION]
        del alice.cookies[MARK]
        assert status(alice, **FETCHED) == 401
        left = target(alice.ask("GET", "/", headers=TYPED))
        assert left.startswith(sign_in.provider.url)
        assert parameters(left)["post_logout_redirect_uri"] == f"{sign_in.server.url}{PAGE}"
        assert alice.cookies == {}
        assert status(program) == 401
        assert target(alice.ask("GET", "/", headers=TYPED)).startswith(PAGE)


def test_who_signs_in_again_after_logout_stays(sign_in: SignInSite) -> None:
    """Given a logout whose page never came, when alice signs in again, then it counts no more."""
    with signed_in(sign_in, "alice") as alice:
        del alice.cookies[MARK]
        assert status(alice, **FETCHED) == 401
        assert alice.sign_in("alice").status == 303
        assert alice.ask("GET", "/", headers=TYPED).status == 200


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
