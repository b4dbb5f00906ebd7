"""Whatever the old database says: no row is lost, and nobody gets more than before without the report's word.

What basic-auth would have answered, MLflow's own code says (``mlflow.server.auth.requirements``). For
mlflow-oidc-auth its documented order is written down here once more, as simply as possible.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.server.auth.permissions import GrantLoadKey
from mlflow.server.auth.requirements import (
    floor_positive_permission,
    fold_grants_for_key,
    is_workspace_admin_grant,
)
from mlflow.server.auth.sqlalchemy_store import RoleGrantRow

from tests.convert.answers import Answers, possible
from workspace_authz.convert.basic_auth import read_basic_auth
from workspace_authz.convert.conversion import Converted, convert
from workspace_authz.convert.known import Known, know
from workspace_authz.convert.oidc_auth import read_oidc_auth
from workspace_authz.convert.places import one_place
from workspace_authz.convert.plan import Wishes
from workspace_authz.convert.report import Fate
from workspace_authz.convert.source import OldSystem, level_of, rank
from workspace_authz.convert.subjects import Naming, account_names
from workspace_authz.grants.levels import Level, level_on
from workspace_authz.mlflow_adapter.store.named_objects import NamedObject
from workspace_authz.types import Resource

NAMESPACE: Final = "team-a"
USERS: Final = ("alice", "bob", "carol")
LEVELS: Final = ("READ", "USE", "EDIT", "MANAGE")

OBJECTS: Final = {
    ("experiment", "1"): NamedObject(Resource.EXPERIMENTS, "default", "fraud", "1"),
    ("experiment", "2"): NamedObject(Resource.EXPERIMENTS, "default", "churn", "2"),
    ("registered_model", "m"): NamedObject(Resource.REGISTERED_MODELS, "default", "m", "m"),
    ("prompt", "p"): NamedObject(Resource.REGISTERED_MODELS, "default", "p", "p", prompt=True),
    ("prompt", "q"): NamedObject(Resource.REGISTERED_MODELS, "default", "q", "q", prompt=True),
    ("gateway_endpoint", "e1"): NamedObject(Resource.GATEWAY_ENDPOINTS, "default", "chat", "e1"),
    ("mcp_server", "tools"): NamedObject(Resource.MCP_SERVERS, "default", "tools", "tools"),
}
"""By the type and the id that basic-auth knows them by."""

several = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True, slots=True)
class Scratch:
    """A database that is made again for each example."""

    template: Path
    file: Path

    @contextmanager
    def fresh(self) -> Iterator[sqlite3.Connection]:
        """Empty, but for its tables."""
        shutil.copyfile(self.template, self.file)
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute("DELETE FROM users")
            yield connection
            connection.commit()

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    def rows(self) -> set[tuple[str, str]]:
        """Table and key of every row, by the database itself."""
        found: set[tuple[str, str]] = set()
        with closing(sqlite3.connect(self.file)) as connection:
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                if table.startswith("alembic"):
                    continue
                columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
                wanted = "id" if "id" in columns else f"workspace || '/' || {columns[1]}"
                found |= {(table, str(key)) for (key,) in connection.execute(f"SELECT {wanted} FROM {table}")}
        return found


@pytest.fixture
def basic(templates: Mapping[str, Path], tmp_path: Path) -> Scratch:
    return Scratch(templates["basic-auth"], tmp_path / "basic.db")


@pytest.fixture
def oidc(templates: Mapping[str, Path], tmp_path: Path) -> Scratch:
    return Scratch(templates["oidc-auth"], tmp_path / "oidc.db")


def converted(system: OldSystem, *, known: bool, default: Level | None) -> Converted:
    naming = Naming("", "", NAMESPACE, account_names(system.people))
    objects = know(OBJECTS.values()) if known else Known()
    places = one_place(NAMESPACE, workspaces=False)
    return convert(system, known=objects, wishes=Wishes(places, naming, default))


def insert(connection: sqlite3.Connection, table: str, **values: Any) -> int:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    cursor = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))
    return int(cursor.lastrowid or 0)


def check(
    result: Converted,
    scratch: Scratch,
    *,
    old: Mapping[tuple[str, str, str], Level | None],
    groups: Mapping[str, Sequence[str]],
) -> None:
    """``old``: what a user had, by user, type and id."""
    rows = {(row.table, row.key) for row in result.report.fates}
    assert scratch.rows() - rows == set()
    fates, answers = set(result.report.fates.values()), Answers(result.manifests)
    rules = {user: answers.rules(NAMESPACE, user, groups=groups.get(user, ())) for user in USERS}
    for (user, kind, key), had in old.items():
        each = OBJECTS[kind, key]
        has = level_on(rules[user], each.resource, name=each.name)
        wanted = possible(had, each.resource)
        if rank(has) > rank(wanted):
            assert Fate.MORE in fates, (user, kind, key, had, has)
        if rank(has) < rank(wanted):
            assert fates & {Fate.OUT, Fate.ABOUT}, (user, kind, key, had, has)
        if fates == {Fate.WRITTEN}:
            assert has == wanted, (user, kind, key)


@st.composite
def roles(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Roles of basic-auth with their permissions and users."""
    types = ("experiment", "registered_model", "prompt", "gateway_endpoint", "mcp_server", "run", "scorer")
    permission = st.one_of(
        st.tuples(
            st.sampled_from(types),
            st.sampled_from(("*", "1", "2", "9", "m", "p", "q", "e1", "tools", "1/safe")),
            st.sampled_from((*LEVELS, "DENY", "NONSENSE")),
        ),
        st.tuples(st.just("workspace"), st.just("*"), st.sampled_from(("USE", "MANAGE"))),
    )
    return draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.sampled_from(("readers", "a/b", "mlflow-all-experiments-read", "__user_1__")),
                    "workspace": st.sampled_from(("default", "default", "default", "other")),
                    "users": st.sets(st.sampled_from(USERS)),
                    "permissions": st.lists(permission, max_size=4, unique_by=lambda each: each[:2]),
                }
            ),
            max_size=4,
            unique_by=lambda each: (each["workspace"], each["name"]),
        )
    )


@given(
    roles=roles(),
    admins=st.sets(st.sampled_from(USERS), max_size=1),
    known=st.booleans(),
    default=st.sampled_from((None, Level.READ)),
    older=st.booleans(),
)
@several
def test_basic_auth(
    basic: Scratch,
    roles: list[dict[str, Any]],
    admins: set[str],
    known: bool,
    default: Level | None,
    older: bool,
) -> None:
    with basic.fresh() as connection:
        ids = {name: insert(connection, "users", username=name, is_admin=name in admins) for name in USERS}
        for role in roles:
            number = insert(connection, "roles", name=role["name"], workspace=role["workspace"])
            for kind, pattern, level in role["permissions"]:
                values = {"resource_type": kind, "resource_pattern": pattern, "permission": level}
                insert(connection, "role_permissions", role_id=number, **values)
            for user in role["users"]:
                insert(connection, "user_role_assignments", user_id=ids[user], role_id=number)
        if older:
            insert(connection, "experiment_permissions", experiment_id="1", user_id=1, permission="READ")
            insert(connection, "workspace_permissions", workspace="w", user_id=1, permission="READ")
    result = converted(read_basic_auth(basic.url), known=known, default=default)
    old = {
        (user, kind, key): _basic_level(roles, user, kind, key, admins=admins, default=default)
        for user in USERS
        for kind, key in OBJECTS
    }
    check(result, basic, old=old, groups={})


def _basic_level(
    roles: list[dict[str, Any]], user: str, kind: str, key: str, *, admins: set[str], default: Level | None
) -> Level | None:
    if user in admins:
        return Level.MANAGE
    grants = [
        RoleGrantRow(*permission)
        for role in roles
        if user in role["users"] and role["workspace"] == "default"
        for permission in role["permissions"]
        if permission[2] != "NONSENSE"
    ]
    if any(map(is_workspace_admin_grant, grants)):
        return Level.MANAGE
    found = fold_grants_for_key(grants, GrantLoadKey(kind, key))
    if found is None:
        return default
    return level_of(floor_positive_permission(found, default or "NO_PERMISSIONS").name)


NAMES: Final = ("fraud", "churn", "m", "p", "q", "chat", "tools", "gone")
OIDC_TABLES: Final = {
    "experiment": ("experiment", "experiment_id"),
    "registered_model": ("registered_model", "name"),
    "gateway_endpoint": ("gateway_endpoint", "endpoint_id"),
    "mcp_server": ("mcp_server", "name"),
}
PATTERNS: Final = (".*", "fra", "churn$", "p", "[", "(?P<ws>x)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of mlflow-oidc-auth."""

    kind: str
    holder: str
    said: str
    permission: str
    priority: int | None = None
    prompt: bool = False

    @property
    def group(self) -> bool:
        return self.holder.startswith("g-")


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    permission = st.sampled_from((*LEVELS, "NO_PERMISSIONS", "NONSENSE"))
    holder = st.sampled_from((*USERS, "g-one", "g-two"))
    direct = st.builds(
        Rule,
        st.sampled_from(sorted(OIDC_TABLES)),
        holder,
        st.sampled_from((*NAMES, "1", "2", "9")),
        permission,
    )
    pattern = st.builds(
        Rule,
        st.sampled_from(("experiment", "registered_model", "gateway_endpoint")),
        holder,
        st.sampled_from(PATTERNS),
        permission,
        st.integers(1, 2),
        st.booleans(),
    )
    return draw(
        st.lists(
            st.one_of(direct, pattern),
            max_size=8,
            unique_by=lambda rule: (rule.kind, rule.holder, rule.said, rule.priority is None),
        )
    )


@given(
    rules=rules(),
    members=st.sets(st.tuples(st.sampled_from(USERS), st.sampled_from(("g-one", "g-two")))),
    admins=st.sets(st.sampled_from(USERS), max_size=1),
    known=st.booleans(),
)
@several
def test_oidc_auth(
    oidc: Scratch, rules: list[Rule], members: set[tuple[str, str]], admins: set[str], known: bool
) -> None:
    with oidc.fresh() as connection:
        ids = {
            name: insert(connection, "users", username=name, display_name=name, is_admin=name in admins)
            for name in USERS
        }
        ids |= {name: insert(connection, "groups", group_name=name) for name in ("g-one", "g-two")}
        for user, group in members:
            insert(connection, "user_groups", user_id=ids[user], group_id=ids[group])
        for rule in rules:
            _insert_rule(connection, rule, ids=ids)
        insert(connection, "workspace_permissions", workspace="w", user_id=ids["alice"], permission="READ")
    result = converted(read_oidc_auth(oidc.url), known=known, default=None)
    groups = {user: sorted(group for who, group in members if who == user) for user in USERS}
    old = {
        (user, kind, key): _oidc_level(rules, kind, key, user=user, groups=groups[user], admins=admins)
        for user in USERS
        for kind, key in OBJECTS
    }
    check(result, oidc, old=old, groups=groups)


def _insert_rule(connection: sqlite3.Connection, rule: Rule, *, ids: Mapping[str, int]) -> None:
    stem, column = OIDC_TABLES[rule.kind]
    pattern = rule.priority is not None
    table = f"{stem}_{'group_' if rule.group else ''}{'regex_' if pattern else ''}permissions"
    values: dict[str, Any] = {"permission": rule.permission}
    values["group_id" if rule.group else "user_id"] = ids[rule.holder]
    if pattern:
        values |= {"regex": rule.said, "priority": rule.priority}
        values |= {"prompt": rule.prompt} if rule.kind == "registered_model" else {}
    else:
        values[column] = rule.said
    insert(connection, table, **values)


def _oidc_level(
    rules: list[Rule], kind: str, key: str, *, user: str, groups: Sequence[str], admins: set[str]
) -> Level | None:
    """The user, their groups, patterns of the user, those of their groups: the first that speaks."""
    if user in admins:
        return Level.MANAGE
    name = OBJECTS[kind, key].name
    table = "registered_model" if kind == "prompt" else kind
    said = key if kind == "experiment" else name
    real = [rule for rule in rules if rule.kind == table and rule.permission != "NONSENSE"]
    for holders in ([user], groups):
        direct = [
            each for each in real if each.priority is None and each.holder in holders and each.said == said
        ]
        if direct:
            return _decided(direct)
    for holders in ([user], groups):
        fitting = [
            each
            for each in real
            if each.priority is not None
            and each.holder in holders
            and each.said != "["
            and (kind not in ("prompt", "registered_model") or each.prompt == (kind == "prompt"))
            and re.match(each.said, name)
        ]
        if fitting:
            first = min(each.priority or 0 for each in fitting)
            return _decided([each for each in fitting if each.priority == first])
    return None


def _decided(rules: Sequence[Rule]) -> Level | None:
    levels = [level_of(rule.permission) for rule in rules]
    return None if None in levels else max(levels, key=rank)
