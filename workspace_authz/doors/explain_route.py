"""``POST /workspace-authz/explain``: what the server would decide about a request of the caller.

The body is JSON: ``{"method": "GET", "path": "/api/…", "body": "…"}``. The path is decoded;
``raw_path`` takes its place where it is known as a client sends it. Credentials and workspace are those of
the request itself, so that nobody learns another user's rights.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import quote, unquote

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.body import ReplayedBody
from workspace_authz.doors.asgi.protocol import peer_of, route_path
from workspace_authz.doors.explain import explain
from workspace_authz.doors.own_routes import OwnAnswer, OwnRequest, serve
from workspace_authz.errors import BadRequestError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.workspaces.in_url import UNENCODED

EXPLAIN_PATH: Final = "/workspace-authz/explain"
_MAX_BODY: Final = 256 * 1024


class ExplainMiddleware:
    """Answers the explain route below the static prefix, and passes everything else on."""

    def __init__(self, app: App, *, static_prefix: str, runtime: Callable[[], Runtime]) -> None:
        self._app = app
        self._runtime = runtime
        self._path = static_prefix.rstrip("/") + EXPLAIN_PATH

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "POST" or route_path(scope) != self._path:
            await self._app(scope, receive, send)
            return
        work = partial(_explain, scope, receive)
        await serve(work, scope=scope, send=send, runtime=self._runtime)


async def _explain(scope: Scope, receive: Receive, own: OwnRequest) -> OwnAnswer:
    pipeline = own.runtime.pipeline
    # Authentication first: without it nobody learns even which routes are public.
    presented = Presented(scope["headers"], peer=peer_of(scope), method=scope["method"])
    own.identified(await pipeline.identity.authenticate(presented, unverified=lambda _: None))
    asked = _asked(await ReplayedBody(receive, limit=_MAX_BODY).read())
    raw_path = asked["raw_path"] or quote(asked["path"], safe=UNENCODED)
    request = AccessRequest(
        method=asked["method"],
        path=unquote(raw_path),
        raw_path=raw_path.encode(),
        headers=scope["headers"],
        query=asked["query"].encode(),
        body=GivenBody(asked["body"].encode()),
        peer=peer_of(scope),
    )
    return OwnAnswer(json.dumps((await explain(pipeline, request)).document()).encode(), "application/json")


def _asked(body: bytes | None) -> dict[str, str]:
    try:
        document: Any = json.loads(body or b"")
        asked = {"query": "", "body": "", "raw_path": "", **document}
        for key in ("method", "path", "query", "body", "raw_path"):
            asked[key].encode()
        return asked
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise BadRequestError(
        'Send {"method": "GET", "path": "/api/2.0/mlflow/…"}, with "query" and "body" as text.'
    )
