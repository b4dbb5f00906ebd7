"""The server acts as people without a token of the cluster, if an administrator allows it on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from uuid import uuid4

import pytest

from tests.grants.conftest import OTHER_TEAM, PATIENCE_SECONDS, TEAM, People
from tests.harness.plane import RBAC, REAL, Object, Plane
from workspace_authz.devplane.api import until
from workspace_authz.errors import ForbiddenError, MisconfiguredError
from workspace_authz.grants.objects import WORKSPACE_ROLES
from workspace_authz.grants.subjects import user_subject
from workspace_authz.grants.writing import GrantWriter
from workspace_authz.kubernetes.callers_objects import ImpersonatedObjects
from workspace_authz.kubernetes.configuration import ApiConfiguration, load_configuration
from workspace_authz.kubernetes.connection import caller_connection, server_connection
from workspace_authz.kubernetes.credentials import AssertedUser
from workspace_authz.kubernetes.objects import ApiObjects
from workspace_authz.kubernetes.own_credential import FileCredential, Impersonation
from workspace_authz.types import Caller, UserInfo

REAL_ENGINE = pytest.mark.parametrize("plane", [REAL], indirect=True)
"""The embedded engine has no impersonation."""
EDIT = WORKSPACE_ROLES["edit"]


def named(name: str, *groups: str) -> Caller:
    return Caller(UserInfo(name, groups=groups), AssertedUser())


@contextmanager
def may_impersonate(plane: Plane, rules: Sequence[Object]) -> Iterator[None]:
    """The server's account holds ``rules`` while the block lasts, by an administrator's ClusterRole."""
    role = f"acting-{uuid4()}"
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": role}}
    plane.make(f"{RBAC}/clusterroles", {**rbac, "kind": "ClusterRole", "rules": list(rules)})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    account = {"kind": "ServiceAccount", "namespace": "mlflow", "name": "mlflow"}
    plane.make(
        f"{RBAC}/clusterrolebindings",
        {**rbac, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [account]},
    )
    yield
    plane.delete(f"{RBAC}/clusterrolebindings/{role}")
    plane.delete(f"{RBAC}/clusterroles/{role}")


@asynccontextmanager
async def acting(plane: Plane) -> AsyncIterator[ImpersonatedObjects]:
    connection = server_connection(await load_configuration(str(plane.server_kubeconfig)))
    try:
        yield ImpersonatedObjects(connection, timeout=20.0)
    finally:
        await connection.close()


def writer_of(impersonated: ImpersonatedObjects, caller: Caller) -> GrantWriter:
    objects = impersonated.of(caller)
    assert objects is not None
    return GrantWriter(objects)


def whole(*, users: Sequence[str], groups: Sequence[str]) -> list[Object]:
    """The right to do all that they may, as Kubernetes always had it."""
    verbs = ["impersonate"]
    return [
        {"apiGroups": [""], "resources": ["users"], "resourceNames": [*users], "verbs": verbs},
        {"apiGroups": [""], "resources": ["groups"], "resourceNames": [*groups], "verbs": verbs},
    ]


def constrained(*, users: Sequence[str], groups: Sequence[str]) -> list[Object]:
    """The right to act as them on Roles and RoleBindings alone (Kubernetes 1.36)."""
    whom = {"apiGroups": ["authentication.k8s.io"], "verbs": ["impersonate:user-info"]}
    on = [f"impersonate-on:user-info:{verb}" for verb in ("get", "list", "create", "update", "delete")]
    return [
        {**whom, "resources": ["users"], "resourceNames": [*users]},
        {**whom, "resources": ["groups"], "resourceNames": [*groups]},
        {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["roles", "rolebindings"],
            "verbs": on,
        },
    ]


@REAL_ENGINE
async def test_the_server_writes_as_the_caller_and_kubernetes_decides_about_the_caller(
    plane: Plane, people: People
) -> None:
    subject = user_subject(f"user-{uuid4()}")
    adele, bob = (named(user.name, *user.groups) for user in (people.adele, people.bob))
    async with acting(plane) as impersonated:
        # Given an account that may act as nobody: the error is the server's, not the caller's
        with pytest.raises(MisconfiguredError, match="its account may not"):
            await writer_of(impersonated, adele).grant_role(subject, TEAM, role=EDIT)
        for rules in (constrained, whole):
            # When it may act as two people and one group, and the namespace's administrator grants
            with may_impersonate(plane, rules(users=["adele", "bob"], groups=["admins"])):
                # Then it is done as them
                assert await once_allowed(
                    lambda: writer_of(impersonated, adele).grant_role(subject, TEAM, role=EDIT)
                )
                # And who may not is refused as themselves, wherever that is
                for caller, namespace in ((bob, TEAM), (adele, OTHER_TEAM)):
                    with pytest.raises(ForbiddenError, match=f'User "{caller.user.username}" cannot get'):
                        await writer_of(impersonated, caller).grant_role(subject, namespace, role=EDIT)
                # And others are not acted for
                for other in (named("adam"), named("adele", "another-group")):
                    with pytest.raises(MisconfiguredError):
                        await writer_of(impersonated, other).revoke_role(subject, TEAM, role=EDIT)
                await writer_of(impersonated, adele).revoke_role(subject, TEAM, role=EDIT)
                # And with the constrained right nothing else of theirs is within reach
                secrets = impersonated.of(adele)
                assert secrets is not None
                if rules is constrained:
                    with pytest.raises(MisconfiguredError):
                        await secrets.list(f"/api/v1/namespaces/{TEAM}/secrets")
                else:
                    await secrets.list(f"/api/v1/namespaces/{TEAM}/secrets")
            # Else the next right would seem to be there while this one is, and then for a moment neither.
            await once_forgotten(impersonated, adele)


async def once_allowed(attempt: Callable[[], Awaitable[bool]]) -> bool:
    """kube-apiserver's authorizer follows a moment later."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await attempt()
            except MisconfiguredError:
                await asyncio.sleep(0.05)


async def once_forgotten(impersonated: ImpersonatedObjects, caller: Caller) -> None:
    """The same for the end of a right."""
    objects = impersonated.of(caller)
    assert objects is not None

    async def forgotten() -> bool:
        try:
            await objects.list(f"{RBAC}/namespaces/{TEAM}/rolebindings")
        except MisconfiguredError:
            return True
        return False

    async with asyncio.timeout(PATIENCE_SECONDS):
        await until(forgotten)


@pytest.mark.parametrize(
    "caller",
    [
        named("system:admin"),
        named("system:serviceaccount:team-a:trainer"),
        named("alice", "system:masters"),
        named("alice", "devs", "system:nodes"),
    ],
)
async def test_it_never_acts_as_kubernetes_itself(caller: Caller) -> None:
    async with nowhere() as impersonated:
        with pytest.raises(ForbiddenError, match="never acts as a user or group"):
            impersonated.of(caller)


@pytest.mark.parametrize(
    "caller",
    [
        named(" alice"),
        named("alice "),
        named("alice", "devs\t"),
        named("a\r\nImpersonate-Group: system:masters"),
    ],
)
async def test_a_name_that_would_arrive_as_another_is_not_sent(caller: Caller) -> None:
    async with nowhere() as impersonated:
        assert impersonated.of(caller) is None


async def test_what_everybody_is_in_needs_no_right_to_impersonate() -> None:
    async with nowhere() as impersonated:
        objects = impersonated.of(named("alice", "devs", "system:authenticated"))
        assert isinstance(objects, ApiObjects)
        assert objects.acting_as == Impersonation("alice", ("devs",))


async def test_a_caller_with_a_token_is_nobody_else() -> None:
    configuration = ApiConfiguration(host="http://localhost:1", credential=FileCredential("own"))
    connection = caller_connection(configuration)
    with pytest.raises(ValueError, match="acts as themselves"):
        await ApiObjects(connection, "alice-token", 1.0, Impersonation("bob")).get("/api")
    await connection.close()


@asynccontextmanager
async def nowhere() -> AsyncIterator[ImpersonatedObjects]:
    configuration = ApiConfiguration(host="http://localhost:1", credential=FileCredential("own"))
    connection = server_connection(configuration)
    try:
        yield ImpersonatedObjects(connection, timeout=1.0)
    finally:
        await connection.close()
