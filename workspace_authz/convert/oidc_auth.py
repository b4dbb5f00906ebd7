"""mlflow-oidc-auth (11.0.2 and older): users, groups, and permissions of both, some by pattern.

A user's own permission decides before that of their groups, this before patterns, and all before the
workspace (``PERMISSION_SOURCE_ORDER``, as shipped).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.convert.places import DEFAULT_WORKSPACE
from workspace_authz.convert.source import (
    ALL,
    MODEL,
    PROMPT,
    WORKSPACE,
    Group,
    Holder,
    HolderKind,
    OldSystem,
    Permission,
    Person,
    Row,
    Ways,
    level_of,
)
from workspace_authz.convert.tables import UNREAD, Record, read_tables
from workspace_authz.errors import ConfigurationError

_WAYS: Final = Ways(default=None, ids=False, models_are_prompts=True, nearest=True)

_KINDS: Final[Mapping[str, Sequence[str]]] = {
    "experiment": ("experiment_id",),
    MODEL: ("name",),
    "scorer": ("experiment_id", "scorer_name"),
    "gateway_endpoint": ("endpoint_id",),
    "gateway_model_definition": ("model_definition_id",),
    "gateway_secret": ("secret_id",),
    "mcp_server": ("name",),
    WORKSPACE: ("workspace",),
}
"""By type, the columns that name an object (``mlflow_oidc_auth.permission_kinds``)."""

_UNRESOLVED: Final = "::unresolved"
"""``mlflow_oidc_auth.utils.grant_workspace.UNRESOLVED_WORKSPACE``: a permission that counts nowhere."""


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of permissions."""

    name: str
    type: str
    group: bool
    pattern: bool


_TABLES: Final = tuple(
    _Table(
        f"{kind}_{'group_' if group else ''}{'regex_' if pattern else ''}permissions", kind, group, pattern
    )
    for kind in _KINDS
    for group in (False, True)
    for pattern in (False, True)
)
_PEOPLE: Final = ("users", "groups", "user_groups", "user_tokens", "workspace_group_rules")
_COUNTED: Final[Mapping[str, str]] = {
    "user_identities": "who has signed in where is the identity provider's to know",
    "auth_sessions": "sessions end with their system; people sign in again",
    "auth_state": "sign-ins under way end with their system",
    "saml_assertions": "sign-ins by SAML end with their system",
    "scim_tokens": "users and groups come from the identity provider, so nobody provisions them here",
    "scim_activity": "a record of provisioning; keep the old database for it",
}
_ENDED: Final = (
    "a key ends with its system: `workspace-authz keys create` makes one for a service account, "
    "and people log in with `workspace-authz login`"
)
_RULE: Final = (
    "a rule attaches groups to workspaces as they come: here each namespace gets its RoleBinding, "
    "with whatever makes namespaces"
)


def read_oidc_auth(uri: str) -> OldSystem:
    """All that the database says. Raises :class:`ConfigurationError`."""
    names = [table.name for table in _TABLES]
    tables = read_tables(uri, (*_PEOPLE, *names), counted=_COUNTED)
    rows = tables.rows
    for name in ("users", "groups", "experiment_permissions"):
        if name not in rows:
            raise ConfigurationError(f"The database lacks {name}: is it mlflow-oidc-auth's?")
    users = {record["id"]: str(record["username"]) for record in rows["users"]}
    groups = {record["id"]: str(record["group_name"]) for record in rows["groups"]}
    asides = list(_asides(rows, tables.counts, users=users))
    asides += [(Row(name, "*", "all rows"), UNREAD) for name in tables.unread]
    permissions = [
        each
        for table in _TABLES
        for record in rows.get(table.name, ())
        for each in _permission(table, record, names=groups if table.group else users, asides=asides)
    ]
    return OldSystem(
        [_person(record) for record in rows["users"]],
        list(_groups(rows, users)),
        (),
        permissions,
        asides,
        _WAYS,
    )


def _person(record: Record) -> Person:
    name = str(record["username"])
    marks = [
        word
        for column, word in (("is_admin", "administrator"), ("is_service_account", "service account"))
        if record.get(column)
    ]
    return Person(
        Row("users", str(record["id"]), ", ".join([name, *marks])),
        name,
        admin=bool(record.get("is_admin")),
        account=bool(record.get("is_service_account")),
        active=bool(record.get("active", True)),
    )


def _groups(rows: Mapping[str, Sequence[Record]], users: Mapping[Any, str]) -> Iterator[Group]:
    members: dict[Any, list[tuple[Row, str]]] = defaultdict(list)
    names = {record["id"]: str(record["group_name"]) for record in rows["groups"]}
    for record in rows.get("user_groups", ()):
        user, group = users.get(record["user_id"], "?"), record["group_id"]
        row = Row("user_groups", str(record["id"]), f"{user} is in {names.get(group, '?')}")
        members[group].append((row, user))
    for record in rows["groups"]:
        name = names[record["id"]]
        yield Group(Row("groups", str(record["id"]), name), name, members[record["id"]])


def _asides(
    rows: Mapping[str, Sequence[Record]], counts: Mapping[str, int], *, users: Mapping[Any, str]
) -> Iterator[tuple[Row, str]]:
    for record in rows.get("user_tokens", ()):
        until = f"{record['name']}, until {record['expires_at']}"
        words = f"{users.get(record['user_id'], '?')}: {until}"
        yield Row("user_tokens", str(record["id"]), words), _ENDED
    for record in rows.get("workspace_group_rules", ()):
        words = f"{record['name']}: {record['permission']} by {record['pattern']}"
        yield Row("workspace_group_rules", str(record["id"]), words), _RULE
    for name, count in counts.items():
        if count:
            yield Row(name, "*", f"{count} rows"), _COUNTED[name]


def _permission(
    table: _Table, record: Record, *, names: Mapping[Any, str], asides: list[tuple[Row, str]]
) -> Iterable[Permission]:
    who = names.get(record["group_id" if table.group else "user_id"])
    kind = PROMPT if table.pattern and record.get("prompt") else table.type
    said = (
        str(record["regex"]) if table.pattern else "/".join(str(record[each]) for each in _KINDS[table.type])
    )
    holder = Holder(HolderKind.GROUP if table.group else HolderKind.USER, who or "?")
    row = Row(table.name, _key(record), f"{holder.name}: {record['permission']} on {kind} {said}")
    workspace = str(record.get("workspace") or (ALL if table.pattern else DEFAULT_WORKSPACE))
    try:
        level = level_of(record["permission"])
    except ValueError:
        asides.append((row, "it names no level that is known"))
        return ()
    if who is None or workspace == _UNRESOLVED:
        asides.append((row, "it counted for nobody" if who is None else "it counted in no workspace"))
        return ()
    if table.type == WORKSPACE and not table.pattern:
        return [Permission(row, holder, WORKSPACE, ALL, workspace, level)]
    priority = int(record["priority"]) if table.pattern else None
    return [Permission(row, holder, kind, said, workspace, level, priority)]


def _key(record: Record) -> str:
    if "id" in record:
        return str(record["id"])
    return f"{record['workspace']}/{record.get('group_id', record.get('user_id'))}"
