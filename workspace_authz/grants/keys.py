"""Access keys of a namespace: tokens of its service accounts, made, listed and revoked as one caller.

Every request is the caller's own, so Kubernetes decides, and a key is kept nowhere.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from workspace_authz.errors import (
    ConflictError,
    ForbiddenError,
    MissingError,
    RequestError,
    UnauthenticatedError,
    UnavailableError,
)
from workspace_authz.grants.key_records import (
    SELECTOR,
    Key,
    KeyWish,
    checked_name,
    checked_namespace,
    checked_wish,
    finished,
    key_of,
    secret_of,
)
from workspace_authz.grants.key_rights import beyond_mlflow, needed
from workspace_authz.kubernetes.account_tokens import SECRETS, SERVICE_ACCOUNTS, core_path, request_token
from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.kubernetes.objects import Objects
from workspace_authz.kubernetes.reviews import Reviews

MOST_LISTED: Final = 200
"""Keys, and service accounts, of one namespace that are shown."""
IDENTITY_SECONDS: Final = 15.0
"""How long a server remembers the owner of a token, unless it is told otherwise."""
_API_SERVER_SECONDS: Final = 10
"""How long kube-apiserver remembers a token that it has accepted."""
_MARGIN_SECONDS: Final = 5
_ROUNDING: Final = timedelta(seconds=60)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyList:
    """The keys of a namespace, the latest first."""

    keys: tuple[Key, ...]
    more: bool
    """Whether there are more than :data:`MOST_LISTED`."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. It is shown once."""

    key: Key
    value: str = field(repr=False)
    shortened: bool
    """Whether the cluster gave it a shorter life than was asked for."""


@dataclass(frozen=True, slots=True)
class BroadAccount:
    """No key was made: its account may do more in Kubernetes than MLflow, and nobody has confirmed that."""

    rights: tuple[str, ...]
    """What it may, as texts."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of ``namespace``, as the caller of ``objects``. ``reviews`` is asked with new keys.

    All methods raise as :class:`Objects`, and :class:`BadRequestError` for what is no name.
    """

    objects: Objects
    reviews: Reviews
    namespace: str

    async def listed(self) -> KeyList:
        """The keys there are. Raises :class:`ForbiddenError` with what it takes."""
        path, query = core_path(checked_namespace(self.namespace), SECRETS), {"labelSelector": SELECTOR}
        try:
            secrets, more = await self.objects.first(path, most=MOST_LISTED, query=query)
        except ForbiddenError as error:
            raise self._explained(error) from None
        keys = [key for key in map(key_of, secrets) if key is not None]
        return KeyList(tuple(sorted(keys, key=lambda key: key.made, reverse=True)), more)

    async def accounts(self) -> tuple[Sequence[str], bool]:
        """The names of the service accounts, and whether there are more."""
        path = core_path(checked_namespace(self.namespace), SERVICE_ACCOUNTS)
        accounts, more = await self.objects.first(path, most=MOST_LISTED)
        return sorted(str(account["metadata"]["name"]) for account in accounts), more

    async def make(self, wish: KeyWish, *, made_by: str, confirmed: bool) -> NewKey | BroadAccount:
        """A new key, made by the user ``made_by``.

        A key for the Kubernetes API of an account with rights beyond MLflow's is made only if ``confirmed``.
        Raises :class:`ForbiddenError` with what it takes. A key that is not returned is ended.
        """
        namespace, wish = checked_namespace(self.namespace), checked_wish(wish)
        path = core_path(namespace, SECRETS)
        try:
            secret = await self.objects.create(path, secret_of(wish, namespace, made_by=made_by))
        except ForbiddenError as error:
            raise self._explained(error) from None
        kept = False
        try:
            made = await self._made(wish, secret, confirmed=confirmed)
            kept = isinstance(made, NewKey)
            return made
        except ForbiddenError as error:
            raise self._explained(error) from None
        finally:
            if not kept:
                await asyncio.shield(self._withdraw(secret))

    async def revoke(self, name: str) -> Key:
        """End a key. Raises also :class:`MissingError` where no key has this name."""
        path = core_path(checked_namespace(self.namespace), SECRETS)
        # Selected, not fetched by its name: of Secrets that are no keys nothing is read.
        query = {"labelSelector": SELECTOR, "fieldSelector": f"metadata.name={checked_name(name)}"}
        try:
            found, _ = await self.objects.first(path, most=1, query=query)
            key = key_of(found[0]) if found else None
            if key is None:
                raise MissingError(f"There is no access key {name} in {self.namespace}.")
            await self.objects.delete(f"{path}/{key.name}", seen=_the_same(found[0]))
        except ForbiddenError as error:
            raise self._explained(error) from None
        return key

    async def _made(self, wish: KeyWish, secret: JsonObject, *, confirmed: bool) -> NewKey | BroadAccount:
        made = await request_token(
            self.objects, wish.account, secret=secret, audiences=wish.audiences, seconds=wish.seconds
        )
        if not wish.audience and not confirmed:
            rights = await self._rights_of(made.value)
            if rights:
                return BroadAccount(rights)
        secret = await self.objects.replace(
            core_path(self.namespace, SECRETS, name=secret["metadata"]["name"]),
            finished(secret, made.expires),
        )
        key = key_of(secret)
        if key is None:
            raise ConflictError("The Secret of the key was changed while it was made; try again.")
        shortened = made.expires < key.made + timedelta(seconds=wish.seconds) - _ROUNDING
        return NewKey(key, made.value, shortened)

    async def _rights_of(self, value: str) -> tuple[str, ...]:
        """What the owner of a key may do beyond MLflow, by the key's own word."""
        try:
            return beyond_mlflow(await self.reviews.rules(value, self.namespace))
        except UnauthenticatedError:
            raise UnavailableError("The new key does not work, so it was withdrawn; try again.") from None

    async def _withdraw(self, secret: JsonObject) -> None:
        """Delete the Secret of a key that nobody gets."""
        path = core_path(self.namespace, SECRETS, name=secret["metadata"]["name"])
        try:
            with suppress(MissingError):
                await self.objects.delete(path, seen=_the_same(secret))
        except RequestError as error:
            _log.warning("the Secret of an unfinished access key is left: %s", type(error).__name__)

    def _explained(self, error: ForbiddenError) -> ForbiddenError:
        """The refusal in the API server's words, and what would help if it is about a right."""
        if " cannot " not in error.message:
            return error
        return ForbiddenError(f"{error.message.rstrip('.')}. {needed(self.namespace)}")


def _the_same(secret: JsonObject) -> JsonObject:
    """``secret`` by its uid alone: whatever was written to it since, it is the one that must go."""
    return {"metadata": {"uid": secret["metadata"]["uid"]}}


def ends_within(identity_seconds: float = IDENTITY_SECONDS) -> int:
    """After how many seconds a key that is revoked is refused everywhere.

    ``identity_seconds``: how long a server remembers the owner of a token.
    """
    return math.ceil(_API_SERVER_SECONDS + identity_seconds + _MARGIN_SECONDS)


def now() -> datetime:
    """The present time."""
    return datetime.now(UTC)
