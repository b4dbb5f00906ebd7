"""The tour's data holds together, and says what the issue demands."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from workspace_authz.apps.demo.people import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    PEOPLE,
    TRAINER,
    USERS,
    new_tokens,
    role_binding,
    users_file,
)
from workspace_authz.apps.demo.steps import models, tracking
from workspace_authz.apps.demo.tour import ADMINISTRATOR, FORBIDDEN, NOBODY, STAGES, UNAUTHENTICATED, Step

STEPS = [step for stage in STAGES for step in stage.steps]


def test_everybody_has_the_rights_of_the_story() -> None:
    rights = {person.name: (person.role, person.namespace) for person in PEOPLE}

    assert rights == {
        "alice": ("edit", "team-a"),
        "bob": ("view", "team-a"),
        "carol": ("admin", "team-b"),
        "mallory": ("", ""),
        "trainer": ("mlflow-integration", "team-a"),
    }


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.who}: {step.what}")
def test_whoever_takes_a_step_knows_how(step: Step) -> None:
    known = {
        ADMINISTRATOR: {"bind", "unbind"},
        BOB.name: set(models.ACTIONS),
        TRAINER.name: set(models.ACTIONS),
        **{name: set(tracking.ACTIONS) for name in (NOBODY, ALICE.name, CAROL.name, MALLORY.name)},
    }

    assert step.action in known[step.who]


def test_who_has_no_rights_is_refused_and_teams_do_not_mix() -> None:
    refused = {(step.who, step.workspace or "") for step in STEPS if step.expected == FORBIDDEN}

    assert {
        ("mallory", "team-a"),
        ("alice", "team-b"),
        ("bob", "team-b"),
        ("carol", "team-a"),
        ("trainer", "team-b"),
    } <= refused
    assert [step.who for step in STEPS if step.expected == UNAUTHENTICATED] == [NOBODY]


def test_no_token_can_be_taken_for_an_option() -> None:
    assert all(token.isalnum() for _ in range(50) for token in new_tokens().values())


def test_each_user_has_a_line_of_the_static_token_file_and_no_token_twice() -> None:
    tokens = new_tokens()

    lines = users_file(tokens).splitlines()

    assert [line.split(",") for line in lines] == [
        [tokens[user.name], user.name, user.name] for user in USERS
    ]
    assert len(set(tokens.values())) == len(USERS)


BINDINGS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: alice-edit, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: trainer-mlflow-integration, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlflow-integration}
subjects: [{kind: ServiceAccount, name: trainer, namespace: team-a}]
"""


def test_role_bindings_are_those_that_kubectl_makes() -> None:
    made: list[dict[str, Any]] = [
        role_binding(person, role=person.role, namespace=person.namespace) for person in (ALICE, TRAINER)
    ]

    assert made == list(yaml.safe_load_all(BINDINGS))
