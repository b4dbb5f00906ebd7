"""What a catalog entry is made of: frozen values, no I/O, no MLflow import.

A :class:`Route` is one HTTP method and one path template with exactly one :data:`Policy`. The five
policies are separate types, so that "public, but needs a right" or "guarded by nothing" cannot be
written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from workspace_authz.catalog.listing import Listing
from workspace_authz.catalog.stamp import Stamp
from workspace_authz.types import READING, USABLE, USE, Resource, Verb


class Origin(StrEnum):
    """Where in a request (or response) MLflow's handler reads a value."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"
    """A field of the RPC's message (``mlflow.server.handlers._get_request_message``): the JSON body, where
    protobuf accepts lowerCamelCase too; on a GET the query string, and the body only if there is none."""
    HEADER = "header"
    SPANS = "spans"
    """The spans of an OTLP export: ``trace_id`` is of every span the trace that it belongs to."""
    RESPONSE = "response"
    """MLflow's answer: ``experiments[].name`` is what each element of a list is known by."""
    GRAPHQL = "graphql"
    """An argument of a field in the GraphQL document that is executed."""


class Identifier(StrEnum):
    """What a value identifies. ``NAME`` is the RBAC name itself; all others need a look-up.

    The look-up leads to an object of the requirement's resource: a ``RUN_ID`` to the name of the run's
    experiment, a ``MODEL_DEFINITION_ID`` under ``gatewaysecrets`` to the name of the secret that it stores.
    """

    NAME = "name"
    EXPERIMENT_ID = "experiment_id"
    RUN_ID = "run_id"
    TRACE_ID = "trace_id"
    NEW_TRACE_ID = "new_trace_id"
    """A trace id of the client's choice. MLflow adds to the trace that has it: it counts where one does."""
    LOGGED_MODEL_ID = "logged_model_id"
    DATASET_ID = "dataset_id"
    ISSUE_ID = "issue_id"
    ISSUE_MENTION = "issue_mention"
    """The name of an assessment, which is the id of an issue where it says that a trace shows one; it counts
    where it could be one (``iss-…``)."""
    LABEL_SCHEMA_ID = "label_schema_id"
    REVIEW_QUEUE_ID = "review_queue_id"
    SCORER_ID = "scorer_id"
    JOB_ID = "job_id"
    ARTIFACT_PATH = "artifact_path"
    """``[workspaces/<ws>/]<experiment_id>/…`` below the artifact destination."""
    SECRET_ID = "secret_id"  # noqa: S105 - an identifier's kind, not a secret
    ENDPOINT_ID = "endpoint_id"
    MODEL_DEFINITION_ID = "model_definition_id"
    GUARDRAIL_ID = "guardrail_id"
    GATEWAY_MODEL_URI = "gateway_model_uri"
    """A JSON text or URI that may hold ``gateway:/<endpoint>``; it counts only where it does."""
    MODEL_SOURCE_URI = "model_source_uri"
    """``models:/<name>/<version>``, ``models:/<model_id>`` or ``runs:/<run_id>/…``."""
    FLAG = "flag"
    """Nothing: a switch of the request. It counts by being set."""


@dataclass(frozen=True, slots=True)
class NameSource:
    """Where the RBAC name of a requirement comes from."""

    origin: Origin
    field: str
    """Dotted path; ``[]`` after a segment means every element: ``metrics[].model_id``."""
    identifies: Identifier = Identifier.NAME
    aliases: tuple[str, ...] = ()
    """Other spellings that MLflow accepts for the same field, for example ``run_uuid``."""

    def __str__(self) -> str:
        text = f"{self.origin}:{'|'.join((self.field, *self.aliases))}"
        return text if self.identifies is Identifier.NAME else f"{text}→{self.identifies}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One right that a route demands."""

    verb: Verb
    resource: Resource
    subresource: str = ""
    names: tuple[NameSource, ...] = ()
    """Alternatives, the first that is present counts. Empty: only the broad right will do."""
    when_present: bool = False
    """The requirement holds only if one of ``names`` is present in the request."""
    unless_present: bool = False
    """The opposite: it holds only if none of ``names`` is present, and then the broad right is asked."""
    at: str = ""
    """It holds for each place at which the executed GraphQL document asks for this field of the schema."""
    own: bool = False
    """MLflow would take any workspace's object: that it is of this one is looked up, whatever the right."""
    listing: Listing | None = None
    """How the list is kept to what may be seen. None: everything that the request names must be allowed."""

    def __post_init__(self) -> None:
        if self.subresource and (self.subresource != USE or self.resource not in USABLE):
            raise ValueError(f"{self.resource} has no subresource {self.subresource!r}")
        if self.subresource and self.verb is not Verb.CREATE:
            raise ValueError("a use is asked with the verb create")
        if (self.when_present or self.unless_present) and not self.names:
            raise ValueError("a requirement that depends on a name needs a name source")
        if self.when_present and self.unless_present:
            raise ValueError("a requirement holds with a name or without it, not both")
        answered = [source for source in self.names if source.origin is Origin.RESPONSE]
        if len(answered) > 1 or (answered and self.listing is None):
            raise ValueError("what an answer names is for a listing, which needs one source of it")
        if self.listing is not None and (not self.names or self.when_present or self.unless_present):
            raise ValueError("a listing needs to know what identifies its objects, whatever the request")
        if self.own and not self.when_present:
            raise ValueError(
                "only what is linked besides is looked up for everybody: MLflow finds the rest itself"
            )

    @property
    def qualified_resource(self) -> str:
        """``gatewayendpoints/use`` or ``experiments``, as Kubernetes prints it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else str(self.resource)

    def __str__(self) -> str:
        names = f" ({', '.join(map(str, self.names))})" if self.names else ""
        condition = " if present" if self.when_present else " if absent" if self.unless_present else ""
        own = ", of this workspace" if self.own else ""
        listing = f" {self.listing}" if self.listing else ""
        return f"{self.verb} {self.qualified_resource}{names}{condition}{own}{listing}"


@dataclass(frozen=True, slots=True)
class Public:
    """Open to everybody; no credential is looked at and none reaches MLflow."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Any caller whom the API server knows, in no workspace. ``reason`` says why no right is needed."""

    reason: str


@dataclass(frozen=True, slots=True)
class AnyRight:
    """Any MLflow right in the workspace that the path names, or, with ``listing``, in each one listed."""

    listing: bool = False
    parameter: str = ""
    """The path parameter that names the workspace."""

    def __post_init__(self) -> None:
        if self.listing == bool(self.parameter):
            raise ValueError("either a listing or a path parameter")


@dataclass(frozen=True, slots=True)
class Refused:
    """Open to nobody. ``reason`` is shown to the (authenticated) caller."""

    reason: str


@dataclass(frozen=True, slots=True)
class Guarded:
    """All requirements must be allowed in the request's workspace. Never empty."""

    requirements: tuple[Requirement, ...]
    free: tuple[str, ...] = ()
    """Fields of a GraphQL schema that MLflow computes and that reveal nothing beyond their surroundings."""

    def __post_init__(self) -> None:
        if not self.requirements:
            raise ValueError("a guarded route needs a requirement")
        if len({bool(requirement.at) for requirement in self.requirements}) > 1:
            raise ValueError("a route is guarded by the fields of a document or by requirements, not both")

    @property
    def by_document(self) -> bool:
        """Whether the fields of the executed GraphQL document say which requirements hold."""
        return bool(self.requirements[0].at)

    @property
    def reads(self) -> bool:
        """Whether nothing is ever changed: all requirements are to get or to list."""
        return all(requirement.verb in READING for requirement in self.requirements)


Policy = Public | Authenticated | AnyRight | Refused | Guarded


class Server(StrEnum):
    """Which of MLflow's two web frameworks answers. They read path templates differently."""

    FASTAPI = "fastapi"
    """Native. Tried first, in MLflow's order of declaration, which the catalog keeps."""
    FLASK = "flask"
    """Mounted behind the native routes; takes each method and path that these leave."""


class Mount(StrEnum):
    """How MLflow applies ``--static-prefix`` (``fastapi_app.py``, ``handlers._add_static_prefix``)."""

    PREFIXED = "prefixed"
    """Served below the prefix only."""
    ROOT = "root"
    """Ignores the prefix."""
    BOTH = "both"
    """FastAPI ignores the prefix, and Flask serves the same path below it."""


class Restriction(StrEnum):
    """What a request must not contain, whoever sends it; ``restrictions.restrictions`` looks for it.

    Each closes a way past MLflow's own workspaces.
    """

    NO_TRACE_LOCATION = "no trace location"
    """No tag or metadata that tells the server where a trace's data lie."""
    NO_SPAN_TRACE_LOCATION = "no trace location in spans"
    """The same in OTLP, whose attributes ``mlflow.traceTag.<tag>`` become tags."""
    OWN_ARTIFACT = "an experiment's artifact"
    """The path parameter ``artifact_path`` is ``[workspaces/<own>/]<experiment id>[/…]``, and the experiment
    is one of the workspace."""
    OWN_ARTIFACT_LIST = "an experiment's artifacts"
    """The same of the query parameter ``path``, which must be given."""
    FILE_NAME = "a file name"
    """The body's ``path`` ends in the name of a file: the store appends it to the artifact path."""
    OWN_SOURCE = "a source in the workspace"
    """``source`` is a run, model or artifact of the workspace."""
    NO_GLOBAL_BUDGET = "no GLOBAL scope"


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP method and path template that MLflow serves."""

    method: str
    path: str
    """``/api/2.0/mlflow/runs/get``, without static prefix; ``{name}`` is one segment or a part of one,
    ``{name:path}`` also takes slashes."""
    operation: str
    """MLflow's RPC or handler name, the same for all paths of one operation."""
    policy: Policy
    server: Server = Server.FLASK
    mount: Mount = Mount.PREFIXED
    restrictions: tuple[Restriction, ...] = ()
    """Looked at after the rights were granted and before MLflow runs."""
    stamps: tuple[Stamp, ...] = ()
    """Where the caller is written before MLflow runs."""
    since: str = ""
    """The MLflow release in which the route appeared, where known to be newer than 3.16."""
