"""People sign in at a real Keycloak in a real Chromium, and use MLflow's page."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error

from tests.harness.browser import Browser, Profile, chromium
from tests.harness.http import bearer
from tests.harness.keycloak import Keycloak
from tests.harness.plane import REAL
from tests.scenarios.browser_site import BUTTON, FORM, BrowserSite, browser_site
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.signing_in import PAGE, SESSION, person
from tests.scenarios.waiting import until
from workspace_authz.identity.sessions.cookies import MARK

pytestmark = pytest.mark.parametrize("engine", [REAL], indirect=True)

SEARCH = "/ajax-api/2.0/mlflow/experiments/search"
CREATE = "/ajax-api/2.0/mlflow/experiments/create"
NEW = ", ".join(  # in an empty list, and above one that is not empty
    f'[data-component-id="mlflow.experiment_list_{button}"]'
    for button in ("table.create_experiment", "view.new_experiment_button")
)
DIALOG = "[role=dialog]"
ACCOUNT = '[aria-label^="Account menu for"]'
"""The button with the name of who is signed in."""


ONCE = pytest.mark.parametrize("site", [False], indirect=True, ids=["by name"])
"""For what does not depend on whether the API server trusts Keycloak."""


@pytest.fixture(scope="module", params=[True, False], ids=["trusted", "by name"])
def site(
    request: pytest.FixtureRequest,
    engine: str,
    keycloak: Keycloak,
    database: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BrowserSite]:
    """Once with an API server that trusts Keycloak, and once with one that does not know it."""
    trusted: bool = request.param
    cluster: Cluster = request.getfixturevalue("trusting_cluster" if trusted else "cluster")
    state = tmp_path_factory.mktemp("in-browser")
    with browser_site(cluster, keycloak, database=database, state=state, trusted=trusted) as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def window(browser: Browser) -> Iterator[Profile]:
    """Somebody's browser, in which nobody has been before."""
    with browser.profile() as profile:
        yield profile


def experiments(workspace: str) -> str:
    """The place of MLflow's list of experiments."""
    return f"/#/experiments?workspace={workspace}"


def reads(window: Profile, workspace: str) -> int:
    """The status of a search by the page's own script."""
    return window.fetch("GET", f"{SEARCH}?max_results=1", headers={"X-MLFLOW-WORKSPACE": workspace})


def may_read(site: BrowserSite, window: Profile, workspace: str) -> int:
    """The same beside any page, for pages that may ask nothing."""
    url = f"{site.server.url}{SEARCH}?max_results=1"
    return window.ask(url, headers={"X-MLFLOW-WORKSPACE": workspace})


def lose_session(window: Profile) -> None:
    """The page asks something and is refused, upon which it leads to the sign-in."""
    with suppress(Error):  # the page has gone before its script had the answer
        reads(window, TEAM_A)


def create_experiment(window: Profile, name: str) -> None:
    """Use the button and the form of the list of experiments."""
    window.click(NEW)
    window.type(f"{DIALOG} input", name)
    window.click(f"{DIALOG} button:has-text('Create')")


def test_who_signs_in_by_a_button_works_in_two_workspaces(site: BrowserSite, window: Profile) -> None:
    """Given alice, who may write in one team and read in another, then MLflow's page works in both."""
    site.sign_in(window, "alice", experiments(TEAM_A))
    name, refused = (f"in-browser-{secrets.token_hex(4)}" for _ in range(2))
    assert window.status_after(partial(create_experiment, window, name), CREATE) == 200
    site.open(window, experiments(TEAM_A))
    window.wait_for(f"text={name}")
    site.open(window, experiments(TEAM_B))
    assert window.status_after(partial(create_experiment, window, refused), CREATE) == 403
    assert reads(window, TEAM_B) == 200
    assert 401 not in {status for status, _, _ in window.responses}
    # What the guard refuses is in the console as well; nothing of our pages and our script is.
    assert not [said for said in window.console_errors if not said.startswith("Failed to load resource")]
    records = site.server.audit_file.read_text().splitlines()
    assert [line for line in records if '"operation":"CreateExperiment"' in line and "oidc:alice" in line]


@ONCE
def test_people_in_two_browsers_are_two_people(site: BrowserSite, browser: Browser) -> None:
    with browser.profile() as one, browser.profile() as other:
        site.sign_in(one, "alice")
        site.sign_in(other, "carol")
        assert (reads(one, TEAM_A), reads(other, TEAM_A)) == (200, 403)
        for window, user in ((one, "oidc:alice"), (other, "oidc:carol")):
            site.open(window, PAGE)
            assert f"signed in as {user}" in window.text


@ONCE
def test_the_place_that_was_asked_for_is_where_signing_in_ends(site: BrowserSite, window: Profile) -> None:
    place = f"/#/experiments?workspace={TEAM_A}&searchFilter=a%2Fb"
    site.sign_in(window, "alice", place)
    window.wait_for(NEW)
    assert urlsplit(window.page.url).fragment.startswith(f"/experiments?workspace={TEAM_A}")
    assert "searchFilter=a%2Fb" in window.page.url


def test_who_is_in_no_group_that_may_is_told_so(site: BrowserSite, window: Profile) -> None:
    site.open(window)
    site.press_button(window)
    site.fill_in_form(window, "mallory")
    window.wait_for("[role=alert]")
    assert "not in a group that may use this server" in window.text
    assert SESSION not in window.cookies
    assert may_read(site, window, TEAM_A) == 401


def test_a_group_counts_when_the_session_is_renewed(site: BrowserSite, window: Profile) -> None:
    """Given bob, who has signed in, when he is put into a group, then he need not sign in again."""
    site.sign_in(window, "bob")
    assert reads(window, TEAM_B) == 403
    site.keycloak.add_to_group("bob", "team-b-viewers")
    try:
        until(lambda: reads(window, TEAM_B) == 200)
        assert reads(window, TEAM_A) == 403
    finally:
        site.keycloak.remove_from_group("bob", "team-b-viewers")
    until(lambda: reads(window, TEAM_B) == 403)
    site.open(window, PAGE)
    assert "signed in as oidc:bob" in window.text


@ONCE
def test_who_leaves_the_groups_that_may_is_out(site: BrowserSite, window: Profile) -> None:
    site.sign_in(window, "bob")
    site.keycloak.remove_from_group("bob", "mlflow-users")
    try:
        until(lambda: may_read(site, window, TEAM_B) == 401)
    finally:
        site.keycloak.add_to_group("bob", "mlflow-users")


@ONCE
def test_who_is_disabled_at_keycloak_is_out(site: BrowserSite, window: Profile) -> None:
    site.sign_in(window, "bob")
    site.keycloak.enable("bob", False)
    try:
        until(lambda: may_read(site, window, TEAM_B) == 401)
    finally:
        site.keycloak.enable("bob", True)


def test_signing_out_ends_it_here_and_at_keycloak(site: BrowserSite, window: Profile) -> None:
    """Given a copy of the cookie, then it is worthless afterwards, and Keycloak asks for a password."""
    site.sign_in(window, "carol")
    sessions = site.keycloak.sessions_of("carol")
    with person(site.server) as thief:
        thief.cookies[SESSION] = window.cookies[SESSION]
        assert thief.ask("GET", f"{SEARCH}?max_results=1", workspace=TEAM_A).status == 403
        site.open(window, PAGE)
        window.click("text=Sign out")
        window.wait_for(BUTTON)
        assert SESSION not in window.cookies
        assert thief.ask("GET", f"{SEARCH}?max_results=1", workspace=TEAM_A).status == 401
    assert site.keycloak.sessions_of("carol") == sessions - 1
    site.press_button(window)
    window.wait_for(FORM)


def test_mlflows_own_logout_ends_it_here_and_at_keycloak(site: BrowserSite, window: Profile) -> None:
    """Given two tabs and a copy of the cookie, when one tab logs out, then all are out."""
    site.sign_in(window, "carol", experiments(TEAM_A))
    window.wait_for(ACCOUNT)
    other = window.context.new_page()
    other.goto(site.server.url + experiments(TEAM_A))
    other.locator(ACCOUNT).wait_for()
    sessions = site.keycloak.sessions_of("carol")
    with person(site.server) as thief:
        thief.cookies[SESSION] = window.cookies[SESSION]
        assert thief.ask("GET", f"{SEARCH}?max_results=1", workspace=TEAM_A).status == 403
        window.click(ACCOUNT)
        window.click("text=Logout")
        window.wait_for(BUTTON)
        assert {SESSION, MARK}.isdisjoint(window.cookies)
        assert thief.ask("GET", f"{SEARCH}?max_results=1", workspace=TEAM_A).status == 401
    assert site.keycloak.sessions_of("carol") == sessions - 1
    other.evaluate("window.dispatchEvent(new Event('focus'))")  # somebody looks at the tab again
    other.locator(BUTTON).wait_for()
    site.press_button(window)
    window.wait_for(FORM)


def test_a_session_that_ends_in_the_middle_leads_back_to_the_work(site: BrowserSite, window: Profile) -> None:
    """Given that Keycloak ends alice's sessions, then MLflow's page leads to the sign-in, and back."""
    site.sign_in(window, "alice", experiments(TEAM_A))
    window.wait_for(NEW)
    place = window.page.url
    site.keycloak.end_sessions("alice")
    until(lambda: may_read(site, window, TEAM_A) == 401)
    lose_session(window)
    site.press_button(window)
    site.fill_in_form(window, "alice")
    window.page.wait_for_url(place)
    window.wait_for(NEW)
    assert reads(window, TEAM_A) == 200


@ONCE
def test_a_rotated_key_signs_people_in(site: BrowserSite, window: Profile) -> None:
    site.keycloak.rotate_keys()
    site.sign_in(window, "alice")
    assert reads(window, TEAM_A) == 200


@ONCE
def test_a_token_can_be_pasted(site: BrowserSite, window: Profile) -> None:
    """Given bob's Kubernetes token, then he works with it, and the page holds no password of his."""
    bob = site.cluster.people.bob
    site.open(window, experiments(TEAM_A))
    window.type("#token", bob.token)
    assert window.page.locator("input[type=password]").count() == 0
    window.click("text=Sign in with a token")
    window.page.wait_for_url(site.server.url + experiments(TEAM_A))
    assert (reads(window, TEAM_A), reads(window, TEAM_B)) == (200, 403)
    site.open(window, PAGE)
    assert f"signed in as {bob.name}" in window.text
    window.click("text=Sign out")
    window.wait_for(BUTTON)
    assert may_read(site, window, TEAM_A) == 401


@ONCE
def test_a_wrong_token_is_said_to_be_wrong(site: BrowserSite, window: Profile) -> None:
    site.open(window)
    window.type("#token", "nobody-knows-this-token")
    window.click("text=Sign in with a token")
    window.wait_for("[role=alert]")
    assert SESSION not in window.cookies


@ONCE
def test_no_browser_asks_for_a_password_of_its_own(site: BrowserSite, window: Profile) -> None:
    """Given a page whose session is gone, then no answer challenges it; programs get their challenge."""
    challenges: list[str] = []
    window.page.on(
        "response", lambda answer: challenges.extend(answer.headers.get("www-authenticate", "").split())
    )
    site.sign_in(window, "alice")
    window.context.clear_cookies()
    lose_session(window)
    window.wait_for(BUTTON)
    assert 401 in {status for status, _, _ in window.responses}  # whichever request was the first one
    assert challenges == []
    program = site.server.ask("GET", f"{SEARCH}?max_results=1", workspace=TEAM_A, headers=bearer("wrong"))
    assert (program.status, len(program.header("www-authenticate"))) == (401, 2)


@ONCE
def test_a_page_of_another_site_gets_nothing_with_the_cookie(site: BrowserSite, window: Profile) -> None:
    """Given alice's session, when a page of another site posts a form, then it does not count."""
    site.sign_in(window, "alice")
    name = f"forged-{secrets.token_hex(4)}"
    site.open(window, PAGE)
    window.page.goto(f"{site.keycloak.url}/realms/master")  # another host: another site for the browser
    script = """([url, name]) => {
      const form = document.createElement("form");
      form.method = "POST"; form.action = url; form.enctype = "text/plain";
      const field = document.createElement("input");
      field.name = '{"name": "' + name + '", "x": "'; field.value = '"}';
      form.append(field); document.body.append(form); form.submit();
    }"""
    post = partial(window.page.evaluate, script, [site.server.url + CREATE, name])
    assert window.status_after(post, CREATE) in (401, 403)
    window.wait_until_at(site.server.url)
    site.open(window)
    headers = {"X-MLFLOW-WORKSPACE": TEAM_A}
    assert window.fetch("GET", f"{SEARCH}?max_results=1000", headers=headers) == 200
    by_name = f"/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name={name}"
    assert window.fetch("GET", by_name, headers=headers) == 404
