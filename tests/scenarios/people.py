"""Who takes part in the scenarios, and the namespaces that they work in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.harness.keycloak import GROUP_PREFIX
from tests.harness.plane import Plane, User

TEAM_A, TEAM_B, HIDDEN, ABSENT = "team-a", "team-b", "team-hidden", "team-absent"
MATRIX = "team-matrix"
"""Where every route is called by somebody who holds exactly the rights that it needs."""
NAMED = "team-named"
"""Where nora holds rights on some objects and none on their siblings."""
LABEL, SELECTOR = {"mlflow-enabled": "true"}, "mlflow-enabled=true"
INTEGRATION = "mlflow-integration"


@dataclass(frozen=True, slots=True)
class People:
    """Everybody by name, with a token."""

    alice: User = field(default_factory=lambda: User("alice"))
    """edit in team-a, as Kubernetes' own ClusterRole grants it."""
    bob: User = field(default_factory=lambda: User("bob@example.com", groups=("readers",)))
    """view in team-a, through a group."""
    carol: User = field(default_factory=lambda: User("carol"))
    """admin in team-b."""
    mallory: User = field(default_factory=lambda: User("mallory"))
    """Nothing, anywhere."""
    dora: User = field(default_factory=lambda: User("dora"))
    """Nothing at first; a test may give her something and must take it back."""
    nora: User = field(default_factory=lambda: User("nora"))
    """Rights on named objects of team-named only."""
    lena: User = field(default_factory=lambda: User("lena"))
    """Rights on seven objects of very many in team-named."""
    otto: User = field(default_factory=lambda: User("otto"))
    """Every right on one object of team-matrix, and none on any other."""
    root: User = field(default_factory=lambda: User("root", groups=("system:masters",)))
    """Everything, everywhere."""
    holders: tuple[User, ...] = field(
        default_factory=lambda: tuple(User(f"holder-{number}") for number in range(100))
    )
    """Nothing, until a test gives one of them exactly what it says."""

    @property
    def all(self) -> tuple[User, ...]:
        """For the users file."""
        return (
            self.alice,
            self.bob,
            self.carol,
            self.mallory,
            self.dora,
            self.nora,
            self.lena,
            self.otto,
            self.root,
            *self.holders,
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """A control plane with two teams."""

    plane: Plane
    people: People
    trainer: str = field(repr=False)
    """A token of team-a's service account ``trainer``, bound to mlflow-integration."""
    unbound: str = field(repr=False)
    """A token of team-a's service account ``unbound``, bound to nothing."""


def given_two_teams(plane: Plane, people: People) -> Cluster:
    """Namespaces, bindings and service accounts of the scenarios."""
    plane.namespace(
        TEAM_A,
        labels=LABEL,
        annotations={"mlflow.kubeflow.org/workspace-description": "The first team"},
    )
    plane.namespace(TEAM_B, labels=LABEL)
    plane.namespace(MATRIX, labels=LABEL)
    plane.namespace(NAMED, labels=LABEL)
    plane.namespace(HIDDEN)
    plane.bind(TEAM_A, "edit", user=people.alice.name)
    plane.bind(TEAM_A, "view", group="readers")
    plane.bind(TEAM_B, "admin", user=people.carol.name)
    plane.bind(HIDDEN, "edit", user=people.alice.name)
    trainer = plane.service_account(TEAM_A, "trainer")
    unbound = plane.service_account(TEAM_A, "unbound")
    plane.bind(TEAM_A, INTEGRATION, account=(TEAM_A, "trainer"))
    plane.wait_for_access(people.alice.token, TEAM_A, verb="create", resource="experiments")
    plane.wait_for_access(people.alice.token, HIDDEN, verb="create", resource="experiments")
    plane.wait_for_access(people.bob.token, TEAM_A, verb="list", resource="experiments")
    plane.wait_for_access(people.carol.token, TEAM_B, verb="create", resource="gatewaybudgets")
    plane.wait_for_access(trainer, TEAM_A, verb="create", resource="experiments")
    return Cluster(plane, people, trainer, unbound)


def given_groups(plane: Plane) -> Sequence[str]:
    """Rights of Keycloak's groups in both teams. Returns the paths of the bindings."""
    return (
        plane.bind(TEAM_A, "edit", group=f"{GROUP_PREFIX}team-a-editors"),
        plane.bind(TEAM_B, "view", group=f"{GROUP_PREFIX}team-b-viewers"),
    )
