"""Tokens of a real Keycloak whose realm the API server trusts: they are Kubernetes tokens like others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.harness.browser import Profile, chromium
from tests.harness.command_line import log_in
from tests.harness.keycloak import USER_PREFIX, Keycloak
from tests.harness.keycloak_realm import PUBLIC_CLIENT
from tests.harness.plane import REAL
from tests.harness.sdk import Sdk, SdkError, sdk
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios import steps
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until

pytestmark = pytest.mark.parametrize("engine", [REAL], indirect=True)

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
CREATE = "/api/2.0/mlflow/experiments/create"


@pytest.fixture(scope="module")
def trusting(
    trusting_cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """MLflow guarded by an API server that trusts Keycloak, with no setting about it."""
    options = ServerOptions(kubeconfig=trusting_cluster.plane.server_kubeconfig, database=database)
    with mlflow_server(tmp_path_factory.mktemp("trusting"), options) as server:
        yield server


def statuses(server: MlflowServer, token: str) -> list[int]:
    """Of reading in both teams, and of writing in both."""
    answers = [server.ask("GET", SEARCH, token=token, workspace=team) for team in (TEAM_A, TEAM_B)]
    for team in (TEAM_A, TEAM_B):
        body = {"name": f"by-keycloak-{token[-16:]}"}
        answers.append(server.ask("POST", CREATE, token=token, workspace=team, json_body=body))
    return [answer.status for answer in answers]


def test_the_groups_of_the_token_are_those_of_bindings(trusting: MlflowServer, keycloak: Keycloak) -> None:
    token = keycloak.id_token("alice")
    trusting.skip_records()
    assert statuses(trusting, token) == [200, 200, 200, 403]
    assert [record["user"] for record in trusting.records(4)] == [f"{USER_PREFIX}alice"] * 4
    assert statuses(trusting, keycloak.id_token("bob")) == [403] * 4


def test_an_access_token_is_for_another_audience(trusting: MlflowServer, keycloak: Keycloak) -> None:
    """Given the token that a client holds for other services of the realm, then it is none here."""
    access = str(keycloak.tokens("alice")["access_token"])
    assert trusting.ask("GET", SEARCH, token=access, workspace=TEAM_A).status == 401


def test_a_new_group_counts_with_the_next_token(trusting: MlflowServer, keycloak: Keycloak) -> None:
    before = keycloak.id_token("bob")
    keycloak.add_to_group("bob", "team-b-viewers")
    try:
        after = keycloak.id_token("bob")
        assert [statuses(trusting, token)[1] for token in (before, after)] == [403, 200]
    finally:
        keycloak.remove_from_group("bob", "team-b-viewers")


def test_a_rotated_key_signs_for_the_same_people(trusting: MlflowServer, keycloak: Keycloak) -> None:
    """Given a key that the API server has not seen, then it fetches it; tokens of the old one stay good."""
    old = keycloak.id_token("alice")
    keycloak.rotate_keys()
    new = keycloak.id_token("alice")
    until(lambda: trusting.ask("GET", SEARCH, token=new, workspace=TEAM_A).status == 200)
    assert trusting.ask("GET", SEARCH, token=old, workspace=TEAM_A).status == 200


def test_an_api_server_that_does_not_trust_the_realm_refuses_its_tokens(
    server: MlflowServer, keycloak: Keycloak
) -> None:
    token = keycloak.id_token("alice")
    assert server.ask("GET", SEARCH, token=token, workspace=TEAM_A).status == 401


def sign_in(told: str, *, profile: Profile, keycloak: Keycloak) -> None:
    """What alice does after the line that the command printed, in her browser."""
    page = next(word for word in told.split() if word.startswith(keycloak.url))
    profile.go(page)
    profile.type("#username", "alice")
    profile.type("#password", keycloak.passwords["alice"])
    profile.click("#kc-login")
    if "/device" in page:
        profile.click("[name=accept]")  # she grants it
        profile.wait_for("text=Device Login Successful")
    else:
        profile.wait_for("text=You are logged in")


@pytest.mark.parametrize("how", [(), ("--device",)], ids=["browser", "device"])
def test_somebody_logs_in_from_the_shell_and_works(
    trusting: MlflowServer, keycloak: Keycloak, tmp_path: Path, how: tuple[str, ...]
) -> None:
    """When alice logs in, then the SDK is her, beyond the first token's end, until her sessions are ended."""
    keycloak.allow_redirects("http://127.0.0.1")
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    arguments = [f"--server={trusting.uri}", f"--issuer={keycloak.issuer}", f"--client-id={PUBLIC_CLIENT}"]
    arguments += [f"--ca-file={keycloak.authority}", f"--namespace={TEAM_A}", *how]
    keycloak.change_realm(accessTokenLifespan=31)  # the client renews a token 30 s before its end
    try:
        with chromium() as browser, browser.profile() as profile:
            follow = partial(sign_in, profile=profile, keycloak=keycloak)
            printed = log_in(*arguments, follow=[follow], environment=state)
        assert "as alice@example.com" in printed
        trusting.skip_records()
        with sdk(trusting.uri, tmp_path / "home", MLFLOW_TRACKING_AUTH="workspace-authz", **state) as person:
            experiment = person.run(steps.create_experiment, f"from-the-shell{''.join(how)}")
            first = kept(tmp_path)
            until(lambda: bool(person.run(steps.log_run, experiment)) and kept(tmp_path) != first)
            assert {record["user"] for record in trusting.records(2) if record["user"]} == {
                f"{USER_PREFIX}alice"
            }
            keycloak.end_sessions("alice")
            until(lambda: "log in again" in refused(person))
    finally:
        keycloak.change_realm(accessTokenLifespan=300)


def kept(folder: Path) -> str:
    """The login as it is on disk."""
    (file,) = folder.rglob("*.json")
    return file.read_text()


def refused(person: Sdk) -> str:
    """Why somebody may not list experiments; empty where they may."""
    try:
        person.run(steps.experiment_names)
    except SdkError as error:
        return error.message
    return ""
