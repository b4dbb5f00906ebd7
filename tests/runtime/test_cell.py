"""One runtime per process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.enforcement.routes import pipeline_over
from tests.harness.fakes import ScriptedReviews
from workspace_authz.errors import UnavailableError
from workspace_authz.runtime import cell
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.telemetry.audit import NoAudit


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    cell.remove()
    yield
    cell.remove()


def runtime() -> Runtime:
    return Runtime(pipeline_over(ScriptedReviews()), NoAudit(), body_bytes=1, directory=None)


def test_before_the_start_there_is_none() -> None:
    assert cell.current() is None
    assert cell.current_directory() is None
    with pytest.raises(UnavailableError):
        cell.require()


def test_what_was_installed_is_found_until_it_is_removed() -> None:
    one = runtime()
    cell.install(one)
    assert cell.require() is one is cell.current()

    cell.remove()
    assert cell.current() is None


def test_a_process_has_one_only() -> None:
    cell.install(runtime())
    with pytest.raises(RuntimeError):
        cell.install(runtime())


def test_without_workspaces_there_is_nothing_to_wait_for() -> None:
    assert not any(runtime().health.all().values())
