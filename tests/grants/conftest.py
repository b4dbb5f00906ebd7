"""Control planes of both engines on which people grant something to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.harness.plane import EMBEDDED, REAL, Plane, User, devplane

TEAM, OTHER_TEAM = "team-a", "team-b"
PATIENCE_SECONDS = 120.0
"""For what kube-apiserver's authorizer hears of a moment later."""


@dataclass(frozen=True, slots=True)
class People:
    """Who asks. Two are administrators of :data:`TEAM` alone."""

    adele: User
    adam: User
    bob: User
    """May read everything of MLflow, and list RoleBindings."""
    mallory: User
    """May nothing."""
    helpers: tuple[User, User]
    """May nothing, until a test gives them something of its own."""

    @property
    def all(self) -> tuple[User, ...]:
        return self.adele, self.adam, self.bob, self.mallory, *self.helpers


@pytest.fixture(scope="session")
def people() -> People:
    return People(
        User("adele", ("admins",)),
        User("adam"),
        User("bob"),
        User("mallory"),
        (User("helper-1"), User("helper-2")),
    )


@pytest.fixture(scope="session", params=[EMBEDDED, REAL])
def plane(
    request: pytest.FixtureRequest, people: People, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    """A plane of each engine."""
    state = tmp_path_factory.mktemp("grants") / "plane"
    with devplane(request.param, state, users=people.all) as plane:
        for namespace in (TEAM, OTHER_TEAM):
            plane.namespace(namespace)
        for admin in (people.adele, people.adam):
            plane.bind(TEAM, "admin", user=admin.name)
            plane.wait_for_access(admin.token, TEAM, verb="create", resource="gatewaybudgets")
        plane.bind(TEAM, "mlflow-view", user=people.bob.name)
        plane.wait_for_access(people.bob.token, TEAM, verb="get", resource="experiments")
        yield plane
