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
from itertools import islice
from typing import Final

from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import API_GROUP, USABLE, USE, Resource, Verb


class Level(StrEnum):
    """What somebody may do with one object, or with all objects of a resource. In rising order."""

    READ = "READ"
    USE = "USE"
    EDIT = "EDIT"
    MANAGE = "MANAGE"


MOST_RULES: Final = 1_000
"""Of a role that are read for people."""
MOST_NAMES: Final = 1_000
"""Single objects of a role that are shown."""

_OUR_GROUP: Final = frozenset({API_GROUP})
_ALL: Final = frozenset(map(str, Verb))
_WILDCARDS: Final = frozenset({"*", f"*/{USE}"})
_BY_TEXT: Final[Mapping[str, Resource]] = {str(resource): resource for resource in Resource}
_ORDER: Final[Mapping[Resource, int]] = {resource: number for number, resource in enumerate(Resource)}
_VERBS: Final[Mapping[Level, frozenset[str]]] = {
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
    counted = (rule for rule in rules if not rule.names or name in rule.names)
    return _level(resource, frozenset().union(*(_verbs(rule, resource) for rule in counted)))


def levels_in(
    rules: Iterable[ResourceRule], *, most_names: int = MOST_NAMES
) -> Mapping[tuple[Resource, str], Level]:
    """The levels that ``rules`` give: by resource and name, which is empty for all objects.

    Rights that make up no level are left out, and names that get no more than all objects do. Of a rule the
    first ``most_names`` names are read, and no rule after :data:`MOST_RULES`: whoever writes Roles chooses
    how long they are.
    """
    verbs = _verbs_by_object(islice(rules, MOST_RULES), most_names=most_names)
    broad = {resource: _level(resource, given) for (resource, name), given in verbs.items() if not name}
    levels = {(resource, ""): level for resource, level in broad.items() if level is not None}
    for (resource, name), given in verbs.items():
        level = _level(resource, given | verbs.get((resource, ""), frozenset()))
        if name and level is not None and level is not broad.get(resource):
            levels[resource, name] = level
    return dict(sorted(levels.items(), key=lambda item: (_ORDER[item[0][0]], item[0][1])))


def named_objects(rules: Iterable[ResourceRule], resource: Resource) -> frozenset[str]:
    """The names of the single objects on which ``rules`` say something about ``resource``."""
    texts = {str(resource), f"{resource}/{USE}", f"*/{USE}", "*"}
    return frozenset(name for rule in rules if rule.resources & texts for name in rule.names)


def _verbs_by_object(
    rules: Iterable[ResourceRule], *, most_names: int
) -> Mapping[tuple[Resource, str], frozenset[str]]:
    """What rules allow, by resource and name; not more than ``most_names`` of each."""
    verbs: dict[tuple[Resource, str], frozenset[str]] = {}
    for rule in rules:
        names = sorted(rule.names)[:most_names] if len(rule.names) > most_names else rule.names or ("",)
        for resource in Resource if rule.resources & _WILDCARDS else _named_resources(rule):
            found = _verbs(rule, resource)
            for name in names:
                if (resource, name) in verbs or len(verbs) < most_names + len(Resource):
                    verbs[resource, name] = verbs.get((resource, name), frozenset()) | found
    return verbs


def _verbs(rule: ResourceRule, resource: Resource) -> frozenset[str]:
    """What a rule of our API group allows to a resource; :data:`USE` stands for the subresource."""
    given = _ALL if "*" in rule.verbs else rule.verbs & _ALL
    found = given if rule.resources & {str(resource), "*"} else frozenset()
    if given & {Verb.CREATE} and rule.resources & {f"{resource}/{USE}", f"*/{USE}", "*"}:
        found |= {USE}
    return found


def _named_resources(rule: ResourceRule) -> Iterable[Resource]:
    return {_BY_TEXT[text] for each in rule.resources if (text := each.partition("/")[0]) in _BY_TEXT}


def _level(resource: Resource, verbs: frozenset[str]) -> Level | None:
    best: Level | None = None
    usable = resource in USABLE
    for level in Level:
        needs_use = usable and level is not Level.READ
        if verbs >= _VERBS[level] and (not needs_use or USE in verbs) and (usable or level is not Level.USE):
            best = level
    return best
