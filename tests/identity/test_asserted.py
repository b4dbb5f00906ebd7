"""Users by asserted names: as they are, never with a name of Kubernetes' own, and bounded."""

from __future__ import annotations

import pytest

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.asserted import MAX_GROUPS, MAX_NAME_BYTES, asserted_user
from workspace_authz.types import UserInfo

SOURCE = "the header X-Remote-User"


def refusal(name: str, *groups: str, allowed: frozenset[str] = frozenset()) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        asserted_user(name, groups, source=SOURCE, allowed=allowed)
    assert SOURCE in caught.value.message
    return caught.value.message


def test_everybody_is_authenticated() -> None:
    """Without that group no binding to it matches, because the API server does not add it to a review."""
    assert asserted_user("alice", ["team", "", "team", "admins"], source=SOURCE) == UserInfo(
        "alice", groups=("team", "admins", "system:authenticated")
    )
    assert asserted_user("alice", source=SOURCE).groups == ("system:authenticated",)


def test_the_group_of_everybody_may_be_asserted_and_changes_nothing() -> None:
    asserted = asserted_user("alice", ["system:authenticated", "team"], source=SOURCE)
    assert asserted.groups == ("team", "system:authenticated")


@pytest.mark.parametrize(
    "name",
    [
        "system:masters",
        "system:admin",
        "system:anonymous",
        "system:serviceaccount:team-a:trainer",
        "system:node:one",
        "system:",
    ],
)
def test_names_of_kubernetes_own_are_refused(name: str) -> None:
    assert "Kubernetes' own" in refusal(name)
    assert "Kubernetes' own" in refusal("alice", "team", name)


def test_an_exact_name_can_be_allowed() -> None:
    allowed = frozenset({"system:authenticated:oauth"})
    user = asserted_user("alice", ["system:authenticated:oauth"], source=SOURCE, allowed=allowed)
    assert user.groups == ("system:authenticated:oauth", "system:authenticated")
    refusal("alice", "system:authenticated:oauth2", allowed=allowed)
    refusal("alice", "system:masters", allowed=allowed)


@pytest.mark.parametrize(
    "name", ["SYSTEM:masters", " system:masters", "ｓystem:masters", "systеm:masters", "kube:system:masters"]
)
def test_a_name_counts_as_it_is(name: str) -> None:
    """For RBAC these are other names, without any right of the one that they look like."""
    assert asserted_user("alice", [name], source=SOURCE).groups[0] == name


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x00", "a\x7fb", "a\x85b", "a\u202eb", "a\u200bb", "a\ud800", "\t"]
)
def test_what_cannot_be_printed_is_no_name(name: str) -> None:
    assert "cannot be printed" in refusal(name)
    assert "cannot be printed" in refusal("alice", name)


@pytest.mark.parametrize("name", ["jörg", "José", "Jose\u0301", "群組", "Domain Users", "CN=a,OU=b", "a|b"])
def test_other_characters_are_kept(name: str) -> None:
    user = asserted_user(name, [name], source=SOURCE)
    assert (user.username, user.groups[0]) == (name, name)


def test_a_name_has_a_length() -> None:
    longest = "ö" * (MAX_NAME_BYTES // 2)
    assert asserted_user(longest, [longest], source=SOURCE).username == longest
    assert "longer than 1,024 bytes" in refusal(longest + "x")
    assert "longer than 1,024 bytes" in refusal("alice", longest + "x")
    assert "empty" in refusal("")


def test_groups_have_a_number() -> None:
    """Each counts once, and beyond the bound nothing more is looked at."""
    groups = [f"g{number}" for number in range(MAX_GROUPS)]
    assert len(asserted_user("alice", groups + groups, source=SOURCE).groups) == MAX_GROUPS + 1
    endless = (f"g{number}" for number in range(10_000))
    with pytest.raises(UnauthenticatedError, match="more than 1,000 groups"):
        asserted_user("alice", endless, source=SOURCE)
    assert next(endless) == f"g{MAX_GROUPS + 1}"
