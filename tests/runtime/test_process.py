"""One runtime per process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.fakes import ScriptedReviews
from tests.pipeline.routes import pipeline_over
from workspace_authz.errors import UnavailableError
from workspace_authz.runtime import process
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.telemetry.audit import NoAudit


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    process.uninstall()
    yield
    process.uninstall()


def runtime() -> Runtime:
    return Runtime(pipeline_over(ScriptedReviews()), NoAudit(), body_bytes=1, directory=None)


def test_before_the_start_there_is_none() -> None:
    assert process.current() is None
    assert process.current_directory() is None
    with pytest.raises(UnavailableError):
        process.require()


def test_what_was_installed_is_found_until_it_is_removed() -> None:
    one = runtime()
    process.install(one)
    assert process.require() is one is process.current()

    process.uninstall()
    assert process.current() is None


def test_a_process_has_one_only() -> None:
    process.install(runtime())
    with pytest.raises(RuntimeError):
        process.install(runtime())


def test_without_workspaces_there_is_nothing_to_wait_for() -> None:
    assert not any(runtime().health.all().values())
