"""What Kubernetes' ``view``, ``edit`` and ``admin`` allow, as of 1.36.

All of it, also on resources that this engine does not serve: reviews may ask about any, and what a role
lists decides what its holder may grant.
"""

from __future__ import annotations

from collections.abc import Sequence

from workspace_authz.devplane.embedded.objects import Object

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_ALL = tuple(sorted((*_READ, *_WRITE)))
_CORE = ("",)
_EVENTS = ("", "events.k8s.io")


def _rule(verbs: Sequence[str], groups: Sequence[str], *resources: str) -> Object:
    words = [word for text in resources for word in text.split()]
    return {"verbs": list(verbs), "apiGroups": list(groups), "resources": words}


VIEW = (
    _rule(
        _READ,
        _CORE,
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
        "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
    ),
    _rule(
        _READ,
        _CORE,
        "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
        "resourcequotas resourcequotas/status",
    ),
    _rule(_READ, _CORE, "namespaces"),
    _rule(_READ, _EVENTS, "events"),
    _rule(_READ, ("discovery.k8s.io",), "endpointslices"),
    _rule(
        _READ,
        ("apps",),
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status "
        "replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale "
        "statefulsets/status",
    ),
    _rule(_READ, ("autoscaling",), "horizontalpodautoscalers horizontalpodautoscalers/status"),
    _rule(_READ, ("batch",), "cronjobs cronjobs/status jobs jobs/status"),
    _rule(
        _READ,
        ("extensions",),
        "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses "
        "ingresses/status networkpolicies replicasets replicasets/scale replicasets/status "
        "replicationcontrollers/scale",
    ),
    _rule(_READ, ("policy",), "poddisruptionbudgets poddisruptionbudgets/status"),
    _rule(_READ, ("networking.k8s.io",), "ingresses ingresses/status networkpolicies"),
    _rule(_READ, ("resource.k8s.io",), "resourceclaims resourceclaims/status resourceclaimtemplates"),
)
"""Reading what is not secret."""

EDIT = (
    _rule(_READ, _CORE, "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    _rule(("impersonate",), _CORE, "serviceaccounts"),
    _rule(_WRITE, _CORE, "pods pods/attach pods/exec pods/portforward pods/proxy"),
    _rule(("create",), _CORE, "pods/eviction"),
    _rule(
        _WRITE,
        _CORE,
        "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
        "serviceaccounts services services/proxy",
    ),
    _rule(("create",), _CORE, "serviceaccounts/token"),
    _rule(_WRITE, _EVENTS, "events"),
    _rule(
        _WRITE,
        ("apps",),
        "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale "
        "statefulsets statefulsets/scale",
    ),
    _rule(_WRITE, ("autoscaling",), "horizontalpodautoscalers"),
    _rule(_WRITE, ("batch",), "cronjobs jobs"),
    _rule(
        _WRITE,
        ("extensions",),
        "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies "
        "replicasets replicasets/scale replicationcontrollers/scale",
    ),
    _rule(_WRITE, ("policy",), "poddisruptionbudgets"),
    _rule(_WRITE, ("networking.k8s.io",), "ingresses networkpolicies"),
    _rule(_ALL, ("coordination.k8s.io",), "leases"),
    _rule(_WRITE, ("resource.k8s.io",), "resourceclaims resourceclaimtemplates"),
)
"""What ``edit`` adds to ``view``: everything but granting rights."""

ADMIN = (
    _rule(("create",), ("authorization.k8s.io",), "localsubjectaccessreviews"),
    _rule(_ALL, ("rbac.authorization.k8s.io",), "rolebindings roles"),
)
"""What ``admin`` adds to ``edit``: granting rights within the namespace."""
