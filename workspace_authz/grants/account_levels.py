"""What the service accounts of a namespace hold in it, as people read it. It decides nothing.

Who may write Roles there chooses how many rights there are, so the work for one page is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Final

from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import Resource, UserInfo

_MOST_RULES: Final = 50
"""Of one account."""
_MOST_RULES_IN_ALL: Final = 2_000
"""Of all accounts that do not hold the same."""
_MOST_NAMES: Final = 12
"""Single objects of one account that are shown with their level."""
_FURTHER: Final = "what further bindings give"
_NOT_SHOWN: Final = "too many rights to be shown here"

_Rules = tuple[ResourceRule, ...]


async def account_levels(
    index: RbacIndex, namespace: str, *, accounts: Iterable[str], cluster_wide: bool
) -> Mapping[str, str]:
    """A text for each account; empty where it holds nothing.

    ``cluster_wide`` says whether ClusterRoleBindings count, too.
    """
    homes = ("", namespace) if cluster_wide else (namespace,)
    texts: dict[_Rules, str] = {(): ""}
    found: dict[str, str] = {}
    left = _MOST_RULES_IN_ALL
    for account in accounts:
        rules = _rules(index, account, namespace=namespace, homes=homes)
        if rules not in texts:
            left -= len(rules)
            texts[rules] = _text(rules) if left >= 0 else _NOT_SHOWN
            await asyncio.sleep(0)  # others have their turn
        found[account] = texts[rules]
    return found


def _rules(index: RbacIndex, account: str, *, namespace: str, homes: tuple[str, ...]) -> _Rules:
    """The first rules, and one more where there are more."""
    user = UserInfo(
        f"system:serviceaccount:{namespace}:{account}",
        groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
    )
    rules = chain.from_iterable(role.rules for home, role in index.granted_to(user) if home in homes)
    return tuple(dict.fromkeys(islice(rules, _MOST_RULES + 1)))


def _text(rules: _Rules) -> str:
    shown = rules[:_MOST_RULES]
    names = set(islice(chain.from_iterable(rule.names for rule in shown), _MOST_NAMES + 1))
    counted = [rule for rule in shown if not rule.names] if len(names) > _MOST_NAMES else shown
    levels = levels_in(counted)
    objects = {level: _objects(levels, level) for level in reversed(Level)}
    texts = [f"{level} on {named}" for level, named in objects.items() if named]
    if len(names) > _MOST_NAMES:
        texts.append(f"rights on more than {_MOST_NAMES} single objects")
    if not texts:
        texts.append("some rights, which make up no level")
    if len(rules) > _MOST_RULES:
        texts.append(_FURTHER)
    return "; ".join(texts)


def _objects(levels: Mapping[tuple[Resource, str], Level], wanted: Level) -> str:
    found = [key for key, level in levels.items() if level is wanted]
    if {resource for resource, name in found if not name} == set(Resource):
        return "everything"
    return ", ".join(f"{resource}/{name}" if name else str(resource) for resource, name in found)
