"""MLflow's basic-auth (``mlflow.server.auth``, 3.16 to 3.18): users, their roles, and what these permit.

The tables of before the roles are left in the database by MLflow's own migration, and nothing reads them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from workspace_authz.convert.source import (
    Holder,
    HolderKind,
    OldRole,
    OldSystem,
    Permission,
    Person,
    Row,
    Ways,
    level_of,
)
from workspace_authz.convert.tables import UNREAD, Record, read_tables
from workspace_authz.errors import ConfigurationError
from workspace_authz.grants.levels import Level

_WAYS: Final = Ways(default=Level.READ, ids=True, models_are_prompts=False, nearest=False)

_READ: Final = ("users", "roles", "role_permissions", "user_role_assignments")
_OLDER: Final = (
    "experiment_permissions",
    "registered_model_permissions",
    "scorer_permissions",
    "gateway_secret_permissions",
    "gateway_endpoint_permissions",
    "gateway_model_definition_permissions",
    "workspace_permissions",
)
"""``_RETAINED_LEGACY_PERMISSION_TABLES`` of ``mlflow.server.auth.sqlalchemy_store``."""
_DIRECT: Final = re.compile(r"__user_\d+__")

_SUPERSEDED: Final = "MLflow has turned it into a role's permission, and reads it no more"
_NO_LEVEL: Final = "it names no level that is known"


def read_basic_auth(uri: str) -> OldSystem:
    """All that the database says. Raises :class:`ConfigurationError`."""
    tables = read_tables(uri, (*_READ, *_OLDER))
    rows = tables.rows
    missing = [name for name in _READ if name not in rows]
    if missing:
        raise ConfigurationError(
            f"The database lacks {missing[0]}: is it basic-auth's, and up to date "
            "(`python -m mlflow.server.auth db upgrade --url URI`)?"
        )
    names = {record["id"]: str(record["username"]) for record in rows["users"]}
    asides: list[tuple[Row, str]] = [
        (Row(name, _key(record), _older_words(record, names)), _SUPERSEDED)
        for name in _OLDER
        for record in rows.get(name, ())
    ]
    asides += [(Row(name, "*", "all rows"), UNREAD) for name in tables.unread]
    roles = list(_roles(rows, names))
    permissions = list(_permissions(rows, roles, asides=asides))
    people = [_person(record) for record in rows["users"]]
    return OldSystem(people, (), roles, permissions, asides, _WAYS)


def _person(record: Record) -> Person:
    name, admin = str(record["username"]), bool(record["is_admin"])
    return Person(Row("users", str(record["id"]), f"{name}, administrator" if admin else name), name, admin)


def _roles(rows: Mapping[str, Sequence[Record]], names: Mapping[Any, str]) -> Iterator[OldRole]:
    titles = {record["id"]: f"{record['name']} in {record['workspace']}" for record in rows["roles"]}
    members: dict[Any, list[tuple[Row, str]]] = defaultdict(list)
    for record in rows["user_role_assignments"]:
        user, role = names.get(record["user_id"], "?"), record["role_id"]
        words = f"{user} has the role {titles.get(role, '?')}"
        members[role].append((Row("user_role_assignments", str(record["id"]), words), user))
    for record in rows["roles"]:
        yield OldRole(
            Row("roles", str(record["id"]), titles[record["id"]]),
            str(record["id"]),
            str(record["name"]),
            str(record["workspace"]),
            description=str(record["description"] or ""),
            direct=_DIRECT.fullmatch(str(record["name"])) is not None,
            members=members[record["id"]],
        )


def _permissions(
    rows: Mapping[str, Sequence[Record]], roles: Sequence[OldRole], *, asides: list[tuple[Row, str]]
) -> Iterator[Permission]:
    by_number = {role.number: role for role in roles}
    for record in rows["role_permissions"]:
        role = by_number.get(str(record["role_id"]))
        kind, pattern = str(record["resource_type"]), str(record["resource_pattern"])
        whom = "?" if role is None else _whom(role)
        row = Row(
            "role_permissions", str(record["id"]), f"{whom}: {record['permission']} on {kind} {pattern}"
        )
        try:
            level = level_of(record["permission"])
        except ValueError:
            asides.append((row, _NO_LEVEL))
            continue
        if role is None:
            asides.append((row, "its role is gone"))
            continue
        yield Permission(row, Holder(HolderKind.ROLE, role.number), kind, pattern, role.workspace, level)


def _whom(role: OldRole) -> str:
    if role.direct and len(role.members) == 1:
        return role.members[0][1]
    return f"role {role.name}"


def _key(record: Record) -> str:
    return str(record["id"]) if "id" in record else f"{record['workspace']}/{record['user_id']}"


def _older_words(record: Record, names: Mapping[Any, str]) -> str:
    said = (f"{key}={value}" for key, value in record.items() if key not in ("id", "user_id"))
    return f"{names.get(record['user_id'], '?')}: {', '.join(said)}"
