"""The values that every layer shares: who asks, what is asked, and what was answered.

The words are Kubernetes' own (k8s.io/apiserver ``user.Info``, ``authorizer.Attributes``,
``authorizer.Decision``); docs/architecture.md has the whole vocabulary.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

API_GROUP = "mlflow.kubeflow.org"
"""The API group of the pseudo-resources. They exist in Roles only, never as objects."""


_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def is_namespace_name(name: str) -> bool:
    """Whether a namespace can have this name: an RFC 1123 label. No other name is a safe part of a path."""
    return _LABEL.fullmatch(name) is not None


LONGEST_RECORDED_NAME = 250
"""Characters that every column of MLflow for a person can hold. The shortest is an assessment's source."""
_DIGEST_CHARACTERS = 32


def recorded(name: str) -> str:
    """``name`` as MLflow can store it.

    A longer name keeps its beginning and ends in ``~`` and a digest of the whole. A Kubernetes service
    account's name can have 338 characters. PostgreSQL and MySQL refuse what is longer than the column.
    """
    if len(name) <= LONGEST_RECORDED_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: LONGEST_RECORDED_NAME - _DIGEST_CHARACTERS - 1]}~{digest}"


class Verb(StrEnum):
    """What a caller wants to do, in the verbs that Red Hat's and Kubeflow's Roles use."""

    GET = "get"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


READING = frozenset({Verb.GET, Verb.LIST})
"""Verbs that change nothing."""


class Resource(StrEnum):
    """The pseudo-resources of :data:`API_GROUP`. There are no others."""

    EXPERIMENTS = "experiments"
    REGISTERED_MODELS = "registeredmodels"
    DATASETS = "datasets"
    MCP_SERVERS = "mcpservers"
    SKILLS = "skills"
    GATEWAY_ENDPOINTS = "gatewayendpoints"
    GATEWAY_SECRETS = "gatewaysecrets"
    GATEWAY_MODEL_DEFINITIONS = "gatewaymodeldefinitions"
    GATEWAY_GUARDRAILS = "gatewayguardrails"
    GATEWAY_BUDGETS = "gatewaybudgets"
    ASSISTANTS = "assistants"


USABLE = frozenset({Resource.GATEWAY_ENDPOINTS, Resource.GATEWAY_SECRETS, Resource.GATEWAY_MODEL_DEFINITIONS})
"""Resources that have the subresource :data:`USE` (asked with the verb ``create``)."""

USE = "use"


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A caller as the API server names them in ``SelfSubjectReview.status.userInfo``."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Sorted by key, so that equal users compare equal."""

    @property
    def recorded_name(self) -> str:
        """The username as MLflow records it; see :func:`recorded`."""
        return recorded(self.username)

    @property
    def recorded_uid(self) -> str:
        """The uid as MLflow records it, or the username when there is no uid."""
        return recorded(self.uid or self.username)

    @property
    def service_account(self) -> tuple[str, str] | None:
        """``(namespace, name)`` when the user is a service account, else None."""
        parts = self.username.split(":")
        if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"] and parts[2] and parts[3]:
            return parts[2], parts[3]
        return None


class Credential(Protocol):
    """How a caller proved who they are. Hashable.

    Opaque outside of identity/, authorizer/ and kubernetes/. The kinds are in
    :mod:`workspace_authz.kubernetes.credentials`.
    """

    def is_in(self, value: bytes) -> bool:
        """Whether a header's value holds this credential's secret, as it is or encoded.

        False for a credential without a secret.
        """


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user together with the credential that selects how reviews are asked."""

    user: UserInfo
    credential: Credential = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Attributes:
    """One concrete question to Kubernetes: may the caller do this there?"""

    namespace: str
    verb: Verb
    resource: Resource
    subresource: str = ""
    name: str = ""
    """Empty asks for the right on every object of the resource (the broad question)."""

    @property
    def qualified_resource(self) -> str:
        """``gatewayendpoints/use`` or ``experiments``, as Kubernetes prints it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else str(self.resource)


class Outcome(StrEnum):
    """The three answers of a Kubernetes authorizer. Only :attr:`ALLOW` lets a request pass."""

    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no-opinion"


class Source(StrEnum):
    """Where a decision came from."""

    REVIEW = "review"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer to one :class:`Attributes`. It has no truth value on purpose: compare the outcome."""

    outcome: Outcome
    source: Source
    reason: str = field(default="", compare=False)

    def __bool__(self) -> bool:
        raise TypeError("a decision has three outcomes; compare decision.outcome")
