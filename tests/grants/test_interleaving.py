"""Two writers of different levels on one object, step by step: one of the levels is there in the end."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from workspace_authz.errors import ConflictError, MissingError
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import ObjectGrant
from workspace_authz.grants.subjects import user_subject
from workspace_authz.grants.writing import GrantWriter
from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.types import Resource

ALICE = user_subject("alice")
STEPS = range(1, 40)


@dataclass
class Store:
    """Objects in memory, with versions as the API server has them."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: itertools.count[int] = field(default_factory=itertools.count)

    def levels(self) -> set[str]:
        """Of the RoleBindings whose Roles are there."""
        return {
            each["metadata"]["annotations"]["mlflow.kubeflow.org/level"]
            for path, each in self.objects.items()
            if "rolebindings" in path and path.replace("rolebindings", "roles") in self.objects
        }


@dataclass
class Stepping:
    """The API as one writer sees it. ``between`` runs before its step number ``at``."""

    store: Store
    at: int = 0
    between: Callable[[], Awaitable[object]] | None = None
    steps: int = 0

    async def _step(self) -> None:
        self.steps += 1
        if self.steps == self.at and self.between is not None:
            await self.between()

    async def get(self, path: str) -> JsonObject:
        await self._step()
        if path not in self.store.objects:
            raise MissingError(path)
        return self.store.objects[path]

    async def list(self, path: str) -> Sequence[JsonObject]:
        return []

    async def first(
        self, path: str, *, most: int, query: Mapping[str, str] | None = None
    ) -> tuple[Sequence[JsonObject], bool]:
        return [], False

    async def create(self, path: str, document: JsonObject) -> JsonObject:
        await self._step()
        place = f"{path}/{document['metadata']['name']}"
        if place in self.store.objects:
            raise ConflictError(place)
        return self._put(place, document, uid=f"uid-{next(self.store.versions)}")

    async def replace(self, path: str, document: JsonObject) -> JsonObject:
        await self._step()
        self._demand(path, document)
        return self._put(path, document, uid=document["metadata"]["uid"])

    async def delete(self, path: str, *, seen: JsonObject) -> None:
        await self._step()
        self._demand(path, seen)
        del self.store.objects[path]

    def _put(self, path: str, document: JsonObject, *, uid: str) -> JsonObject:
        system = {"uid": uid, "resourceVersion": str(next(self.store.versions))}
        self.store.objects[path] = {**document, "metadata": {**document["metadata"], **system}}
        return self.store.objects[path]

    def _demand(self, path: str, seen: JsonObject) -> None:
        if path not in self.store.objects:
            raise MissingError(path)
        if self.store.objects[path]["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]:
            raise ConflictError(path)


def grant(level: Level) -> ObjectGrant:
    return ObjectGrant(Resource.EXPERIMENTS, "fraud", level)


@pytest.mark.parametrize("before", [(), (Level.READ,), (Level.EDIT,), (Level.READ, Level.EDIT)])
@pytest.mark.parametrize("levels", [(Level.EDIT, Level.READ), (Level.READ, Level.EDIT), (Level.EDIT,) * 2])
async def test_whatever_comes_in_between(before: tuple[Level, ...], levels: tuple[Level, Level]) -> None:
    mine, theirs = levels
    for at in STEPS:
        store = Store()
        for level in before:
            # As two writers may have left it: both levels.
            other = Store()
            await GrantWriter(Stepping(other)).grant_object(ALICE, "team-a", grant=grant(level))
            store.objects |= other.objects
        other_writer = GrantWriter(Stepping(store))
        meanwhile = partial(other_writer.grant_object, ALICE, "team-a", grant=grant(theirs))
        first = Stepping(store, at, meanwhile)
        await GrantWriter(first).grant_object(ALICE, "team-a", grant=grant(mine))
        if first.steps < at:
            break
        assert store.levels() & {str(mine), str(theirs)}, f"nothing is left with the other at step {at}"
    else:
        pytest.fail("a grant takes more steps than were tried")
