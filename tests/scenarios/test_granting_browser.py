"""An administrator of a namespace grants in MLflow's own UI, in a real Chromium, on a real kube-apiserver."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.harness.browser import Browser, Profile, chromium
from tests.harness.http import bearer
from tests.harness.plane import REAL, User
from tests.harness.releases import NEWEST, USUAL
from tests.harness.server import MlflowServer
from tests.scenarios.granted import ours
from tests.scenarios.people import TEAM_B, Cluster
from tests.scenarios.waiting import until
from workspace_authz.authorizer.rbac.objects import MANAGED_BY, MANAGED_LABEL
from workspace_authz.devplane import assets

pytestmark = pytest.mark.parametrize("engine", [REAL], indirect=True)

NEW_USER = "admin.create_user_modal"
OBJECT = "admin.direct_permission.resource_id"
ADD = "admin.direct_permissions.add"


@pytest.fixture(scope="module", params=[USUAL, NEWEST])
def guarded(request: pytest.FixtureRequest) -> MlflowServer:
    """A server of each release."""
    found: MlflowServer = request.getfixturevalue("server" if request.param == USUAL else "newest_server")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def at(component: str) -> str:
    return f'[data-component-id="{component}"]'


class Window:
    """Somebody at MLflow's UI, whose browser sends their token."""

    def __init__(self, profile: Profile, server: MlflowServer, user: User) -> None:
        self.profile, self.server = profile, server
        profile.context.set_extra_http_headers(bearer(user.token))

    def open(self, place: str) -> None:
        self.profile.go("about:blank")
        self.profile.go(f"{self.server.url}/#{place}")

    def click(self, component: str) -> None:
        self.profile.click(at(component))

    def choose(self, component: str, text: str) -> None:
        self.profile.click(at(component))
        self.profile.click(f'[role=option]:has-text("{text}")')

    def shows(self, text: str) -> None:
        self.profile.wait_for(f'text="{text}"')


@pytest.fixture
def carol(browser: Browser, guarded: MlflowServer, cluster: Cluster) -> Iterator[Window]:
    """Administers team-b."""
    with browser.profile() as profile:
        yield Window(profile, guarded, cluster.people.carol)


@pytest.fixture
def dora(browser: Browser, guarded: MlflowServer, cluster: Cluster) -> Iterator[Window]:
    """Holds nothing."""
    with browser.profile() as profile:
        yield Window(profile, guarded, cluster.people.dora)


def made(server: MlflowServer, cluster: Cluster, name: str) -> str:
    """The id of a new experiment."""
    path, token = "/api/2.0/mlflow/experiments/create", cluster.people.carol.token
    answer = server.ask("POST", path, token=token, workspace=TEAM_B, json_body={"name": name})
    return str(answer.json["experiment_id"])


def managed(cluster: Cluster) -> list[Any]:
    """What kubectl shows."""
    program = [str(assets.find_binary(assets.KUBECTL)), "--kubeconfig", str(cluster.plane.admin_kubeconfig)]
    asked = ["get", "rolebinding,role", "-n", TEAM_B, "-l", f"{MANAGED_LABEL}={MANAGED_BY}", "-o", "yaml"]
    shown = subprocess.run([*program, *asked], check=True, capture_output=True, text=True).stdout
    return [item for item in yaml.safe_load(shown)["items"] if ours(item)]


def test_a_colleague_is_given_one_experiment_then_another(
    carol: Window, dora: Window, guarded: MlflowServer, cluster: Cluster
) -> None:
    fraud, churn = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("fraud", "churn"))
    first, second = (made(guarded, cluster, name) for name in (fraud, churn))
    experiments = f"/experiments?workspace={TEAM_B}"

    # Given a colleague who holds nothing, when an administrator enters them with one experiment
    carol.open(f"/admin/ws?workspace={TEAM_B}")
    carol.click("admin.users.create_button")
    carol.profile.type(at(f"{NEW_USER}.username"), "dora")
    carol.profile.type(at(f"{NEW_USER}.password"), "is-never-kept-1")
    carol.profile.click("text=Direct permissions")
    carol.choose(OBJECT, fraud)
    carol.click(ADD)
    carol.click(f"{NEW_USER}.submit")
    carol.profile.page.locator(at(f"{NEW_USER}.submit")).wait_for(state="hidden")

    # Then the colleague sees exactly that at once
    dora.open(experiments)
    dora.shows(fraud)
    assert churn not in dora.profile.text

    # When the administrator gives them another one in its place
    carol.open(f"/admin/users/dora?workspace={TEAM_B}")
    carol.click("admin.user_detail.edit_access_button")
    carol.profile.wait_for(at("admin.direct_permissions.staged_remove"))
    carol.click("admin.direct_permissions.staged_remove")
    carol.choose(OBJECT, churn)
    carol.click(ADD)
    carol.click("admin.edit_access_modal.review")
    carol.shows(f"experiment:{second} → READ")
    carol.click("admin.edit_access_modal.confirm")
    carol.profile.page.locator(at("admin.edit_access_modal.confirm")).wait_for(state="hidden")

    # Then the first one's page is gone, and the second one is there
    dora.open(experiments)
    dora.shows(churn)
    assert fraud not in dora.profile.text
    path = f"/api/2.0/mlflow/experiments/get?experiment_id={first}"
    assert guarded.ask("GET", path, token=cluster.people.dora.token, workspace=TEAM_B).status == 403

    # And RBAC says the same in plain objects
    items = managed(cluster)
    (binding,) = [item for item in items if item["kind"] == "RoleBinding"]
    (role,) = [item for item in items if item["kind"] == "Role"]
    assert [subject["name"] for subject in binding["subjects"]] == ["dora"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert role["rules"] == [
        {
            "apiGroups": ["mlflow.kubeflow.org"],
            "resources": ["experiments"],
            "resourceNames": [churn],
            "verbs": ["get", "list"],
        }
    ]

    # When it is revoked on our own page
    carol.profile.go(f"{guarded.url}/workspace-authz/permissions?workspace={TEAM_B}")
    carol.profile.wait_for("text=Take back")
    carol.profile.click("text=Take back")
    carol.profile.wait_for("text=Done")

    # Then nothing is left, in the browser and in the cluster
    dora.open(experiments)
    until(lambda: churn not in dora.profile.text and "experiments/search" in str(dora.profile.responses))
    assert managed(cluster) == []


def test_the_account_page_names_workspaces_and_groups(
    browser: Browser, guarded: MlflowServer, cluster: Cluster
) -> None:
    with browser.profile() as profile:
        bob = Window(profile, guarded, cluster.people.bob)
        bob.open("/account")
        bob.profile.wait_for("text=group:readers")
        assert "Logged in as bob@example.com" in bob.profile.text
