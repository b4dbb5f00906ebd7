"""A dev plane for the tests, started by the command itself, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TEAM = "team-a"
ALICE, BOB, MALLORY, EDNA, CAROL = (
    f"{name}-token-0123456789" for name in ("alice", "bob", "mallory", "edna", "carol")
)
"""May edit in team-a; may get the one experiment "shared" there; may nothing; has Kubernetes' edit; is admin
of team-c."""
LONGEST_TOKEN_SECONDS = 180 * 24 * 3600
"""Of a service account's token."""

_USERS = f"""\
{ALICE},alice,u-alice,"data-science,everyone"
{BOB},bob,u-bob
{MALLORY},mallory,u-mallory
{EDNA},edna,u-edna
{CAROL},carol,u-carol
"""

_MANIFEST = """\
{apiVersion: v1, kind: Namespace, metadata: {name: team-a}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: team-b}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: team-c}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: carol-admin, namespace: team-c}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: carol}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: alice-edit, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlflow-edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: edna-edit, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: edna}]
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: nightly, namespace: team-a}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: nightly, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlflow-integration}
subjects: [{kind: ServiceAccount, name: nightly, namespace: team-a}]
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: deployer, namespace: team-a}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: ServiceAccount, name: deployer, namespace: team-a}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: shared, namespace: team-a}
rules: [{apiGroups: [mlflow.kubeflow.org], resources: [experiments], resourceNames: [shared], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: bob-shared, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: shared}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]
"""


@dataclass(frozen=True, slots=True)
class Plane:
    """A dev plane that is up."""

    engine: str
    url: str
    admin: Path
    """Kubeconfigs, with a token of system:masters, of the MLflow server's account, and with a certificate."""
    server: Path
    certificate: Path


@contextmanager
def running_plane(engine: str, state: Path) -> Iterator[Plane]:
    """``workspace-authz devplane`` until the block ends; it must then end with status 0."""
    users, manifest = state / "users.csv", state / "manifest.yaml"
    users.write_text(_USERS)
    manifest.write_text(_MANIFEST)
    command = [sys.executable, "-m", "workspace_authz.cli.main", "devplane", f"--engine={engine}"]
    command += [f"--longest-token={LONGEST_TOKEN_SECONDS}"]
    command += [f"--state={state / 'plane'}", f"--users={users}", "-f", str(manifest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield Plane(
                engine=ready["engine"],
                url=ready["url"],
                admin=Path(ready["admin_kubeconfig"]),
                server=Path(ready["server_kubeconfig"]),
                certificate=state / "plane" / "admin-cert.kubeconfig",
            )
        finally:
            process.terminate()
            status = process.wait()
    assert status == 0
