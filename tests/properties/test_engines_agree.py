"""The embedded engine against a real kube-apiserver: random worlds, thousands of reviews, no disagreement.

``WORKSPACE_AUTHZ_SEED`` is the first seed (default 0) and ``WORKSPACE_AUTHZ_WORLDS`` how many follow (default
12); a world that disagrees is made again by its seed alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.devplane.real import require_binaries
from tests.properties.attempts import Climber
from tests.properties.planes import Plane, disagreements
from tests.properties.questions import ADMIN, Asker, Question, review, whose_token
from tests.properties.vocabulary import Object, account, an_object, group, rbac_object, role_ref
from tests.properties.worlds import World, make_world, users_of
from workspace_authz.devplane.api import connect, until
from workspace_authz.devplane.apply import apply
from workspace_authz.devplane.embedded import EmbeddedEngine
from workspace_authz.devplane.engine import Engine, EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST = int(os.environ.get("WORKSPACE_AUTHZ_SEED", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("WORKSPACE_AUTHZ_WORLDS", "12")))
ESCALATIONS = 40
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Planes:
    """Both engines, and the rules of each one's default ClusterRoles before there was any world."""

    real: Plane
    embedded: Plane
    defaults: Sequence[Mapping[str, Sequence[str]]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Planes]:
    require_binaries()
    state = tmp_path_factory.mktemp("engines")
    users = state / "users.csv"
    users.write_text("".join(_token_line(*user) for seed in SEEDS for user in users_of(f"s{seed}").items()))
    real = KubeApiserverEngine(EngineOptions(state=state / "real", users=users))
    embedded = EmbeddedEngine(EngineOptions(state=state / "embedded", users=users))
    async with _running(real) as first, _running(embedded) as second:
        yield Planes(first, second, [await plane.cluster_roles() for plane in (first, second)])


@pytest.mark.parametrize("seed", SEEDS)
async def test_both_engines_answer_alike(planes: Planes, seed: int) -> None:
    world, random = make_world(seed), Random(seed)
    both = (planes.real, planes.embedded)
    await asyncio.gather(*(apply(plane.api, world.objects) for plane in both))
    await asyncio.gather(*(plane.learn_tokens(world) for plane in both))
    asker = Asker(world, random, tokens=_names(planes.real, world))
    await _in_force(planes, world, prefix=world.prefix)
    found = [*await disagreements(planes.real, planes.embedded, questions=_questions(asker))]

    for attempt in _attempts(
        Climber(world, random)
    ):  # one after the other: some succeed, and the next may meet the result
        found += await disagreements(planes.real, planes.embedded, questions=[attempt])

    await asyncio.gather(*(_change(plane, world) for plane in both))
    await _in_force(planes, world, prefix=f"{world.prefix}-changed")
    found += await disagreements(planes.real, planes.embedded, questions=_questions(asker))
    assert not found, f"{len(found)} disagreements, the first ones:\n" + "\n".join(found[:SHOWN])


async def test_tokens_die_alike(planes: Planes) -> None:
    """With the Secret or account that they are bound to; kube-apiserver remembers them for ten seconds."""
    both, namespace = (planes.real, planes.embedded), "/api/v1/namespaces/bound"
    await asyncio.gather(*(apply(plane.api, _bound_objects()) for plane in both))
    for plane in both:
        for kept in ("kept", "lost"):
            await plane.learn_token(f"bound/{kept}", {})
        for secret in ("kept", "lost"):
            reference = {"apiVersion": "v1", "kind": "Secret", "name": secret}
            await plane.learn_token("bound/kept", {"boundObjectRef": reference}, suffix=f"@{secret}")
    names = [name for name in planes.real.tokens if name.startswith("bound/")]
    questions = [question for name in names for question in whose_token(name)]
    assert not await disagreements(*both, questions=questions)

    for plane in both:
        for lost in ("secrets/lost", "serviceaccounts/lost"):
            assert (await plane.api.request("DELETE", f"{namespace}/{lost}")).ok
    for name in ("bound/lost", "bound/kept@lost"):
        await asyncio.gather(*(plane.until_unknown(name) for plane in both))
    assert not await disagreements(*both, questions=questions)
    assert [(await planes.embedded.ask(question)).status for question in questions].count(401) == 2


async def test_a_server_reviews_others_only_with_the_right(planes: Planes) -> None:
    """What the MLflow server's account needs for callers who bring no token of their own."""
    both, delegate, other = (planes.real, planes.embedded), "delegation/server", "delegation/other"
    await asyncio.gather(*(apply(plane.api, _delegation()) for plane in both))
    for plane in both:
        await plane.wait_until_in_force("delegation", "delegation")
        for name in (delegate, other):
            await plane.learn_token(name, {})
    secrets = {"resourceAttributes": {"verb": "list", "resource": "secrets", "namespace": "delegation"}}
    version = {"nonResourceAttributes": {"verb": "get", "path": "/version"}}
    groups = ["dreamers", "system:authenticated"]
    specs: Sequence[Mapping[str, Any]] = (
        {"user": "robin", "groups": groups, **secrets},
        {"user": "robin", "groups": groups[1:], **secrets},
        {"user": "robin", "groups": groups, "uid": "u", "extra": {"scopes": ["a"]}, **secrets},
        {"user": "robin", "groups": groups, **version},
        {"user": "robin", **version},
        {"groups": ["dreamers"], **secrets},
        {**secrets},
    )
    reviews = [
        review(asker, "SubjectAccessReview", spec=spec) for asker in (delegate, other) for spec in specs
    ]
    assert not await disagreements(*both, questions=[*reviews, *_tokens_reviewed(delegate, other)])
    for plane in both:
        answers = [await plane.ask(question) for question in reviews]
        assert [answer.status for answer in answers] == [*[201] * 6, 422, *[403] * 7]
        allowed = [answer.body["status"]["allowed"] for answer in answers[:6]]
        assert allowed == [True, False, True, True, False, True]


def _tokens_reviewed(*askers: str) -> Sequence[Question]:
    return [review(asker, "TokenReview", spec={}, about=about) for asker in askers for about in askers]


def _delegation() -> Sequence[Object]:
    """An account that may ask about others, one that may not, and a group that may list Secrets."""
    rules = [
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    ]
    readers = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]
    delegates = {
        "roleRef": role_ref("ClusterRole", "delegation"),
        "subjects": [account("delegation", "server")],
    }
    dreamers = {"roleRef": role_ref("Role", "readers"), "subjects": [group("dreamers")]}
    return (
        an_object("v1", "Namespace", name="delegation"),
        *(
            an_object("v1", "ServiceAccount", name=name, namespace="delegation")
            for name in ("server", "other")
        ),
        {**rbac_object("ClusterRole", "delegation"), "rules": rules},
        {**rbac_object("ClusterRoleBinding", "delegation"), **delegates},
        {**rbac_object("Role", "readers", namespace="delegation"), "rules": readers},
        {**rbac_object("RoleBinding", "dreamers", namespace="delegation"), **dreamers},
    )


def _bound_objects() -> Sequence[Object]:
    def item(kind: str, name: str) -> Object:
        return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "bound"}}

    made = [item(kind, name) for kind in ("ServiceAccount", "Secret") for name in ("kept", "lost")]
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bound"}}, *made]


def _questions(asker: Asker) -> Sequence[Question]:
    draw: Sequence[tuple[int, Callable[[], Question]]] = (
        (160, asker.subject_access_review),
        (60, asker.self_subject_access_review),
        (20, asker.self_subject_rules_review),
        (10, asker.self_subject_review),
        (25, asker.token_review),
        (5, asker.invalid_review),
        (60, asker.read),
    )
    return [question() for count, question in draw for _ in range(count)]


def _attempts(climber: Climber) -> Sequence[Question]:
    return [climber.escalation(number) if number % 4 else climber.widening() for number in range(ESCALATIONS)]


async def _change(plane: Plane, world: World) -> None:
    await plane.delete(world.removed)
    await apply(plane.api, world.changed)


async def _in_force(planes: Planes, world: World, *, prefix: str) -> None:
    """Wait until both hold the same ClusterRoles, aggregated ones too, and act on everything they hold."""

    async def same() -> bool:
        known = zip((planes.real, planes.embedded), planes.defaults, strict=True)
        rules = [await plane.cluster_roles(without=defaults) for plane, defaults in known]
        return _of_world(rules[0], world) == _of_world(rules[1], world)

    async with asyncio.timeout(120):
        await until(same)
    namespace = world.namespaces[0]
    await asyncio.gather(
        *(plane.wait_until_in_force(prefix, namespace) for plane in (planes.real, planes.embedded))
    )


def _of_world(roles: Mapping[str, Sequence[str]], world: World) -> Mapping[str, Sequence[str]]:
    watched = ("view", "edit", "admin")
    return {
        name: rules for name, rules in roles.items() if name in watched or name.startswith(f"{world.prefix}-")
    }


def _names(plane: Plane, world: World) -> Sequence[str]:
    """Who of this world has a token, users first."""
    return [name for name in plane.tokens if name.startswith(f"{world.prefix}-")]


@asynccontextmanager
async def _running(engine: Engine) -> AsyncIterator[Plane]:
    try:
        endpoint = await engine.start()
        async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
            yield Plane(api=api, tokens={ADMIN: endpoint.admin_token})
    finally:
        await engine.stop()


def _token_line(name: str, groups: Sequence[str]) -> str:
    return f'{name}-token,{name},{name}-uid,"{",".join(groups)}"\n'
