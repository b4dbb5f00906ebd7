"""Ids within nested objects, which MLflow may store without looking: each is known, or judged here.

Every text below the top level of a writing request is listed from MLflow's own protobuf messages. It fails
when a release brings a field that nobody has judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from workspace_authz.catalog.model import Guarded, Origin, Route
from workspace_authz.catalog.routes import all_routes
from workspace_authz.catalog.stamp import Shape
from workspace_authz.mlflow_adapter.reading.messages import message_of

CONTENT = frozenset(
    {
        "key",
        "value",
        "string_value",
        "bytes_value",
        "name",
        "type",
        "schema",
        "profile",
        "digest",
        "source",
        "source_type",
        "etag",
        "error_code",
        "error_message",
        "message",
        "stack_trace",
        "rationale",
        "serialization_format",
        "options[]",
        "positive_label",
        "negative_label",
        "request",
        "response",
        "request_preview",
        "response_preview",
        "trace_state",
        "version",
        "issue_name",
        "dataset_name",
        "dataset_digest",
        "client_request_id",
        "paths[]",
    }
)
"""Last names of fields that hold content, names within the request, or keys of the caller's own."""

DATABRICKS = ("inference_table", "uc_schema", "uc_table_prefix")
"""Locations of traces in tables of Databricks, which MLflow's own stores do not take."""

_OVERRIDES = "MLflow takes an assessment of the same trace only (create_assessment)."
JUDGED = {
    "parts[].url": "Azure reads the id of a block in its query (azure_blob_artifact_repo). None opens it.",
    "assessment.trace_id": "The trace in the path wins (handlers._create_assessment).",
    "assessment.assessment_id": "UpdateAssessment takes the id in the path (handlers._update_assessment).",
    "assessment.span_id": "A name within the trace. MLflow looks no span up by it alone.",
    "assessment.overrides": _OVERRIDES,
    "trace.trace_info.assessments[].trace_id": "Replaced by the id of the trace (_start_trace_once).",
    "trace.trace_info.assessments[].span_id": "A name within the trace.",
    "trace.spans[].trace_id": "handlers._start_trace_v3 reads trace.trace_info only.",
    "trace.spans[].span_id": "As trace.spans[].trace_id.",
    "trace.spans[].parent_span_id": "As trace.spans[].trace_id.",
    "trace.spans[].links[].trace_id": "As trace.spans[].trace_id.",
    "trace.spans[].links[].span_id": "As trace.spans[].trace_id.",
    "metrics[].run_id": "LogBatch logs into the run of the request; the field is for reading.",
}


def _writing() -> Iterator[tuple[Route, Descriptor]]:
    for route in all_routes():
        message = message_of(route)
        if message is not None and isinstance(route.policy, Guarded) and not route.policy.reads:
            yield route, message


def _texts(
    message: Descriptor, above: tuple[str, ...] = (), seen: frozenset[str] = frozenset()
) -> Iterator[str]:
    """The places of the texts that stand in an object within the message, as the catalog spells them."""
    for field in message.fields:
        place = (*above, f"{field.name}[]" if field.is_repeated else field.name)
        inner = field.message_type
        if inner is not None and inner.full_name not in seen:
            yield from _texts(inner, place, seen | {inner.full_name})
        elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING and above:
            yield ".".join(place)


def _known(route: Route) -> set[str]:
    assert isinstance(route.policy, Guarded)
    named = {
        field
        for requirement in route.policy.requirements
        for source in requirement.names
        if source.origin is Origin.BODY
        for field in (source.field, *source.aliases)
    }
    stamped = {
        f"{stamp.place}.source.source_id" if stamp.shape is Shape.SOURCE else f"{stamp.place}.{stamp.key}"
        for stamp in route.stamps
    }
    return named | stamped


def test_every_nested_id_is_known_or_judged() -> None:
    unknown = {
        f"{route.operation}: {place}"
        for route, message in _writing()
        for place in set(_texts(message)) - _known(route) - JUDGED.keys()
        if place.rpartition(".")[2] not in CONTENT and not any(table in place for table in DATABRICKS)
    }
    assert not unknown


def test_no_judgement_is_about_a_field_that_is_gone() -> None:
    there = {place for _, message in _writing() for place in _texts(message)}
    assert JUDGED.keys() <= there


def test_a_new_trace_overrides_no_assessment() -> None:
    left_out = {
        f"{stamp.place}.{stamp.key}"
        for route, _ in _writing()
        if route.operation == "StartTraceV3"
        for stamp in route.stamps
        if stamp.shape is Shape.LEFT_OUT
    }
    assert left_out == {f"trace.trace_info.assessments[].{field}" for field in ("assessment_id", "overrides")}
