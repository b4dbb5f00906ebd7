"""A Role that works on Red Hat OpenShift AI works here unchanged.

The rules are those of the operator's ClusterRoles (opendatahub-io/mlflow-operator, ``config/rbac``, August
2026), those of its own API groups left out.
"""

from __future__ import annotations

import pytest

from workspace_authz.roles.policy import EDIT, INTEGRATION, VIEW, Right, Role
from workspace_authz.types import USABLE, USE, Resource, Verb

Rules = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

RHOAI_VIEW: Rules = (
    (
        (
            "datasets",
            "experiments",
            "registeredmodels",
            "gatewayendpoints",
            "gatewaymodeldefinitions",
            "mcpservers",
        ),
        ("get", "list"),
    ),
)
RHOAI_EDIT: Rules = (
    (("gatewaysecrets",), ("get", "list")),
    (
        (
            "datasets",
            "experiments",
            "registeredmodels",
            "gatewaysecrets",
            "gatewayendpoints",
            "gatewaymodeldefinitions",
            "mcpservers",
        ),
        ("create", "update", "delete"),
    ),
    (("gatewaysecrets/use", "gatewayendpoints/use", "gatewaymodeldefinitions/use"), ("create",)),
)
RHOAI_INTEGRATION: Rules = (
    (("datasets", "experiments", "registeredmodels"), ("get", "list", "create", "update")),
    (("gatewayendpoints",), ("get", "list")),
    (("mcpservers",), ("get", "list")),
    (("gatewayendpoints/use",), ("create",)),
)


def rights(rules: Rules) -> set[Right]:
    """Raises ``ValueError`` on a resource or verb that this project does not know."""
    return {
        Right(Resource(resource.partition("/")[0]), resource.partition("/")[2], Verb(verb))
        for resources, verbs in rules
        for resource in resources
        for verb in verbs
    }


@pytest.mark.parametrize("rules", [RHOAI_VIEW, RHOAI_EDIT, RHOAI_INTEGRATION])
def test_every_right_is_one_that_we_ask_for(rules: Rules) -> None:
    for right in rights(rules):
        assert right.subresource in {"", USE}
        assert not right.subresource or (right.resource in USABLE and right.verb is Verb.CREATE)


@pytest.mark.parametrize(
    ("rules", "role"),
    [(RHOAI_VIEW, VIEW), (RHOAI_VIEW + RHOAI_EDIT, EDIT), (RHOAI_INTEGRATION, INTEGRATION)],
    ids=["view", "edit", "integration"],
)
def test_our_role_of_the_same_name_gives_no_less(rules: Rules, role: Role) -> None:
    assert rights(rules) <= role.rights


def test_what_our_roles_give_beyond_theirs() -> None:
    beyond_view = {str(right) for right in VIEW.rights - rights(RHOAI_VIEW)}
    assert beyond_view == {
        f"{verb} {name}"
        for verb in ("get", "list")
        for name in ("gatewayguardrails", "gatewaybudgets", "skills")
    }
    beyond_integration = {str(right) for right in INTEGRATION.rights - rights(RHOAI_INTEGRATION)}
    assert beyond_integration == {
        *("create mcpservers", "update mcpservers"),
        *("get skills", "list skills", "create skills", "update skills"),
    }
    beyond_edit = {str(right) for right in EDIT.rights - VIEW.rights - rights(RHOAI_EDIT)}
    assert beyond_edit == {
        f"{verb} {name}"
        for verb in ("create", "update", "delete")
        for name in ("gatewayguardrails", "skills")
    }
