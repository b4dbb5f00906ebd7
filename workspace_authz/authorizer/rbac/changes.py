"""What each change of RBAC means: for the index, and for the answers that it can touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import Binding, Role
from workspace_authz.kubernetes.informer_state import Change


@dataclass(frozen=True, slots=True)
class RbacChanges:
    """Takes changes as informers tell them. Each resource's come in order; the resources know nothing of
    each other, so that a binding may be told long before or after its role."""

    index: RbacIndex
    generations: Generations

    def of_roles(self, changes: Sequence[Change[Role]]) -> None:
        """Roles and ClusterRoles. Whether anybody is bound to one is not asked: the binding may be late."""
        for change in changes:
            self.index.put_role(change.key, change.new)
        self._touch({change.key[0] for change in changes})

    def of_bindings(self, changes: Sequence[Change[Binding]]) -> None:
        """RoleBindings and ClusterRoleBindings. If the role is late, its change touches the namespace."""
        touched: set[str] = set()
        for change in changes:
            self.index.put_binding(change.key, old=change.old, new=change.new)
            if any(self.index.matters(change.key, each) for each in (change.old, change.new)):
                touched.add(change.key[0])
        self._touch(touched)

    def _touch(self, namespaces: set[str]) -> None:
        if "" in namespaces:
            self.generations.touch_everywhere()
        else:
            self.generations.touch(namespaces)
