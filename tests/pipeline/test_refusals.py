"""The words of a 403: the API server's own, and a command that an administrator can paste."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from tests.pipeline.world import V2, World
from workspace_authz.authorizer.rules import covers
from workspace_authz.errors import BadRequestError, ForbiddenError, MlflowRefusedError, RequestError
from workspace_authz.grants.levels import Level, rules_for
from workspace_authz.pipeline.refusals import forbidden, kubectl_line, object_grant_for, smallest_role
from workspace_authz.roles.policy import ADMIN, EDIT, INTEGRATION, VIEW, Right
from workspace_authz.types import USABLE, USE, Attributes, Resource, UserInfo, Verb

ALICE = UserInfo("alice")
TRAINER = UserInfo("system:serviceaccount:team-a:trainer")
CREATE = Attributes("team-a", Verb.CREATE, Resource.EXPERIMENTS)


def test_a_broad_refusal_in_the_api_servers_own_words() -> None:
    refusal = forbidden(ALICE, CREATE)
    assert isinstance(refusal, ForbiddenError)
    assert refusal.message == (
        'experiments.mlflow.kubeflow.org is forbidden: User "alice" cannot create resource "experiments" '
        'in API group "mlflow.kubeflow.org" in the namespace "team-a". An administrator of the namespace can '
        "allow it: workspace-authz grant alice edit -n team-a ; or: kubectl create rolebinding "
        "alice-mlflow-edit --clusterrole=mlflow-edit --user=alice -n team-a"
    )


def test_a_refusal_that_concerns_one_object_names_it() -> None:
    asked = Attributes("team-a", Verb.GET, Resource.DATASETS, name="quarterly")
    message = forbidden(ALICE, asked).message
    assert message.startswith(
        'datasets.mlflow.kubeflow.org "quarterly" is forbidden: User "alice" cannot get resource "datasets"'
    )
    assert message.endswith(
        "can allow it: workspace-authz grant alice read --dataset=quarterly -n team-a ; or for all of them "
        "there: kubectl create rolebinding alice-mlflow-view --clusterrole=mlflow-view --user=alice -n team-a"
    )


def test_a_use_names_the_subresource() -> None:
    asked = Attributes("team-a", Verb.CREATE, Resource.GATEWAY_ENDPOINTS, "use")
    assert (
        'gatewayendpoints.mlflow.kubeflow.org is forbidden: User "alice" cannot create resource '
        '"gatewayendpoints/use"' in forbidden(ALICE, asked).message
    )


def test_a_service_account_is_granted_as_one() -> None:
    assert forbidden(TRAINER, CREATE).message.endswith(
        "can allow it: workspace-authz grant system:serviceaccount:team-a:trainer integration -n team-a ; "
        "or: kubectl create rolebinding trainer-mlflow-integration --clusterrole=mlflow-integration "
        "--serviceaccount=team-a:trainer -n team-a"
    )


@pytest.mark.parametrize(
    "name",
    ["alice@example.com", "https://issuer#Bob B.", "x; rm -rf /", "$(id)", 'q"q', "-", "système", "`id`"],
)
def test_the_command_is_one_that_a_shell_reads_as_meant(name: str) -> None:
    words = shlex.split(kubectl_line(UserInfo(name), CREATE))
    assert words[:3] == ["kubectl", "create", "rolebinding"]
    assert words[4:] == ["--clusterrole=mlflow-edit", f"--user={name}", "-n", "team-a"]
    binding = words[3]
    assert binding.endswith("-mlflow-edit")
    assert binding.strip("-.") == binding
    assert set(binding) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


EVERY_QUESTION = [
    *(Attributes("n", verb, resource) for verb in Verb for resource in Resource),
    *(Attributes("n", Verb.CREATE, resource, USE) for resource in sorted(USABLE)),
]


NAMELESS = {Resource.GATEWAY_GUARDRAILS, Resource.GATEWAY_BUDGETS, Resource.ASSISTANTS}


@pytest.mark.parametrize(
    "asked", EVERY_QUESTION, ids=lambda asked: f"{asked.verb} {asked.qualified_resource}"
)
def test_the_role_of_the_command_is_the_smallest_that_would_do(asked: Attributes) -> None:
    right = Right(asked.resource, asked.subresource, asked.verb)
    holding = [role.name for role in (VIEW, EDIT, ADMIN) if right in role.rights]
    assert smallest_role(ALICE, asked) == holding[0]
    for_accounts = [role.name for role in (VIEW, INTEGRATION, EDIT, ADMIN) if right in role.rights]
    assert smallest_role(TRAINER, asked) == for_accounts[0]


@pytest.mark.parametrize(
    "asked", EVERY_QUESTION, ids=lambda asked: f"{asked.verb} {asked.qualified_resource}"
)
def test_the_level_on_one_object_is_the_least_that_would_do(asked: Attributes) -> None:
    grant = object_grant_for(replace(asked, name="fraud"))
    if grant is None:
        assert asked.resource in NAMELESS or (asked.verb is Verb.CREATE and not asked.subresource)
        return
    given = rules_for(grant.resource, grant.level, name=grant.name)
    assert any(covers(rule, asked) for rule in given)
    order = list(Level)
    for level in order[: order.index(grant.level)]:
        assert not any(covers(rule, asked) for rule in rules_for(grant.resource, level, name=grant.name))


@pytest.mark.parametrize("name", ["a b", "x; rm -rf /", "$(id)", "it's", "@acme/reviewer", "--admin", "ä"])
def test_an_object_of_any_name_is_one_word_for_a_shell_and_the_command(name: str) -> None:
    message = forbidden(ALICE, Attributes("team-a", Verb.UPDATE, Resource.SKILLS, name=name)).message
    command = message.partition("can allow it: ")[2].partition(" ; or for all")[0]
    assert shlex.split(command) == [
        *("workspace-authz", "grant", "alice", "edit", f"--skill={name}", "-n", "team-a")
    ]


@pytest.mark.parametrize("name", ["x" * 501, "a\nb", "a\x1b[2Jb"])
def test_a_name_that_nobody_types_is_not_in_a_command(name: str) -> None:
    message = forbidden(ALICE, Attributes("team-a", Verb.GET, Resource.DATASETS, name=name)).message
    assert "--dataset" not in message
    assert len(message) < 1200
    assert "can allow it: workspace-authz grant alice view -n team-a ; or: kubectl" in message


@pytest.mark.parametrize("name", ["-o", "x" * 513, "a\nb"])
def test_a_user_whom_the_command_would_not_read_is_granted_by_kubectl(name: str) -> None:
    assert "can allow it: kubectl create rolebinding" in forbidden(UserInfo(name), CREATE).message


async def test_what_mlflow_would_answer_is_told_once_a_right_is_known() -> None:
    answer = MlflowRefusedError("In MLflow's words.", document={"error_code": "BAD_REQUEST"})
    malformed = {"run_id": 7, "key": ["x"], "value": "v"}
    for held, told in ((("update experiments",), True), (("update experiments fraud",), False), ((), False)):
        world = World(*held)
        world.objects.refused = answer
        verdict = await world.judge("POST", f"{V2}/runs/set-tag", **malformed)
        assert isinstance(verdict.error, RequestError)
        assert (verdict.error is answer) is told, held
    world.objects.refused = None
    verdict = await World("update experiments").judge("POST", f"{V2}/runs/set-tag", **malformed)
    assert isinstance(verdict.error, BadRequestError)
    assert not isinstance(verdict.error, MlflowRefusedError)
