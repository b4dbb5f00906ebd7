"""Ten thousand permissions are a hundred times the work of a hundred: counted in calls, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from workspace_authz.convert.conversion import convert
from workspace_authz.convert.known import know
from workspace_authz.convert.places import read_places
from workspace_authz.convert.plan import Wishes
from workspace_authz.convert.source import (
    Group,
    Holder,
    HolderKind,
    OldRole,
    OldSystem,
    Permission,
    Person,
    Row,
    Ways,
)
from workspace_authz.convert.subjects import Naming
from workspace_authz.grants.levels import Level
from workspace_authz.mlflow_adapter.store.named_objects import NamedObject
from workspace_authz.types import Resource

FEW, MANY = 200, 800


def by_holders(count: int) -> OldSystem:
    """As in mlflow-oidc-auth: users and groups have permissions, some users less than their group."""
    people = [Person(Row("users", str(number)), f"user-{number}") for number in range(count // 10)]
    groups = [
        Group(
            Row("groups", str(number)),
            f"group-{number}",
            [
                (Row("user_groups", f"{number}-{member}"), f"user-{number * 5 + member}")
                for member in range(5)
            ],
        )
        for number in range(count // 50)
    ]
    holders = [Holder(HolderKind.USER, person.name) for person in people]
    holders += [Holder(HolderKind.GROUP, group.name) for group in groups]
    return OldSystem(people, groups, (), permissions(count, holders), (), Ways(None, False, True, True))


def by_roles(count: int) -> OldSystem:
    """As in basic-auth: a role for each user, one for many of them, and denials."""
    people = [Person(Row("users", str(number)), f"user-{number}") for number in range(count // 10)]
    roles = [
        OldRole(
            Row("roles", str(number)),
            str(number),
            f"__user_{number}__",
            "default",
            direct=True,
            members=[(Row("user_role_assignments", str(number)), person.name)],
        )
        for number, person in enumerate(people)
    ]
    holders = [Holder(HolderKind.ROLE, role.number) for role in roles]
    return OldSystem(people, (), roles, permissions(count, holders), (), Ways(None, True, False, False))


def permissions(count: int, holders: list[Holder]) -> list[Permission]:
    levels = [*Level, None]
    return [
        Permission(
            Row("permissions", str(number)),
            holders[number % len(holders)],
            "experiment",
            str(number // 2),
            "default",
            levels[number % len(levels)],
        )
        for number in range(count)
    ]


def calls(system: OldSystem, count: int) -> int:
    """How many calls a conversion makes, with a line of the map for each object."""
    known = know(
        NamedObject(Resource.EXPERIMENTS, "default", f"e-{each}", str(each)) for each in range(count)
    )
    places = read_places([f"experiments/e-{each} team-{each % 7}" for each in range(count)], workspaces=False)
    counted = 0

    def count_one(frame: Any, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count_one)
    try:
        convert(system, known=known, wishes=Wishes(places, Naming(accounts="team-0"), None))
    finally:
        sys.setprofile(before)
    return counted


@pytest.mark.parametrize("make", [by_holders, by_roles])
def test_work_grows_with_the_rows(make: Callable[[int], OldSystem]) -> None:
    few, many = calls(make(FEW), FEW), calls(make(MANY), MANY)
    assert many < few * (MANY / FEW) * 1.5
