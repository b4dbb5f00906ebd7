"""What a proxy is told: the headers that MLflow is to get in the place of the client's, or the refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from workspace_authz.aio.asgi import Message, Send
from workspace_authz.doors.asgi.protocol import refuse
from workspace_authz.doors.forward_auth.dialects import Dialect, Headers
from workspace_authz.effects.effects import Effects
from workspace_authz.effects.headers import DROPPED
from workspace_authz.errors import ForbiddenError, RequestError, UnappliedEffectError
from workspace_authz.identity.credentials import AUTHORIZATION
from workspace_authz.types import UserInfo
from workspace_authz.workspaces.requested import WORKSPACE_HEADER

USER: Final = b"x-remote-user"
GROUPS: Final = b"x-remote-groups"
GROUPS_SEPARATOR: Final = "|"
LONGEST_GROUPS: Final = 8 * 2**10
"""Bytes. More groups are not told at all: proxies bound the head of an answer."""
STATUS: Final = b"x-workspace-authz-status"
ERROR: Final = b"x-workspace-authz-error"
REMOVED: Final = b"x-envoy-auth-headers-to-remove"
_LONGEST_ERROR: Final = 2 * 2**10

STRIPPED: Final = DROPPED | {AUTHORIZATION}
"""What the configuration of every proxy keeps from MLflow (manifests/examples/forward-auth)."""

_ANSWERED: Final = frozenset({WORKSPACE_HEADER, USER, GROUPS})
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_NOT_PASSED: Final = frozenset({401, 403})


def identity(user: UserInfo | None) -> list[tuple[bytes, bytes]]:
    """The headers that name the caller; empty ones where there is none.

    What is not printable ASCII is percent-encoded, and so is the separator within a group.
    """
    name = quote(user.username, safe=_PRINTABLE) if user else ""
    apart = _PRINTABLE.replace(GROUPS_SEPARATOR, "")
    groups = GROUPS_SEPARATOR.join(quote(group, safe=apart) for group in (user.groups if user else ()))
    return [(USER, name.encode()), (GROUPS, groups.encode() if len(groups) <= LONGEST_GROUPS else b"")]


def passed(effects: Effects, headers: Headers, dialect: Dialect) -> list[tuple[bytes, bytes]]:
    """The headers of the answer to a request that passes, ``headers`` being the client's.

    The workspace is always among them, empty where MLflow is to get none: so no client's own gets through.
    Raises :class:`UnappliedEffectError` for headers that the proxy would not keep from MLflow.
    """
    sanitizer = effects.headers
    answer = [(WORKSPACE_HEADER, (sanitizer.workspace or "").encode("ascii")), *identity(effects.caller)]
    kept = {name for name, _ in sanitizer.applied(headers)}
    removed = {name for name, _ in headers} - kept
    if dialect.removes:
        names = sorted((STRIPPED | removed) - _ANSWERED)
        return [*answer, (REMOVED, b",".join(names))]
    if more := sorted(removed - STRIPPED - _ANSWERED):
        raise UnappliedEffectError(
            "This request is allowed only without some of its headers, which the proxy passes on: "
            f"{', '.join(name.decode('latin-1') for name in more)}. Send the credential in one header."
        )
    return answer


async def send_pass(answer: Sequence[tuple[bytes, bytes]], send: Send) -> None:
    """Let the request pass."""
    headers = [*answer, (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def send_refusal(error: RequestError, send: Send, *, dialect: Dialect | None, head: bool) -> None:
    """Refuse the request.

    A proxy that passes on two statuses only is told the others as 403, and the real one in a header, with the
    error as JSON in another.
    """
    if dialect is None or dialect.passes_statuses:
        await refuse(error, send, head=head)
        return
    answered = error if error.status in _NOT_PASSED else ForbiddenError(error.message)
    extra = [(STATUS, str(error.status).encode()), (ERROR, _one_line(error)), *_encoded(error.headers)]
    await refuse(answered, _adding(extra, send), head=head)


def _one_line(error: RequestError) -> bytes:
    text = json.dumps(error.document)
    if len(text) > _LONGEST_ERROR:
        text = json.dumps({"error_code": error.code, "message": error.message[: _LONGEST_ERROR // 8] + "…"})
    return text.encode("ascii")


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers if name == "retry-after"]


def _adding(extra: Sequence[tuple[bytes, bytes]], send: Send) -> Send:
    """``send``, with more headers at the start of the answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return sending
