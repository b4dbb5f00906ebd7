"""The types of the catalog: frozen values, without I/O and without MLflow.

A :class:`Route` is one HTTP method and one path template with exactly one :data:`Policy`. The five policies
are separate types. Contradictory rules, such as a public route that needs a right, cannot be expressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from workspace_authz.catalog.listing import Listing
from workspace_authz.catalog.stamp import Stamp
from workspace_authz.types import READING, USABLE, USE, Resource, Verb


class Origin(StrEnum):
    """The part of the request or response from which a value is read."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"
    """A field of the RPC's message (``mlflow.server.handlers._get_request_message``). That is the JSON body,
    in which protobuf also accepts lowerCamelCase. A GET uses the query string, or the body if it has none."""
    HEADER = "header"
    SPANS = "spans"
    """The spans of an OTLP export. ``trace_id`` stands for the trace of each span."""
    RESPONSE = "response"
    """MLflow's response: ``experiments[].name`` identifies each element of the list."""
    GRAPHQL = "graphql"
    """An argument of a field in the executed GraphQL document."""


class Identifier(StrEnum):
    """What a value identifies. ``NAME`` is the RBAC name itself. All others need a look-up in MLflow's store.

    The look-up finds an object of the requirement's resource: for a ``RUN_ID`` the experiment of the run, for
    a ``MODEL_DEFINITION_ID`` with the resource ``gatewaysecrets`` the secret that the definition uses.
    """

    NAME = "name"
    EXPERIMENT_ID = "experiment_id"
    RUN_ID = "run_id"
    TRACE_ID = "trace_id"
    NEW_TRACE_ID = "new_trace_id"
    """A trace id that the client chose. It counts only if a trace has it: MLflow then adds to that trace."""
    LOGGED_MODEL_ID = "logged_model_id"
    DATASET_ID = "dataset_id"
    ISSUE_ID = "issue_id"
    ISSUE_MENTION = "issue_mention"
    """The name of an assessment. It is the id of an issue when the assessment links a trace to an issue. It
    counts only if it looks like such an id (``iss-…``)."""
    LABEL_SCHEMA_ID = "label_schema_id"
    REVIEW_QUEUE_ID = "review_queue_id"
    SCORER_ID = "scorer_id"
    JOB_ID = "job_id"
    ARTIFACT_PATH = "artifact_path"
    """A path below the artifact destination. It is of the experiment in whose recorded location it lies. It
    counts only if it does not lie below ``skills``."""
    SKILL_PATH = "skill_path"
    """The same below ``skills``, where MLflow keeps the content of skills. It is of the skill in its path."""
    ARTIFACT_LOCATION = "artifact_location"
    """Where a new experiment is to keep its artifacts. It counts only if an experiment has its own there."""
    SECRET_ID = "secret_id"  # noqa: S105 - an identifier's kind, not a secret
    GATEWAY_TRACE_ID = "gateway_trace_id"
    """The id of a trace that the AI gateway has recorded. It leads to the id of the endpoint."""
    ENDPOINT_ID = "endpoint_id"
    MODEL_DEFINITION_ID = "model_definition_id"
    GUARDRAIL_ID = "guardrail_id"
    GATEWAY_MODEL_URI = "gateway_model_uri"
    """A JSON text or URI. It counts only if it holds ``gateway:/<endpoint>``."""
    MODEL_SOURCE_URI = "model_source_uri"
    """``models:/<name>/<version>``, ``models:/<model_id>``, ``runs:/<run_id>/…``, or the place of artifacts,
    which is of the experiment in whose recorded location it lies."""
    FLAG = "flag"
    """A switch of the request, which identifies nothing. It counts if it is set."""


def skill_name(name: str, organization: str) -> str:
    """The RBAC name of a skill: ``reviewer``, or ``@acme/reviewer`` in an organization.

    So MLflow itself writes the identity of a skill (``mlflow.utils.validation._parse_skill_identities``).
    """
    return f"@{organization}/{name}" if organization else name


@dataclass(frozen=True, slots=True)
class NameSource:
    """The field from which the RBAC name of a requirement is taken."""

    origin: Origin
    field: str
    """Dotted path. ``[]`` after a segment means every element of a list: ``metrics[].model_id``."""
    identifies: Identifier = Identifier.NAME
    aliases: tuple[str, ...] = ()
    """Other names that MLflow accepts for the same field, for example ``run_uuid``."""
    organization: str = ""
    """The field beside it that holds the organization of a skill; see :func:`skill_name`."""

    def __str__(self) -> str:
        organization = f"@{self.organization}/" if self.organization else ""
        text = f"{self.origin}:{organization}{'|'.join((self.field, *self.aliases))}"
        return text if self.identifies is Identifier.NAME else f"{text}→{self.identifies}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One right that a route requires.

    Raises ``ValueError`` for a combination of fields that has no meaning.
    """

    verb: Verb
    resource: Resource
    subresource: str = ""
    names: tuple[NameSource, ...] = ()
    """Alternatives: the first that is present counts. Empty: only the broad right is sufficient."""
    when_present: bool = False
    """The requirement applies only if one of ``names`` is present in the request."""
    unless_present: bool = False
    """The opposite: it applies only if none of ``names`` is present. Then it is for the broad right."""
    graphql_field: str = ""
    """The requirement applies wherever the executed GraphQL document selects this field of the schema."""
    same_workspace: bool = False
    """The object must be of the request's workspace. MLflow does not check that here, so it is looked up even
    for a caller with the broad right."""
    listing: Listing | None = None
    """How the list is restricted to what the caller may see. None: the caller must be allowed to see
    everything that the request names."""

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
        if self.same_workspace and not self.when_present:
            raise ValueError(
                "only what is linked besides is looked up for everybody: MLflow finds the rest itself"
            )

    @property
    def qualified_resource(self) -> str:
        """``gatewayendpoints/use`` or ``experiments``, as Kubernetes prints resources."""
        return f"{self.resource}/{self.subresource}" if self.subresource else str(self.resource)

    def __str__(self) -> str:
        names = f" ({', '.join(map(str, self.names))})" if self.names else ""
        condition = " if present" if self.when_present else " if absent" if self.unless_present else ""
        own = ", of this workspace" if self.same_workspace else ""
        listing = f" {self.listing}" if self.listing else ""
        return f"{self.verb} {self.qualified_resource}{names}{condition}{own}{listing}"


@dataclass(frozen=True, slots=True)
class Public:
    """Open to everybody. Credentials are neither read nor passed to MLflow."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Open to every authenticated caller, in no workspace. ``reason`` says why no right is needed."""

    reason: str


@dataclass(frozen=True, slots=True)
class AnyRight:
    """Requires any MLflow right in one workspace, or, with ``listing``, in each listed workspace.

    Raises ``ValueError`` for a listing in one workspace.
    """

    listing: bool = False
    parameter: str = ""
    """The path parameter that names the workspace. Empty: it is the request's, as for a guarded route."""

    def __post_init__(self) -> None:
        if self.listing and self.parameter:
            raise ValueError("a listing is not of one workspace")


@dataclass(frozen=True, slots=True)
class Refused:
    """Open to nobody. ``reason`` is shown to the caller, who must be authenticated."""

    reason: str


@dataclass(frozen=True, slots=True)
class Guarded:
    """All requirements that apply must be allowed in the request's workspace.

    Raises ``ValueError`` for no requirements, and for a mixture of GraphQL requirements and others.
    """

    requirements: tuple[Requirement, ...]
    unguarded_fields: tuple[str, ...] = ()
    """Computed fields of the GraphQL schema that reveal no more than the field around them."""

    def __post_init__(self) -> None:
        if not self.requirements:
            raise ValueError("a guarded route needs a requirement")
        if len({bool(requirement.graphql_field) for requirement in self.requirements}) > 1:
            raise ValueError("a route is guarded by the fields of a document or by requirements, not both")

    @property
    def by_document(self) -> bool:
        """Whether the fields of the executed GraphQL document determine which requirements apply."""
        return bool(self.requirements[0].graphql_field)

    @property
    def reads(self) -> bool:
        """Whether the route only reads: all requirements have the verb ``get`` or ``list``."""
        return all(requirement.verb in READING for requirement in self.requirements)


Policy = Public | Authenticated | AnyRight | Refused | Guarded


class Server(StrEnum):
    """The web framework of MLflow that serves a route. The two interpret path templates differently."""

    FASTAPI = "fastapi"
    """MLflow tries these routes first, in its order of declaration, which the catalog keeps."""
    FLASK = "flask"
    """Mounted behind FastAPI. It serves every method and path that FastAPI does not match."""


class Mount(StrEnum):
    """How MLflow applies ``--static-prefix`` to a route (``fastapi_app.py``, ``handlers.py``)."""

    PREFIXED = "prefixed"
    """Served below the prefix only."""
    ROOT = "root"
    """Served without the prefix only."""
    BOTH = "both"
    """Served without the prefix by FastAPI, and below the prefix by Flask."""


class Restriction(StrEnum):
    """A condition on the content of a request that applies to every caller.

    Each closes a way around MLflow's own workspaces. :mod:`workspace_authz.restrictions` checks them.
    """

    NO_TRACE_LOCATION = "no trace location"
    """The request sets no tag or metadata that says where the server finds the data of a trace."""
    NO_SPAN_TRACE_LOCATION = "no trace location in spans"
    """The same for OTLP, where attributes ``mlflow.traceTag.<tag>`` become tags."""
    OWN_ARTIFACT = "an experiment's artifact"
    """The path parameter ``artifact_path`` lies in the recorded location of an experiment of the
    workspace."""
    OWN_ARTIFACT_LIST = "an experiment's artifacts"
    """The same for the query parameter ``path``, which must be present."""
    FILE_NAME = "a file name"
    """The body's ``path`` ends in a file name. The store appends that name to the artifact path."""
    OWN_SOURCE = "a source in the workspace"
    """``source`` is a run, a model or an artifact of the workspace."""
    UPSTREAM_PATH = "a path without dot segments"
    """The path parameter ``path`` does not leave the base URL of the provider, however it is encoded."""
    NO_GLOBAL_BUDGET = "no GLOBAL scope"
    NO_SCHEDULE_TAG = "no schedule of jobs"
    """The request sets no tag by which MLflow's server starts jobs for an experiment."""
    NO_GATEWAY_TAG = "no tag of the gateway"
    """The request sets no tag whose name only the AI gateway may write: ``mlflow.gateway.*``,
    ``mlflow.auth.*``."""
    ARTIFACT_ROOT = "a usable artifact root"
    """The workspace's ``MLflowConfig``, if it has one, names a place for new experiments."""
    NO_GATEWAY_TRACE = "no trace of the gateway"
    """The trace that the request writes is none that the AI gateway has recorded: budgets count those."""


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP method and path template that MLflow serves."""

    method: str
    path: str
    """Without static prefix: ``/api/2.0/mlflow/runs/get``. ``{name}`` matches one segment or a part of one,
    ``{name:path}`` also matches slashes."""
    operation: str
    """The name of MLflow's RPC or handler. All paths of one operation share it."""
    policy: Policy
    server: Server = Server.FLASK
    mount: Mount = Mount.PREFIXED
    restrictions: tuple[Restriction, ...] = ()
    """Checked after the rights and before MLflow runs."""
    stamps: tuple[Stamp, ...] = ()
    """The places to which the caller is written before MLflow runs."""
    since: str = ""
    """The MLflow release that introduced the route, if it is newer than 3.16."""
