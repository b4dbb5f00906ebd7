"""Every page of MLflow's UI in Chromium, for who may do everything, much, little, something or nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest

from tests.harness.browser import Browser, Profile, chromium
from tests.harness.plane import EMBEDDED, GROUP, RBAC, Plane, User
from tests.harness.provider import model_provider
from tests.harness.releases import NEWEST, USUAL
from tests.harness.server import MlflowServer
from tests.scenarios.naming import studio_of
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.studio import Studio
from tests.scenarios.ui_pages import (
    FAULTS,
    FORBIDDEN,
    LACKING,
    OF_REFUSED,
    go_on,
    is_known,
    places,
    settle,
)
from tests.scenarios.waiting import until
from workspace_authz.doors.browser.controls import NO_WORKSPACES_WORDS

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)

ACCOUNT: Final = '[aria-label^="Account menu for"]'
DEMO: Final = '[data-component-id="mlflow.home.demo-banner.launch"]'
NOTE: Final = ".workspace-authz-note"
CREATE_WORKSPACE: Final = '[data-component-id^="mlflow.home.workspaces.create"]'

MOST_OBJECTS: Final = 30
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "experiments": ("experiment",),
    "registeredmodels": ("model", "prompt"),
    "datasets": ("dataset",),
    "gatewayendpoints": ("endpoint",),
}
"""What somebody holds rights on by name."""


@dataclass(frozen=True, slots=True)
class Ui:
    """A guarded server of one release, with objects in team-a, and a browser."""

    release: str
    server: MlflowServer
    studio: Studio
    callers: Mapping[str, User]
    """By what they hold in team-a."""
    browser: Browser

    def open(self, stack: ExitStack, holding: str, place: str = "/") -> Profile:
        """A caller's window. Their token is sent as a browser sends a password that it remembers."""
        user = self.callers[holding]
        window = stack.enter_context(self.browser.profile())
        password = base64.b64encode(f"{user.name}:{user.token}".encode()).decode()
        window.context.set_extra_http_headers({"Authorization": f"Basic {password}"})
        window.go(f"{self.server.url}/#{place}")
        return window


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with model_provider() as provider:
        yield provider.url


@pytest.fixture(scope="module", params=[USUAL, NEWEST])
def ui(request: pytest.FixtureRequest, cluster: Cluster, browser: Browser, provider: str) -> Iterator[Ui]:
    release: str = request.param
    server = request.getfixturevalue({USUAL: "server", NEWEST: "newest_server"}[release])
    people = cluster.people
    owner = f"ui-{release.replace('.', '-')}"
    studio = studio_of(server, people, owner, workspace=TEAM_A, provider=provider)
    callers = {
        **{"admin": people.root, "edit": people.alice, "view": people.bob},
        **{"named": people.dora, "nothing": people.mallory},
    }
    granted = given_rights_on_objects(cluster.plane, people.dora, owner)
    search = "/api/2.0/mlflow/experiments/search?max_results=1"
    until(lambda: server.ask("GET", search, token=people.dora.token, workspace=TEAM_A).status == 200)
    yield Ui(release, server, studio, callers, browser)
    for path in granted:
        cluster.plane.delete(path)


def given_rights_on_objects(plane: Plane, user: User, owner: str) -> tuple[str, str]:
    """A Role on the objects of ``owner``'s studio, by their names, and its binding. Returns their paths."""
    rules = [
        {
            "apiGroups": [GROUP],
            "resources": [resource],
            "verbs": ["get", "list", "update"],
            "resourceNames": [f"{kind}-{owner}-{number}" for kind in kinds for number in range(MOST_OBJECTS)],
        }
        for resource, kinds in KINDS.items()
    ]
    plane.role(TEAM_A, owner, rules=rules)
    binding = plane.bind(TEAM_A, owner, user=user.name, kind="Role")
    return binding, f"{RBAC}/namespaces/{TEAM_A}/roles/{owner}"


def refusals(window: Profile) -> list[str]:
    """The answers of the server's that refuse or fail."""
    return [f"{status} {method} {path}" for status, method, path in window.responses if status >= 400]


def complaints(window: Profile) -> list[str]:
    """What went wrong in a window beside refusals, and what of it is not MLflow's own."""
    return [told for told in (*window.console_errors, *window.failed) if not is_known(told, FAULTS)]


def test_every_page_is_right_for_who_holds_rights(ui: Ui) -> None:
    """Given four callers, when each goes from page to page, then nothing is wrong beyond what is listed."""
    wrong: list[str] = []
    with ExitStack() as stack:
        windows = {holding: ui.open(stack, holding) for holding in ("admin", "edit", "view", "named")}
        settle(windows.values())
        for place in places(ui.studio, ui.release):
            for window in windows.values():
                window.forget()
                go_on(window, f"{place.path}?workspace={TEAM_A}")
            settle(windows.values())
            if not says(windows["admin"], place.words):
                wrong.append(f"{place.path}: '{place.words}' cannot be read")
            for holding, window in windows.items():
                wrong += [f"{place.path} {holding}: {what}" for what in found_wrong(window, holding)]
    assert not wrong, "\n".join(wrong)


def found_wrong(window: Profile, holding: str) -> list[str]:
    lacking = LACKING.get(holding, ())
    refused = [each for each in refusals(window) if not is_known(each, (*FAULTS, *lacking))]
    excused = OF_REFUSED if refusals(window) else ()
    return [*refused, *(each for each in complaints(window) if not is_known(each, excused))]


def test_every_page_says_why_to_who_holds_nothing(ui: Ui) -> None:
    """Given mallory, when she opens a page, then it says what she would need, and nothing of team-a."""
    silent: list[str] = []
    with ExitStack() as stack:
        window = ui.open(stack, "nothing")
        for place in places(ui.studio, ui.release):
            window.go("about:blank")
            window.forget()
            window.go(f"{ui.server.url}/#{place.path}?workspace={TEAM_A}")
            if place.refuses:
                silent += [place.path] if not says(window, FORBIDDEN) else []
            else:
                silent += [place.path] if not says(window, place.words) else []
            silent += [told for told in complaints(window) if not is_known(told, OF_REFUSED)]
            assert not [each for each in refusals(window) if not each.startswith("403")]
    assert not silent, "\n".join(silent)


def says(window: Profile, words: str) -> bool:
    """Whether words can be read on a page, however long it takes to draw it."""
    for _ in range(900):
        if words.casefold() in window.text.casefold():
            return True
        window.page.wait_for_timeout(100)
    return False


def test_nobody_is_offered_to_make_a_workspace(ui: Ui) -> None:
    with ExitStack() as stack:
        for holding in ("admin", "nothing"):
            window = ui.open(stack, holding)
            window.wait_for("text=Select a workspace to start experiments")
            settle([window])
            assert not [each for each in window.page.locator(CREATE_WORKSPACE).all() if each.is_visible()]
        around = window.page.locator(f"div:has(> {CREATE_WORKSPACE})").last
        words = around.evaluate("it => getComputedStyle(it, '::after').content")
        assert words == f'"{NO_WORKSPACES_WORDS}"'
        assert "Create your first workspace" not in window.text


def test_a_control_that_nobody_may_use_says_why(ui: Ui) -> None:
    """Given the button of the demo, when it is clicked or chosen by keys, then nothing is asked."""
    with ExitStack() as stack:
        window = ui.open(stack, "edit", f"/?workspace={TEAM_A}")
        window.wait_for(DEMO)
        button = window.page.locator(DEMO)
        button.hover()
        assert "several teams share" in str(button.get_attribute("title"))
        for use in (partial(button.click, force=True), partial(button.press, "Enter")):
            use()
            window.wait_for(NOTE)
            assert "several teams share" in window.page.locator(NOTE).inner_text()
            window.click(NOTE)
        assert window.statuses_of("/demo/") == []


def test_the_assistant_stays_away(ui: Ui) -> None:
    """Given a server on this machine, where MLflow opens its assistant by itself, then it does not here."""
    with ExitStack() as stack:
        window = ui.open(stack, "edit", f"/experiments?workspace={TEAM_A}")
        window.wait_for(f"text={ui.studio.experiment_name}")
        settle([window])
        assert "Assistant" not in window.text
        assert window.statuses_of("/assistant/") == []


def test_another_workspace_leaves_nothing_on_the_page(ui: Ui) -> None:
    """Given alice's experiments, when an address leads to where she is refused, then they are gone."""
    with ExitStack() as stack:
        window = ui.open(stack, "edit", f"/experiments?workspace={TEAM_A}")
        window.wait_for(f"text={ui.studio.experiment_name}")
        go_on(window, f"/experiments?workspace={TEAM_B}")
        window.wait_for(f"text=/{FORBIDDEN}.*{TEAM_B}/")
        assert ui.studio.experiment_name not in window.text


def test_the_account_page_leads_to_ours_and_offers_no_password(ui: Ui) -> None:
    with ExitStack() as stack:
        window = ui.open(stack, "view", f"/experiments?workspace={TEAM_A}")
        window.wait_for(ACCOUNT)
        assert not window.page.locator(".workspace-authz-link").is_visible()
        window.click(ACCOUNT)
        window.click("text=Account")
        window.wait_for("text=Logged in as bob@example.com")
        assert not window.page.locator("text=Change password").is_visible()
        window.click(".workspace-authz-link")
        window.wait_until_at(f"{ui.server.url}/workspace-authz/")
        assert "bob@example.com" in window.text


def test_logout_makes_a_browser_forget_the_password_that_it_remembers(ui: Ui) -> None:
    alice = ui.callers["edit"]
    challenged = f"{ui.server.url}/get-artifact?path=x"
    with ui.browser.profile() as window:
        # As if it were typed into the browser's prompt, which Chromium without a screen does not show.
        window.go(challenged.replace("://", f"://{alice.name}:{alice.token}@"))
        window.go(f"{ui.server.url}/#/experiments?workspace={TEAM_A}")
        window.click(ACCOUNT)
        window.forget()
        window.click("text=Logout")
        until(lambda: 401 in statuses_of_page(window))


def statuses_of_page(window: Profile) -> list[int]:
    """The answers to MLflow's page itself."""
    window.page.wait_for_timeout(50)
    return [status for status, _, path in window.responses if path == "/"]
