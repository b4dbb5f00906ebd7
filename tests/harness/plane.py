"""A dev plane of either engine as a real process, and its administrator."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.devplane.real import require_binaries
from tests.harness.http import Answer, Http, bearer
from tests.harness.processes import Running, running, script

EMBEDDED = "embedded"
REAL = "kube-apiserver"

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "mlflow.kubeflow.org"
_START_SECONDS = 240.0
_ACCESS_SECONDS = 120.0

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody in the users file."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)

    @property
    def line(self) -> str:
        """A line of Kubernetes' static token file."""
        groups = f',"{",".join(self.groups)}"' if self.groups else ""
        return f"{self.token},{self.name},uid-of-{self.name}{groups}\n"


@dataclass(slots=True)
class Plane:
    """A Kubernetes API that runs, asked as its administrator."""

    engine: str
    state: Path
    process: Running
    url: str
    tokens: list[str] = field(default_factory=list, repr=False)
    """Every token that was given out, for whoever looks for leaks."""
    _http: Http = field(init=False, repr=False)
    _admin: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        config = yaml.safe_load(self.admin_kubeconfig.read_text())
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        token = config["users"][0]["user"]["token"]
        server = yaml.safe_load(self.server_kubeconfig.read_text())["users"][0]["user"]["token"]
        self._http = Http(self.url, tls=ssl.create_default_context(cadata=authority))
        self._admin = bearer(token)
        self.tokens += [token, server]

    @property
    def admin_kubeconfig(self) -> Path:
        """For ``system:masters``, by token."""
        return self.state / "admin.kubeconfig"

    @property
    def certificate_kubeconfig(self) -> Path:
        """For ``system:masters``, by client certificate."""
        return self.state / "admin-cert.kubeconfig"

    @property
    def server_kubeconfig(self) -> Path:
        """For the MLflow server's own service account."""
        return self.state / "server.kubeconfig"

    def ask(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Answer:
        """One request to the Kubernetes API, as administrator or with another token."""
        headers = {**(bearer(token) if token else self._admin), "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = (
                "application/merge-patch+json" if method == "PATCH" else "application/json"
            )
        content = None if body is None else json.dumps(body).encode()
        return self._http.request(method, path, headers=headers, body=content)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def make(self, path: str, body: Object) -> Object:
        """Create an object. Raises ``AssertionError`` when the API refuses."""
        answer = self.ask("POST", path, body)
        assert answer.status in (200, 201), answer.text
        made: Object = answer.json
        return made

    def namespace(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Create a namespace."""
        metadata = {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})}
        self.make("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def delete(self, path: str) -> None:
        """Delete an object that is there."""
        answer = self.ask("DELETE", path)
        assert answer.status in (200, 202), answer.text

    def role(self, namespace: str, name: str, *, rules: Sequence[Object]) -> None:
        """Create a Role."""
        self.make(
            f"{RBAC}/namespaces/{namespace}/roles",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": name, "namespace": namespace},
                "rules": list(rules),
            },
        )

    def bind(
        self,
        namespace: str,
        role: str,
        *,
        user: str | None = None,
        group: str | None = None,
        account: tuple[str, str] | None = None,
        kind: str = "ClusterRole",
    ) -> str:
        """Create a RoleBinding to one subject. Returns its path."""
        subject: Object = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        if group is not None:
            subject = {"kind": "Group", "name": group, "apiGroup": "rbac.authorization.k8s.io"}
        if account is not None:
            subject = {"kind": "ServiceAccount", "namespace": account[0], "name": account[1]}
        path = f"{RBAC}/namespaces/{namespace}/rolebindings"
        made = self.make(
            path,
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"generateName": "test-", "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                "subjects": [subject],
            },
        )
        return f"{path}/{made['metadata']['name']}"

    def service_account(self, namespace: str, name: str) -> str:
        """Create a service account and a token for it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        metadata = {"name": name, "namespace": namespace}
        self.make(path, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        return self.account_token(namespace, name)

    def account_token(self, namespace: str, name: str, *, audiences: Sequence[str] = ()) -> str:
        """A token of a service account, by TokenRequest."""
        spec: Object = {"expirationSeconds": 3600}
        if audiences:
            spec["audiences"] = list(audiences)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        made = self.make(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
        token = str(made["status"]["token"])
        self.tokens.append(token)
        return token

    def allows(self, token: str, namespace: str, *, verb: str, resource: str, group: str = GROUP) -> bool:
        """The API's own answer to a SelfSubjectAccessReview. An empty ``namespace`` asks for all."""
        parent, _, subresource = resource.partition("/")
        attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": parent}
        if subresource:
            attributes["subresource"] = subresource
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self.ask("POST", path, review, token=token)
        assert answer.status == 201, answer.text
        return bool(answer.json["status"]["allowed"])

    def wait_for_access(
        self,
        token: str,
        namespace: str,
        *,
        verb: str,
        resource: str,
        group: str = GROUP,
        allowed: bool = True,
    ) -> None:
        """Wait until the API's authorizer, which follows the objects, acts on what was changed."""
        deadline = time.monotonic() + _ACCESS_SECONDS
        while self.allows(token, namespace, verb=verb, resource=resource, group=group) is not allowed:
            assert time.monotonic() < deadline, f"{verb} {resource} in {namespace} never became {allowed}"
            time.sleep(0.02)


def rights(*wanted: str) -> list[Object]:
    """Rules for a Role: ``rights("get experiments", "create gatewayendpoints/use")``."""
    split = (text.split(" ") for text in wanted)
    return [{"apiGroups": [GROUP], "resources": [resource], "verbs": [verb]} for verb, resource in split]


@contextmanager
def devplane(
    engine: str, state: Path, *, users: Iterable[User], authentication_config: Object | None = None
) -> Iterator[Plane]:
    """``workspace-authz devplane`` for as long as the block lasts.

    ``authentication_config`` is an ``AuthenticationConfiguration``, for the real engine only. Skips the test
    (in CI fails it) when the real control plane's binaries are missing.
    """
    if engine == REAL:
        require_binaries()
    people = list(users)
    state.mkdir(parents=True, exist_ok=True)
    file = state / "users.csv"
    file.write_text("".join(user.line for user in people))
    command: list[str | Path] = [script("workspace-authz"), "devplane", "--engine", engine]
    command += ["--state", state, "--users", file]
    if authentication_config is not None:
        issuers = state / "authentication.json"
        issuers.write_text(json.dumps(authentication_config))
        command += ["--authentication-config", issuers]
    with running(command, log=state / "devplane.log") as process:
        process.wait_until(lambda: _announced(process) is not None, seconds=_START_SECONDS)
        url = _announced(process) or ""
        plane = Plane(engine, state, process, url, [user.token for user in people])
        with closing(plane):
            yield plane


def _announced(process: Running) -> str | None:
    """The URL of the JSON line that a dev plane prints when it is ready."""
    for line in process.output.splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):  # all of it is there
            return str(json.loads(line)["url"])
    return None
