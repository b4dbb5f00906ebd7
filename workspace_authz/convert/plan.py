"""What both converters share: who is who, what everybody gets, and who holds what in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from workspace_authz.convert.known import Known
from workspace_authz.convert.places import Places
from workspace_authz.convert.report import Fate, Report
from workspace_authz.convert.sheet import Sheet
from workspace_authz.convert.source import Holder, HolderKind, OldSystem, Person, Row, highest
from workspace_authz.convert.subjects import Naming
from workspace_authz.convert.targets import Finder, Target
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import WORKSPACE_ROLES, RoleRef
from workspace_authz.grants.subjects import Subject

BY_LEVEL: Final[Mapping[Level, str]] = {
    Level.READ: "view",
    Level.USE: "view",
    Level.EDIT: "integration",
    Level.MANAGE: "admin",
}
"""The role for a level on a whole workspace."""
LEVELS: Final[Mapping[str, Level]] = {
    "view": Level.READ,
    "integration": Level.EDIT,
    "edit": Level.MANAGE,
    "admin": Level.MANAGE,
}
"""The level on all objects that a role gives."""

_RISING: Final = ("", "view", "integration", "edit", "admin")
"""The words for roles, from no role to the one that allows most."""

ADMINS: Final = (
    "administrators get mlflow-admin where the data go; for all namespaces there is "
    "`kubectl create clusterrolebinding`"
)
NOTHING: Final = "nothing follows from it here"
CREATORS: Final = (
    "whoever is in may make experiments and models there; here that is the right to change all of them, too: "
    "--members edit gives it"
)
_NO_DEFAULT: Final = "a denial cannot be taken out of what everybody gets, so they do not get it"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the options say beyond the database."""

    places: Places
    naming: Naming
    default: Level | None
    """What everybody had on everything that nobody gave them more or less of."""
    members: str = ""
    """The level of a workspace for whoever could make objects there."""
    everybody: Subject | None = None
    """Stands for everybody, in the place of each user."""


@dataclass(slots=True)
class Plan:
    """A conversion under way."""

    system: OldSystem
    wishes: Wishes
    finder: Finder
    sheet: Sheet = field(default_factory=Sheet)
    report: Report = field(default_factory=Report)
    people: dict[str, Person] = field(default_factory=dict)
    subjects: dict[Holder, Subject | str] = field(default_factory=dict)
    holds: dict[Holder, dict[Target, Level]] = field(default_factory=lambda: defaultdict(dict))
    """What a user or group has been given."""

    def give(self, holder: Holder, targets: Iterable[Target], *, level: Level) -> str:
        """Give a level to a holder. Returns why it cannot be given; empty where it was."""
        subject = self.subjects[holder]
        if isinstance(subject, str):
            return subject
        for target in targets:
            if target.resource is None:
                role = WORKSPACE_ROLES[BY_LEVEL[level]]
                self.sheet.give_role(subject, target.namespace, role=role)
            else:
                self.sheet.give(subject, target, level=level)
            self.remember(holder, target, level=level)
        return ""

    def remember(self, holder: Holder, target: Target, *, level: Level) -> None:
        """``holder`` has been given this."""
        found = highest((self.holds[holder].get(target), level))
        if found is not None:
            self.holds[holder][target] = found

    def level(self, holder: Holder, target: Target) -> Level | None:
        """What a holder has been given on something, also by what is around it."""
        given = self.holds.get(holder, {})
        return highest(given.get(each) for each in (target, *target.around))

    def administrator(self, user: str) -> bool:
        """Whether nothing of the old system bound the user."""
        return user in self.people and self.people[user].admin

    def grant_role(self, user: str, namespaces: Iterable[str], *, role: RoleRef, level: Level) -> str:
        """A role in namespaces. Returns why it cannot be given; empty where it was."""
        holder = Holder(HolderKind.USER, user)
        subject = self.subjects.get(holder, "there is no such user")
        if isinstance(subject, str):
            return subject
        for namespace in namespaces:
            self.sheet.give_role(subject, namespace, role=role)
            self.remember(holder, Target(namespace), level=level)
        return ""


def begin(system: OldSystem, *, known: Known, wishes: Wishes) -> Plan:
    """A plan that knows who is who."""
    plan = Plan(system, wishes, Finder(known, wishes.places, system.ways))
    for person in system.people:
        plan.people[person.name] = person
        plan.subjects[Holder(HolderKind.USER, person.name)] = wishes.naming.person(person)
    for group in system.groups:
        plan.subjects[Holder(HolderKind.GROUP, group.name)] = wishes.naming.group(group.name)
    for row, why in system.asides:
        plan.report.note(row, Fate.OUT, why=why)
    return plan


def for_administrators(plan: Plan) -> None:
    """Everything, where the data go."""
    spaces = _all_namespaces(plan)
    for person in plan.system.people:
        if person.admin and not plan.grant_role(
            person.name, spaces, role=WORKSPACE_ROLES["admin"], level=Level.MANAGE
        ):
            plan.report.note(person.row, Fate.ABOUT, why=ADMINS)


def for_everybody(plan: Plan, *, without: Mapping[str, Sequence[Row]]) -> str:
    """What a user has without any permission. Returns the level's word; empty where that is nothing.

    ``without``: users whom denials are about, and these.
    """
    word = _word(plan)
    if not word:
        return ""
    role, level = WORKSPACE_ROLES[word], LEVELS[word]
    spaces = plan.wishes.places.namespaces
    if plan.wishes.everybody is not None:
        for namespace in spaces:
            plan.sheet.give_role(plan.wishes.everybody, namespace, role=role)
    for person in plan.system.people:
        denials = without.get(person.name, ()) if not person.admin else ()
        if plan.wishes.everybody is not None:
            for namespace in spaces:
                plan.remember(Holder(HolderKind.USER, person.name), Target(namespace), level=level)
            for row in denials:
                everybody = plan.wishes.everybody.text
                plan.report.note(
                    row, Fate.MORE, why=f"{everybody} gets {word}, which no denial is taken out of"
                )
        elif denials:
            plan.report.note(person.row, Fate.OUT, why=_NO_DEFAULT)
        elif not person.admin:
            plan.grant_role(person.name, spaces, role=role, level=level)
    return word


def finish_people(plan: Plan) -> None:
    """Users and groups of whom nothing has been said yet."""
    for person in plan.system.people:
        holder = Holder(HolderKind.USER, person.name)
        _finish(plan, person.row, holder=holder, nothing="nothing was given to the user alone")
    for group in plan.system.groups:
        holder = Holder(HolderKind.GROUP, group.name)
        _finish(plan, group.row, holder=holder, nothing="nothing was given to the group")
        for row, _ in group.members:
            why = "who is in a group is what the token says, so the identity provider must put them in"
            plan.report.note(row, Fate.OUT, why=why)


def _finish(plan: Plan, row: Row, *, holder: Holder, nothing: str) -> None:
    subject = plan.subjects[holder]
    if isinstance(subject, str):
        plan.report.note(row, Fate.OUT, why=subject)
    elif plan.holds.get(holder):
        plan.report.written(row)
    elif row not in plan.report.fates:
        plan.report.note(row, Fate.OUT, why=nothing)


def _all_namespaces(plan: Plan) -> Sequence[str]:
    places = plan.wishes.places
    others = {role.workspace for role in plan.system.roles}
    others |= {permission.workspace for permission in plan.system.permissions}
    others |= set(plan.finder.known.workspaces)
    spaces = [*places.namespaces, *(name for each in sorted(others) for name in places.of(each))]
    return list(dict.fromkeys(spaces))


def _word(plan: Plan) -> str:
    """The level of a workspace for everybody: without workspaces everybody could make objects."""
    wishes = plan.wishes
    if wishes.places.workspaces:
        return ""
    default = "" if wishes.default is None else {**BY_LEVEL, Level.MANAGE: "edit"}[wishes.default]
    return max(default, wishes.members, key=_RISING.index)
