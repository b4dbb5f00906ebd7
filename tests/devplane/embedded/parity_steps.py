"""What the parity test asks: groups of requests, each a little story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"

LONGEST_TOKEN_SECONDS = 30 * 24 * 3600
"""Of a service account's token, on both engines."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request, by the administrator unless ``token`` says otherwise."""

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"
    token: str = ""
    awaited: int = 0
    """Wait until a GET of the path answers this, before asking."""
    words: bool = True
    """Whether the message has to be the same; it speaks of Go's types where not."""
    compared: bool = True


def _rule(**changes: Any) -> Mapping[str, Any]:
    return {"verbs": ["get"], "apiGroups": ["mlflow.kubeflow.org"], "resources": ["experiments"], **changes}


def _named(name: str, **content: Any) -> Mapping[str, Any]:
    return {"metadata": {"name": name}, **content}


def _ref(kind: str, name: str) -> Mapping[str, Any]:
    return {"apiGroup": GROUP, "kind": kind, "name": name}


def _get(path: str, **changes: Any) -> Step:
    return Step("GET", path, **changes)


def _post(path: str, body: Any, **changes: Any) -> Step:
    return Step("POST", path, body, **changes)


def _patch(path: str, body: Any, content_type: str, **changes: Any) -> Step:
    return Step("PATCH", path, body, content_type, **changes)


def _namespaces() -> Sequence[Step]:
    path = "/api/v1/namespaces"
    return (
        _post(path, _named("team-a", status={"phase": "Terminating"})),
        _post(path, _named("team-a")),
        _post(path, _named("Team_A")),
        _post(path, _named("a" * 64), words=False),  # the label of the name is invalid, too
        _post(path, _named("")),
        _post(path, {"kind": "Secret", "metadata": {"name": "x"}}, words=False),
        _post(path, {"apiVersion": "v2", "kind": "Namespace", "metadata": {"name": "x"}}, words=False),
        _post(path, {"metadata": {"name": "x", "resourceVersion": "1"}}),
        _post(f"{path}?dryRun=All", _named("dry")),
        _get(f"{path}/dry"),
        _get(f"{path}/team-a"),
        _get(f"{path}?labelSelector=kubernetes.io/metadata.name%3Dteam-a"),
        _get(f"{path}?labelSelector=kubernetes.io/metadata.name+in+(team-a,nope),!absent"),
        _get(f"{path}?labelSelector=a+b", words=False),
        _get(f"{path}?fieldSelector=metadata.name%3Dteam-a"),
        _get(f"{path}?fieldSelector=status.phase%3DActive,metadata.name!%3Dteam-a,metadata.name!%3Ddefault"),
        _get(f"{path}?fieldSelector=spec.nothing%3Dteam-a"),
        _get(f"{path}/team-a/serviceaccounts/default", awaited=200),
        _patch(f"{path}/team-a", {"metadata": {"labels": {"x": "y"}}}, MERGE),
        _patch(f"{path}/team-a", {"metadata": {"labels": {"x": None}}}, STRATEGIC),
        _patch(f"{path}/team-a", {"metadata": {"annotations": {"k": "v"}}}, STRATEGIC),
        _patch(f"{path}/team-a", {"metadata": {"resourceVersion": "1"}}, MERGE),
        _patch(f"{path}/team-a", {"metadata": {"uid": "other"}}, MERGE, words=False),
        _patch(f"{path}/nope", {"metadata": {"labels": {"x": "y"}}}, MERGE),
        _patch(f"{path}/team-a", {"metadata": {"labels": {"x": "y"}}}, "text/plain"),
        Step("PUT", f"{path}/team-a", _named("other")),
        Step("PUT", f"{path}/nope", _named("nope")),
        Step("DELETE", f"{path}/nope"),
        Step("DELETE", f"{path}/default"),
        Step("DELETE", path),
        Step("PATCH", path, {}, MERGE),
    )


def _roles() -> Sequence[Step]:
    path = f"{RBAC}/namespaces/team-a/roles"
    return (
        _post(path, _named("r", rules=[_rule()])),
        _post(path, _named("r", rules=[_rule()])),
        _post(path, _named("empty")),
        _post(path, _named("bad", rules=[{"resources": ["x"]}])),
        _post(path, _named("bad", rules=[_rule(nonResourceURLs=["/x"])])),
        _post(path, _named("bad", rules=[{"verbs": ["get"], "nonResourceURLs": ["/x"]}])),
        _post(path, _named("a/b", rules=[_rule()])),
        _post(path, _named("..", rules=[_rule()])),
        _post(path, {"rules": [_rule()]}),
        _post(f"{path}?fieldValidation=Strict", _named("strict", rules=[_rule(verb=["x"])], more=1)),
        _post(f"{path}?fieldValidation=Ignore&dryRun=All", _named("lax", rules=[_rule(verb=["x"])], more=1)),
        _post(path, {"metadata": {"name": "elsewhere", "namespace": "other"}, "rules": []}),
        _post(f"{RBAC}/namespaces/nope/roles", _named("r", rules=[_rule()])),
        _post(f"{RBAC}/roles", _named("r", rules=[_rule()])),
        _get(path),
        _get(f"{RBAC}/roles?fieldSelector=metadata.namespace%3Dteam-a"),
        _get(f"{RBAC}/namespaces/nope/roles"),
        _get(f"{path}/missing"),
        Step("PUT", f"{path}/r", _named("r", rules=[_rule(verbs=["list", "get"])])),
        Step("PUT", f"{path}/r", _named("r", metadata={"name": "r", "resourceVersion": "1"}, rules=[])),
        _patch(f"{path}/r", {"rules": [_rule(verbs=["watch"])]}, STRATEGIC),
        _patch(f"{path}/r", {"rules": None}, MERGE),
        _patch(f"{path}/r", {"rules": []}, MERGE),
        _patch(f"{path}/r", {"metadata": {"finalizers": ["a.test/c"]}}, MERGE),
        Step("DELETE", f"{path}/r"),
        _get(f"{path}/r"),
        _patch(f"{path}/r", {"metadata": {"finalizers": None}}, MERGE),
        _get(f"{path}/r"),
        Step("DELETE", f"{path}/empty"),
        Step("DELETE", f"{path}/empty"),
        _get(f"{RBAC}/clusterroles/view?pretty=false"),
    )


def _bindings() -> Sequence[Step]:
    path, wide = f"{RBAC}/namespaces/team-a/rolebindings", f"{RBAC}/clusterrolebindings"
    alice = {"kind": "User", "name": "alice"}
    return (
        _post(path, _named("b", roleRef=_ref("ClusterRole", "view"), subjects=[alice])),
        _post(path, _named("b2", roleRef={"kind": "Role", "name": "nope"})),
        _post(path, _named("bad", roleRef=_ref("Thing", "x"), subjects=[{"kind": "Thing", "name": "x"}])),
        _post(path, _named("bad", roleRef={"apiGroup": "x", "kind": "Role", "name": ""})),
        _post(path, _named("bad", roleRef=_ref("Role", "a/b"), subjects=[{"kind": "User"}])),
        _post(path, _named("bad", roleRef=_ref("Role", "x"), subjects=[{**alice, "apiGroup": "x"}])),
        _post(
            path,
            _named("bad", roleRef=_ref("Role", "x"), subjects=[{"kind": "ServiceAccount", "name": "A b"}]),
        ),
        _post(path, _named("bad")),
        _post(wide, _named("parity", roleRef=_ref("Role", "x"), subjects=[alice])),
        _post(
            wide,
            _named(
                "parity", roleRef=_ref("ClusterRole", "x"), subjects=[{"kind": "ServiceAccount", "name": "a"}]
            ),
        ),
        _post(wide, _named("parity", roleRef=_ref("ClusterRole", "nope"), subjects=[alice])),
        _patch(f"{path}/b", {"roleRef": {"name": "edit"}}, MERGE),
        _patch(f"{path}/b", {"subjects": [{"kind": "Group", "name": "devs"}]}, STRATEGIC),
        _patch(f"{path}/b", {"subjects": []}, MERGE),
        _get(f"{path}/b"),
        Step("DELETE", f"{wide}/parity"),
        Step("DELETE", f"{path}/b"),
        _get(path),
    )


def _secrets() -> Sequence[Step]:
    path = "/api/v1/namespaces/team-a/secrets"
    return (
        _post(path, _named("s", stringData={"a": "b"}, data={"c": "ZA=="})),
        _post(path, _named("Bad")),
        _post(path, _named("typed", type="x.test/y", immutable=True, data={"a": "ZA=="})),
        _patch(f"{path}/s", {"data": {"c": None}}, MERGE),
        _patch(f"{path}/s", {"data": {"a": 3}}, MERGE, words=False),
        _get(path),
        _get(f"{path}?fieldSelector=type%3Dx.test/y"),
        Step("DELETE", f"{path}/s?dryRun=All"),
        Step("DELETE", f"{path}/s", {"preconditions": {"uid": "other"}}),
        Step("DELETE", f"{path}/s", {"preconditions": {"resourceVersion": "1"}}),
        Step("DELETE", f"{path}/nope", {"preconditions": {"uid": "other"}}),
        Step("DELETE", f"{path}/s", {"preconditions": {}}),
    )


def _accounts() -> Sequence[Step]:
    path = "/api/v1/namespaces/team-a/serviceaccounts"
    reference = {"apiVersion": "v1", "kind": "Secret", "name": "typed"}
    return (
        _post(path, _named("robot", secrets=[{"name": "a"}], imagePullSecrets=[{"name": "p"}])),
        _patch(f"{path}/robot", {"secrets": [{"name": "b"}]}, MERGE),
        _post(f"{path}/robot/token", {"spec": {"expirationSeconds": 600, "audiences": ["x"]}}),
        _post(f"{path}/robot/token", {"spec": {"expirationSeconds": 599}}),
        _post(f"{path}/robot/token", {"spec": {"expirationSeconds": LONGEST_TOKEN_SECONDS + 1}}),
        _post(f"{path}/robot/token", {"spec": {"expirationSeconds": 2**32 + 1}}),
        _post(f"{path}/robot/token", {"metadata": {"name": "other"}}),
        _post(f"{path}/robot/token", {"metadata": {"namespace": "other"}}),
        _post(f"{path}/robot/token", {"spec": {"boundObjectRef": reference}}),
        _post(f"{path}/robot/token", {"spec": {"boundObjectRef": {**reference, "name": "nope"}}}),
        _post(f"{path}/robot/token", {"spec": {"boundObjectRef": {**reference, "uid": "other"}}}),
        _post(f"{path}/robot/token", {"spec": {"boundObjectRef": {**reference, "kind": "ConfigMap"}}}),
        _post(f"{path}/nope/token", {"spec": {}}),
        _get(f"{path}/robot/token"),
        Step("DELETE", f"{path}/robot"),
        _get(f"{path}/robot"),
    )


def _rights() -> Sequence[Step]:
    return (
        _get("/api/v1/namespaces", token="alice-token"),
        _get("/api/v1/namespaces/team-a", token="alice-token"),
        _get("/api/v1/namespaces?watch=true", token="alice-token"),
        _get("/api/v1/namespaces?fieldSelector=metadata.name%3Dteam-a", token="alice-token"),
        Step("DELETE", "/api/v1/namespaces/team-a/secrets", token="alice-token"),
        Step("PUT", "/api/v1/namespaces/team-a/secrets/s", {}, token="alice-token"),
        _post("/api/v1/namespaces/team-a/serviceaccounts/default/token", {}, token="alice-token"),
        _get("/metrics", token="alice-token"),
        _get("/nowhere", token="alice-token"),
        _get("/apis/nowhere.test/v1/things", token="alice-token"),
        _get("/api/v1/namespaces/team-a/nowhere/x", token="alice-token"),
        _get("/api/v1/namespaces", token="no-such-token"),
        _get("/healthz", token="no-such-token"),
        _get("/healthz", token="alice-token"),
        _get("/readyz"),
        _get("/livez"),
        _get(f"{RBAC}/nowhere"),
        _get(f"{RBAC}/namespaces/team-a/roles/x/status"),
    )


def _reviews() -> Sequence[Step]:
    authorization, authentication = "/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1"
    attributes = {"verb": "get", "resource": "secrets", "namespace": "team-a"}
    return (
        _post(f"{authorization}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": attributes}}),
        _post(
            f"{authorization}/selfsubjectaccessreviews",
            {"spec": {"resourceAttributes": attributes}},
            token="alice-token",
        ),
        _post(f"{authorization}/selfsubjectaccessreviews", {"spec": {}}),
        _post(
            f"{authorization}/subjectaccessreviews",
            {"spec": {"user": "alice", "nonResourceAttributes": {"path": "/api/x", "verb": "get"}}},
        ),
        _post(
            f"{authorization}/subjectaccessreviews",
            {
                "spec": {
                    "user": "alice",
                    "extra": {"k": ["v"]},
                    "uid": "u",
                    "nonResourceAttributes": {"path": "/api/x", "verb": "get"},
                    "resourceAttributes": attributes,
                }
            },
        ),
        _post(f"{authorization}/selfsubjectrulesreviews", {"spec": {}}),
        _post(f"{authorization}/selfsubjectrulesreviews", {}, token="alice-token"),
        _post(f"{authentication}/selfsubjectreviews", {}, token="alice-token"),
        _post(f"{authentication}/tokenreviews", {"spec": {"token": "alice-token"}}),
        _post(f"{authentication}/tokenreviews", {"spec": {"token": "alice-token", "audiences": ["x"]}}),
        _post(f"{authentication}/tokenreviews", {"spec": {"token": "nope"}}),
        _post(f"{authentication}/tokenreviews", {"spec": {}}),
        _post(f"{authentication}/tokenreviews", {"spec": {"token": "alice-token"}}, token="alice-token"),
        _get(f"{authorization}/selfsubjectaccessreviews"),
        _get(f"{authorization}/selfsubjectaccessreviews/x"),
    )


def _deletion() -> Sequence[Step]:
    path = "/api/v1/namespaces/held"
    return (
        _post("/api/v1/namespaces", {"metadata": {"name": "held", "finalizers": ["a.test/hold"]}}),
        Step("DELETE", path),
        _post(f"{path}/serviceaccounts", _named("late")),
        Step("DELETE", "/api/v1/namespaces/team-a"),
        _get("/api/v1/namespaces/team-a", awaited=404),
        _patch(
            path, {"metadata": {"finalizers": None}}, MERGE, compared=False
        ),  # what is left of it is timing
        _get(path, awaited=404),
    )


STEPS: Mapping[str, Sequence[Step]] = {
    "namespaces": _namespaces(),
    "roles": _roles(),
    "bindings": _bindings(),
    "secrets": _secrets(),
    "accounts": _accounts(),
    "rights": _rights(),
    "reviews": _reviews(),
    "deletion": _deletion(),
}
