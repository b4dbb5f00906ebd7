"""What the service accounts of a namespace hold in it, as people read it. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.types import Resource, UserInfo

_MOST_SHOWN = 12
"""Objects and resources of one level."""
_EVERYTHING = "everything"


def account_levels(
    index: RbacIndex, namespace: str, *, accounts: Iterable[str], cluster_wide: bool
) -> Mapping[str, str]:
    """A text for each account; empty where it holds nothing.

    ``cluster_wide`` says whether ClusterRoleBindings count, too.
    """
    homes = ("", namespace) if cluster_wide else (namespace,)
    return {account: _text(index, account, namespace=namespace, homes=homes) for account in accounts}


def _text(index: RbacIndex, account: str, *, namespace: str, homes: tuple[str, ...]) -> str:
    user = UserInfo(
        f"system:serviceaccount:{namespace}:{account}",
        groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
    )
    roles = [role for home, role in index.granted_to(user) if home in homes]
    rules = tuple(dict.fromkeys(rule for role in roles for rule in role.rules))
    levels = levels_in(rules)
    named = {level: _objects(levels, level) for level in reversed(Level)}
    texts = [f"{level} on {objects}" for level, objects in named.items() if objects]
    if rules and not texts:
        return "some rights, which make up no level"
    return "; ".join(texts)


def _objects(levels: Mapping[tuple[Resource, str], Level], wanted: Level) -> str:
    found = [key for key, level in levels.items() if level is wanted]
    if {resource for resource, name in found if not name} == set(Resource):
        return _EVERYTHING
    texts = [f"{resource}/{name}" if name else str(resource) for resource, name in found]
    return ", ".join(texts[:_MOST_SHOWN]) + (" and more" if len(texts) > _MOST_SHOWN else "")
