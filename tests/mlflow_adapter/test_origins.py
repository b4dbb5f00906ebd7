"""Another site's requests, on whichever path."""

from __future__ import annotations

import pytest
from mlflow.server.fastapi_security import HostValidationMiddleware
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.mlflow_adapter.patches.origins import OriginMiddleware, without_loopback_origins

ALLOWED = ["https://ours.example", "https://*.ours.example", "http://localhost:4000"]


async def passed(
    method: str, *origins: str, path: str = "/api/x", kind: str = "http", host: str = "mlflow.example"
) -> bool:
    reached: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", host.encode()), *((b"origin", origin.encode()) for origin in origins)]
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
    for origin in ("https://ours.example", "https://a.ours.example", "http://localhost:4000"):
        assert await passed(method, origin, path=path)
    assert await passed(method, path=path)


LOOPBACK = ("http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000")


@pytest.mark.parametrize("origin", LOOPBACK)
async def test_a_page_on_the_callers_machine_is_as_foreign_as_any_other(origin: str) -> None:
    own = origin.removeprefix("http://")
    assert not await passed("POST", origin)
    assert not await passed("POST", origin, host=own.replace("3000", "5000"))
    assert await passed("GET", origin)
    assert await passed("POST", origin, host=own)  # MLflow's own page, through a port-forward


@pytest.mark.parametrize(
    ("allowed", "trusted"),
    [
        ([], []),
        (["https://ours.example"], []),
        (["http://localhost:4000"], ["http://localhost:4000"]),
        (["http://localhost:*"], ["http://localhost:4000", "http://localhost:3000"]),
    ],
)
def test_only_a_loopback_origin_that_is_asked_for_gets_credentialed_cors(
    allowed: list[str], trusted: list[str]
) -> None:
    given = {"allow_origins": allowed, "allow_origin_regex": r"^http://localhost(:[0-9]+)?$"}
    mlflows = Middleware(CORSMiddleware, allow_credentials=True, **given)  # type: ignore[arg-type]
    ours = without_loopback_origins(mlflows, allowed=allowed)
    middleware = CORSMiddleware(no_app, **ours.kwargs)  # type: ignore[arg-type]
    assert middleware.allow_credentials
    asked = ("http://localhost:4000", "http://localhost:3000", "https://evil.example")
    assert [origin for origin in asked if middleware.is_allowed_origin(origin)] == trusted


def test_another_middleware_stays_as_it_is() -> None:
    other = Middleware(HostValidationMiddleware, allowed_hosts=[])
    assert without_loopback_origins(other, allowed=[]) is other
    wildcard = Middleware(CORSMiddleware, allow_origins=["*"])
    assert without_loopback_origins(wildcard, allowed=["*"]) is wildcard


async def no_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("not asked")


async def test_what_changes_nothing_may_come_from_anywhere() -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        assert await passed(method, "https://evil.example")
    assert await passed("POST", "https://evil.example", kind="lifespan")
