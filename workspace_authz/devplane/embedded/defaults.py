"""What a new cluster holds: system namespaces, and the roles and bindings that users rely on.

Content of ``kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy``, reduced to the kinds served
here; roles of Kubernetes' own components are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, Kind
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.rbac import GROUP as RBAC
from workspace_authz.devplane.embedded.rbac import SUPERUSERS
from workspace_authz.devplane.embedded.registry import Registry

_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_EVERYONE = "system:authenticated"
_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch", "delete", "deletecollection")
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_HEALTH_URLS = ("/livez", "/readyz", "/healthz", "/version", "/version/")
_DISCOVERY_URLS = ("/openapi", "/openapi/*", "/api", "/api/*", "/apis", "/apis/*")
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def install_defaults(registry: Registry) -> None:
    """Create everything. The registry must be empty."""
    for name in _NAMESPACES:
        _create(registry, NAMESPACES, {"metadata": {"name": name}})
    for role in _cluster_roles():
        _create(registry, CLUSTER_ROLES, role)
    for name, group in _BINDINGS.items():
        _create(registry, CLUSTER_ROLE_BINDINGS, _binding(name, group))


_BINDINGS: Mapping[str, str] = {
    "cluster-admin": SUPERUSERS,
    "system:basic-user": _EVERYONE,
    "system:discovery": _EVERYONE,
    "system:public-info-viewer": _EVERYONE,
}
"""Name of the role and of its binding, to the group that is bound."""


def _cluster_roles() -> Iterator[Object]:
    yield _role("cluster-admin", [_rule(["*"], ["*"], "*"), _urls("*", verb="*")])
    yield _role("system:discovery", [_urls(*_HEALTH_URLS, *_DISCOVERY_URLS)])
    yield _role("system:public-info-viewer", [_urls(*_HEALTH_URLS)])
    yield _role(
        "system:basic-user",
        [
            _rule(["create"], [_AUTHORIZATION], "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
            _rule(["create"], [_AUTHENTICATION], "selfsubjectreviews"),
        ],
    )
    yield _role(
        "system:auth-delegator",
        [
            _rule(["create"], [_AUTHENTICATION], "tokenreviews"),
            _rule(["create"], [_AUTHORIZATION], "subjectaccessreviews"),
        ],
    )
    yield from _user_facing()


def _user_facing() -> Iterator[Object]:
    """``admin``, ``edit`` and ``view``: each gathers what is labelled for it, and the one below."""
    yield _gathering("admin")
    yield _gathering("edit", part_of="admin")
    yield _gathering("view", part_of="edit")
    yield _role(
        "system:aggregate-to-admin",
        [
            _rule(["create"], [_AUTHORIZATION], "localsubjectaccessreviews"),
            _rule([*_READ, *_WRITE], [RBAC], "roles", "rolebindings"),
        ],
        part_of="admin",
    )
    yield _role(
        "system:aggregate-to-edit",
        [
            _rule(_READ, [""], "secrets"),
            _rule(["impersonate"], [""], "serviceaccounts"),
            _rule(_WRITE, [""], "serviceaccounts", "secrets"),
            _rule(["create"], [""], "serviceaccounts/token"),
        ],
        part_of="edit",
    )
    yield _role(
        "system:aggregate-to-view",
        [_rule(_READ, [""], "serviceaccounts"), _rule(_READ, [""], "namespaces")],
        part_of="view",
    )


def _role(name: str, rules: Sequence[Object], *, part_of: str = "") -> Object:
    labels = {**_LABELS, **({_gathered(part_of): "true"} if part_of else {})}
    return {
        "metadata": {"name": name, "labels": labels, "annotations": _ANNOTATIONS},
        "rules": list(rules),
    }


def _gathering(name: str, *, part_of: str = "") -> Object:
    selector = {"matchLabels": {_gathered(name): "true"}}
    return {**_role(name, [], part_of=part_of), "aggregationRule": {"clusterRoleSelectors": [selector]}}


def _gathered(name: str) -> str:
    return f"{RBAC}/aggregate-to-{name}"


def _rule(verbs: Sequence[str], groups: Sequence[str], *resources: str) -> Object:
    return {"verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources)}


def _urls(*urls: str, verb: str = "get") -> Object:
    return {"verbs": [verb], "nonResourceURLs": list(urls)}


def _binding(name: str, group: str) -> Object:
    return {
        "metadata": {"name": name, "labels": _LABELS, "annotations": _ANNOTATIONS},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
    }


def _create(registry: Registry, kind: Kind, obj: Object) -> None:
    registry.create(kind, registry.prepare(kind, obj, namespace=""), namespace="")
