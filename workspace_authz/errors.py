"""Every error that leaves the project, each with the status and code a caller sees.

::

    AuthzError
    ├── ConfigurationError        the operator must change something; stops the start
    └── RequestError              refuses one request, in MLflow's JSON error shape
        ├── BadRequestError       400 INVALID_PARAMETER_VALUE
        ├── UnauthenticatedError  401 UNAUTHENTICATED
        ├── ForbiddenError        403 PERMISSION_DENIED
        ├── MissingError          404 RESOURCE_DOES_NOT_EXIST
        ├── UnknownRouteError     404 ENDPOINT_NOT_FOUND
        ├── SlowClientError       408 DEADLINE_EXCEEDED
        ├── TooManyRequestsError  429 REQUEST_LIMIT_EXCEEDED
        ├── UnappliedEffectError  501 NOT_IMPLEMENTED: allowed, and this door cannot do what must be done
        └── UnavailableError      503 TEMPORARILY_UNAVAILABLE: no decision could be had
            ├── MisconfiguredError  503: the cluster forbids or lacks the review itself
            ├── OverloadedError     503: the API server is not asked at the moment
            └── TransientError      503: the same question may be answered if it is asked again
                ├── UnreachableError  nothing answered, or only something in front of the API server
                └── ThrottledError    the API server wants to be asked later

The codes are those of MLflow's ``mlflow.exceptions`` (``ERROR_CODE_TO_HTTP_STATUS``). Messages are
shown to callers: none may hold a token, or an answer of the API server that was not meant for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class AuthzError(Exception):
    """Root of the tree."""


class ConfigurationError(AuthzError):
    """A setting, a flag or the environment is wrong. The message is one clear sentence with the remedy."""


class RequestError(AuthzError):
    """One request is refused."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """Response headers that belong to this refusal."""
        return ()


class BadRequestError(RequestError):
    """The request cannot be understood, for example because it names no workspace."""

    status = 400
    code = "INVALID_PARAMETER_VALUE"


class UnauthenticatedError(RequestError):
    """No credential, two that disagree, or one that the API server rejects."""

    status = 401
    code = "UNAUTHENTICATED"

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        # Basic second: a browser offers the first scheme it knows, and it knows only Basic.
        return (
            ("www-authenticate", 'Bearer realm="kubernetes"'),
            ("www-authenticate", 'Basic realm="Kubernetes token as password", charset="UTF-8"'),
        )


class ForbiddenError(RequestError):
    """The API server answered, and the answer was not yes; or the route is refused to everybody."""

    status = 403
    code = "PERMISSION_DENIED"


class MissingError(RequestError):
    """The workspace, or something in it, does not exist; only for those who would be allowed there."""

    status = 404
    code = "RESOURCE_DOES_NOT_EXIST"


class UnknownRouteError(RequestError):
    """The catalog has no entry for this method and path."""

    status = 404
    code = "ENDPOINT_NOT_FOUND"


class SlowClientError(RequestError):
    """A body that is needed stopped coming. Nobody reads what may still come, so the connection ends."""

    status = 408
    code = "DEADLINE_EXCEEDED"

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return (("connection", "close"),)


class TooManyRequestsError(RequestError):
    """The caller's address has sent too much that was rejected. ``after``: seconds to wait."""

    status = 429
    code = "REQUEST_LIMIT_EXCEEDED"

    def __init__(self, message: str, *, after: int = 1) -> None:
        super().__init__(message)
        self.after = after

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return (("retry-after", str(self.after)),)


class UnappliedEffectError(RequestError):
    """The request is allowed only with a change that the door in use cannot make."""

    status = 501
    code = "NOT_IMPLEMENTED"


class UnavailableError(RequestError):
    """The API server gave no usable answer. Never a decision, never cached."""

    status = 503
    code = "TEMPORARILY_UNAVAILABLE"
    retry_after_seconds: ClassVar[int] = 1

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return (("retry-after", str(self.retry_after_seconds)),)


class MisconfiguredError(UnavailableError):
    """The review itself is forbidden or missing in this cluster; readiness turns red."""


class OverloadedError(UnavailableError):
    """We do not ask: the API server does not answer, or more waits for it than it can answer in time."""


class TransientError(UnavailableError):
    """Worth another try.

    ``status`` is that of the answer, if there was one; ``after``: not before so many seconds, if it said so.
    """

    def __init__(self, message: str, *, status: int | None = None, after: float | None = None) -> None:
        super().__init__(message)
        self.status_of_answer = status
        self.after = after


class UnreachableError(TransientError):
    """No connection, no whole answer in time, or HTTP 502 to 504: a sign that the API server is down."""


class ThrottledError(TransientError):
    """HTTP 429: the API server works and has too much to do."""
