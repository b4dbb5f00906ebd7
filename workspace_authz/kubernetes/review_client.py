"""Posts one review and judges the answer.

Whatever is not a well-formed answer is an :class:`UnavailableError`, never a decision. Nothing of the API
server's own text reaches the caller.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from workspace_authz.errors import (
    MisconfiguredError,
    RequestError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from workspace_authz.kubernetes.access_reviews import Review
from workspace_authz.kubernetes.answer_times import ServerTime, retry_after
from workspace_authz.kubernetes.http import HttpAnswer, OversizedError, ReviewTransport
from workspace_authz.kubernetes.own_credential import CredentialError
from workspace_authz.telemetry.metrics import Metrics, NoMetrics

_log = logging.getLogger(__name__)

_IN_FRONT: Final = frozenset({502, 503, 504})
"""Said by an API server that is starting or stopping, or by what stands before one that is away."""

NO_ANSWER: Final = "The Kubernetes API server gives no usable answer at the moment; try again."
REJECTED: Final = (
    "The Kubernetes API server does not accept this token: it may have expired. "
    "Get a new one with `oc whoami -t` or `kubectl create token SERVICE_ACCOUNT`, and unset an "
    "MLFLOW_TRACKING_TOKEN that is left over beside MLFLOW_TRACKING_AUTH."
)


class ReviewClient:
    """Asks each review once over ``transport``. ``timeout`` bounds it, in seconds."""

    def __init__(self, transport: ReviewTransport, *, timeout: float, metrics: Metrics | None = None) -> None:
        self._transport = transport
        self.server_time = ServerTime(time.monotonic)
        self._timeout = timeout
        self._metrics = metrics or NoMetrics()

    async def status_of(self, review: Review, *, token: str | None) -> Mapping[str, Any]:
        """Post ``review`` and return the ``status`` of the answer.

        ``token`` is the caller's; None asks with the transport's own credential. Raises
        :class:`UnauthenticatedError` when the API server rejects the token, and :class:`UnavailableError` or
        one of its subclasses when there is no usable answer.
        """
        started, result = time.monotonic(), "unreachable"
        try:
            posted = await self._transport.post(
                review.path, review.document, token=token, timeout=self._timeout
            )
            result = str(posted.status)
            self.server_time.heard(posted.date)
            if posted.status not in (200, 201):
                raise _failed(review.kind, posted, own=token is None)
            status = _status_of(review.kind, posted.body)
            result = "ok"
            return status
        except OversizedError as error:
            raise unintelligible(review.kind) from error
        except CredentialError as error:
            _log.warning("%s was not asked: %s", review.kind, error)
            raise UnavailableError(NO_ANSWER) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("%s failed: %s", review.kind, type(error).__name__)
            raise UnreachableError(NO_ANSWER) from error
        finally:
            self._metrics.asked(review.kind, result=result, seconds=time.monotonic() - started)


def unintelligible(kind: str) -> UnavailableError:
    """The error for an answer to a review of ``kind`` that has not the fields it must have."""
    _log.warning("the answer to a %s could not be understood", kind)
    return UnavailableError(NO_ANSWER)


def _status_of(kind: str, answer: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise unintelligible(kind) from error
    status = document.get("status") if isinstance(document, dict) else None
    if not isinstance(status, dict) or document.get("kind") != kind:
        raise unintelligible(kind)
    return status


def _failed(kind: str, posted: HttpAnswer, *, own: bool) -> RequestError:
    status = posted.status
    if status == 401 and not own:
        return UnauthenticatedError(REJECTED)
    _log.warning("%s was answered with HTTP %d", kind, status)
    if status in (403, 404):
        if own and status == 403:
            return MisconfiguredError(_MAY_NOT_ASK.format(resource=f"{kind.lower()}s"))
        return MisconfiguredError(
            f"This cluster does not answer a {kind}, so nobody can be authorized. "
            "An administrator finds the remedy with `workspace-authz check`."
        )
    if status == 429:
        return ThrottledError(NO_ANSWER, status=status, after=retry_after(posted.retry_after, posted.date))
    if status in _IN_FRONT:
        return UnreachableError(NO_ANSWER, status=status, after=retry_after(posted.retry_after, posted.date))
    # A 401 to the server's own credential, too: the caller has done nothing wrong.
    return UnavailableError(NO_ANSWER)


_MAY_NOT_ASK: Final = (
    "The server's own account may not create {resource}, so this caller cannot be authorized. "
    "An administrator binds the ClusterRole mlflow-server-reviews to it: `workspace-authz check` has the "
    "command."
)
