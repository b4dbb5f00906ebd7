"""Nora, who holds rights on objects by their names, and objects that she may and may not touch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.harness.http import Answer, Headers
from tests.harness.plane import GROUP, Plane, User, rights
from tests.harness.server import MlflowServer
from tests.scenarios.people import NAMED, People
from tests.scenarios.studio import Studio

OWN, SIBLING, FOREIGN = "own", "sibling", "foreign"
COUNT: Final = 1500
"""Objects of one kind that nora's Role names."""

_VERBS: Final = ["get", "list", "update", "delete"]
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "experiments": ("experiment", "renamed"),
    "registeredmodels": ("model", "prompt", "renamed"),
    "datasets": ("dataset",),
    "gatewayendpoints": ("endpoint", "renamed"),
    "gatewaysecrets": ("secret",),
    "gatewaymodeldefinitions": ("definition", "renamed"),
    "mcpservers": ("example.test/mcp",),
    "skills": ("skill", "@acme/skill"),
}
"""The names that :class:`Studio` and the recipes give, by resource."""

BROAD: Final = (
    *(f"create {resource}" for resource in _KINDS),
    # Guardrails have no names in Kubernetes.
    *(f"{verb} gatewayguardrails" for verb in ("create", "get", "list", "delete")),
)
"""What nora holds beside: making is never scoped to a name."""


def given_named_rights(plane: Plane, people: People) -> None:
    """Nora's Role: every object whose name says that it is hers."""
    grant_own_names(plane, NAMED, people.nora, broad=BROAD)
    plane.wait_for_access(people.nora.token, NAMED, verb="create", resource="experiments")


def grant_own_names(plane: Plane, namespace: str, user: User, *, broad: Iterable[str] = ()) -> None:
    """A Role with every right on the first :data:`COUNT` objects of each kind that are :data:`OWN`."""
    rules: list[dict[str, Any]] = list(rights(*broad))
    for resource, kinds in _KINDS.items():
        names = [f"{kind}-{OWN}-{number}" for kind in kinds for number in range(COUNT)]
        rules.append({"apiGroups": [GROUP], "resources": [resource], "verbs": _VERBS, "resourceNames": names})
        if resource.startswith("gateway"):
            use = {"resources": [f"{resource}/use"], "verbs": ["create"], "resourceNames": names}
            rules.append({"apiGroups": [GROUP], **use})
    plane.role(namespace, user.name, rules=rules)
    plane.bind(namespace, user.name, user=user.name, kind="Role")


def numbered(owner: str) -> Callable[[], str]:
    """Names that tell whose an object is."""
    numbers = itertools.count()
    return lambda: f"{owner}-{next(numbers)}"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes objects in one workspace, mostly as root."""

    server: MlflowServer
    token: str | None
    """None on stock MLflow."""
    workspace: str

    def __call__(
        self,
        method: str,
        path: str,
        *,
        json_body: object = None,
        body: bytes | None = None,
        headers: Headers = (),
    ) -> Answer:
        """See :class:`tests.scenarios.studio.Ask`."""
        return self.server.ask(
            method,
            path,
            token=self.token,
            workspace=self.workspace,
            json_body=json_body,
            body=body,
            headers=headers,
        )


def studio_of(server: MlflowServer, people: People, owner: str, *, workspace: str, provider: str) -> Studio:
    """A studio whose objects bear ``owner`` in their names."""
    ask = Maker(server, people.root.token, workspace)
    return Studio(ask, workspace, server.database, provider, numbered(owner))
