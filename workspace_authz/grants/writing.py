"""Writes what grants something, as one caller: Kubernetes decides whether they may.

Only objects with our label are ever changed or deleted. Everything may be done twice, and by several writers
at once: of two levels that are given in the same moment at least one is there in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from workspace_authz.authorizer.rbac.objects import Rules, is_managed, read_binding, read_rules
from workspace_authz.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    MissingError,
    RequestError,
)
from workspace_authz.grants.holdings import subjects_of
from workspace_authz.grants.levels import Level, named_objects
from workspace_authz.grants.managed import ManagedObjects, made_by_hand
from workspace_authz.grants.objects import (
    Manifest,
    ObjectGrant,
    Place,
    RoleRef,
    described,
    described_role,
    object_grant,
    place_of,
    role_grant,
    rules_manifest,
)
from workspace_authz.grants.subjects import Subject
from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.kubernetes.objects import Objects
from workspace_authz.types import Resource, is_namespace_name

_LONGEST_NAME: Final = 253
"""Of a Role, in characters."""


@dataclass(frozen=True, slots=True)
class GrantWriter:
    """Grants and revokes in namespaces, over the Kubernetes API as one caller sees it.

    All methods raise what :class:`~workspace_authz.kubernetes.objects.Objects` raises, and
    :class:`ConflictError` where an object that was made by hand would have to be changed.
    """

    objects: Objects

    async def grant_role(self, subject: Subject, namespace: str, *, role: RoleRef) -> bool:
        """Give ``role`` to ``subject`` in the namespace. False where we have given it already."""
        _demand_namespace(namespace)
        binding = role_grant(subject, namespace, role=role)
        return await self._managed.put(binding, merge=lambda there: _with_subject(there, binding))

    async def revoke_role(self, subject: Subject, namespace: str, *, role: RoleRef) -> None:
        """Take back what :meth:`grant_role` gave. Raises :class:`MissingError` where it gave nothing."""
        _demand_namespace(namespace)
        binding = role_grant(subject, namespace, role=role)
        try:
            await self._managed.update(place_of(binding), lambda there: _without_subject(there, binding))
        except MissingError:
            await self._explain(subject, namespace, roles=lambda given: given == role)
            raise MissingError(
                f"{subject.text} does not hold the {role.kind} {role.name} by a binding in {namespace}."
            ) from None

    async def roles_given(
        self, subject: Subject, namespace: str, *, among: Sequence[RoleRef]
    ) -> Sequence[RoleRef]:
        """Which roles :meth:`grant_role` has given to ``subject``."""
        bindings = [role_grant(subject, namespace, role=role) for role in among]
        found = await asyncio.gather(*(self._managed.find(place_of(each)) for each in bindings))
        return [
            role
            for role, there, binding in zip(among, found, bindings, strict=True)
            if there is not None and binding["subjects"][0] in (there.get("subjects") or [])
        ]

    async def grant_object(self, subject: Subject, namespace: str, *, grant: ObjectGrant) -> bool:
        """Give ``subject`` this level on one object, and take back other levels that we have given on it.

        False where it was so already.
        """
        _demand_namespace(namespace)
        wanted = grant.possible
        others = [each for each in _levels(wanted.resource, wanted.name) if each.level is not wanted.level]
        before = await self._pairs(subject, namespace, grants=others)
        pair = object_grant(subject, namespace, grant=wanted)
        made = await self._put_pair(*pair)
        if not before:
            return made
        # Only what was there before: a level that somebody else gives in this moment is not taken from them.
        for seen in before:
            await self._remove(seen)
        # Somebody who gives another level right now may have seen this one before, and removed it.
        await self._put_pair(*pair)
        return True

    async def revoke_object(self, subject: Subject, namespace: str, *, resource: Resource, name: str) -> None:
        """Take back every level that we have given on one object.

        Raises :class:`MissingError` where there is none.
        """
        _demand_namespace(namespace)
        seen = await self._pairs(subject, namespace, grants=_levels(resource, name))
        removed = [await self._remove(each) for each in seen]
        if not any(removed):
            naming = {
                RoleRef(item["metadata"]["name"], "Role")
                for item in await self._listed("Role", namespace)
                if name in named_objects(tuple(read_rules(item)), resource)
            }
            await self._explain(subject, namespace, roles=lambda given: given in naming)
            raise MissingError(f"{subject.text} holds nothing on {resource} {name!r} by name in {namespace}.")

    async def create_role(self, namespace: str, name: str, *, description: str = "") -> None:
        """Make a Role without rules. Raises :class:`ConflictError` where the name is taken."""
        _demand_names(namespace, name)
        role = described_role(namespace, name, description=description)
        await self.objects.create(place_of(role).collection, role)

    async def describe_role(self, namespace: str, name: str, *, description: str) -> bool:
        """Give a Role of ours another description. False where it has it already.

        Raises :class:`MissingError`.
        """
        _demand_names(namespace, name)
        return await self._managed.update(
            Place("Role", namespace, name), lambda there: described(there, description)
        )

    async def delete_role(self, namespace: str, name: str) -> None:
        """Delete a Role of ours, after the bindings of ours to it. Raises :class:`MissingError`."""
        _demand_names(namespace, name)
        place = Place("Role", namespace, name)
        if not is_managed(await self.objects.get(place.path)):
            raise made_by_hand(place, "delete")
        bindings = [
            each
            for each in await self.objects.list(Place("RoleBinding", namespace).path)
            if _refers_to(each, RoleRef(name, "Role"))
        ]
        for binding in bindings:
            if not is_managed(binding):
                raise made_by_hand(_binding_place(binding), "delete")
        for binding in bindings:
            await self._remove((_binding_place(binding), binding))
        await self._managed.update(place, lambda _: None)

    async def set_rules(self, namespace: str, name: str, *, change: Callable[[Rules], Rules]) -> bool:
        """Put what ``change`` makes of the rules of a Role of ours in their place. False where that is the
        same.

        ``change`` is called again where somebody else changed the Role in between. Raises
        :class:`MissingError`.
        """
        _demand_names(namespace, name)

        def changed(there: JsonObject) -> JsonObject:
            rules = tuple(read_rules(there))
            new = change(rules)
            return there if new == rules else {**there, "rules": rules_manifest(new)}

        return await self._managed.update(Place("Role", namespace, name), changed)

    @property
    def _managed(self) -> ManagedObjects:
        return ManagedObjects(self.objects)

    async def _pairs(self, subject: Subject, namespace: str, *, grants: Iterable[ObjectGrant]) -> list[_Seen]:
        """What is there of ours for each grant, the bindings first."""
        pairs = [object_grant(subject, namespace, grant=grant) for grant in grants]
        places = [place_of(each) for pair in zip(*pairs, strict=True) for each in reversed(pair)]
        found = await asyncio.gather(*map(self._managed.find, places))
        return [
            (place, there)
            for place, there in zip(places, found, strict=True)
            if there is not None and is_managed(there)
        ]

    async def _put_pair(self, role: Manifest, binding: Manifest) -> bool:
        made = await self._managed.put(role, merge=lambda there: _with_rules(there, role))
        try:
            return await self._managed.put(binding, merge=lambda there: _with_subject(there, binding)) or made
        except RequestError:
            # Without its binding the Role says nothing; whoever may not bind must not leave it behind.
            if made:
                await self._forget(place_of(role))
            raise

    async def _forget(self, place: Place) -> None:
        try:
            await self._managed.update(place, lambda _: None)
        except RequestError:
            return

    async def _remove(self, seen: _Seen) -> bool:
        """Delete exactly what was seen, if it is there yet."""
        place, before = seen
        uid = _uid(before)
        try:
            return await self._managed.update(place, lambda there: None if _uid(there) == uid else there)
        except MissingError:
            return False

    async def _explain(self, subject: Subject, namespace: str, *, roles: Callable[[RoleRef], bool]) -> None:
        """Raise :class:`ConflictError` where another binding than ours gives one of ``roles`` to ``subject``.

        Nothing where the caller may not list bindings.
        """
        for item in await self._listed("RoleBinding", namespace):
            binding = read_binding(item)
            if binding is None or subject not in subjects_of(binding):
                continue
            role = RoleRef(binding.role, "ClusterRole" if binding.cluster_role else "Role")
            if not roles(role):
                continue
            place = _binding_place(item)
            if not binding.managed:
                raise made_by_hand(place, "edit" if len(item["subjects"]) > 1 else "delete")
            raise ConflictError(
                f"{subject.text} holds it by {place.text}, which gives the {role.kind} {role.name}: "
                "take that role back."
            )

    async def _listed(self, kind: str, namespace: str) -> Sequence[JsonObject]:
        try:
            return await self.objects.list(Place(kind, namespace).path)
        except ForbiddenError:
            return ()


_Seen: TypeAlias = tuple[Place, JsonObject]


def _levels(resource: Resource, name: str) -> list[ObjectGrant]:
    return sorted({ObjectGrant(resource, name, level).possible for level in Level})


def _demand_namespace(name: str) -> None:
    if not is_namespace_name(name):
        raise BadRequestError(
            "A workspace has the name of a namespace: lower case letters, digits and hyphens."
        )


def _demand_names(namespace: str, role: str) -> None:
    """``ValidatePathSegmentName`` of Kubernetes: a name must not mean another path."""
    _demand_namespace(namespace)
    if not role or len(role) > _LONGEST_NAME or role in (".", "..") or set(role) & set("/%"):
        raise BadRequestError(f"A Role has a name of 1 to {_LONGEST_NAME} characters, without / and %.")


def _with_subject(there: JsonObject, binding: Manifest) -> JsonObject:
    """``there`` with the subject of ``binding``. Another role stands there only if somebody made it so."""
    if there.get("roleRef") != binding["roleRef"]:
        raise made_by_hand(place_of(binding), "delete")
    (subject,) = binding["subjects"]
    subjects = there.get("subjects") or []
    return there if subject in subjects else {**there, "subjects": [*subjects, subject]}


def _without_subject(there: JsonObject, binding: Manifest) -> JsonObject | None:
    """``there`` without the subject of ``binding``; None where it names nobody else."""
    left = [each for each in there.get("subjects") or [] if each not in binding["subjects"]]
    return {**there, "subjects": left} if left else None


def _with_rules(there: JsonObject, role: Manifest) -> JsonObject:
    return there if there.get("rules") == role["rules"] else {**there, "rules": role["rules"]}


def _refers_to(binding: JsonObject, role: RoleRef) -> bool:
    return binding.get("roleRef") == role.manifest


def _binding_place(item: JsonObject) -> Place:
    """Of an item of a list, which does not say its kind."""
    return Place("RoleBinding", item["metadata"]["namespace"], item["metadata"]["name"])


def _uid(item: JsonObject) -> str:
    return str(item["metadata"]["uid"])
