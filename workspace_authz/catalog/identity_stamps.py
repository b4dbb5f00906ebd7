"""The identity stamps of every operation: the fields that say who did something.

Without stamps a client could write any name there. The table follows the protos, handlers and stores of
MLflow 3.17.2. Some handlers take the person from the server instead (review queues, jobs, MCP servers,
guardrails, budgets per user, runs that the server starts); for these the server fills MLflow's own hooks.
Fields that such handlers ignore are stamped too, because another release may read them. The fields ``user``,
``users`` and ``new_owner`` of review queues are not stamped: they assign work and do not say who did it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from workspace_authz.catalog.stamp import Person, Shape, Stamp

USER_TAG: Final = "mlflow.user"
TRACE_USER: Final = "mlflow.trace.user"
RESERVED_PREFIXES: Final = ("mlflow.gateway.", "mlflow.auth.")
"""Metadata of traces that MLflow's AI gateway writes, within the server, and charges budgets by
(``sqlalchemy_mixin.sum_gateway_trace_cost``, 3.17.2). A client that copies a trace sends them, too."""
RECORDED_BY: Final = "mlflow.kubeflow.org/recorded-by"
"""The caller, in the metadata of an assessment whose human source is kept as sent."""

Stamps = tuple[Stamp, ...]


def _field(key: str, place: str = "") -> Stamps:
    return (Stamp(Shape.FIELD, key, place),)


def _tags(shape: Shape, place: str) -> Stamps:
    """The user tag, if the client sends it."""
    return (Stamp(shape, USER_TAG, place, when_sent=True),)


def _trace(shape: Shape, *, metadata: str, tags: str, starts: bool) -> Stamps:
    """The metadata of a trace, and its tags, where older clients send the same values."""
    return (
        *(Stamp(Shape.RESERVED, key, place) for place in (metadata, tags) for key in RESERVED_PREFIXES),
        Stamp(shape, TRACE_USER, metadata, Person.END_USER, when_sent=not starts),
        Stamp(shape, USER_TAG, metadata, when_sent=not starts),
        Stamp(shape, TRACE_USER, tags, Person.END_USER, when_sent=True),
        Stamp(shape, USER_TAG, tags, when_sent=True),
    )


_CREATED: Final = _field("created_by")
_UPDATED: Final = _field("updated_by")
_RUN: Final = (*_field("user_id"), Stamp(Shape.PAIRS, USER_TAG, "tags"))
_ONE_TAG: Final = _tags(Shape.PAIR, "")
_TAGS: Final = _tags(Shape.PAIRS, "tags")
_TRACE_TAG: Final = (*_ONE_TAG, Stamp(Shape.PAIR, TRACE_USER, person=Person.END_USER, when_sent=True))
_INFO: Final = "trace.trace_info"
_SPANS: Final = (
    Stamp(Shape.SPANS, USER_TAG),
    Stamp(Shape.SPANS, TRACE_USER, person=Person.END_USER, when_sent=True),
)


def _source(assessment: str, *, when_sent: bool = False) -> Stamp:
    return Stamp(Shape.SOURCE, RECORDED_BY, assessment, when_sent=when_sent)


def _new_id(assessment: str) -> Stamp:
    """Removes the id of a new assessment.

    Ids of assessments are unique in the whole server. MLflow overwrites the assessment that has the id
    already, in whatever workspace it is (``sqlalchemy_store._start_trace_once``).
    """
    return Stamp(Shape.LEFT_OUT, "assessment_id", assessment, when_sent=True)


def _overridden(assessment: str) -> Stamp:
    """Removes the id of the assessment that a new one overrides.

    MLflow stores it without looking (``sqlalchemy_store._start_trace_once``), and makes that assessment valid
    again when the new one is deleted, in whatever workspace it is. The assessments of a new trace have new
    ids, so none can be meant.
    """
    return Stamp(Shape.LEFT_OUT, "overrides", assessment, when_sent=True)


STAMPS: Final[Mapping[str, Stamps]] = MappingProxyType(
    {
        "CreateRun": _RUN,
        "CreatePromptlabRun": _field("user_id"),  # MLflow's handler fails when any tag is sent (3.17.2)
        "SetTag": _ONE_TAG,
        "LogBatch": _TAGS,
        "CreateExperiment": _TAGS,
        "SetExperimentTag": _ONE_TAG,
        "CreateLoggedModel": _TAGS,
        "SetLoggedModelTags": _TAGS,
        "CreateRegisteredModel": _TAGS,
        "SetRegisteredModelTag": _ONE_TAG,
        "CreateModelVersion": _TAGS,
        "SetModelVersionTag": _ONE_TAG,
        "StartTrace": _trace(Shape.PAIRS, metadata="request_metadata", tags="tags", starts=True),
        "EndTrace": _trace(Shape.PAIRS, metadata="request_metadata", tags="tags", starts=False),
        "StartTraceV3": (
            *_trace(Shape.MAP, metadata=f"{_INFO}.trace_metadata", tags=f"{_INFO}.tags", starts=True),
            _source(f"{_INFO}.assessments[]"),
            _new_id(f"{_INFO}.assessments[]"),
            _overridden(f"{_INFO}.assessments[]"),
        ),
        "SetTraceTag": _TRACE_TAG,
        "SetTraceTagV3": _TRACE_TAG,
        "ExportTraces": _SPANS,
        "CreateAssessment": (_source("assessment"), _new_id("assessment")),
        "UpdateAssessment": (_source("assessment", when_sent=True),),
        "CreateIssue": _CREATED,
        "UpdateIssue": _field("last_updated_by"),
        # MLflow reads the author of a dataset or a record from its tags, which are JSON in a text.
        "CreateDataset": (*_CREATED, Stamp(Shape.MAP, USER_TAG, "tags@json")),
        "SetDatasetTags": _tags(Shape.MAP, "tags@json"),
        "UpsertDatasetRecords": (*_UPDATED, Stamp(Shape.MAP, USER_TAG, "records@json[].tags")),
        "CreateGatewaySecret": _CREATED,
        "UpdateGatewaySecret": _UPDATED,
        "CreateGatewayModelDefinition": _CREATED,
        "UpdateGatewayModelDefinition": _UPDATED,
        "CreateGatewayEndpoint": _CREATED,
        "UpdateGatewayEndpoint": _UPDATED,
        "SetGatewayEndpointTag": _ONE_TAG,
        "AttachModelToGatewayEndpoint": _CREATED,
        "CreateGatewayEndpointBinding": _CREATED,
        "CreateGatewayBudgetPolicy": _CREATED,
        "UpdateGatewayBudgetPolicy": _UPDATED,
        "CreatePromptOptimizationJob": _TAGS,
        "CreateReviewQueue": _CREATED,
        "GetOrCreateUserQueue": _CREATED,
        "SetReviewQueueItemStatus": _field("completed_by"),
    }
)
