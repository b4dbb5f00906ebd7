"""How a workspace stands, by its binding and its namespace."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.tenancy.contents import fill
from workspace_authz.tenancy.claims import NOBODY, Binding
from workspace_authz.tenancy.states import Live, State, count_objects, standings


@pytest.mark.parametrize(
    ("uid", "namespace", "state"),
    [
        ("u1", Live("u1"), State.BOUND),
        ("u1", Live("u2"), State.CLOSED),
        (NOBODY, Live("u1"), State.CLOSED),
        ("u1", None, State.ORPHAN),
        (NOBODY, None, State.ORPHAN),
        (None, None, State.ORPHAN),
        (None, Live("u1"), State.UNBOUND),
        ("u1", Live("u1", terminating=True), State.TERMINATING),
        ("u1", Live("u2", terminating=True), State.TERMINATING),
        (None, Live("u1", terminating=True), State.TERMINATING),
    ],
)
def test_states(uid: str | None, namespace: Live | None, state: State) -> None:
    bindings = {"w": Binding("w", uid, "start-up", "", 0)} if uid is not None else {}
    namespaces = {"w": namespace} if namespace else {}
    (standing,) = standings(bindings, {**namespaces, "other": Live("x")}, {"w": {"runs": 1}})
    assert standing.state is state


def test_objects_are_counted_by_workspace(engine: Engine) -> None:
    before = count_objects([engine])
    fill(engine, "team-a", number=1)
    counted = count_objects([engine, engine])
    assert counted.keys() - before.keys() == {"team-a"}
    kinds = ("experiments", "registered_models", "evaluation_datasets", "mcp_servers", "endpoints", "jobs")
    assert counted["team-a"] == dict.fromkeys((*kinds, "runs", "trace_info"), 2)
