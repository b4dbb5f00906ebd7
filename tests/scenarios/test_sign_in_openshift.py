"""Signing in at OpenShift, of which there is a stand-in only: as an OAuthClient, and as a service account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.harness.openshift import ACCOUNT_SCOPES, FULL, OpenShift, Registered, name_of, openshift
from tests.harness.plane import EMBEDDED, Object
from tests.harness.server import MlflowServer
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.signing_in import OUT, SESSION, Person, person, reviewing_account, sign_in_server
from tests.scenarios.waiting import until
from workspace_authz.devplane.pki import create_pki

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)

SEARCH: Final = "/ajax-api/2.0/mlflow/experiments/search?max_results=1"
CLIENT, ACCOUNT = "mlflow", "system:serviceaccount:mlflow:mlflow"
BY_TOKEN, BY_NAME, FOR_ADMINS = "by-token", "by-name", "for-admins"
SECRET: Final = "a-secret-of-the-client"
OWN_PAGE: Final = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True, slots=True)
class OpenShiftSite:
    """A server, the stand-in, and the cluster that decides."""

    cluster: Cluster
    server: MlflowServer
    openshift: OpenShift


@pytest.fixture(scope="module")
def site(
    cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenShiftSite]:
    plane, state = cluster.plane, tmp_path_factory.mktemp("openshift")
    clients = {
        CLIENT: Registered(SECRET, frozenset({FULL, *ACCOUNT_SCOPES})),
        ACCOUNT: Registered(SECRET, ACCOUNT_SCOPES),
    }
    people = cluster.people
    tokens = {user.name: user.token for user in (people.alice, people.carol, people.mallory)}
    binding = plane.bind(TEAM_A, "view", group="readers-of-a")
    with (
        openshift(clients, tokens) as stand_in,
        reviewing_account(plane, "openshift", state=state) as kubeconfig,
    ):

        def provider(name: str, client: str, **more: object) -> Object:
            scopes = {} if client == CLIENT else {"scopes": sorted(ACCOUNT_SCOPES)}
            return {
                "kind": "openshift",
                "name": name,
                "apiServer": stand_in.url,
                "certificateAuthority": None,
                "client": {"id": client, "secret": SECRET, **scopes},
                "renewSeconds": 1,
                **more,
            }

        with sign_in_server(
            state / "server",
            kubeconfig=kubeconfig,
            database=database,
            pki=create_pki(state / "pki"),
            providers=[
                provider(BY_TOKEN, CLIENT),
                provider(BY_NAME, ACCOUNT),
                provider(FOR_ADMINS, ACCOUNT, allowedGroups=["mlflow-admins"]),
            ],
        ) as server:
            yield OpenShiftSite(cluster, server, stand_in)
    plane.delete(binding)


def sign_in(somebody: Person, user: str, provider: str) -> int:
    """Returns the status of the last answer."""
    return somebody.ask("GET", somebody.log_in_at(somebody.begin(provider), user)).status


def status(somebody: Person, workspace: str = TEAM_A) -> int:
    return somebody.ask("GET", SEARCH, workspace=workspace, headers=OWN_PAGE).status


@pytest.mark.parametrize("provider", [BY_TOKEN, BY_NAME])
def test_rbac_decides_about_who_signs_in(site: OpenShiftSite, provider: str) -> None:
    """Given alice, who may work in team-a, and mallory, who may nothing, then so it is in a browser."""
    with person(site.server) as alice, person(site.server) as mallory:
        assert sign_in(alice, "alice", provider) == sign_in(mallory, "mallory", provider) == 303
        assert (status(alice), status(alice, TEAM_B)) == (200, 403)
        assert (status(mallory), status(mallory, TEAM_B)) == (403, 403)


@pytest.mark.parametrize(
    ("provider", "scopes"), [(BY_TOKEN, {FULL}), (BY_NAME, {"user:info", "user:check-access"})]
)
def test_no_more_scopes_are_asked_for_than_the_client_may_have(
    site: OpenShiftSite, provider: str, scopes: set[str]
) -> None:
    with person(site.server) as alice:
        asked = parse_qs(urlsplit(alice.begin(provider)).query)
    assert set(asked["scope"][0].split()) == scopes
    assert asked["code_challenge_method"] == ["S256"]


@pytest.mark.parametrize("provider", [BY_TOKEN, BY_NAME])
def test_a_session_ends_with_its_token(site: OpenShiftSite, provider: str) -> None:
    """Given a session, when an administrator deletes the token, then it ends at the next renewal."""
    with person(site.server) as carol:
        assert sign_in(carol, "carol", provider) == 303
        assert status(carol, TEAM_B) == 200
        site.openshift.revoke("carol")
        until(lambda: status(carol, TEAM_B) == 401)


def test_a_change_of_groups_counts_at_the_next_renewal(site: OpenShiftSite) -> None:
    with person(site.server) as carol:
        assert sign_in(carol, "carol", BY_NAME) == 303
        assert status(carol) == 403
        site.openshift.groups["carol"] = ["readers-of-a"]
        until(lambda: status(carol) == 200)
        del site.openshift.groups["carol"]
        until(lambda: status(carol) == 403)


def test_only_members_of_a_group_sign_in_where_one_is_named(site: OpenShiftSite) -> None:
    with person(site.server) as alice:
        assert sign_in(alice, "alice", FOR_ADMINS) == 403
        assert SESSION not in alice.cookies
        site.openshift.groups["alice"] = ["mlflow-admins"]
        assert sign_in(alice, "alice", FOR_ADMINS) == 303
        del site.openshift.groups["alice"]
        until(lambda: status(alice) == 401)


def test_signing_out_deletes_the_full_token(site: OpenShiftSite) -> None:
    """As ``oc logout`` does. A token with the scopes of a service account cannot delete itself."""
    with person(site.server) as alice:
        assert sign_in(alice, "alice", BY_TOKEN) == 303
        assert alice.ask("POST", OUT, headers=OWN_PAGE).status == 303
        assert site.openshift.deleted[-1:] == [name_of(site.cluster.people.alice.token)]
        count = len(site.openshift.deleted)
        assert sign_in(alice, "alice", BY_NAME) == 303
        assert alice.ask("POST", OUT, headers=OWN_PAGE).status == 303
        assert len(site.openshift.deleted) == count
        assert status(alice) == 401


def test_who_the_cluster_does_not_let_in_is_told_so(site: OpenShiftSite) -> None:
    with person(site.server) as alice:
        login = urlsplit(alice.begin(BY_NAME))
        state = parse_qs(login.query)["state"][0]
        answer = alice.ask("GET", f"/workspace-authz/sign-in/callback?error=access_denied&state={state}")
        assert answer.status == 401
        assert "OpenShift has not signed you in." in answer.text
