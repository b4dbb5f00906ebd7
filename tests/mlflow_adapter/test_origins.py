"""Another site's requests, on whichever path."""

from __future__ import annotations

import pytest

from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.mlflow_adapter.patches.origins import OriginMiddleware

ALLOWED = ["https://ours.example", "https://*.ours.example"]


async def passed(method: str, *origins: str, path: str = "/api/x", kind: str = "http") -> bool:
    reached: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"origin", origin.encode()) for origin in origins]
    scope = {"type": kind, "method": method, "path": path, "headers": headers}
    await OriginMiddleware(app, allowed=ALLOWED)(scope, receive, send)
    assert bool(reached) is not bool(sent)
    if sent:
        assert sent[0]["status"] == 403
        assert b"Cross-origin request blocked" in sent[1]["body"]
    return bool(reached)


@pytest.mark.parametrize(
    "path", ["/api/x", "/outside/api/x", "/graphql", "/v1/traces", "/gateway/e/mlflow/invocations"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_changes_something_comes_from_an_allowed_site(method: str, path: str) -> None:
    assert not await passed(method, "https://evil.example", path=path)
    assert not await passed(method, "null", path=path)
    assert not await passed(method, "https://ours.example", "https://evil.example", path=path)
    for origin in ("https://ours.example", "https://a.ours.example", "http://localhost:3000"):
        assert await passed(method, origin, path=path)
    assert await passed(method, path=path)


async def test_what_changes_nothing_may_come_from_anywhere() -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        assert await passed(method, "https://evil.example")
    assert await passed("POST", "https://evil.example", kind="lifespan")
