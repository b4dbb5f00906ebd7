"""Failures in the API server's shape and words: a ``Status`` object with code, reason, message, details.

Source of the wording: ``k8s.io/apimachinery/pkg/api/errors`` and ``…/util/validation/field`` of 1.36.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workspace_authz.devplane.embedded.objects import Object


class ApiError(Exception):
    """A request that ends in a failure ``Status``."""

    def __init__(
        self, code: int, reason: str, *, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def body(self) -> Object:
        """The ``Status`` object."""
        status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:  # an empty one is shown, too
            status["details"] = dict(self.details)
        return status | {"code": self.code}


@dataclass(frozen=True, slots=True)
class Target:
    """What a failure is about. ``resource`` is the plural; ``kind`` is used where the API server does."""

    group: str
    resource: str
    kind: str = ""
    name: str = ""

    @property
    def qualified(self) -> str:
        """``roles.rbac.authorization.k8s.io``, or ``secrets`` in the core group."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def details(self) -> Object:
        """``Status.details``."""
        fields = {"name": self.name, "group": self.group, "kind": self.resource}
        return {key: value for key, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One reason why an object is invalid."""

    field: str
    type: str
    """``FieldValueInvalid`` and so on, as in ``Status.details.causes``."""
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def invalid_value(field: str, value: object, *, why: str) -> FieldProblem:
    """The value cannot be accepted."""
    shown = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return FieldProblem(field, "FieldValueInvalid", f"Invalid value: {shown}: {why}")


def required_value(field: str, why: str = "") -> FieldProblem:
    """The value is missing."""
    return FieldProblem(field, "FieldValueRequired", f"Required value: {why}" if why else "Required value")


def unsupported_value(field: str, value: object, *, supported: Sequence[str]) -> FieldProblem:
    """The value is none of those that exist."""
    choices = ", ".join(quoted(choice) for choice in supported)
    message = f"Unsupported value: {json.dumps(value)}: supported values: {choices}"
    return FieldProblem(field, "FieldValueNotSupported", message)


def invalid(target: Target, problems: Sequence[FieldProblem]) -> ApiError:
    """422: the object breaks a rule of its kind. ``problems`` is not empty."""
    texts = list(dict.fromkeys(map(str, problems)))
    shown = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kind = f"{target.kind}.{target.group}" if target.group else target.kind
    named = {"name": target.name, "group": target.group, "kind": target.kind}
    details = {**{key: value for key, value in named.items() if value}, "causes": list(map(_cause, problems))}
    message = f"{kind} {quoted(target.name)} is invalid: {shown}"
    return ApiError(422, "Invalid", message=message, details=details)


def not_found(target: Target) -> ApiError:
    """404: no such object."""
    message = f"{target.qualified} {quoted(target.name)} not found"
    return ApiError(404, "NotFound", message=message, details=target.details())


def no_such_resource() -> ApiError:
    """404: this server has nothing at that path."""
    return ApiError(404, "NotFound", message="the server could not find the requested resource", details={})


def already_exists(target: Target) -> ApiError:
    """409: the name is taken."""
    message = f"{target.qualified} {quoted(target.name)} already exists"
    return ApiError(409, "AlreadyExists", message=message, details=target.details())


def conflict(target: Target, why: str) -> ApiError:
    """409: the object is not what the caller thought it was."""
    message = f"Operation cannot be fulfilled on {target.qualified} {quoted(target.name)}: {why}"
    return ApiError(409, "Conflict", message=message, details=target.details())


def forbidden(target: Target, why: str, *, causes: Sequence[FieldProblem] = ()) -> ApiError:
    """403."""
    subject = f"{target.qualified} {quoted(target.name)}" if target.name else target.qualified
    message = f"{subject} is forbidden: {why}" if target.resource else f"forbidden: {why}"
    details = {**target.details(), **({"causes": list(map(_cause, causes))} if causes else {})}
    return ApiError(403, "Forbidden", message=message, details=details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message=message)


def namespace_mismatch() -> ApiError:
    """400: body and path name different namespaces."""
    message = "the namespace of the provided object does not match the namespace sent on the request"
    return bad_request(message)


def unauthorized() -> ApiError:
    """401. It never says why: that would help who guesses."""
    return ApiError(401, "Unauthorized", message="Unauthorized")


def unsupported(what: str) -> ApiError:
    """422: Kubernetes can do it, this engine cannot. Its clients fall back on this code where they can."""
    message = f"the embedded engine does not support {what}: use the engine kube-apiserver"
    return ApiError(422, "Invalid", message=message)


def expired(message: str) -> ApiError:
    """410: the resource version is older than the history that is kept; list again."""
    return ApiError(410, "Expired", message=message)


def method_not_allowed() -> ApiError:
    """405."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message=message, details={})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)}"
    )
    return ApiError(415, "UnsupportedMediaType", message=message)


def _cause(problem: FieldProblem) -> Object:
    return {"reason": problem.type, "message": problem.message, "field": problem.field}


def quoted(text: str) -> str:
    """``text`` in double quotes, as Go's ``%q`` prints ordinary strings."""
    return json.dumps(text, ensure_ascii=False)
