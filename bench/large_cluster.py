"""A simulated API server with 10,000 namespaces and 20,000 RoleBindings, to list and to watch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from aiohttp import web

NAMESPACES = 10_000
ROLE_BINDINGS_EACH = 2
_RBAC = "/apis/rbac.authorization.k8s.io/v1"

Item = dict[str, Any]
_ENDED = web.AppKey("ended", asyncio.Event)


def _metadata(name: str, namespace: str | None = None) -> Item:
    """Metadata as large as a real object's. A client should not keep most of it."""
    fields: Item = {"f:metadata": {"f:labels": {".": {}, "f:team": {}}}, "f:subjects": {}, "f:roleRef": {}}
    where = {"namespace": namespace} if namespace else {}
    return {
        "name": name,
        **where,
        "uid": f"5f0c2a3e-0000-4000-8000-{abs(hash((name, namespace))) % 10**12:012d}",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"team": name, "app.kubernetes.io/managed-by": "somebody"},
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": fields}],
    }


def _namespace(number: int) -> Item:
    return {"metadata": _metadata(f"team-{number:05d}"), "status": {"phase": "Active"}}


def _binding(number: int) -> Item:
    namespace, which = f"team-{number // ROLE_BINDINGS_EACH:05d}", number % ROLE_BINDINGS_EACH
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"group-of-{namespace}"}
    robot = {"kind": "ServiceAccount", "name": f"robot-{number}", "namespace": namespace}
    role = {"kind": "ClusterRole", "name": ("edit", "system:image-puller")[which]}
    return {
        "metadata": _metadata(f"binding-{number}", namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", **role},
        "subjects": [(group, robot)[which]],
    }


def _cluster_role(number: int) -> Item:
    rule = {"apiGroups": ["mlflow.kubeflow.org"], "resources": ["experiments"], "verbs": ["get", "list"]}
    return {"metadata": _metadata(("edit", "view", "admin")[number]), "rules": [rule]}


_COLLECTIONS: dict[str, tuple[int, Callable[[int], Item]]] = {
    "/api/v1/namespaces": (NAMESPACES, _namespace),
    f"{_RBAC}/rolebindings": (NAMESPACES * ROLE_BINDINGS_EACH, _binding),
    f"{_RBAC}/clusterroles": (3, _cluster_role),
    f"{_RBAC}/roles": (0, _cluster_role),
    f"{_RBAC}/clusterrolebindings": (0, _binding),
}


async def _answer(request: web.Request) -> web.StreamResponse:
    count, make = _COLLECTIONS[request.path]
    if "watch" in request.query:
        response = web.StreamResponse()
        await response.prepare(request)
        await request.app[_ENDED].wait()
        return response
    begin = int(request.query.get("continue", "0"))
    end = min(begin + int(request.query["limit"]), count)
    metadata = {"resourceVersion": "1", "continue": str(end) if end < count else ""}
    return web.json_response({"metadata": metadata, "items": [make(number) for number in range(begin, end)]})


async def _serve(started: Callable[[str], None], ended: asyncio.Event) -> None:
    app = web.Application()
    app[_ENDED] = ended
    app.router.add_get("/{path:.*}", _answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    started(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await ended.wait()
    await runner.cleanup()


@contextmanager
def large_cluster_api() -> Iterator[str]:
    """Serve the API while the block runs, and yield its URL."""
    loop, ended, started = asyncio.new_event_loop(), asyncio.Event(), Future[str]()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(_serve(started.set_result, ended)), daemon=True
    )
    thread.start()
    try:
        yield started.result(30)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
