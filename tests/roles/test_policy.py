"""The role policy: the table that was agreed on, and the relations between its columns."""

from __future__ import annotations

import pytest

from workspace_authz.roles.policy import ADMIN, EDIT, INTEGRATION, ROLES, VIEW, Right, Role
from workspace_authz.types import USABLE, USE, Resource, Verb

READ, WORK, ALL = "get list", "get list create update", "get list create update delete"

# resource[/subresource], then the verbs of view, edit, admin, integration.
TABLE = (
    ("experiments", READ, ALL, ALL, WORK),
    ("registeredmodels", READ, ALL, ALL, WORK),
    ("datasets", READ, ALL, ALL, WORK),
    ("mcpservers", READ, ALL, ALL, WORK),
    ("skills", READ, ALL, ALL, WORK),
    ("gatewayendpoints", READ, ALL, ALL, READ),
    ("gatewayendpoints/use", "", "create", "create", "create"),
    ("gatewaymodeldefinitions", READ, ALL, ALL, ""),
    ("gatewaymodeldefinitions/use", "", "create", "create", ""),
    ("gatewayguardrails", READ, ALL, ALL, ""),
    ("gatewaysecrets", "", ALL, ALL, ""),
    ("gatewaysecrets/use", "", "create", "create", ""),
    ("gatewaybudgets", READ, READ, ALL, ""),
    ("assistants", "", "", ALL, ""),
)


def rights_in(column: int) -> frozenset[Right]:
    """The rights of one column of the table."""
    rights = set()
    for row in TABLE:
        resource, _, subresource = row[0].partition("/")
        rights |= {Right(Resource(resource), subresource, Verb(verb)) for verb in row[column].split()}
    return frozenset(rights)


def named(rights: frozenset[Right]) -> set[str]:
    return {str(right) for right in rights}


@pytest.mark.parametrize(
    ("column", "role"), [*enumerate(ROLES, start=1)], ids=["view", "edit", "admin", "integration"]
)
def test_role_is_its_column_of_the_table(column: int, role: Role) -> None:
    assert role.rights == rights_in(column)


def test_table_names_every_resource_and_subresource() -> None:
    assert {row[0] for row in TABLE} == {*Resource, *(f"{resource}/{USE}" for resource in USABLE)}


def test_each_role_holds_the_one_before() -> None:
    assert VIEW.rights < EDIT.rights < ADMIN.rights


def test_edit_lacks_only_budgets_and_the_assistant() -> None:
    assert named(ADMIN.rights - EDIT.rights) == {
        "create gatewaybudgets",
        "update gatewaybudgets",
        "delete gatewaybudgets",
        *(f"{verb} assistants" for verb in Verb),
    }


def test_view_reads_and_nothing_secret() -> None:
    assert {right.verb for right in VIEW.rights} == {Verb.GET, Verb.LIST}
    assert not {right for right in VIEW.rights if right.subresource}
    assert Resource.GATEWAY_SECRETS not in {right.resource for right in VIEW.rights}


def test_integration_is_part_of_edit() -> None:
    assert INTEGRATION.rights < EDIT.rights


def test_integration_never_holds_delete_or_a_secret() -> None:
    assert Verb.DELETE not in {right.verb for right in INTEGRATION.rights}
    assert Resource.GATEWAY_SECRETS not in {right.resource for right in INTEGRATION.rights}


def test_view_reads_what_integration_may_not() -> None:
    assert named(VIEW.rights - INTEGRATION.rights) == {
        f"{verb} {resource}"
        for verb in ("get", "list")
        for resource in ("gatewaymodeldefinitions", "gatewayguardrails", "gatewaybudgets")
    }


def test_whoever_reads_a_resource_may_both_get_and_list_it() -> None:
    for role in ROLES:
        read = {right for right in role.rights if right.verb in {Verb.GET, Verb.LIST}}
        by_verb = [{right.resource for right in read if right.verb is verb} for verb in (Verb.GET, Verb.LIST)]
        assert by_verb[0] == by_verb[1], role.name
