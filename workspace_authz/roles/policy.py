"""Who gets what: the ClusterRoles that an installation brings, as data.

Three roles follow Kubernetes' own ``view``, ``edit`` and ``admin``, so that whoever holds one of those
in a namespace holds the same in MLflow; a fourth is for service accounts. Names, resources and verbs
are those of Red Hat OpenShift AI and of Kubeflow's MLflow integration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

from workspace_authz.types import USE, Resource, Verb

_READ = (Verb.GET, Verb.LIST)
_CHANGE = (Verb.CREATE, Verb.UPDATE, Verb.DELETE)
_ALL = _READ + _CHANGE

_TRACKED = (Resource.EXPERIMENTS, Resource.REGISTERED_MODELS, Resource.DATASETS, Resource.MCP_SERVERS)
_GATEWAY = (Resource.GATEWAY_ENDPOINTS, Resource.GATEWAY_MODEL_DEFINITIONS, Resource.GATEWAY_GUARDRAILS)


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one pseudo-resource, on every object of a namespace."""

    resource: Resource
    subresource: str
    verb: Verb

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'/' if self.subresource else ''}{self.subresource}"


@dataclass(frozen=True, slots=True)
class Role:
    """A ClusterRole over the pseudo-resources."""

    name: str
    description: str
    rights: frozenset[Right] = field(repr=False)
    aggregates_to: str = ""
    """The ClusterRole of Kubernetes that takes this one in; empty when it is bound by itself."""


def _verbs(resources: Iterable[Resource], verbs: Iterable[Verb]) -> frozenset[Right]:
    return frozenset(Right(resource, "", verb) for resource, verb in product(resources, verbs))


def _use(*resources: Resource) -> frozenset[Right]:
    return frozenset(Right(resource, USE, Verb.CREATE) for resource in resources)


_VIEW = _verbs((*_TRACKED, *_GATEWAY, Resource.GATEWAY_BUDGETS), _READ)
_EDIT = (
    _VIEW
    | _verbs((*_TRACKED, *_GATEWAY), _CHANGE)
    | _verbs((Resource.GATEWAY_SECRETS,), _ALL)
    | _use(Resource.GATEWAY_ENDPOINTS, Resource.GATEWAY_SECRETS, Resource.GATEWAY_MODEL_DEFINITIONS)
)
_ADMIN = _EDIT | _verbs((Resource.GATEWAY_BUDGETS,), _CHANGE) | _verbs((Resource.ASSISTANTS,), _ALL)
_INTEGRATION = (
    _verbs(_TRACKED, (*_READ, Verb.CREATE, Verb.UPDATE))
    | _verbs((Resource.GATEWAY_ENDPOINTS,), _READ)
    | _use(Resource.GATEWAY_ENDPOINTS)
)

VIEW = Role("mlflow-view", "Read everything in MLflow except gateway secrets.", _VIEW, "view")
EDIT = Role("mlflow-edit", "Work with MLflow: experiments, models, datasets, gateway.", _EDIT, "edit")
ADMIN = Role("mlflow-admin", "mlflow-edit, and set gateway budgets and use the assistant.", _ADMIN, "admin")
INTEGRATION = Role(
    "mlflow-integration",
    "For service accounts: log, register and call the gateway, without the verb delete.",
    _INTEGRATION,
)

ROLES = (VIEW, EDIT, ADMIN, INTEGRATION)

SERVER_ROLE = "mlflow-server"
"""The server's own ClusterRole. No reviews: ``system:basic-user`` lets every caller ask about themselves."""

_FOLLOW = ("get", "list", "watch")

SERVER_NEEDS = (("", ("namespaces",), _FOLLOW),)
"""``(API group, resources, verbs)`` without which the server does not work: workspaces are namespaces."""

SERVER_FOLLOWS = (
    (
        "rbac.authorization.k8s.io",
        ("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
        _FOLLOW,
    ),
)
"""Without these it works, but hears of no change: decisions live shorter, lists of workspaces cost more."""

SERVER_RULES = SERVER_NEEDS + SERVER_FOLLOWS
"""All of :data:`SERVER_ROLE`."""

METRICS_ROLE = "mlflow-metrics"
"""The ClusterRole of whoever scrapes: the verb ``get`` on the non-resource URL :data:`METRICS_URL`."""

METRICS_URL = "/metrics"
"""As for Kubernetes' own components, so whoever may scrape those may scrape this, too."""
