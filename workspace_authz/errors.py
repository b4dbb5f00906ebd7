"""All errors of the project. Errors that refuse a request have the HTTP status and code that the caller sees.

::

    AuthzError
    ├── ConfigurationError        the operator must change something; the server does not start
    ├── ExitError                 a command ends, with an exit status of its own
    └── RequestError              refuses one request, in MLflow's JSON error shape
        ├── BadRequestError       400 INVALID_PARAMETER_VALUE
        │   ├── UnnamedWorkspaceError  the request names no workspace, and none is implied
        │   └── MlflowRefusedError  what MLflow itself answers, with its status and in its words
        ├── UnauthenticatedError  401 UNAUTHENTICATED
        ├── ForbiddenError        403 PERMISSION_DENIED
        ├── MissingError          404 RESOURCE_DOES_NOT_EXIST
        ├── UnknownRouteError     404 ENDPOINT_NOT_FOUND
        ├── SlowClientError       408 DEADLINE_EXCEEDED
        ├── ConflictError         409 RESOURCE_CONFLICT
        ├── TooManyRequestsError  429 REQUEST_LIMIT_EXCEEDED
        ├── HeadersTooLargeError  431 BAD_REQUEST
        ├── UnappliedEffectError  501 NOT_IMPLEMENTED
        ├── UndeliveredBodyError  501 NOT_IMPLEMENTED
        └── UnavailableError      503 TEMPORARILY_UNAVAILABLE: there is no decision
            ├── MisconfiguredError  503: the cluster forbids or does not serve the review itself
            ├── OverloadedError     503: the review was not sent, because the API server is down or too slow
            └── TransientError      503: a retry may succeed
                ├── UnreachableError  no answer of the API server
                └── ThrottledError    the API server answered 429

The codes are those of MLflow (``mlflow.exceptions.ERROR_CODE_TO_HTTP_STATUS``). Callers see the messages, so
no message may hold a token, or an answer of the API server that was not made for the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class AuthzError(Exception):
    """The base class of all errors of the project."""


class ConfigurationError(AuthzError):
    """A setting, a flag or the environment is wrong. The message is one sentence that names the remedy."""


class ExitError(AuthzError):
    """A command ends. ``status`` is its exit status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class RequestError(AuthzError):
    """One request is refused. ``message`` is shown to the caller."""

    status: int = 500
    code: str = "INTERNAL_ERROR"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """Headers that the response must have."""
        return ()

    @property
    def document(self) -> Mapping[str, Any]:
        """The JSON body of the response."""
        return {"error_code": self.code, "message": self.message}


class BadRequestError(RequestError):
    """The request is malformed or incomplete, for example because it names no workspace."""

    status = 400
    code = "INVALID_PARAMETER_VALUE"


class UnnamedWorkspaceError(BadRequestError):
    """The request names no workspace, and the server implies none for its caller."""


class MlflowRefusedError(BadRequestError):
    """The request must be refused, and MLflow would refuse it anyway: this is MLflow's own answer.

    ``document`` is the body that MLflow answers, ``status`` its HTTP status.
    """

    def __init__(self, message: str, *, document: Mapping[str, Any], status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.code = str(document.get("error_code", self.code))
        self._document = document

    @property
    def document(self) -> Mapping[str, Any]:
        return self._document


class UnauthenticatedError(RequestError):
    """The request has no credential, two different ones, or one that the API server rejects."""

    status = 401
    code = "UNAUTHENTICATED"

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        # Basic comes second. A browser uses the first scheme that it supports, and it supports only Basic.
        return (
            ("www-authenticate", 'Bearer realm="kubernetes"'),
            ("www-authenticate", 'Basic realm="Kubernetes token as password", charset="UTF-8"'),
        )


class ForbiddenError(RequestError):
    """The API server did not allow the request, or the route is refused to everybody."""

    status = 403
    code = "PERMISSION_DENIED"


class MissingError(RequestError):
    """The workspace or an object in it does not exist. Raised only for callers with a right to it."""

    status = 404
    code = "RESOURCE_DOES_NOT_EXIST"


class UnknownRouteError(RequestError):
    """The catalog has no entry for the method and path."""

    status = 404
    code = "ENDPOINT_NOT_FOUND"


class SlowClientError(RequestError):
    """The client stopped sending a body that is needed. The connection is closed, because the remaining body
    is not read."""

    status = 408
    code = "DEADLINE_EXCEEDED"

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return (("connection", "close"),)


class ConflictError(RequestError):
    """What is there already, or was changed by somebody else in between, is in the way."""

    status = 409
    code = "RESOURCE_CONFLICT"


class TooManyRequestsError(RequestError):
    """The client's address has sent too many rejected credentials, or its share of the server is in use.

    ``after``: seconds to wait.
    """

    status = 429
    code = "REQUEST_LIMIT_EXCEEDED"

    def __init__(self, message: str, *, after: int = 1) -> None:
        super().__init__(message)
        self.after = after

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return (("retry-after", str(self.after)),)


class HeadersTooLargeError(RequestError):
    """The request line and the header fields are too large or too many. The connection is closed, because a
    body that may follow is not read."""

    status = 431
    code = "BAD_REQUEST"

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return (("connection", "close"),)


class UnappliedEffectError(RequestError):
    """The request is allowed only with a change that the door in use cannot make."""

    status = 501
    code = "NOT_IMPLEMENTED"


class UndeliveredBodyError(RequestError):
    """The verdict depends on the request's body, which the door in use was not given."""

    status = 501
    code = "NOT_IMPLEMENTED"


class UnavailableError(RequestError):
    """The API server gave no usable answer. This is not a decision and is never cached."""

    status = 503
    code = "TEMPORARILY_UNAVAILABLE"
    retry_after_seconds: ClassVar[int] = 1

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return (("retry-after", str(self.retry_after_seconds)),)


class MisconfiguredError(UnavailableError):
    """The cluster forbids the review itself or does not serve it. Readiness fails."""


class OverloadedError(UnavailableError):
    """The review was not sent: the API server does not answer, or too many reviews are waiting for it."""


class TransientError(UnavailableError):
    """A retry may succeed.

    ``status`` is the HTTP status of the answer, if there was one. ``after`` is the time in seconds that the
    API server asked to wait, if it did.
    """

    def __init__(self, message: str, *, status: int | None = None, after: float | None = None) -> None:
        super().__init__(message)
        self.status_of_answer = status
        self.after = after


class UnreachableError(TransientError):
    """There was no connection, no complete answer in time, or HTTP 502 to 504. The API server may be down."""


class ThrottledError(TransientError):
    """HTTP 429: the API server works but has too many requests."""
