"""mlflow-oidc-auth's permissions as RBAC.

There the nearest source of a permission decides, so that a user's own permission may be less than their
groups'. RBAC adds up: where somebody may do more for that, the report says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from workspace_authz.convert.patterns import patterns_of
from workspace_authz.convert.plan import Plan, for_everybody
from workspace_authz.convert.report import Fate
from workspace_authz.convert.source import ALL, TYPES, WORKSPACE, Holder, HolderKind, Permission, Row, rank
from workspace_authz.convert.targets import NO_DATABASE, NO_WORKSPACES, Target, unknown_type
from workspace_authz.grants.levels import Level

_EXPANDED: Final = (
    "RBAC has no regular expressions: it names what fits today, and not what will be made; "
    "a namespace of its own for what belongs together needs none"
)
_NO_FIT: Final = "no object that there is today fits, or another permission decides on all that do"
_ADMIN: Final = (
    "MANAGE of a workspace could also grant: bind Kubernetes' own ClusterRole admin to those who shall"
)
_EDIT: Final = "EDIT of a workspace is mlflow-integration: it also makes objects, and uses gateway endpoints"
_USE: Final = "USE of a workspace is mlflow-view; calling its gateway endpoints is a right on these"
_OF_WORKSPACE: Final[Mapping[Level, str]] = {Level.MANAGE: _ADMIN, Level.EDIT: _EDIT, Level.USE: _USE}


_Rows: TypeAlias = dict[Target, tuple[Row, Level | None]]


@dataclass(slots=True)
class _Said:
    """What rows said of targets."""

    direct: dict[Holder, _Rows] = field(default_factory=dict)
    pattern: dict[Holder, _Rows] = field(default_factory=dict)
    in_patterns: set[Target] = field(default_factory=set)

    def directly(self, holder: Holder, target: Target) -> bool:
        """Whether the holder has a row of its own on this."""
        return target in self.direct.get(holder, {})


def convert_holders(plan: Plan) -> None:
    """Everything that users and groups have. Adds to the plan."""
    for_everybody(plan, without={})
    said, groups = _Said(), _groups_of(plan)
    by_pattern: dict[tuple[Holder, str, str], list[Permission]] = defaultdict(list)
    for permission in plan.system.permissions:
        if permission.is_pattern:
            by_pattern[permission.holder, permission.type, permission.row.table].append(permission)
        else:
            _direct(plan, permission, said=said)
    for permissions in by_pattern.values():
        _by_pattern(plan, permissions, said=said, groups=groups)
    _compare(plan, said, groups=groups)


def _groups_of(plan: Plan) -> Mapping[str, Sequence[Holder]]:
    found: dict[str, list[Holder]] = defaultdict(list)
    for group in plan.system.groups:
        for _, user in group.members:
            found[user].append(Holder(HolderKind.GROUP, group.name))
    return found


def _direct(plan: Plan, permission: Permission, *, said: _Said) -> None:
    found = plan.finder.targets(permission)
    if found.why or not found.targets:
        denied = permission.level is None and permission.type not in TYPES and permission.type != WORKSPACE
        why = f"a denial, and {found.why}" if denied else found.why
        plan.report.note(permission.row, Fate.MORE if denied else Fate.OUT, why=why)
    for target in found.targets:
        said.direct.setdefault(permission.holder, {})[target] = (permission.row, permission.level)
    _give(plan, permission, targets=found.targets)


def _give(plan: Plan, permission: Permission, *, targets: Sequence[Target]) -> None:
    if permission.level is not None and targets:
        why = plan.give(permission.holder, targets, level=permission.level)
        if why:
            plan.report.note(permission.row, Fate.OUT, why=why)
        elif permission.type == WORKSPACE and permission.level in _OF_WORKSPACE:
            plan.report.note(permission.row, Fate.ABOUT, why=_OF_WORKSPACE[permission.level])
    plan.report.written(permission.row)


def _by_pattern(
    plan: Plan, permissions: Sequence[Permission], *, said: _Said, groups: Mapping[str, Sequence[Holder]]
) -> None:
    """The patterns of one holder and type."""
    holder, kind = permissions[0].holder, permissions[0].type
    why = _no_patterns(plan, kind)
    nearer = [holder, *(groups.get(holder.name, ()) if holder.kind is HolderKind.USER else ())]
    decided: dict[Permission, list[Target]] = defaultdict(list)
    for workspace in () if why else plan.finder.workspaces:
        rules = patterns_of([each for each in permissions if each.workspace in (ALL, workspace)])
        for name, targets in _candidates(plan, kind, workspace=workspace):
            permission = rules.deciding(name)
            if permission is not None:
                decided[permission] += [
                    target for target in targets if not any(said.directly(each, target) for each in nearer)
                ]
    for each in permissions:
        targets = decided.get(each, [])
        for target in targets:
            said.pattern.setdefault(holder, {})[target] = (each.row, each.level)
            said.in_patterns.add(target)
        if targets:
            plan.report.note(each.row, Fate.ABOUT, why=_EXPANDED)
        else:
            denied = why and each.level is None
            plan.report.note(each.row, Fate.MORE if denied else Fate.OUT, why=why or _NO_FIT)
        _give(plan, each, targets=targets)


def _no_patterns(plan: Plan, kind: str) -> str:
    """Why nothing can be said of the patterns of a type; empty where it can."""
    if kind == WORKSPACE:
        return "" if plan.finder.places.workspaces else NO_WORKSPACES
    if kind not in TYPES:
        return unknown_type(kind)
    return "" if plan.finder.known.complete else NO_DATABASE


def _candidates(plan: Plan, kind: str, *, workspace: str) -> Iterable[tuple[str, Sequence[Target]]]:
    """The names that a pattern may fit, and what each is."""
    if kind == WORKSPACE:
        yield workspace, [Target(namespace) for namespace in plan.finder.places.of(workspace)]
        return
    for each in plan.finder.objects(kind, workspace):
        yield each.name, plan.finder.placed([each]).targets


def _compare(plan: Plan, said: _Said, *, groups: Mapping[str, Sequence[Holder]]) -> None:
    """Find rows that took away, or gave less than something farther away: RBAC adds that up."""
    members: dict[Holder, list[str]] = defaultdict(list)
    for user, of in groups.items():
        for group in of:
            members[group].append(user)
    wide = {target.namespace for given in plan.holds.values() for target in given if not target.name}
    for source in (said.direct, said.pattern):
        for holder, rows in source.items():
            for target, (row, level) in rows.items():
                if holder.kind is HolderKind.USER:
                    of = groups.get(holder.name, ())
                    _compare_user(plan, _Had(holder.name, row, level, target), groups=of)
                elif level is None or target in said.in_patterns or target.namespace in wide:
                    for user in members[holder]:
                        if not said.directly(Holder(HolderKind.USER, user), target):
                            had = _Had(
                                user, row, _folded(said, groups[user], target=target, level=level), target
                            )
                            _compare_user(plan, had, groups=groups[user])


@dataclass(frozen=True, slots=True)
class _Had:
    """What a row made of somebody's right."""

    user: str
    row: Row
    level: Level | None
    target: Target


def _folded(said: _Said, groups: Sequence[Holder], *, target: Target, level: Level | None) -> Level | None:
    """What the rows of all groups of somebody made of it: a denial wins, else the highest."""
    found = [said.direct[group][target][1] for group in groups if said.directly(group, target)]
    return level if None in found or not found else max(found, key=rank)


def _compare_user(plan: Plan, had: _Had, *, groups: Sequence[Holder]) -> None:
    own = Holder(HolderKind.USER, had.user)
    if plan.administrator(had.user) or isinstance(plan.subjects.get(own, ""), str):
        return
    for holder in (own, *groups):
        more = plan.level(holder, had.target)
        if rank(more) > rank(had.level):
            by = "by what else is theirs" if holder == own else f"by their group {holder.name}"
            was = had.level or "nothing"
            why = f"{had.user} had {was} on {had.target.text}, and has {more} {by}"
            plan.report.note(had.row, Fate.MORE, why=why)
