"""The ClusterRoles of an installation, as data.

Three roles aggregate to Kubernetes' own ``view``, ``edit`` and ``admin``, so that a user with one of those
in a namespace has the same level of access in MLflow. A fourth role is for service accounts. Names, resources
and verbs are those of Red Hat OpenShift AI and of Kubeflow's MLflow integration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

from workspace_authz.kubernetes.own_rights import REVIEWS_NEEDED, REVIEWS_ROLE
from workspace_authz.types import USE, Resource, Verb

_READ = (Verb.GET, Verb.LIST)
_CHANGE = (Verb.CREATE, Verb.UPDATE, Verb.DELETE)
_ALL = _READ + _CHANGE

_TRACKED = (
    Resource.EXPERIMENTS,
    Resource.REGISTERED_MODELS,
    Resource.DATASETS,
    Resource.MCP_SERVERS,
    Resource.SKILLS,
)
_GATEWAY = (Resource.GATEWAY_ENDPOINTS, Resource.GATEWAY_MODEL_DEFINITIONS, Resource.GATEWAY_GUARDRAILS)


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one pseudo-resource, for every object of a namespace."""

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
    """The ClusterRole of Kubernetes into which this one is aggregated; empty when it is bound directly."""


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
"""The server's own ClusterRole. It may create no reviews: callers may, by ``system:basic-user``."""

_FOLLOW = ("list", "watch")
_RBAC = "rbac.authorization.k8s.io"

SERVER_NEEDS = (("", ("namespaces",), ("get", *_FOLLOW)),)
"""``(API group, resources, verbs)`` that the server needs to work: workspaces are namespaces."""

SERVER_FOLLOWS = ((_RBAC, ("roles", "rolebindings", "clusterroles", "clusterrolebindings"), _FOLLOW),)
"""Without these the server works but sees no changes: decisions live shorter, workspace lists cost more."""

SERVER_CHECKS = ((_RBAC, ("clusterroles",), ("get",)),)
"""With these ``workspace-authz check`` compares the shipped ClusterRoles with this release's."""

SERVER_RULES = SERVER_NEEDS + SERVER_FOLLOWS + SERVER_CHECKS
"""All rules of :data:`SERVER_ROLE`."""

SERVER_REVIEWS_ROLE = REVIEWS_ROLE
"""The opt-in ClusterRole of a server that accepts tokens for an audience of its own."""

SERVER_REVIEWS = tuple((group, (resource,), ("create",)) for group, resource in REVIEWS_NEEDED)
"""All rules of :data:`SERVER_REVIEWS_ROLE`. Its holder can find out whose a token is, and who may do what."""

METRICS_ROLE = "mlflow-metrics"
"""The ClusterRole for scrapers: the verb ``get`` on the non-resource URL :data:`METRICS_URL`."""

METRICS_URL = "/metrics"
"""The same URL as for Kubernetes' own components. A scraper with the right for those may scrape this too."""
