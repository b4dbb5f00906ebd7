"""The controls that are hidden or say why they do nothing are those of a release that is supported."""

from __future__ import annotations

import pytest

from tests.harness.releases import NEWEST, USUAL, programs_of
from workspace_authz.doors.browser.controls import DISABLED, HIDDEN


@pytest.fixture(scope="module")
def scripts() -> str:
    """All of the UI's JavaScript."""
    environments = [programs_of(release).parent for release in (USUAL, NEWEST)]
    found = [
        script
        for environment in environments
        for script in environment.glob("lib/*/site-packages/mlflow/server/js/build/static/js/*.js")
    ]
    assert found
    return "".join(script.read_text("utf-8") for script in found)


@pytest.mark.parametrize("name", [*HIDDEN, *DISABLED])
def test_a_control_is_one_of_mlflows(scripts: str, name: str) -> None:
    assert f'componentId:"{name}"' in scripts


def test_what_the_script_relies_on_is_there(scripts: str) -> None:
    """The keys of the assistant's memory, and where the UI's address names the workspace."""
    remembered = ("assistant.fab.autoOpenedOnFirstLoad", "assistant.panelOpen", "detectIssues.guidanceShown")
    for words in (*(f"mlflow.{each}" for each in remembered), "mlflow_user"):
        assert f'"{words}"' in scripts
    assert "data-assistant-ui" in scripts
