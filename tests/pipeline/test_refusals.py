"""The words of a 403: the API server's own, and a command that an administrator can paste."""

from __future__ import annotations

import shlex

import pytest

from tests.pipeline.world import V2, World
from workspace_authz.errors import BadRequestError, ForbiddenError, MlflowRefusedError, RequestError
from workspace_authz.pipeline.refusals import forbidden, grant_command, smallest_role
from workspace_authz.roles.policy import ADMIN, EDIT, VIEW, Right
from workspace_authz.types import USABLE, USE, Attributes, Resource, UserInfo, Verb

ALICE = UserInfo("alice")
CREATE = Attributes("team-a", Verb.CREATE, Resource.EXPERIMENTS)


def test_a_broad_refusal_in_the_api_servers_own_words() -> None:
    refusal = forbidden(ALICE, CREATE)
    assert isinstance(refusal, ForbiddenError)
    assert refusal.message == (
        'experiments.mlflow.kubeflow.org is forbidden: User "alice" cannot create resource "experiments" '
        'in API group "mlflow.kubeflow.org" in the namespace "team-a". An administrator of the namespace can '
        "allow it: kubectl create rolebinding alice-mlflow-edit --clusterrole=mlflow-edit --user=alice "
        "-n team-a"
    )


def test_a_refusal_that_concerns_one_object_names_it() -> None:
    asked = Attributes("team-a", Verb.GET, Resource.DATASETS, name="quarterly")
    assert forbidden(ALICE, asked).message.startswith(
        'datasets.mlflow.kubeflow.org "quarterly" is forbidden: User "alice" cannot get resource "datasets"'
    )


def test_a_use_names_the_subresource() -> None:
    asked = Attributes("team-a", Verb.CREATE, Resource.GATEWAY_ENDPOINTS, "use")
    assert (
        'gatewayendpoints.mlflow.kubeflow.org is forbidden: User "alice" cannot create resource '
        '"gatewayendpoints/use"' in forbidden(ALICE, asked).message
    )


def test_a_service_account_is_granted_as_one() -> None:
    account = UserInfo("system:serviceaccount:team-a:trainer")
    assert grant_command(account, CREATE) == (
        "kubectl create rolebinding trainer-mlflow-edit --clusterrole=mlflow-edit "
        "--serviceaccount=team-a:trainer -n team-a"
    )


@pytest.mark.parametrize(
    "name",
    ["alice@example.com", "https://issuer#Bob B.", "x; rm -rf /", "$(id)", 'q"q', "-", "système", "`id`"],
)
def test_the_command_is_one_that_a_shell_reads_as_meant(name: str) -> None:
    words = shlex.split(grant_command(UserInfo(name), CREATE))
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


@pytest.mark.parametrize(
    "asked", EVERY_QUESTION, ids=lambda asked: f"{asked.verb} {asked.qualified_resource}"
)
def test_the_role_of_the_command_is_the_smallest_that_would_do(asked: Attributes) -> None:
    right = Right(asked.resource, asked.subresource, asked.verb)
    holding = [role.name for role in (VIEW, EDIT, ADMIN) if right in role.rights]
    assert smallest_role(asked) == holding[0]


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
