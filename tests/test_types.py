"""How a person is recorded whose name is longer than MLflow's columns."""

from __future__ import annotations

import pytest

from workspace_authz.types import LONGEST_RECORDED_NAME, UserInfo, recorded

SERVICE_ACCOUNT = f"system:serviceaccount:{'n' * 63}:{'a' * 253}"
"""As long as Kubernetes lets one be: 339 characters."""


@pytest.mark.parametrize("name", ["", "alice", "x" * LONGEST_RECORDED_NAME, "ü" * LONGEST_RECORDED_NAME])
def test_a_name_that_fits_is_recorded_as_it_is(name: str) -> None:
    assert recorded(name) == name


def test_a_longer_name_keeps_its_beginning_and_stays_unique() -> None:
    found = recorded(SERVICE_ACCOUNT)
    assert len(found) == LONGEST_RECORDED_NAME
    assert found.startswith(f"system:serviceaccount:{'n' * 63}:a")
    assert found == recorded(SERVICE_ACCOUNT) != recorded(SERVICE_ACCOUNT[:-1] + "b")
    assert recorded(found) == found


def test_a_user_without_a_uid_is_recorded_by_name() -> None:
    assert UserInfo("alice").recorded_uid == "alice"
    assert UserInfo("alice", uid="u-1").recorded_uid == "u-1"
    long = UserInfo(SERVICE_ACCOUNT)
    assert long.recorded_uid == long.recorded_name == recorded(SERVICE_ACCOUNT)
