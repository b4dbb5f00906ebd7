"""One question to the API server with the server's own credential, every status an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from workspace_authz.errors import AuthzError
from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.connection import Connection, describe_failure
from workspace_authz.kubernetes.own_credential import CredentialError

TIMEOUT: Final = aiohttp.ClientTimeout(total=8)

RBAC: Final = "rbac.authorization.k8s.io"

_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, CredentialError)


class NoAnswerError(AuthzError):
    """The API server gave none. The message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``body`` is empty when it was no JSON object."""

    status: int
    body: Mapping[str, Any]
    date: str | None
    """The header ``Date``."""
    seconds: float

    @property
    def message(self) -> str:
        """The API server's own words for a failure, or its status."""
        return str(self.body.get("message") or f"HTTP {self.status}")


async def ask(connection: Connection, path: str, *, method: str = "GET", body: Any = None) -> Answer:
    """Send one request. Raises :class:`NoAnswerError`."""
    started = time.monotonic()
    try:
        async with connection.request(method, path, json=body, timeout=TIMEOUT) as response:
            text = await response.read()
            date = response.headers.get("Date")
            return Answer(response.status, _object(text), date, time.monotonic() - started)
    except _FAILURES as error:
        raise NoAnswerError(describe_failure(error)) from error


async def watches(connection: Connection, path: str) -> int:
    """The status with which a watch of ``path`` opens; it is closed at once. Raises as :func:`ask`."""
    query = {"watch": "true", "timeoutSeconds": "5"}
    try:
        async with connection.request("GET", path, query=query, timeout=TIMEOUT) as response:
            return response.status
    except _FAILURES as error:
        raise NoAnswerError(describe_failure(error)) from error


async def who_am_i(connection: Connection) -> Answer:
    """A SelfSubjectReview. Raises as :func:`ask`."""
    return await _post(connection, access_reviews.self_subject_review())


async def my_rules(connection: Connection, namespace: str) -> Answer:
    """A SelfSubjectRulesReview. Raises as :func:`ask`."""
    return await _post(connection, access_reviews.self_subject_rules_review(namespace))


async def may_i(connection: Connection, target: access_reviews.Target) -> Answer:
    """A SelfSubjectAccessReview. Raises as :func:`ask`."""
    return await _post(connection, access_reviews.self_subject_access_review(target))


def allowed(answer: Answer) -> bool:
    """Whether an access review said yes."""
    status = answer.body.get("status")
    return answer.status in (200, 201) and isinstance(status, dict) and status.get("allowed") is True


def username(answer: Answer) -> str:
    """Whom a SelfSubjectReview names; empty when it names nobody."""
    status = answer.body.get("status")
    user = status.get("userInfo") if isinstance(status, dict) else None
    return str(user.get("username") or "") if isinstance(user, dict) else ""


async def _post(connection: Connection, review: access_reviews.Review) -> Answer:
    return await ask(connection, review.path, method="POST", body=review.document)


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
