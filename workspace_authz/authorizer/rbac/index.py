"""Who is bound to which roles, found by the names that a caller has, or by namespace.

It says what to ask and what to show, never whether a caller may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias, TypeVar

from workspace_authz.authorizer.rbac.objects import Binding, Role, RoleKey
from workspace_authz.types import UserInfo

BindingKey: TypeAlias = tuple[str, str]
"""Namespace and name; a ClusterRoleBinding has no namespace."""

_Bound: TypeAlias = dict[str, dict[BindingKey, Binding]]

K = TypeVar("K")


class RbacIndex:
    """Roles that grant some MLflow right, and all bindings, by whom they name.

    A binding is kept whatever its role grants at the moment, and looked at together with its role: so one
    that is there before its role, or whose role changes, needs no further bookkeeping.
    """

    def __init__(self) -> None:
        self._roles: dict[RoleKey, Role] = {}
        self._users: _Bound = {}
        self._groups: _Bound = {}
        self._bindings: dict[str, dict[str, Binding]] = {}

    def put_role(self, key: RoleKey, role: Role | None) -> None:
        """A role's present state; None when it grants nothing, or is gone."""
        if role is None:
            self._roles.pop(key, None)
        else:
            self._roles[key] = role

    def put_binding(self, key: BindingKey, *, old: Binding | None, new: Binding | None) -> None:
        """A binding's present state; None when it is not there."""
        namespace, name = key
        if old is not None:
            _take(self._bindings, name, names=(namespace,))
            _take(self._users, key, names=old.users)
            _take(self._groups, key, names=old.groups)
        if new is not None:
            self._bindings.setdefault(namespace, {})[name] = new
            for bound, names in ((self._users, new.users), (self._groups, new.groups)):
                for name in names:
                    bound.setdefault(name, {})[key] = new

    def matters(self, key: BindingKey, binding: Binding | None) -> bool:
        """Whether its role grants some MLflow right at the moment."""
        role = self._roles.get(binding.role_key(key[0])) if binding is not None else None
        return role is not None and role.witness is not None

    def role(self, key: RoleKey) -> Role | None:
        """The role, if it matters for MLflow."""
        return self._roles.get(key)

    def roles_in(self, namespace: str) -> Iterator[tuple[str, Role]]:
        """``(name, role)`` of the Roles there that matter for MLflow; without a namespace ClusterRoles.

        May be called from any thread, as :meth:`bindings_in`.
        """
        return ((name, role) for (home, name), role in list(self._roles.items()) if home == namespace)

    def bindings_in(self, namespace: str) -> Iterator[tuple[str, Binding, Role]]:
        """``(name, binding, role)`` of the bindings there that matter; without a namespace
        ClusterRoleBindings."""
        for name, binding in list(self._bindings.get(namespace, {}).items()):
            role = self._roles.get(binding.role_key(namespace))
            if role is not None:
                yield name, binding, role

    def binding(self, key: BindingKey) -> Binding | None:
        """The binding, whatever its role grants."""
        return self._bindings.get(key[0], {}).get(key[1])

    def granted_to(self, user: UserInfo) -> Iterator[tuple[str, Role]]:
        """``(namespace, role)`` of every binding that names ``user`` and matters; no namespace: in all."""
        yield from ((key[0], role) for key, _, role in self.bindings_of_user(user.username))
        for group in user.groups:
            yield from ((key[0], role) for key, _, role in self.bindings_of_group(group))

    def bindings_of_user(self, name: str) -> Iterator[tuple[BindingKey, Binding, Role]]:
        """``(key, binding, role)`` of every binding that matters and names the user itself."""
        return self._with_roles(self._users.get(name, {}))

    def bindings_of_group(self, name: str) -> Iterator[tuple[BindingKey, Binding, Role]]:
        """As :meth:`bindings_of_user`, for a group."""
        return self._with_roles(self._groups.get(name, {}))

    def _with_roles(
        self, bindings: Mapping[BindingKey, Binding]
    ) -> Iterator[tuple[BindingKey, Binding, Role]]:
        for key, binding in list(bindings.items()):
            role = self._roles.get(binding.role_key(key[0]))
            if role is not None:
                yield key, binding, role


def _take(bound: dict[str, dict[K, Binding]], key: K, *, names: tuple[str, ...]) -> None:
    for name in names:
        bindings = bound.get(name, {})
        bindings.pop(key, None)
        if not bindings:
            bound.pop(name, None)
