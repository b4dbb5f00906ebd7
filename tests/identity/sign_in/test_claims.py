"""Claims become users by kube-apiserver's rules."""

from __future__ import annotations

from typing import Any

import pytest

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.sign_in.claims import groups_of, user_of
from workspace_authz.settings.sign_in_file import ClaimMappings
from workspace_authz.types import UserInfo

MAPPINGS = ClaimMappings.model_validate(
    {
        "username": {"claim": "preferred_username", "prefix": "oidc:"},
        "groups": {"claim": "groups", "prefix": "oidc:"},
        "uid": {"claim": "sub"},
    }
)
BARE = ClaimMappings.model_validate(
    {"username": {"claim": "email", "prefix": ""}, "groups": {"claim": "groups", "prefix": ""}}
)
ALICE: dict[str, Any] = {"sub": "1", "preferred_username": "alice", "groups": ["people", "admins"]}


def test_names_get_their_prefixes() -> None:
    groups = ("oidc:people", "oidc:admins", "system:authenticated")
    assert user_of(ALICE, MAPPINGS) == UserInfo("oidc:alice", "1", groups)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [(None, ()), ("people", ("oidc:people",)), ([], ()), (["a", "a", ""], ("oidc:a", "oidc:"))],
)
def test_groups_may_be_one_name_or_missing(groups: object, expected: tuple[str, ...]) -> None:
    claims = {**ALICE, "groups": groups}
    assert user_of(claims, MAPPINGS).groups == (*expected, "system:authenticated")


@pytest.mark.parametrize("groups", [7, {"a": 1}, ["a", 7], [["a"]]])
def test_other_groups_are_refused(groups: object) -> None:
    with pytest.raises(UnauthenticatedError):
        groups_of({**ALICE, "groups": groups}, MAPPINGS)


@pytest.mark.parametrize("name", [None, "", 7, ["alice"]])
def test_a_user_needs_a_name(name: object) -> None:
    with pytest.raises(UnauthenticatedError, match="preferred_username"):
        user_of({**ALICE, "preferred_username": name}, MAPPINGS)


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "system:admin"},
        {"email": "system:serviceaccount:team-a:trainer"},
        {"email": "a@example.com", "groups": ["system:masters"]},
        {"email": "a@example.com", "groups": ["system:serviceaccounts"]},
        {"email": "a@example.com\n"},
    ],
)
def test_names_of_kubernetes_own_are_refused(claims: dict[str, Any]) -> None:
    """A review for the group system:masters is allowed everything."""
    with pytest.raises(UnauthenticatedError):
        user_of(claims, BARE)


def test_a_prefix_may_make_no_name_of_kubernetes_own() -> None:
    mappings = ClaimMappings.model_validate({"username": {"claim": "sub", "prefix": "system:"}})
    with pytest.raises(UnauthenticatedError):
        user_of({"sub": "admin"}, mappings)


@pytest.mark.parametrize(
    ("verified", "accepted"), [(True, True), (None, False), (False, False), ("true", False)]
)
def test_an_address_must_be_verified_unless_nothing_is_said(verified: object, accepted: bool) -> None:
    claims = {"email": "a@example.com", "email_verified": verified}
    if accepted:
        assert user_of(claims, BARE).username == "a@example.com"
    else:
        with pytest.raises(UnauthenticatedError, match="verified"):
            user_of(claims, BARE)
    assert user_of({"email": "a@example.com"}, BARE).username == "a@example.com"


def test_ten_thousand_groups_are_refused() -> None:
    claims = {"email": "a@example.com", "groups": [f"group-{number}" for number in range(10_000)]}
    with pytest.raises(UnauthenticatedError, match="1,000 groups"):
        user_of(claims, BARE)
