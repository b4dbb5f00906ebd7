"""Roles and RoleBindings with our label: made, changed and deleted as one caller, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workspace_authz.authorizer.rbac.objects import is_managed
from workspace_authz.errors import ConflictError, MissingError
from workspace_authz.grants.objects import Manifest, Place, place_of
from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.kubernetes.objects import Objects

_TRIES: Final = 8
"""How often a write is tried that others come in between of."""


@dataclass(frozen=True, slots=True)
class ManagedObjects:
    """Objects with our label, over the API as one caller sees it.

    All methods raise what :class:`~workspace_authz.kubernetes.objects.Objects` raises, and
    :class:`ConflictError` for an object without our label that has the name.
    """

    objects: Objects

    async def find(self, place: Place) -> JsonObject | None:
        """The object, whoever made it; None where there is none."""
        try:
            return await self.objects.get(place.path)
        except MissingError:
            return None

    async def put(self, manifest: Manifest, *, merge: Callable[[JsonObject], JsonObject]) -> bool:
        """Make it, or put what ``merge`` makes of what is there in its place. False where nothing changes.

        Raises :class:`ConflictError` also where others change it all the time.
        """
        place = place_of(manifest)
        for _ in range(_TRIES):
            try:
                if await self.find(place) is not None:
                    return await self.update(place, merge)
            except MissingError:
                continue
            try:
                await self.objects.create(place.collection, manifest)
            except ConflictError:
                continue
            return True
        raise _busy(place)

    async def update(self, place: Place, change: Callable[[JsonObject], JsonObject | None]) -> bool:
        """Put what ``change`` makes of the object in its place; None deletes it. False where nothing changes.

        ``change`` is called again where somebody else changed the object in between. Raises
        :class:`MissingError` where there is none, and :class:`ConflictError` where others change it all the
        time.
        """
        for _ in range(_TRIES):
            there = await self.objects.get(place.path)
            if not is_managed(there):
                raise made_by_hand(place, "edit")
            changed = change(there)
            if changed == there:
                return False
            try:
                if changed is None:
                    await self.objects.delete(place.path, seen=there)
                else:
                    await self.objects.replace(place.path, changed)
            except (ConflictError, MissingError):
                continue
            return True
        raise _busy(place)


def made_by_hand(place: Place, verb: str) -> ConflictError:
    """The error for an object without our label. ``verb`` of ``kubectl``: ``edit`` or ``delete``."""
    return ConflictError(
        f"{_sentence(place)} was made by hand, so nothing is changed in it here. "
        f"Who may do so types: {place.command(verb)}"
    )


def _busy(place: Place) -> ConflictError:
    return ConflictError(f"{_sentence(place)} is being changed by others at the moment; try again.")


def _sentence(place: Place) -> str:
    return f"T{place.text[1:]}"
