"""Grants on control planes of both engines: what is written, by whom, and what becomes of other objects."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.grants.conftest import OTHER_TEAM, PATIENCE_SECONDS, TEAM, People
from tests.harness.plane import GROUP, RBAC, Plane
from workspace_authz.devplane.api import until
from workspace_authz.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    MissingError,
    UnauthenticatedError,
)
from workspace_authz.grants.levels import Level, level_on, rules_for
from workspace_authz.grants.objects import (
    WORKSPACE_ROLES,
    ObjectGrant,
    Place,
    RoleRef,
    changed_level,
    described_role,
    object_grant,
    role_grant,
)
from workspace_authz.grants.subjects import Subject, SubjectKind, group_subject, user_subject
from workspace_authz.grants.writing import GrantWriter
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import caller_connection
from workspace_authz.kubernetes.objects import ApiObjects
from workspace_authz.types import Resource

VIEW, EDIT = WORKSPACE_ROLES["view"], WORKSPACE_ROLES["edit"]
FRAUD = ObjectGrant(Resource.EXPERIMENTS, "fraud detection/ä", Level.READ)


_NAMES = st.sampled_from(["x", "X", "a b", "x-edit", "ä", "", "-", "x" * 300])
_SUBJECTS = st.builds(
    Subject, st.sampled_from(SubjectKind), _NAMES.filter(bool), st.sampled_from(["", "team-a", "team-b"])
)
GRANTS = st.tuples(
    _SUBJECTS,
    st.builds(RoleRef, _NAMES.filter(bool), st.sampled_from(["Role", "ClusterRole"]))
    | st.builds(ObjectGrant, st.sampled_from(Resource), _NAMES.filter(bool), st.sampled_from(Level)),
)
"""Many that look alike."""


@asynccontextmanager
async def writing_as(plane: Plane, token: str) -> AsyncIterator[GrantWriter]:
    """A writer with the token of somebody. The kubeconfig holds a client certificate of an administrator."""
    configuration = await load_configuration(str(plane.certificate_kubeconfig))
    connection = caller_connection(configuration)
    try:
        yield GrantWriter(ApiObjects(connection, token, 20.0))
    finally:
        await connection.close()


def somebody() -> Subject:
    return user_subject(f"user-{uuid4()}@example.com")


def rbac(plane: Plane, plural: str, namespace: str = TEAM) -> dict[str, Any]:
    items = plane.ask("GET", f"{RBAC}/namespaces/{namespace}/{plural}").json["items"]
    return {item["metadata"]["name"]: item for item in items}


def naming(plane: Plane, subject: Subject) -> list[dict[str, Any]]:
    """The RoleBindings that name exactly ``subject``."""
    return [item for item in rbac(plane, "rolebindings").values() if item["subjects"] == [subject.manifest]]


def rights_of(plane: Plane, subject: Subject, *, resource: str, name: str = "") -> set[str]:
    """The verbs that Kubernetes allows to a user."""
    return {
        verb
        for verb in ("get", "list", "create", "update", "delete")
        if plane.ask(
            "POST",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": subject.text,
                    "resourceAttributes": {
                        "namespace": TEAM,
                        "verb": verb,
                        "group": GROUP,
                        "resource": resource,
                        "name": name,
                    },
                },
            },
        ).json["status"]["allowed"]
    }


async def until_rights(plane: Plane, subject: Subject, *, name: str, verbs: set[str]) -> None:
    """kube-apiserver's authorizer follows what is written a moment later."""

    async def held() -> bool:
        return rights_of(plane, subject, resource="experiments", name=name) == verbs

    async with asyncio.timeout(PATIENCE_SECONDS):
        await until(held)


@pytest.mark.parametrize(
    "subject",
    [
        user_subject("alice@example.com"),
        group_subject("data scientists/Ä"),
        user_subject("system:serviceaccount:team-b:trainer"),
        user_subject("https://idp.example/x#eve"),
    ],
    ids=lambda subject: subject.kind,
)
async def test_one_labelled_binding_for_each_subject_and_role(
    plane: Plane, people: People, subject: Subject
) -> None:
    async with writing_as(plane, people.adele.token) as writer:
        assert await writer.grant_role(subject, TEAM, role=EDIT)
        assert not await writer.grant_role(subject, TEAM, role=EDIT)
        assert await writer.grant_role(subject, TEAM, role=VIEW)
        edit, view = sorted(naming(plane, subject), key=lambda item: item["roleRef"]["name"])
        assert [each["roleRef"]["name"] for each in (edit, view)] == ["mlflow-edit", "mlflow-view"]
        assert edit["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "workspace-authz"}
        assert edit["metadata"]["annotations"] == {"mlflow.kubeflow.org/subject": subject.text}
        assert len(edit["metadata"]["name"]) <= 63
        await writer.revoke_role(subject, TEAM, role=EDIT)
        assert naming(plane, subject) == [view]
        await writer.revoke_role(subject, TEAM, role=VIEW)
        with pytest.raises(MissingError, match="does not hold the ClusterRole mlflow-view"):
            await writer.revoke_role(subject, TEAM, role=VIEW)


async def test_a_level_on_one_object_is_one_role_and_one_binding(plane: Plane, people: People) -> None:
    subject = somebody()
    async with writing_as(plane, people.adele.token) as writer:
        for level, verbs in (
            (Level.READ, {"get", "list"}),
            (Level.MANAGE, {"get", "list", "update", "delete"}),
            (Level.EDIT, {"get", "list", "update"}),
        ):
            grant = ObjectGrant(Resource.EXPERIMENTS, FRAUD.name, level)
            assert await writer.grant_object(subject, TEAM, grant=grant)
            assert not await writer.grant_object(subject, TEAM, grant=grant)
            (binding,) = naming(plane, subject)
            assert binding["metadata"]["annotations"]["mlflow.kubeflow.org/object"] == grant.text
            assert binding["metadata"]["annotations"]["mlflow.kubeflow.org/level"] == level
            role = rbac(plane, "roles")[binding["roleRef"]["name"]]
            assert role["rules"][0]["resourceNames"] == [FRAUD.name]
            await until_rights(plane, subject, name=FRAUD.name, verbs=verbs)
            assert not rights_of(plane, subject, resource="experiments", name="another")
        await writer.revoke_object(subject, TEAM, resource=Resource.EXPERIMENTS, name=FRAUD.name)
        assert not naming(plane, subject)
        assert role["metadata"]["name"] not in rbac(plane, "roles")
        with pytest.raises(MissingError, match="holds nothing on experiments"):
            await writer.revoke_object(subject, TEAM, resource=Resource.EXPERIMENTS, name=FRAUD.name)


async def test_use_where_nothing_can_be_used_is_reading(plane: Plane, people: People) -> None:
    subject = somebody()
    async with writing_as(plane, people.adele.token) as writer:
        await writer.grant_object(subject, TEAM, grant=ObjectGrant(FRAUD.resource, FRAUD.name, Level.USE))
        assert not await writer.grant_object(subject, TEAM, grant=FRAUD)


async def test_kubernetes_refuses_who_may_not_and_the_sentence_is_about_themselves(
    plane: Plane, people: People
) -> None:
    subject = somebody()
    for user, namespace in ((people.bob, TEAM), (people.mallory, TEAM), (people.adele, OTHER_TEAM)):
        async with writing_as(plane, user.token) as writer:
            with pytest.raises(
                ForbiddenError, match=f'User "{user.name}" cannot get resource "rolebindings"'
            ):
                await writer.grant_role(subject, namespace, role=EDIT)
            with pytest.raises(ForbiddenError, match=f'User "{user.name}"'):
                await writer.grant_object(subject, namespace, grant=FRAUD)
    async with writing_as(plane, "no.such.token") as writer:
        with pytest.raises(UnauthenticatedError):
            await writer.grant_role(subject, TEAM, role=EDIT)
    assert not naming(plane, subject)


async def test_nobody_grants_what_they_do_not_hold(plane: Plane, people: People) -> None:
    plane.role(TEAM, "binder", rules=[_all_of("rolebindings"), _all_of("roles")])
    helper, _ = people.helpers
    plane.bind(TEAM, "binder", user=helper.name, kind="Role")
    plane.bind(TEAM, "mlflow-view", user=helper.name)
    plane.wait_for_access(helper.token, TEAM, verb="list", resource="experiments")
    subject = somebody()
    manage = ObjectGrant(Resource.EXPERIMENTS, "fraud", Level.MANAGE)
    async with writing_as(plane, helper.token) as writer, asyncio.timeout(PATIENCE_SECONDS):
        while True:  # kube-apiserver follows its own objects
            with pytest.raises(ForbiddenError) as refused:
                await writer.grant_role(subject, TEAM, role=EDIT)
            if "not currently held" in refused.value.message:
                break
            await asyncio.sleep(0.05)
        with pytest.raises(ForbiddenError, match="not currently held"):
            await writer.grant_object(subject, TEAM, grant=manage)
        assert await writer.grant_object(subject, TEAM, grant=FRAUD)
    assert not [name for name in rbac(plane, "roles") if name.startswith("manage-")]


async def test_a_role_that_may_be_made_and_not_bound_is_not_left_behind(plane: Plane, people: People) -> None:
    plane.role(TEAM, "role-maker", rules=[_all_of("roles"), _all_of("rolebindings", "get")])
    _, helper = people.helpers
    plane.bind(TEAM, "role-maker", user=helper.name, kind="Role")
    plane.bind(TEAM, "mlflow-view", user=helper.name)
    subject, before = somebody(), rbac(plane, "roles").keys()
    async with writing_as(plane, helper.token) as writer:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with pytest.raises(ForbiddenError) as refused:
                    await writer.grant_object(subject, TEAM, grant=FRAUD)
                if 'cannot create resource "rolebindings"' in refused.value.message:
                    break
                await asyncio.sleep(0.05)
    assert rbac(plane, "roles").keys() - before == set()


async def test_what_was_made_by_hand_is_never_written(plane: Plane, people: People) -> None:
    """Beside our own grants; neither by name, nor because it gives the same."""
    subject = somebody()
    async with writing_as(plane, people.adele.token) as writer:
        by_hand = plane.bind(TEAM, "mlflow-edit", user=subject.name)
        before = plane.ask("GET", by_hand).json
        assert await writer.grant_role(subject, TEAM, role=EDIT)
        await writer.revoke_role(subject, TEAM, role=EDIT)
        with pytest.raises(ConflictError) as told:
            await writer.revoke_role(subject, TEAM, role=EDIT)
        name = before["metadata"]["name"]
        assert f"The RoleBinding {name} in {TEAM} was made by hand" in told.value.message
        assert f"kubectl -n {TEAM} delete rolebinding {name}" in told.value.message
        assert plane.ask("GET", by_hand).json == before

        assert await writer.grant_object(subject, TEAM, grant=FRAUD)
        ours = next(each for each in naming(plane, subject) if each["roleRef"]["kind"] == "Role")
        for plural in ("roles", "rolebindings"):
            path = f"{RBAC}/namespaces/{TEAM}/{plural}/{ours['metadata']['name']}"
            changed = plane.ask("PATCH", path, {"metadata": {"labels": None}})
            assert changed.status == 200
        with pytest.raises(ConflictError, match="was made by hand"):
            await writer.grant_object(subject, TEAM, grant=FRAUD)
        with pytest.raises(ConflictError, match="was made by hand"):
            await writer.revoke_object(subject, TEAM, resource=FRAUD.resource, name=FRAUD.name)
        assert plane.ask("GET", path).json == changed.json


async def test_whom_others_have_added_to_our_binding_keeps_it(plane: Plane, people: People) -> None:
    subject, other = somebody(), somebody()
    async with writing_as(plane, people.adele.token) as writer:
        await writer.grant_role(subject, TEAM, role=EDIT)
        (binding,) = naming(plane, subject)
        path = f"{RBAC}/namespaces/{TEAM}/rolebindings/{binding['metadata']['name']}"
        plane.ask("PATCH", path, {"subjects": [subject.manifest, other.manifest]})
        await writer.revoke_role(subject, TEAM, role=EDIT)
        assert plane.ask("GET", path).json["subjects"] == [other.manifest]
        await writer.grant_role(subject, TEAM, role=EDIT)
        assert plane.ask("GET", path).json["subjects"] == [other.manifest, subject.manifest]


async def test_roles_that_people_name(plane: Plane, people: People) -> None:
    name, subject = f"Data Scientists {uuid4()}", somebody()
    ref = RoleRef(name, "Role")

    def with_level(level: Level | None, *, on: str) -> Callable[[Any], Any]:
        return lambda rules: changed_level(rules, Resource.EXPERIMENTS, name=on, level=level)

    async with writing_as(plane, people.adele.token) as writer:
        await writer.create_role(TEAM, name, description="who trains")
        with pytest.raises(ConflictError):
            await writer.create_role(TEAM, name)
        assert await writer.set_rules(TEAM, name, change=with_level(Level.READ, on="a"))
        assert not await writer.set_rules(TEAM, name, change=with_level(Level.READ, on="a"))
        assert await writer.set_rules(TEAM, name, change=with_level(Level.EDIT, on="b"))
        await writer.grant_role(subject, TEAM, role=ref)
        await until_rights(plane, subject, name="b", verbs={"get", "list", "update"})
        assert await writer.set_rules(TEAM, name, change=with_level(None, on="b"))
        await until_rights(plane, subject, name="b", verbs=set())
        with pytest.raises(ConflictError, match=f"gives the Role {name}"):
            await writer.revoke_object(subject, TEAM, resource=Resource.EXPERIMENTS, name="a")

        by_hand = plane.bind(TEAM, name, user="somebody", kind="Role")
        with pytest.raises(ConflictError, match="was made by hand"):
            await writer.delete_role(TEAM, name)
        assert naming(plane, subject)
        plane.delete(by_hand)
        await writer.delete_role(TEAM, name)
        assert not naming(plane, subject)
        with pytest.raises(MissingError):
            await writer.delete_role(TEAM, name)

        plane.role(TEAM, name, rules=[])
        for change in (writer.delete_role(TEAM, name), writer.set_rules(TEAM, name, change=lambda _: ())):
            with pytest.raises(ConflictError, match="was made by hand"):
                await change


async def test_two_writers_lose_nothing_of_each_other(plane: Plane, people: People) -> None:
    """The same grant, others in one namespace, and the rules of one Role, all at once."""
    name, subject = f"shared-{uuid4()}", somebody()
    others = [somebody() for _ in range(6)]
    async with (
        writing_as(plane, people.adele.token) as first,
        writing_as(plane, people.adam.token) as second,
    ):
        made = await asyncio.gather(
            *(writer.grant_role(subject, TEAM, role=EDIT) for writer in (first, second) for _ in range(4))
        )
        assert made.count(True) == 1
        await asyncio.gather(
            *(writer.grant_object(each, TEAM, grant=FRAUD) for each in others for writer in (first, second))
        )
        assert [len(naming(plane, each)) for each in others] == [1] * 6

        await first.create_role(TEAM, name)

        def adding(each: str) -> Callable[[Any], Any]:
            return lambda rules: changed_level(rules, Resource.EXPERIMENTS, name=each, level=Level.READ)

        await asyncio.gather(
            *(
                writer.set_rules(TEAM, name, change=adding(f"{who}-{number}"))
                for who, writer in (("a", first), ("b", second))
                for number in range(3)
            )
        )
        rules = rbac(plane, "roles")[name]["rules"]
        assert sorted(rule["resourceNames"][0] for rule in rules) == [
            "a-0",
            "a-1",
            "a-2",
            "b-0",
            "b-1",
            "b-2",
        ]


async def test_writers_of_different_levels_never_leave_nothing(plane: Plane, people: People) -> None:
    subject, levels = somebody(), (Level.READ, Level.EDIT, Level.MANAGE)
    async with (
        writing_as(plane, people.adele.token) as first,
        writing_as(plane, people.adam.token) as second,
    ):
        for number in range(6):
            await asyncio.gather(
                *(
                    writer.grant_object(subject, TEAM, grant=ObjectGrant(FRAUD.resource, FRAUD.name, level))
                    for writer, level in (
                        (first, levels[number % 3]),
                        (second, levels[(number + 1) % 3]),
                        (first, levels[(number + 1) % 3]),
                    )
                )
            )
            names = {each["roleRef"]["name"] for each in naming(plane, subject)}
            assert names
            assert names <= rbac(plane, "roles").keys()


async def test_a_name_that_is_no_namespace_is_refused(plane: Plane, people: People) -> None:
    async with writing_as(plane, people.adele.token) as writer:
        for namespace in ("", "a/b", "../team-b"):
            with pytest.raises(BadRequestError):
                await writer.grant_role(somebody(), namespace, role=EDIT)


async def test_what_kubernetes_takes_for_invalid_is_told(plane: Plane, people: People) -> None:
    async with writing_as(plane, people.adele.token) as writer:
        place = Place("Role", TEAM)
        with pytest.raises(BadRequestError, match=r"metadata\.name"):
            await writer.objects.create(place.path, described_role(TEAM, "a%b", description=""))


async def test_a_name_that_would_be_another_path_is_refused(plane: Plane, people: People) -> None:
    async with writing_as(plane, people.adele.token) as writer:
        for name in ("", ".", "..", "../rolebindings", "a%2fb", "x" * 254):
            with pytest.raises(BadRequestError, match="A Role has a name"):
                await writer.create_role(TEAM, name)
            with pytest.raises(BadRequestError, match="A Role has a name"):
                await writer.delete_role(TEAM, name)
            with pytest.raises(BadRequestError, match="A Role has a name"):
                await writer.set_rules(TEAM, name, change=lambda rules: rules)


@given(st.lists(GRANTS, min_size=2, max_size=2, unique=True))
def test_no_two_grants_have_one_name(grants: list[tuple[Subject, RoleRef | ObjectGrant]]) -> None:
    names = set()
    for subject, what in grants:
        if isinstance(what, RoleRef):
            manifests: tuple[Any, ...] = (role_grant(subject, TEAM, role=what),)
        else:
            manifests = object_grant(subject, TEAM, grant=what)
        (name,) = {each["metadata"]["name"] for each in manifests}
        assert re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)
        names.add(name)
    assert len(names) == 2


@pytest.mark.parametrize("level", [None, Level.EDIT])
@pytest.mark.parametrize("name", ["", "a"])
def test_the_level_of_one_thing_is_changed_and_of_nothing_else(level: Level | None, name: str) -> None:
    shared = rules_for(Resource.EXPERIMENTS, Level.READ, name="a")
    rules = (
        *shared,
        *rules_for(Resource.EXPERIMENTS, Level.MANAGE),
        *rules_for(Resource.DATASETS, Level.READ, name="a"),
    )
    changed = changed_level(rules, Resource.EXPERIMENTS, name=name, level=level)
    named = [rule for rule in changed if rule.names]
    broad = [rule for rule in changed if not rule.names]
    assert level_on(named, Resource.DATASETS, name="a") is Level.READ
    assert level_on(broad, Resource.EXPERIMENTS) is (Level.MANAGE if name else level)
    assert level_on(named, Resource.EXPERIMENTS, name="a") is (level if name else Level.READ)


def _all_of(resource: str, *verbs: str) -> dict[str, Any]:
    return {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": [resource],
        "verbs": list(verbs or ("get", "list", "create", "update", "delete")),
    }
