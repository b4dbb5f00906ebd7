"""Which workspace a request means: one value, or a refusal that helps."""

from __future__ import annotations

import pytest

from workspace_authz.errors import BadRequestError
from workspace_authz.types import UserInfo
from workspace_authz.workspaces.requested import (
    StatedWorkspaces,
    WorkspaceRule,
    foreseen_workspace,
    requested_workspace,
)

ALICE = UserInfo("alice")
TRAINER = UserInfo("system:serviceaccount:team-sa:trainer")
PLAIN = WorkspaceRule()


def of(
    *headers: bytes, rule: WorkspaceRule = PLAIN, parameter: str | None = None, user: UserInfo = ALICE
) -> str:
    return requested_workspace(rule, StatedWorkspaces(headers=headers), parameter=parameter, user=user)


def test_the_path_comes_before_the_header() -> None:
    assert of(b"from-header", parameter="from-path") == "from-path"


def test_the_header_is_stripped_as_mlflow_does() -> None:
    assert of(b"  team-a ") == "team-a"


def test_the_same_header_twice_is_one_name_and_two_names_are_refused() -> None:
    assert of(b"team-a", b"team-a ") == "team-a"
    with pytest.raises(BadRequestError, match="two different workspaces"):
        of(b"team-a", b"team-b")


@pytest.mark.parametrize("header", [(), (b"",), (b"  ",)])
def test_a_request_that_names_none_gets_the_default_or_a_clear_400(header: tuple[bytes, ...]) -> None:
    assert of(*header, rule=WorkspaceRule(default="shared")) == "shared"
    with pytest.raises(BadRequestError, match="set MLFLOW_WORKSPACE"):
        of(*header)


def test_a_service_accounts_own_namespace_comes_before_the_default_where_that_is_set() -> None:
    own = WorkspaceRule(default="shared", service_account=True)
    assert of(rule=own, user=TRAINER) == "team-sa"
    assert of(rule=own, user=ALICE) == "shared"
    assert of(b"team-a", rule=own, user=TRAINER) == "team-a"
    assert of(rule=WorkspaceRule(default="shared"), user=TRAINER) == "shared"


@pytest.mark.parametrize(
    "name",
    [
        b"Team-A",
        b"-a",
        b"a-",
        b"a_b",
        b"a.b",
        b"a/b",
        b"..",
        b"a%2fb",
        b"a" * 64,
        "tëam".encode(),
        b"a\nb",
    ],
)
def test_what_cannot_be_a_namespace_is_refused(name: bytes) -> None:
    with pytest.raises(BadRequestError, match="cannot be the name"):
        of(name)


def test_the_longest_namespace_is_accepted() -> None:
    assert of(b"a" * 63) == "a" * 63


def test_a_server_without_workspaces_judges_everything_in_its_one_namespace() -> None:
    single = WorkspaceRule(single="ml")
    assert of(rule=single) == "ml"
    assert of(b"ml", rule=single) == "ml"
    with pytest.raises(BadRequestError, match="no workspaces"):
        of(b"team-a", rule=single)


def stated(
    *headers: bytes,
    url: str | None = None,
    credentials: tuple[str, ...] = (),
    parameter: str | None = None,
    rule: WorkspaceRule = PLAIN,
) -> str:
    given = StatedWorkspaces(url, headers, credentials)
    return requested_workspace(rule, given, parameter=parameter, user=ALICE)


def test_the_url_and_the_user_name_count_as_the_header_does() -> None:
    default = WorkspaceRule(default="shared")
    assert stated(url="team-a", rule=default) == "team-a"
    assert stated(credentials=("team-a",), rule=default) == "team-a"
    assert stated(b"team-a", b" ", url="team-a", credentials=("team-a", "team-a")) == "team-a"
    assert stated(url="team-a", rule=WorkspaceRule(single="team-a")) == "team-a"
    with pytest.raises(BadRequestError, match="no workspaces"):
        stated(url="team-b", rule=WorkspaceRule(single="team-a"))


@pytest.mark.parametrize(
    ("headers", "url", "credentials", "where"),
    [
        ((b"team-b",), "team-a", (), "its URL and X-MLFLOW-WORKSPACE."),
        ((), "team-a", ("team-b",), "its URL and the user name of Basic."),
        ((b"team-a",), None, ("team-b",), "X-MLFLOW-WORKSPACE and the user name of Basic."),
        ((), None, ("team-a", "team-b"), "in the user name of Basic."),
        ((b"team-a", b"team-b"), None, (), "in X-MLFLOW-WORKSPACE."),
        ((b"team-b",), "team-a", ("team-b",), "its URL and X-MLFLOW-WORKSPACE and the user name"),
        ((b"TEAM-A",), "team-a", (), "its URL and X-MLFLOW-WORKSPACE."),
    ],
)
@pytest.mark.parametrize("rule", [PLAIN, WorkspaceRule(default="team-a"), WorkspaceRule(single="team-a")])
def test_two_that_disagree_are_refused_and_their_places_are_named(
    headers: tuple[bytes, ...], url: str | None, credentials: tuple[str, ...], where: str, rule: WorkspaceRule
) -> None:
    with pytest.raises(BadRequestError, match="two different workspaces in ") as refusal:
        stated(*headers, url=url, credentials=credentials, rule=rule)
    assert where in refusal.value.message
    assert foreseen_workspace(rule, StatedWorkspaces(url, headers, credentials), parameter=None) is None


def test_a_route_about_a_workspace_must_name_that_of_the_url() -> None:
    assert stated(url="team-a", parameter="team-a") == "team-a"
    with pytest.raises(BadRequestError, match="two different workspaces in its URL"):
        stated(url="team-a", parameter="team-b")
    # MLflow's UI sends the header of the chosen workspace whatever it asks.
    assert stated(b"team-a", parameter="team-b") == "team-b"


@pytest.mark.parametrize("name", ["Team-A", "..", "a_b", "a" * 64])
def test_a_name_in_the_url_or_beside_a_password_must_be_possible_too(name: str) -> None:
    with pytest.raises(BadRequestError, match="cannot be the name"):
        stated(url=name)
    with pytest.raises(BadRequestError, match="cannot be the name"):
        stated(credentials=(name,))


@pytest.mark.parametrize(
    ("agent", "knows"),
    [
        (b"mlflow-python-client/2.9.2", False),
        (b"mlflow-python-client/2.22.1", False),
        (b"mlflow-python-client/3.3.2", False),
        (b"mlflow-python-client/3.6.0", False),
        (b"mlflow-python-client/3.9.0 extra", False),
        (b"mlflow-java-client/2.17.2", False),
        (b"mlflow-java-client/3.17.2", False),
        (b"mlflow-r-client/2.17.2", False),
        (b"mlflow-python-client/3.10.0", True),
        (b"mlflow-python-client/3.17.2", True),
        (b"mlflow-python-client/4", True),
        (b"mlflow-python-client/", True),
        (b"mlflow-python-client/" + b"9" * 5000, True),
        (b"curl/8 mlflow-python-client/2.9.2", True),
        (b"", True),
    ],
)
def test_a_client_that_ignores_mlflow_workspace_is_told_what_works(agent: bytes, knows: bool) -> None:
    with pytest.raises(BadRequestError, match="This request names no workspace: ") as refusal:
        requested_workspace(PLAIN, StatedWorkspaces(), parameter=None, user=ALICE, user_agent=agent)
    assert ("set MLFLOW_WORKSPACE" in refusal.value.message) is knows
    assert "…/workspaces/<namespace>" in refusal.value.message
    if not knows:
        client = agent.split()[0].decode()
        assert client.rpartition("." if "python" in client else "/")[0] in refusal.value.message
        assert "MLFLOW_TRACKING_URI" in refusal.value.message
