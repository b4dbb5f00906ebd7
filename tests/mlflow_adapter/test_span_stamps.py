"""The caller in OTLP: in the tags of a trace's root, and as the user of spans that name one."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from workspace_authz.catalog.identity_stamps import STAMPS
from workspace_authz.catalog.stamp import Person
from workspace_authz.mlflow_adapter.reading.spans import read_spans
from workspace_authz.types import UserInfo

ALICE = UserInfo("alice")
TRAINER = UserInfo("system:serviceaccount:team-a:trainer")
AUTHOR = [stamp for stamp in STAMPS["ExportTraces"] if stamp.person is Person.AUTHOR]
TAG = "mlflow.traceTag.mlflow.user"


def message(*spans: Span) -> ExportTraceServiceRequest:
    resource = Resource(attributes=[text("user.id", "host")])
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=spans)])]
    )


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def span(*attributes: KeyValue, parent: bytes = b"") -> Span:
    return Span(trace_id=b"t" * 16, span_id=b"s" * 8, parent_span_id=parent, name="n", attributes=attributes)


def stamped(
    sent: ExportTraceServiceRequest, user: UserInfo = ALICE, *, strict: bool = True
) -> ExportTraceServiceRequest:
    """As with the setting that demands the caller everywhere; otherwise end users are left alone."""
    export = read_spans(sent.SerializeToString(), encoding=b"", as_json=False)
    body = export.stamped(STAMPS["ExportTraces"] if strict else AUTHOR, user.username)
    read = ExportTraceServiceRequest()
    read.ParseFromString(body)
    return read


def attributes(sent: ExportTraceServiceRequest, number: int = 0) -> list[tuple[str, str]]:
    found = sent.resource_spans[0].scope_spans[0].spans[number].attributes
    return [(one.key, one.value.string_value) for one in found]


def test_a_root_gets_its_author_and_a_child_nothing() -> None:
    written = stamped(message(span(parent=b"p" * 8), span(text("a", "1"))))
    assert attributes(written, 0) == []
    assert attributes(written, 1) == [("a", "1"), (TAG, "alice")]


def test_all_else_is_as_it_was() -> None:
    number = KeyValue(key="n", value=AnyValue(int_value=2**62))
    sent = message(span(number, text(TAG, "alice"), text("user.id", "alice")))
    assert stamped(sent) == sent


def test_who_is_named_is_the_author_however_often() -> None:
    names = ("user.id", "user.id", TAG, "mlflow.traceTag. MLflow.User", "mlflow.traceTag.mlflow.trace.user")
    sent = [text(name, "bob") for name in names] + [KeyValue(key="user.id", value=AnyValue(int_value=7))]
    written = stamped(message(span(*sent), span(*sent, parent=b"p" * 8)))
    for number in (0, 1):
        assert {value for _, value in attributes(written, number)} == {"alice"}
        assert len(attributes(written, number)) == len(sent)


def test_an_applications_end_user_is_kept() -> None:
    sent = [
        text("user.id", "customer"),
        text("mlflow.traceTag.mlflow.trace.user", "customer"),
        text(TAG, "bob"),
    ]
    for user in (ALICE, TRAINER):
        written = attributes(stamped(message(span(*sent)), user, strict=False))
        assert [value for _, value in written] == ["customer", "customer", user.username]
        strict = attributes(stamped(message(span(*sent)), user))
        assert {value for _, value in strict} == {user.username}


def test_the_author_is_also_written_where_a_resource_names_one() -> None:
    """MLflow makes tags of a resource's attributes, but for those that begin with ``mlflow.`` exactly."""
    sent = message(span(parent=b"p" * 8))
    keys = ["MLflow.User", " mlflow.user", "mlflow.user", "host"]
    sent.resource_spans[0].resource.attributes.extend(text(key, "bob") for key in keys)
    written = stamped(sent).resource_spans[0].resource.attributes
    assert [(one.key, one.value.string_value) for one in written] == [
        ("user.id", "host"),
        ("MLflow.User", "alice"),
        (" mlflow.user", "alice"),
        ("mlflow.user", "bob"),
        ("host", "bob"),
    ]
