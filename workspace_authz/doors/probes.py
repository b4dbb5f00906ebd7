"""``/livez`` and ``/readyz``, for probes, which reach the pod by its address and have no token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.protocol import route_path
from workspace_authz.runtime.runtime import Runtime

Checks = Mapping[str, str | None]
"""By name: None where all is well, or the problem."""


class ProbesMiddleware:
    """Answers the two probes outside of all other middlewares. The answers contain no names.

    ``?verbose`` lists the checks in the format of Kubernetes' ``/readyz?verbose``.
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
            await _answer(scope, send, probe="livez", checks={"ping": None})
        elif path in self._ready:
            runtime = self._runtime()
            if runtime is None:
                await _answer(scope, send, probe="readyz", checks={"start": "The server is starting."})
            else:
                checks = {"ping": None, **runtime.health.all()}
                await _answer(scope, send, probe="readyz", checks=checks, notes=runtime.health.notes())
        else:
            await self._app(scope, receive, send)


async def _answer(scope: Scope, send: Send, *, probe: str, checks: Checks, notes: Sequence[str] = ()) -> None:
    """503 if a check fails. ``notes`` name problems in spite of which the server serves."""
    failing = any(checks.values())
    verbose = b"verbose" in parse_qs(scope["query_string"], keep_blank_values=True)
    content = _verbose(probe, checks=checks, notes=notes) if verbose else _document(checks, notes)
    headers = [
        (b"content-type", b"text/plain; charset=utf-8" if verbose else b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 503 if failing else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


def _document(checks: Checks, notes: Sequence[str]) -> bytes:
    problems = [problem for problem in checks.values() if problem]
    document: dict[str, object] = {"status": "failing" if problems else "ok"}
    document.update({name: texts for name, texts in (("problems", problems), ("notes", notes)) if texts})
    return json.dumps(document).encode()


def _verbose(probe: str, *, checks: Checks, notes: Sequence[str]) -> bytes:
    results = [
        f"[-]{name} failed: {problem}" if problem else f"[+]{name} ok" for name, problem in checks.items()
    ]
    return "\n".join(
        [
            *results,
            *(f"note: {note}" for note in notes),
            f"{probe} check {'failed' if any(checks.values()) else 'passed'}",
            "",
        ]
    ).encode()
