"""Judges a request by its request line and header fields alone, before anything else looks at it.

h11 bounds the bytes, roughly; uvicorn's other parsers bound nothing. Without bounds Starlette's WSGI bridge
joins repeated fields in a time that is quadratic in their number, on the event loop (Starlette 1.10.0,
``middleware/wsgi.py``: ``build_environ``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from uvicorn.protocols.http.h11_impl import H11Protocol

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.audit import AuditedRequest
from workspace_authz.doors.asgi.protocol import refuse, route_path
from workspace_authz.doors.lifespan import uvicorn_config
from workspace_authz.errors import BadRequestError, HeadersTooLargeError, RequestError
from workspace_authz.pipeline.verdict import Findings, Refuse, conclusion
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics

MAX_HEAD_BYTES: Final = 64 * 2**10
"""Request line and header fields together. As h11's bound (uvicorn: ``h11_max_incomplete_event_size``)."""
MAX_HEADER_FIELDS: Final = 200
_SEPARATORS: Final = len(": \r\n")
_ASCII_FIELDS: Final = frozenset({b"host", b"origin"})
"""By RFC 9110 and RFC 6454. MLflow parses them with ``urllib``, which normalizes other characters (NFKC)
in a time that is quadratic in their number."""


class Accounts(Protocol):
    """What keeps account of requests in the running process."""

    @property
    def audit(self) -> AuditSink:
        """Takes one record per request."""

    @property
    def metrics(self) -> Metrics:
        """Counts requests."""


class RequestHeadMiddleware:
    """Stands outside of everything, also of probes and public routes.

    What is inside sees one slash where a path begins: see :func:`single_slashed`.
    """

    def __init__(
        self, app: App, *, static_prefix: str = "", runtime: Callable[[], Accounts | None] = lambda: None
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._static_prefix = static_prefix
        self._keeps_bodies = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "http":
            error = problem_of(scope, keeps_bodies=self._keeps_bodies)
            if error is not None:
                await self._refuse(error, scope, send)
                return
            scope = single_slashed(scope, static_prefix=self._static_prefix)
        elif scope["type"] == "lifespan":
            self._keeps_bodies = _keeps_bodies(receive)
        await self._app(scope, receive, send)

    async def _refuse(self, error: RequestError, scope: Scope, send: Send) -> None:
        """Answer, with an audit record as for any other request once the server has started."""
        runtime = self._runtime()
        if runtime is not None:
            verdict = Refuse(Findings(), error)
            audited = AuditedRequest(runtime.audit, method=scope["method"], path=route_path(scope))
            seconds = audited.judged(verdict)
            runtime.metrics.judged(conclusion(verdict), code=error.code, seconds=seconds)
            send = audited.watch(send)
        await refuse(error, send, head=scope["method"] == "HEAD")


def problem_of(scope: Scope, *, keeps_bodies: bool) -> RequestError | None:
    """Why the request is refused; None where nothing is wrong.

    ``keeps_bodies``: the body of a request with ``Upgrade`` arrives, as RFC 9110 (section 7.8) has it for a
    server that ignores the upgrade.
    """
    headers = scope["headers"]
    if len(headers) > MAX_HEADER_FIELDS:
        return HeadersTooLargeError(f"The request has more than {MAX_HEADER_FIELDS} header fields.")
    size = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
    upgrade = body = False
    for name, value in headers:
        size += len(name) + len(value) + _SEPARATORS
        if name in _ASCII_FIELDS and not value.isascii():
            return BadRequestError(f"The header {name.decode().title()} holds characters that are not ASCII.")
        upgrade = upgrade or name == b"upgrade"
        body = body or name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
    if size > MAX_HEAD_BYTES:
        return HeadersTooLargeError(
            f"The request line and the header fields are larger than {MAX_HEAD_BYTES // 2**10} KiB."
        )
    if upgrade and body and not keeps_bodies:
        return BadRequestError(
            "The HTTP parser of this server loses the body of a request that offers an upgrade: "
            "send the request without Upgrade, or start the server with uvicorn's own default, --http h11."
        )
    return None


def single_slashed(scope: Scope, *, static_prefix: str) -> Scope:
    """The request with one slash where its path begins, and one after the static prefix.

    Werkzeug (3.1, ``routing/map.py``) takes ``//api`` for ``/api``, so an ``MLFLOW_TRACKING_URI`` that ends
    with slashes works with stock MLflow. Everything inside gets the same path. An encoded slash stays.
    """
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or path.encode()
    if b"//" not in raw:
        return scope
    root = scope.get("root_path", "").rstrip("/")
    for start in dict.fromkeys(("", root, root + static_prefix.rstrip("/"))):
        below = raw[len(start) :]
        more = len(below) - len(below.lstrip(b"/")) - 1
        if more > 0 and path.startswith(start) and raw.startswith(start.encode()):
            path, raw = start + path[len(start) + more :], raw[: len(start)] + below[more:]
    return {**scope, "path": path, "raw_path": raw}


def _keeps_bodies(receive: Receive) -> bool:
    """Whether requests are read with h11. httptools ends the body of a request at its ``Upgrade``."""
    config = uvicorn_config(receive)
    return config is not None and issubclass(config.http_protocol_class, H11Protocol)
