"""Which workspace a request means: one value, or a refusal that helps."""

from __future__ import annotations

import pytest

from workspace_authz.errors import BadRequestError
from workspace_authz.types import UserInfo
from workspace_authz.workspaces.requested import WorkspaceRule, requested_workspace

ALICE = UserInfo("alice")
TRAINER = UserInfo("system:serviceaccount:team-sa:trainer")
PLAIN = WorkspaceRule()


def of(
    *headers: bytes, rule: WorkspaceRule = PLAIN, parameter: str | None = None, user: UserInfo = ALICE
) -> str:
    return requested_workspace(rule, parameter=parameter, headers=headers, user=user)


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
