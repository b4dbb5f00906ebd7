"""MLflow's levels of permission (``mlflow.server.auth.permissions``, 3.17.2), in verbs of RBAC.

| level | verbs |
|---|---|
| READ | get, list |
| USE | get, list, and create on the subresource ``use`` |
| EDIT | get, list, update; on all objects also create; with ``use`` where there is one |
| MANAGE | as EDIT, and delete |

No level lets its holder grant anything: that is a right on RoleBindings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from workspace_authz.authorizer.rules import covers
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import API_GROUP, USABLE, USE, Attributes, Resource, Verb


class Level(StrEnum):
    """What somebody may do with one object, or with all objects of a resource. In rising order."""

    READ = "READ"
    USE = "USE"
    EDIT = "EDIT"
    MANAGE = "MANAGE"


_OUR_GROUP: Final = frozenset({API_GROUP})
_VERBS: Final[Mapping[Level, frozenset[Verb]]] = {
    Level.READ: frozenset({Verb.GET, Verb.LIST}),
    Level.USE: frozenset({Verb.GET, Verb.LIST}),
    Level.EDIT: frozenset({Verb.GET, Verb.LIST, Verb.UPDATE}),
    Level.MANAGE: frozenset({Verb.GET, Verb.LIST, Verb.UPDATE, Verb.DELETE}),
}


def rules_for(resource: Resource, level: Level, *, name: str = "") -> tuple[ResourceRule, ...]:
    """The rules that give ``level``; without a name on all objects. ``create`` never has a name."""
    verbs = set(_VERBS[level])
    if not name and Verb.UPDATE in verbs:
        verbs.add(Verb.CREATE)
    names = frozenset({name} if name else ())
    rules = [ResourceRule(frozenset(map(str, verbs)), _OUR_GROUP, frozenset({str(resource)}), names)]
    if level is not Level.READ and resource in USABLE:
        use = frozenset({f"{resource}/{USE}"})
        rules.append(ResourceRule(frozenset({str(Verb.CREATE)}), _OUR_GROUP, use, names))
    return tuple(rules)


def level_on(rules: Iterable[ResourceRule], resource: Resource, *, name: str = "") -> Level | None:
    """The level that ``rules`` give on the object; without a name on all objects. None when it is none.

    A rule on all objects counts for each.
    """
    counted = [rule for rule in rules if not rule.names or name in rule.names]

    def allowed(verb: Verb, subresource: str = "") -> bool:
        asked = Attributes("", verb, resource, subresource)
        return any(covers(rule, asked) for rule in counted)

    verbs = {verb for verb in Verb if allowed(verb)}
    uses = resource not in USABLE or allowed(Verb.CREATE, USE)
    best: Level | None = None
    for level in Level:
        if verbs >= _VERBS[level] and (level is Level.READ or uses):
            best = level if level is not Level.USE or resource in USABLE else best
    return best


def named_objects(rules: Iterable[ResourceRule], resource: Resource) -> frozenset[str]:
    """The names of the single objects on which ``rules`` say something about ``resource``."""
    texts = {str(resource), f"{resource}/{USE}", "*"}
    return frozenset(name for rule in rules if rule.resources & texts for name in rule.names)


def levels_in(rules: Iterable[ResourceRule]) -> Mapping[tuple[Resource, str], Level]:
    """All levels that ``rules`` give: by resource and name, which is empty for all objects.

    Rights that make up no level are left out, and names that get no more than all objects do.
    """
    given, levels = tuple(rules), dict[tuple[Resource, str], Level]()
    for resource in Resource:
        broad = level_on(given, resource)
        if broad is not None:
            levels[resource, ""] = broad
        for name in sorted(named_objects(given, resource)):
            level = level_on(given, resource, name=name)
            if level is not None and level is not broad:
                levels[resource, name] = level
    return levels
