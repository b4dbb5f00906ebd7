"""Refusals as MLflow's UI and a browser show them. Programs get the plain ones.

The pages of an experiment and of a run ask by GraphQL, and show only the status of an answer that is not 200
(MLflow 3.17.2). So a refused document is answered as GraphQL answers one that failed. The door has judged and
recorded the request before: audit records and metrics hold the refusal's own status.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

from workspace_authz.aio.asgi import Message, Send
from workspace_authz.doors.browser.buffered import BufferedAnswer
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import section_page

_MOST_REFUSAL_BYTES: Final = 64 * 1024
_KEPT: Final = frozenset({b"retry-after", b"www-authenticate"})

Show = Callable[[int, Mapping[str, Any]], OwnAnswer]
"""Makes an answer of a refusal's status and document."""


def shown_refusal(send: Send, *, show: Show) -> Send:
    """A ``send`` that shows refusals in MLflow's JSON error shape otherwise. The rest goes on as it is."""

    async def release(start: Message, content: Message) -> None:
        document = _document(content["body"]) if len(content["body"]) <= _MOST_REFUSAL_BYTES else None
        if document is None:
            await send(start)
            await send(content)
            return
        answer = show(start["status"], document)
        kept = [pair for pair in start["headers"] if pair[0].lower() in _KEPT]
        await OwnAnswer(
            answer.content, answer.content_type, status=answer.status, headers=(*answer.headers, *kept)
        ).send(send, head=False)

    return BufferedAnswer(send, holds=_refuses, most=_MOST_REFUSAL_BYTES, release=release)


def as_graphql(status: int, document: Mapping[str, Any]) -> OwnAnswer:
    """A refusal as GraphQL tells errors (October 2021, 7.1.2)."""
    extensions = {"code": document.get("error_code", ""), "status": status}
    error = {"message": document["message"], "extensions": extensions}
    content = json.dumps({"data": None, "errors": [error]}).encode()
    return OwnAnswer(content, "application/json", headers=((b"x-content-type-options", b"nosniff"),))


def as_page(status: int, document: Mapping[str, Any], *, static_prefix: str) -> OwnAnswer:
    """A refusal as a page."""
    parts = [f'<p class="error" role="alert">{escape(document["message"])}</p>']
    return section_page(static_prefix, "", parts=parts, title="This did not work", status=status)


def _refuses(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    # A 401 stays one: the script in MLflow's page leads to the sign-in then.
    is_refusal: bool = start["status"] >= 400 and start["status"] != 401
    return is_refusal and any(kind.startswith(b"application/json") for kind in kinds)


def _document(content: bytes) -> Mapping[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    is_told = isinstance(document, dict) and isinstance(document.get("message"), str)
    return document if is_told else None
