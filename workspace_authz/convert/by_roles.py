"""basic-auth's permissions as RBAC: its roles become Roles, and what was granted to one user stays theirs.

All permissions of a user add up, and a denial wins except over administrators (``fold_grants_for_key``).
RBAC cannot deny, so whom a denial is about is not bound to a role that holds what is denied. They get the
role's other permissions by themselves.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from workspace_authz.convert.plan import CREATORS, LEVELS, Plan, for_everybody
from workspace_authz.convert.report import Fate
from workspace_authz.convert.source import (
    ALL,
    MODEL,
    PROMPT,
    TYPES,
    WORKSPACE,
    Holder,
    HolderKind,
    OldRole,
    Permission,
    rank,
)
from workspace_authz.convert.targets import Found, Target, unknown_type
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import WORKSPACE_ROLES, RoleRef

_ADMIN: Final = (
    "an administrator of a workspace could also grant: "
    "bind Kubernetes' own ClusterRole admin to those who shall"
)
_VOID: Final = "nobody whom it was about is left, or they are administrators, whom no denial reached"
_ONE_RESOURCE: Final = "RBAC has one resource for models and prompts: it names those that there are today"
_NAMED: Final = "RBAC cannot leave out what is denied: it names the others that there are today"
_WITHHELD: Final = "RBAC cannot leave out what is denied, and without MLflow's database nothing can be named"
_BOTH: Final = "RBAC has one resource for models and prompts; MLflow's database would tell which is which"
_EMPTY: Final = "the role permits nothing that is written"
_NO_MEMBERS: Final = "no user has the role"
_LONGEST: Final = 200


def convert_roles(plan: Plan) -> None:
    """Everything that roles permit. Adds to the plan."""
    denials = _denials(plan)
    for_everybody(plan, without={user: [each.row for each in rows] for user, rows in denials.items()})
    permissions: dict[str, list[Permission]] = defaultdict(list)
    for each in plan.system.permissions:
        permissions[each.holder.name].append(each)
    names = _names(plan.system.roles)
    for role in plan.system.roles:
        _Role(plan, role, names[role.number], permissions[role.number], denials).convert()


@dataclass(frozen=True, slots=True)
class _Role:
    """One role of the old system."""

    plan: Plan
    role: OldRole
    name: str
    permissions: Sequence[Permission]
    denials: Mapping[str, Sequence[Permission]]

    def convert(self) -> None:
        """Writes it, or says why not."""
        report = self.plan.report
        found = {each: self._found(each) for each in self.permissions if each.level is not None}
        for permission, what in found.items():
            if not what.targets or what.why:
                report.note(permission.row, Fate.OUT, why=what.why or "there is nothing that it is on")
        for permission in self.permissions:
            if permission.level is None:
                self._denied(permission)
        given = {permission: what.targets for permission, what in found.items() if what.targets}
        if not self.role.direct:
            self._make(given)
        for row, user in self.role.members:
            why = self._member(user, given)
            if why:
                report.note(row, Fate.OUT, why=why)
            else:
                report.written(row)
        self._fate(given)

    @property
    def _denies(self) -> bool:
        """Whether it has a denial."""
        return any(each.level is None for each in self.permissions)

    def _fate(self, given: Mapping[Permission, Sequence[Target]]) -> None:
        report = self.plan.report
        if not given and not self._denies:
            report.note(self.role.row, Fate.OUT, why=_EMPTY)
        elif not self.role.members:
            report.note(self.role.row, Fate.ABOUT if not self.role.direct else Fate.OUT, why=_NO_MEMBERS)
        report.written(self.role.row)
        for permission in given:
            if self.role.direct and not self.role.members:
                report.note(permission.row, Fate.OUT, why=_NO_MEMBERS)
            if permission.type == WORKSPACE:
                report.note(
                    permission.row, Fate.ABOUT, why=_ADMIN if permission.level is Level.MANAGE else CREATORS
                )
            report.written(permission.row)

    def _make(self, given: Mapping[Permission, Sequence[Target]]) -> None:
        for permission, targets in given.items():
            for target in targets:
                if target.resource is not None and permission.level is not None:
                    self.plan.sheet.add(
                        target, self.name, level=permission.level, description=self.role.description
                    )

    def _member(self, user: str, given: Mapping[Permission, Sequence[Target]]) -> str:
        """Give what the role holds to one user. Returns why that cannot be done; empty where it was."""
        holder = Holder(HolderKind.USER, user)
        subject = self.plan.subjects.get(holder, "there is no such user")
        if isinstance(subject, str):
            for permission in given if self.role.direct else ():
                self.plan.report.note(permission.row, Fate.OUT, why=subject)
            return subject
        if not given:
            return "" if self._denies else _EMPTY
        against = self.denials.get(user, ())
        if self.role.direct or any(_overlap(denial, each) for denial in against for each in given):
            for permission, targets in given.items():
                self._directly(holder, permission, targets=targets)
            return ""
        for permission, targets in given.items():
            for target in targets:
                self._bind(holder, permission, target=target)
        return ""

    def _bind(self, holder: Holder, permission: Permission, *, target: Target) -> None:
        if target.resource is None or permission.level is None:
            self._directly(holder, permission, targets=[target])
            return
        role, subject = RoleRef(self.name, "Role"), self.plan.subjects[holder]
        if not isinstance(subject, str):
            self.plan.sheet.give_role(subject, target.namespace, role=role)
            self.plan.remember(holder, target, level=permission.level)

    def _directly(self, holder: Holder, permission: Permission, *, targets: Sequence[Target]) -> None:
        """Give one permission to one user, without what is denied to them."""
        plan, level = self.plan, permission.level
        if level is None:
            return
        if permission.type == WORKSPACE:
            word = plan.wishes.members if level is not Level.MANAGE else "admin"
            spaces = [target.namespace for target in targets]
            if word:
                plan.grant_role(holder.name, spaces, role=WORKSPACE_ROLES[word], level=LEVELS[word])
            return
        against = [each for each in self.denials.get(holder.name, ()) if _overlap(each, permission)]
        if any(
            each.type == permission.type and each.pattern in (ALL, permission.pattern) for each in against
        ):
            plan.report.note(
                permission.row, Fate.ABOUT, why=f"it is denied to {holder.name}, who does not get it"
            )
            return
        if against:
            targets = self._except(permission, against)
            why = _NAMED if plan.finder.known.complete else _WITHHELD
            fate = Fate.ABOUT if plan.finder.known.complete else Fate.OUT
            plan.report.note(permission.row, fate, why=f"of {holder.name}: {why}")
        plan.give(holder, targets, level=level)

    def _except(self, permission: Permission, against: Sequence[Permission]) -> Sequence[Target]:
        """The objects there are without those that are denied."""
        denied = {target for each in against for target in self.plan.finder.targets(each).targets}
        everything = self.plan.finder.placed(
            self.plan.finder.objects(permission.type, permission.workspace)
        ).targets
        return [target for target in everything if target not in denied]

    def _denied(self, denial: Permission) -> None:
        """A denial is kept by leaving out what it takes away; of what RBAC does not know it cannot be."""
        users = [user for _, user in self.role.members if denial in self.denials.get(user, ())]
        if denial.type not in TYPES:
            why = f"a denial, and {unknown_type(denial.type)}"
            self.plan.report.note(denial.row, Fate.MORE if users else Fate.OUT, why=why)
        elif not users:
            self.plan.report.note(denial.row, Fate.OUT, why=_VOID)
        self.plan.report.written(denial.row)

    def _found(self, permission: Permission) -> Found:
        finder = self.plan.finder
        if permission.type == WORKSPACE and permission.level is not Level.MANAGE:
            found = finder.targets(permission)
            return found if self.plan.wishes.members or found.why else Found(why=CREATORS)
        twin = {MODEL: PROMPT, PROMPT: MODEL}.get(permission.type)
        if twin is None or permission.pattern != ALL or finder.targets(permission).why:
            return finder.targets(permission)
        others = [each for each in self.permissions if each.type == twin and each.pattern == ALL]
        if any(rank(each.level) >= rank(permission.level) for each in others):
            return finder.targets(replace(permission, type=MODEL))
        if not finder.known.complete:
            return Found(why=_BOTH)
        found = finder.placed(finder.objects(permission.type, permission.workspace))
        if found.targets:
            self.plan.report.note(permission.row, Fate.ABOUT, why=_ONE_RESOURCE)
        return found


def _denials(plan: Plan) -> dict[str, list[Permission]]:
    """By user, what is denied to them; nothing is denied to administrators, also of one workspace."""
    users = {role.number: [user for _, user in role.members] for role in plan.system.roles}
    free = {
        (user, each.workspace)
        for each in plan.system.permissions
        if each.type == WORKSPACE and each.level is Level.MANAGE
        for user in users.get(each.holder.name, ())
    }
    found: dict[str, list[Permission]] = defaultdict(list)
    for each in plan.system.permissions:
        if each.level is None:
            for user in users.get(each.holder.name, ()):
                if not plan.administrator(user) and (user, each.workspace) not in free:
                    found[user].append(each)
    return found


def _overlap(denial: Permission, permission: Permission) -> bool:
    """Whether giving the permission might give what is denied: all models are all prompts, too."""
    if denial.workspace != permission.workspace or TYPES.get(denial.type) != TYPES.get(permission.type):
        return False
    if denial.type != permission.type:
        return permission.pattern == ALL
    return ALL in (denial.pattern, permission.pattern) or denial.pattern == permission.pattern


def _names(roles: Iterable[OldRole]) -> Mapping[str, str]:
    """The name of each role as a Role of Kubernetes: its own, where that is one and no other has it."""
    wanted = {role.number: _clean(role.name) for role in roles}
    counts = Counter(wanted.values())
    return {
        number: name if counts[name] == 1 and name else f"{name}-{number}" for number, name in wanted.items()
    }


def _clean(name: str) -> str:
    text = "".join(each if each.isprintable() else "-" for each in re.sub("[/%]", "-", name))[:_LONGEST]
    reserved = text in ("", ".", "..") or text.startswith("mlflow-all-")
    return f"role-{text.strip('.')}" if reserved else text
