"""``/livez`` and ``/readyz``: for probes, which reach the pod by its address and hold no token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from workspace_authz.enforcement.middleware import App, Scope, Send, route_path
from workspace_authz.enforcement.request import Receive
from workspace_authz.runtime.runtime import Runtime

Checks = Mapping[str, str | None]


class ProbesMiddleware:
    """Answers the two probes before anything else looks at the request; they reveal no name.

    ``?verbose`` lists the checks in the form of Kubernetes' own ``/readyz?verbose``.
    """

    def __init__(self, app: App, *, static_prefix: str, runtime: Callable[[], Runtime | None]) -> None:
        self._app = app
        self._runtime = runtime
        prefixes = {"", static_prefix.rstrip("/")}
        self._live = {f"{prefix}/livez" for prefix in prefixes}
        self._ready = {f"{prefix}/readyz" for prefix in prefixes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        path = route_path(scope) if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else ""
        if path in self._live:
            await _answer(scope, send, "livez", {"ping": None})
        elif path in self._ready:
            await _answer(scope, send, "readyz", self._readiness())
        else:
            await self._app(scope, receive, send)

    def _readiness(self) -> Checks:
        runtime = self._runtime()
        if runtime is None:
            return {"ping": None, "start": "The server is starting."}
        return {"ping": None, **runtime.health.all()}


async def _answer(scope: Scope, send: Send, probe: str, checks: Checks) -> None:
    failing = any(checks.values())
    verbose = b"verbose" in parse_qs(scope["query_string"], keep_blank_values=True)
    content = _listed(probe, checks) if verbose else _document(checks)
    headers = [
        (b"content-type", b"text/plain; charset=utf-8" if verbose else b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 503 if failing else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


def _document(checks: Checks) -> bytes:
    problems = [problem for problem in checks.values() if problem]
    return json.dumps({"status": "failing", "problems": problems} if problems else {"status": "ok"}).encode()


def _listed(probe: str, checks: Checks) -> bytes:
    lines = [
        f"[-]{name} failed: {problem}" if problem else f"[+]{name} ok" for name, problem in checks.items()
    ]
    return "\n".join([*lines, f"{probe} check {'failed' if any(checks.values()) else 'passed'}", ""]).encode()
