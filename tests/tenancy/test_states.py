"""The state of a workspace follows from its claim and its namespace."""

from __future__ import annotations

import pytest

from workspace_authz.tenancy.claims import NO_NAMESPACE, Claim
from workspace_authz.tenancy.states import ClusterNamespace, State, workspace_statuses


@pytest.mark.parametrize(
    ("uid", "namespace", "state"),
    [
        ("u1", ClusterNamespace("u1"), State.CLAIMED),
        ("u1", ClusterNamespace("u2"), State.CLOSED),
        (NO_NAMESPACE, ClusterNamespace("u1"), State.CLOSED),
        ("u1", None, State.ORPHAN),
        (NO_NAMESPACE, None, State.ORPHAN),
        (None, None, State.ORPHAN),
        (None, ClusterNamespace("u1"), State.UNCLAIMED),
        ("u1", ClusterNamespace("u1", terminating=True), State.TERMINATING),
        ("u1", ClusterNamespace("u2", terminating=True), State.TERMINATING),
        (None, ClusterNamespace("u1", terminating=True), State.TERMINATING),
    ],
)
def test_states(uid: str | None, namespace: ClusterNamespace | None, state: State) -> None:
    claims = {"w": Claim(workspace="w", uid=uid, reason="start-up", by="", at=0)} if uid is not None else {}
    namespaces = {"w": namespace} if namespace else {}
    (status,) = workspace_statuses(
        claims=claims, namespaces={**namespaces, "other": ClusterNamespace("x")}, objects={"w": {"runs": 1}}
    )
    assert status.state is state
