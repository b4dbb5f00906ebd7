"""Who changes things: over HTTP, or as people do it, with kubectl."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.soak.cases import Step
from workspace_authz.devplane import assets
from workspace_authz.devplane.api import Api

_SECONDS = 60.0


class Administrator(Protocol):
    """Makes one change. Returns once the API server has answered; raises when it refuses."""

    async def __call__(self, step: Step) -> None:
        """Make it."""


@dataclass(frozen=True, slots=True)
class HttpAdministrator:
    """Sends requests."""

    api: Api

    async def __call__(self, step: Step) -> None:
        """See :class:`Administrator`."""
        await step.run(self.api)


@dataclass(frozen=True, slots=True)
class KubectlAdministrator:
    """Runs ``kubectl apply``, ``patch`` and ``delete``."""

    kubeconfig: Path
    home: Path
    """Where kubectl remembers what the API serves."""

    async def __call__(self, step: Step) -> None:
        """See :class:`Administrator`."""
        arguments, content = _command(step)
        program = assets.find_binary(assets.KUBECTL)
        process = await asyncio.create_subprocess_exec(
            str(program),
            f"--kubeconfig={self.kubeconfig}",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"HOME": str(self.home)},
        )
        async with asyncio.timeout(_SECONDS):
            said, _ = await process.communicate(content)
        assert process.returncode == 0, f"kubectl {' '.join(arguments)}: {said.decode()}"


def _command(step: Step) -> tuple[list[str], bytes | None]:
    """The same change in kubectl's words."""
    namespace, resource, name = _parts(step.path)
    within = [f"--namespace={namespace}"] if namespace else []
    match step.method:
        case "POST":
            return ["apply", "--filename=-", *within], json.dumps(_manifest(resource, step.body)).encode()
        case "PATCH":
            patch = json.dumps(step.body)
            return ["patch", resource, name, *within, "--type=merge", f"--patch={patch}"], None
        case "DELETE":
            return ["delete", resource, name, *within, "--wait=false"], None
    raise ValueError(step.method)


def _parts(path: str) -> tuple[str, str, str]:
    """Namespace, resource and name of a path of the Kubernetes API; empty where it has none."""
    parts = path.split("/")[4 if path.startswith("/apis/") else 3 :]
    namespace = parts[1] if parts[0] == "namespaces" and len(parts) > 2 else ""
    resource, *name = parts[2:] if namespace else parts
    return namespace, resource, name[0] if name else ""


_KINDS = {
    "rolebindings": "RoleBinding",
    "clusterrolebindings": "ClusterRoleBinding",
    "roles": "Role",
    "clusterroles": "ClusterRole",
}


def _manifest(resource: str, body: Any) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": _KINDS[resource], **body}
