"""The rows of what was decided: written in batches, read by pages, kept within bounds, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from workspace_authz.database import audit
from workspace_authz.database.audit import (
    ID_BITS,
    AuditRow,
    Bounds,
    Wanted,
    add_rows,
    prepare,
    prune,
    read_rows,
)

ALICE, BOB = "a" * 64, "b" * 64
ROW = AuditRow(
    id=1,
    namespace_uid="uid-a",
    owner=ALICE,
    username="alice",
    method="GET",
    operation="SearchExperiments",
    changed="",
    decision="allow",
    status=200,
    code="",
    checks="[[],0]",
    first_at=1,
    last_at=1,
    times=1,
)
ROOMY = Bounds(of_all=1000)


@pytest.fixture
def table(engine: Engine) -> Engine:
    prepare(engine)
    return engine


def rows(count: int, *, start: int = 1, **changes: Any) -> Sequence[AuditRow]:
    return [replace(ROW, id=start + place, **changes) for place in range(count)]


def ids(engine: Engine, uid: str = "uid-a") -> list[int]:
    return [row.id for row in read_rows(engine, Wanted(uid), most=10_000)]


def test_what_is_written_is_read_the_newest_first(table: Engine) -> None:
    longest = replace(
        ROW,
        id=2**63 - 1,
        username="Zoë" * 80,
        method="M" * 16,
        operation="o" * 128,
        code="c" * 64,
        checks="[" + "x" * 10_000,
        first_at=2**45,
        times=2**31 - 1,
    )
    add_rows(table, [ROW, longest])
    assert read_rows(table, Wanted("uid-a"), most=10) == [longest, ROW]


def test_pages_follow_each_other_whatever_is_written_meanwhile(table: Engine) -> None:
    add_rows(table, rows(5))
    first = read_rows(table, Wanted("uid-a"), most=2)
    add_rows(table, rows(3, start=100))
    second = read_rows(table, Wanted("uid-a", before=first[-1].id), most=2)
    assert [row.id for row in (*first, *second)] == [5, 4, 3, 2]


def test_namespaces_users_and_decisions_are_told_apart(table: Engine) -> None:
    add_rows(
        table,
        [
            *rows(2),
            *rows(1, start=10, owner=BOB, decision="deny"),
            *rows(1, start=20, namespace_uid="uid-of-the-next-one"),
        ],
    )
    assert ids(table) == [10, 2, 1]
    assert ids(table, "uid-of-the-next-one") == [20]
    assert ids(table, "") == []
    assert [row.id for row in read_rows(table, Wanted("uid-a", owner=BOB), most=9)] == [10]
    assert [row.id for row in read_rows(table, Wanted("uid-a", decision="allow"), most=9)] == [2, 1]
    assert read_rows(table, Wanted("uid-a", owner=BOB, decision="allow"), most=9) == []


def test_a_batch_is_written_whole_or_not_at_all(table: Engine) -> None:
    add_rows(table, rows(1, start=3))
    with pytest.raises(IntegrityError):
        add_rows(table, rows(5))
    assert ids(table) == [3]


def test_what_is_too_old_goes(table: Engine) -> None:
    day = 24 * 3600 * 1000
    add_rows(table, [replace(ROW, id=(at * day) << ID_BITS) for at in (1, 2, 3)])
    assert prune(table, since=2 * day, bounds=ROOMY) == 1
    assert ids(table) == [(3 * day) << ID_BITS, (2 * day) << ID_BITS]


@pytest.mark.parametrize("chunk", [1000, 3])
def test_nobody_keeps_more_than_their_bound(
    table: Engine, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Given one busy user, when the table is pruned, then only their own oldest rows go."""
    monkeypatch.setattr(audit, "_CHUNK", chunk)
    add_rows(table, rows(2))  # the oldest of all
    add_rows(table, [*rows(20, start=100, owner=BOB), *rows(3, start=200, owner=BOB, decision="deny")])
    assert prune(table, since=0, bounds=Bounds(1000, of_user=5)) == 15
    assert ids(table) == [202, 201, 200, 119, 118, 117, 116, 115, 2, 1]


def test_refusals_never_push_out_what_was_done(table: Engine) -> None:
    """Given many refused users, each within their bound, then the namespace's refusals alone are pruned."""
    add_rows(table, rows(4))
    refused = [
        replace(ROW, id=100 + place, owner=f"{place:064}", decision="deny", namespace_uid="uid-a")
        for place in range(20)
    ]
    add_rows(table, [*refused, *rows(1, start=500, namespace_uid="uid-b", decision="deny")])
    prune(table, since=0, bounds=Bounds(1000, of_namespace=5, of_user=5))
    assert ids(table) == [119, 118, 117, 116, 115, 4, 3, 2, 1]
    assert ids(table, "uid-b") == [500]


def test_there_is_a_bound_of_all(table: Engine) -> None:
    add_rows(table, [*rows(5), *rows(5, start=10, namespace_uid="uid-b")])
    assert prune(table, since=0, bounds=Bounds(3)) == 7
    assert (ids(table), ids(table, "uid-b")) == ([], [14, 13, 12])
    assert prune(table, since=0, bounds=Bounds(3)) == 0


def test_the_table_can_be_dropped_and_comes_back(table: Engine) -> None:
    with table.begin() as connection:
        connection.execute(text("DROP TABLE workspace_authz_audit"))
    prepare(table)
    add_rows(table, [ROW])
    assert ids(table) == [1]
    assert {index["name"] for index in inspect(table).get_unique_constraints("workspace_authz_audit")} == {
        "uq_workspace_authz_audit_namespace",
        "uq_workspace_authz_audit_owner",
    }
