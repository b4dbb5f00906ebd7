"""What a proxy is told: the headers that MLflow is to get in the place of the client's, or the refusal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from workspace_authz.aio.asgi import Message, Send
from workspace_authz.doors.asgi.protocol import refuse
from workspace_authz.doors.forward_auth.dialects import Dialect, Headers
from workspace_authz.doors.forward_auth.senders import SECRET_HEADER
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

STRIPPED: Final = DROPPED | {AUTHORIZATION, SECRET_HEADER}
"""What the configuration of every proxy keeps from MLflow (manifests/examples/forward-auth)."""

_ANSWERED: Final = frozenset({WORKSPACE_HEADER, USER, GROUPS})
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


def identity(user: UserInfo | None) -> list[tuple[bytes, bytes]]:
    """The headers that name the caller; empty ones where there is none.

    What is not printable ASCII is percent-encoded, and so is the separator within a group.
    """
    name = quote(user.username, safe=_PRINTABLE) if user else ""
    apart = _PRINTABLE.replace(GROUPS_SEPARATOR, "")
    groups = GROUPS_SEPARATOR.join(quote(group, safe=apart) for group in (user.groups if user else ()))
    return [(USER, name.encode()), (GROUPS, groups.encode() if len(groups) <= LONGEST_GROUPS else b"")]


def passed(effects: Effects, headers: Headers, *, dialect: Dialect) -> list[tuple[bytes, bytes]]:
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

    A status that the proxy does not pass on is told as 403. The real one stands in a header, and the error as
    JSON in another: nginx passes no content on.
    """
    if dialect is None:
        await refuse(error, send, head=head)
        return
    status = error.status if dialect.passes(error.status) else ForbiddenError.status
    told = [(STATUS, str(error.status).encode()), (ERROR, _one_line(error))]
    await refuse(error, _changed(send, status=status, more=told), head=head)


def _one_line(error: RequestError) -> bytes:
    text = json.dumps(error.document)
    if len(text) > _LONGEST_ERROR:
        text = json.dumps({"error_code": error.code, "message": error.message[: _LONGEST_ERROR // 8] + "…"})
    return text.encode("ascii")


def _changed(send: Send, *, status: int, more: Sequence[tuple[bytes, bytes]]) -> Send:
    """``send``, with another status and more headers at the start of the answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "status": status, "headers": [*message["headers"], *more]}
        await send(message)

    return sending
