"""``/livez`` and ``/readyz``: for probes, which reach the pod by its address and hold no token."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from workspace_authz.enforcement.asgi import App, Scope, Send, route_path
from workspace_authz.enforcement.request import Receive
from workspace_authz.runtime.runtime import Runtime


class ProbesMiddleware:
    """Answers the two probes before anything else looks at the request; they reveal no name."""

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
            await _answer(scope, send, [])
        elif path in self._ready:
            runtime = self._runtime()
            if runtime is None:
                await _answer(scope, send, ["the server is starting"])
            else:
                await _answer(scope, send, runtime.problems(), runtime.notes())
        else:
            await self._app(scope, receive, send)


async def _answer(scope: Scope, send: Send, problems: list[str], notes: Sequence[str] = ()) -> None:
    """``notes`` are what an operator should know, although the server serves."""
    document: dict[str, object] = {"status": "failing" if problems else "ok"}
    document.update({name: told for name, told in (("problems", problems), ("notes", notes)) if told})
    content = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 503 if problems else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})
