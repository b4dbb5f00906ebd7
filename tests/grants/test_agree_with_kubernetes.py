"""What we say a subject holds is what Kubernetes says: random worlds, both engines, by SubjectAccessReview.

``WORKSPACE_AUTHZ_SEED`` is the first seed (default 0), ``WORKSPACE_AUTHZ_WORLDS`` how many there are (3).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from random import Random

import pytest

from tests.grants.worlds import GrantsWorld, make_grants_world
from tests.harness.plane import Object, Plane
from workspace_authz.aio.fan_out import fan_out
from workspace_authz.grants.holdings import allows
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.grants.reading import read_namespace
from workspace_authz.grants.subjects import Subject, SubjectKind
from workspace_authz.kubernetes.access_reviews import mlflow_resource
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.kubernetes.objects import ApiObjects, Objects
from workspace_authz.types import USABLE, USE, Attributes, Resource, Verb

FIRST = int(os.environ.get("WORKSPACE_AUTHZ_SEED", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("WORKSPACE_AUTHZ_WORLDS", "3")))
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
IN_FORCE_SECONDS = 300.0
CONCURRENT = 16
QUESTIONS = 300
LEAST_LEVELS = 2


@dataclass(frozen=True, slots=True)
class Held:
    """One subject, and one object or (without a name) all objects of a resource."""

    subject: Subject
    resource: Resource
    name: str


@asynccontextmanager
async def as_administrator(plane: Plane) -> AsyncIterator[Objects]:
    connection = server_connection(await load_configuration(str(plane.admin_kubeconfig)))
    try:
        yield ApiObjects(connection, None, 30.0)
    finally:
        await connection.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_we_say_is_what_kubernetes_allows(plane: Plane, seed: int) -> None:
    world = make_grants_world(seed)
    asked = [
        Held(subject_of(subject), resource, name)
        for subject, resource, name in product(world.subjects, Resource, world.names)
    ]
    async with as_administrator(plane) as objects:
        for item in world.objects:
            await make(objects, item)
        # The API server's authorizer, and the controller of aggregated roles, follow a moment later.
        deadline = time.monotonic() + IN_FORCE_SECONDS
        while found := await disagreements(objects, world, asked=asked):
            assert time.monotonic() < deadline, f"held: (we say, Kubernetes says)\n{found}"
            asked = [*found]
            await asyncio.sleep(0.1)
        subjects = map(subject_of, world.subjects)
        levels = {level for each in subjects for level in (await said(objects, world, each)).values()}
        assert len(levels) >= LEAST_LEVELS, "agreeing about nothing is worth nothing"
        await compare_who_can(objects, world, random=Random(seed))


async def compare_who_can(objects: Objects, world: GrantsWorld, *, random: Random) -> None:
    """One question after the other, as ``who-can`` answers it."""
    rbac = await read_namespace(objects, world.namespace, cluster_roles=())
    questions = [
        (subject_of(random.choice(world.subjects)), random_question(random, world)) for _ in range(QUESTIONS)
    ]
    allowed = await fan_out(questions, lambda asked: reviewed(objects, *asked), limit=CONCURRENT)
    for (subject, asked), theirs in zip(questions, allowed, strict=True):
        own = [holding for holding in rbac.holdings() if holding.subject == subject]
        assert any(allows(holding.role, asked) for holding in own) is theirs, (subject, asked)
    assert 5 < sum(allowed) < QUESTIONS


def random_question(random: Random, world: GrantsWorld) -> Attributes:
    resource, name = random.choice([*Resource]), random.choice(world.names)
    if resource in USABLE and random.random() < 0.4:
        return Attributes(world.namespace, Verb.CREATE, resource, USE, name)
    return Attributes(world.namespace, random.choice([*Verb]), resource, "", name)


async def disagreements(
    objects: Objects, world: GrantsWorld, *, asked: Sequence[Held]
) -> dict[Held, tuple[Level | None, Level | None]]:
    """What we say and what Kubernetes says, where that is not the same."""
    subjects = {held.subject for held in asked}
    ours = {subject: await said(objects, world, subject) for subject in subjects}
    theirs = await fan_out(asked, lambda held: allowed(objects, held, world=world), limit=CONCURRENT)
    found = {}
    for held, level in zip(asked, theirs, strict=True):
        levels = ours[held.subject]
        own = levels.get((held.resource, held.name), levels.get((held.resource, "")))
        if own is not level:
            found[held] = (own, level)
    return found


async def said(
    objects: Objects, world: GrantsWorld, subject: Subject
) -> Mapping[tuple[Resource, str], Level]:
    """The levels of all that our reading of RBAC finds for the subject."""
    rbac = await read_namespace(objects, world.namespace, cluster_roles=())
    return levels_in(
        rule for holding in rbac.holdings() if holding.subject == subject for rule in holding.role.rules
    )


async def allowed(objects: Objects, held: Held, *, world: GrantsWorld) -> Level | None:
    """The level that the API server's answers make up."""

    async def may(verb: Verb, subresource: str = "") -> bool:
        asked = Attributes(world.namespace, verb, held.resource, subresource, held.name)
        return await reviewed(objects, held.subject, asked)

    if not (await may(Verb.GET) and await may(Verb.LIST)):
        return None
    usable = held.resource in USABLE
    if usable and not await may(Verb.CREATE, USE):
        return Level.READ
    if not await may(Verb.UPDATE):
        return Level.USE if usable else Level.READ
    return Level.MANAGE if await may(Verb.DELETE) else Level.EDIT


async def reviewed(objects: Objects, subject: Subject, asked: Attributes) -> bool:
    """Whether the API server allows it to the subject."""
    spec = dict(mlflow_resource(asked)) | asking(subject)
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return bool((await objects.create(REVIEWS, review))["status"]["allowed"])


def asking(subject: Subject) -> Object:
    """The subject alone, without what else its members may be in."""
    return {"groups": [subject.name]} if subject.kind is SubjectKind.GROUP else {"user": subject.username}


def subject_of(item: Object) -> Subject:
    return Subject(SubjectKind(item["kind"]), item["name"], item.get("namespace", ""))


async def make(objects: Objects, item: Object) -> None:
    namespace = item["metadata"].get("namespace")
    where = f"/namespaces/{namespace}" if namespace else ""
    root = "/api/v1" if item["apiVersion"] == "v1" else f"/apis/{item['apiVersion']}"
    await objects.create(f"{root}{where}/{item['kind'].lower()}s", item)
