"""The caller in a document: there whatever was sent, and nothing else is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace_authz.catalog.identity_stamps import RECORDED_BY, RESERVED_PREFIXES, STAMPS, USER_TAG
from workspace_authz.catalog.stamp import Person, Shape, Stamp
from workspace_authz.effects.json_stamps import Author, stamped_document
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.documents import JsonBody, parse
from workspace_authz.mlflow_adapter.reading.spellings import same_key
from workspace_authz.types import UserInfo

ALICE = UserInfo("alice", uid="uid-of-alice")
TRAINER = UserInfo("system:serviceaccount:team-a:trainer", uid="uid-of-trainer")
FIELD = Stamp(Shape.FIELD, "created_by")
SOURCE = Stamp(Shape.SOURCE, RECORDED_BY, "assessments[]")


def stamped_body(body: bytes, stamps: Iterable[Stamp], *, user: UserInfo, keeps: bool = True) -> bytes:
    return stamped_document(parse(body).as_object(), stamps, author=Author(user, keeps_end_users=keeps))


def stamped(document: Any, *stamps: Stamp, user: UserInfo = ALICE, keeps: bool = True) -> Any:
    return json.loads(stamped_body(json.dumps(document).encode(), stamps, user=user, keeps=keeps))


def tag(shape: Shape, place: str = "tags", **more: Any) -> Stamp:
    return Stamp(shape, USER_TAG, place, **more)


def pair(key: str, value: object) -> dict[str, object]:
    return {"key": key, "value": value}


def test_a_field_is_the_callers_in_one_spelling() -> None:
    for sent in ({}, {"created_by": "bob"}, {"createdBy": "bob"}, {"created_by": 1, "createdBy": None}):
        assert stamped(sent, FIELD) == {"created_by": "alice"}
    assert stamped({"createdby": "bob", "CreatedBy": "bob"}, FIELD)["created_by"] == "alice"


def test_what_mlflow_is_to_choose_is_left_out() -> None:
    each = Stamp(Shape.LEFT_OUT, "assessment_id", "trace.assessments[]", when_sent=True)
    sent = [{"assessment_id": "a", "name": "n"}, {"assessmentId": "b"}, {}]
    assert stamped({"trace": {"assessments": sent}}, each) == {
        "trace": {"assessments": [{"name": "n"}, {}, {}]}
    }
    absent: tuple[object, ...] = ({}, {"trace": {}}, {"trace": {"assessments": []}})
    for nothing in absent:
        assert stamped(nothing, each) == nothing


def test_no_body_is_an_empty_document() -> None:
    document = JsonBody().as_object()
    assert stamped_document(document, [FIELD], author=Author(ALICE)) == b'{"created_by": "alice"}'
    assert stamped_body(b"null", [FIELD], user=ALICE) == b'{"created_by": "alice"}'


def test_a_missing_place_is_made_where_its_holder_is() -> None:
    always, sent = tag(Shape.PAIRS), tag(Shape.PAIRS, when_sent=True)
    absent: tuple[object, ...] = ({}, {"tags": None}, {"tags": []})
    for nothing in absent:
        assert stamped(nothing, always) == {"tags": [pair(USER_TAG, "alice")]}
        assert stamped(nothing, sent) == nothing
    deep = tag(Shape.MAP, "trace.trace_info.trace_metadata")
    assert stamped({"trace": {}}, deep) == {"trace": {}}
    assert stamped({"trace": {"traceInfo": {}}}, deep) == {
        "trace": {"traceInfo": {"trace_metadata": {USER_TAG: "alice"}}}
    }


def test_every_spelling_of_a_place_is_written() -> None:
    deep = tag(Shape.MAP, "trace.trace_info.trace_metadata")
    info = {"trace_metadata": {USER_TAG: "bob"}, "traceMetadata": {USER_TAG: "bob"}}
    written = stamped({"trace": {"trace_info": info, "traceInfo": info}}, deep)
    assert "bob" not in json.dumps(written)


def test_of_several_tags_one_remains() -> None:
    sent = [pair("a", "1"), pair(USER_TAG, "bob"), pair("b", "2"), pair(" MLFLOW.User ", "bob")]
    assert stamped({"tags": sent}, tag(Shape.PAIRS)) == {
        "tags": [pair(USER_TAG, "alice"), pair("a", "1"), pair("b", "2")]
    }
    mapping = {"a": "1", USER_TAG: "bob", "mlflow.usér": "bob"}
    assert stamped({"tags": mapping}, tag(Shape.MAP)) == {"tags": {USER_TAG: "alice", "a": "1"}}


def test_one_tag_is_written_if_it_is_the_one() -> None:
    one = tag(Shape.PAIR, "", when_sent=True)
    assert stamped(pair(USER_TAG, "bob"), one) == pair(USER_TAG, "alice")
    assert stamped({"key": USER_TAG}, one) == pair(USER_TAG, "alice")
    for other in (pair("mlflow.users", "bob"), {"value": "bob"}, {}):
        assert stamped(other, one) == other


def test_what_is_written_stands_first() -> None:
    """protobuf's parser may stop at whatever follows."""
    body = b'{"bad": {}, "tags": [{"key": "a", "value": {}}], "created_by": "bob"}'
    written = stamped_body(body, [tag(Shape.PAIRS), FIELD], user=ALICE)
    assert [*json.loads(written)] == ["created_by", "tags", "bad"]
    assert json.loads(written)["tags"][0] == pair(USER_TAG, "alice")


def test_json_in_a_text_is_written_and_stays_in_a_text() -> None:
    records = Stamp(Shape.MAP, USER_TAG, "records@json[].tags")
    sent = [{"inputs": {"n": 2**80}, "tags": {USER_TAG: "bob", "a": 1.5}}, {"inputs": {}}, {"tags": None}]
    written = stamped({"records": json.dumps(sent)}, records)
    assert json.loads(written["records"]) == [
        {"inputs": {"n": 2**80}, "tags": {USER_TAG: "alice", "a": 1.5}},
        {"inputs": {}, "tags": {USER_TAG: "alice"}},
        {"tags": {USER_TAG: "alice"}},
    ]
    tags = Stamp(Shape.MAP, USER_TAG, "tags@json")
    for nothing in ({}, {"tags": ""}, {"tags": "null"}, {"tags": None}):
        assert json.loads(stamped(nothing, tags)["tags"]) == {USER_TAG: "alice"}


def test_a_document_in_a_text_becomes_a_document() -> None:
    body = json.dumps(json.dumps({"created_by": "bob"})).encode()
    assert json.loads(stamped_body(body, [FIELD], user=ALICE)) == {"created_by": "alice"}


@pytest.mark.parametrize("kind", ["HUMAN", "SOURCE_TYPE_UNSPECIFIED", "code", 2, None, ["CODE"]])
def test_a_source_is_the_caller(kind: object) -> None:
    source = {"source_type": kind, "source_id": "bob"}
    assert stamped({"assessments": [{"source": source}]}, SOURCE)["assessments"][0]["source"] == {
        "source_type": kind,
        "source_id": "alice",
    }


@pytest.mark.parametrize("kind", ["LLM_JUDGE", "CODE"])
def test_unless_it_is_a_machine(kind: str) -> None:
    document = {"assessments": [{"source": {"sourceType": kind, "sourceId": "a-model"}}]}
    assert stamped(document, SOURCE) == document
    two_faced = {"source_type": "HUMAN", "sourceType": kind, "source_id": "bob"}
    assert stamped({"assessments": [{"source": two_faced}]}, SOURCE) != {
        "assessments": [{"source": two_faced}]
    }


@pytest.mark.parametrize("key", [RECORDED_BY, RECORDED_BY.upper(), f" {RECORDED_BY}"])
@pytest.mark.parametrize("kind", ["HUMAN", "SOURCE_TYPE_UNSPECIFIED", None])
def test_a_service_passes_on_a_persons_source_and_is_named_beside_it(kind: object, key: str) -> None:
    source = {"source_type": kind, "sourceId": "customer"}
    sent = {"assessments": [{"source": source, "metadata": {key: "carol", "kept": "1"}}]}
    written = stamped(sent, SOURCE, user=TRAINER)["assessments"][0]
    assert written == {"source": source, "metadata": {RECORDED_BY: TRAINER.username, "kept": "1"}}
    for user, keeps in ((ALICE, True), (ALICE, False), (TRAINER, False)):
        written = stamped(sent, SOURCE, user=user, keeps=keeps)["assessments"][0]
        assert written == {
            "source": {"source_type": kind, "source_id": user.username},
            "metadata": {"kept": "1"},
        }


def test_a_service_that_names_nobody_is_the_source_itself() -> None:
    for source in ({}, {"source_type": "HUMAN"}, {"source_id": ""}, {"source_id": None}):
        written = stamped({"assessments": [{"source": source}]}, SOURCE, user=TRAINER)["assessments"][0]
        assert written["source"]["source_id"] == TRAINER.username
        assert "metadata" not in written


def test_an_assessment_that_is_changed_gets_no_source_and_no_recorder() -> None:
    stamp = Stamp(Shape.SOURCE, RECORDED_BY, "assessment", when_sent=True)
    for user in (ALICE, TRAINER):
        sent = {"assessment": {"metadata": {"kept": "1", RECORDED_BY: "carol"}}}
        assert stamped(sent, stamp, user=user) == {"assessment": {"metadata": {"kept": "1"}}}
        for nothing in ({}, {"assessment": {"rationale": "r"}}):
            assert stamped(nothing, stamp, user=user) == nothing


def test_an_end_user_is_kept_as_it_was_sent() -> None:
    end_user = Stamp(Shape.MAP, "mlflow.trace.user", "metadata", Person.END_USER)
    two = {"mlflow.trace.user": "customer", "Mlflow.trace.user": "other"}
    for user in (ALICE, TRAINER):
        for sent in ({"mlflow.trace.user": "customer"}, two):
            assert stamped({"metadata": sent}, end_user, user=user) == {"metadata": sent}
            assert stamped({"metadata": sent}, end_user, user=user, keeps=False) == {
                "metadata": {"mlflow.trace.user": user.username}
            }
        for nothing in ({}, {"mlflow.trace.user": ""}, {"mlflow.trace.user": None}):
            written = stamped({"metadata": nothing}, end_user, user=user)
            assert written == {"metadata": {"mlflow.trace.user": user.username}}


@pytest.mark.parametrize("person", [USER_TAG, "mlflow.trace.user"])
def test_an_end_user_is_kept_in_pairs_too_and_an_author_is_not(person: str) -> None:
    kind = Person.AUTHOR if person == USER_TAG else Person.END_USER
    sent = pair(person, "customer")
    for stamp, document in (
        (Stamp(Shape.PAIRS, person, "tags", kind, when_sent=True), {"tags": [sent]}),
        (Stamp(Shape.PAIR, person, person=kind, when_sent=True), sent),
    ):
        assert (stamped(document, stamp) == document) is (kind is Person.END_USER)
        assert "customer" not in json.dumps(stamped(document, stamp, keeps=False))


def test_what_only_the_gateway_writes_is_left_out() -> None:
    keys = (
        "mlflow.gateway.endpointId",
        "mlflow.gateway.",
        "MLflow.Gateway.x",
        " mlflow.g\u00e4teway.x",
        "kept",
    )
    gateway = Stamp(Shape.RESERVED, RESERVED_PREFIXES[0], "metadata")
    assert stamped({"metadata": dict.fromkeys(keys, "1")}, gateway) == {"metadata": {"kept": "1"}}
    assert stamped({"metadata": [pair(key, "1") for key in keys]}, gateway) == {
        "metadata": [pair("kept", "1")]
    }
    assert stamped({}, gateway) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"nothing",
        b"\xff",
        b'{"a": 1, "a": 2}',
        b'"\\"\\\\\\"twice\\\\\\"\\""',
        b'{"tags": {}}',
        b'{"tags": "text"}',
        b'{"tags": [1]}',
        b'{"tags": [null]}',
        b'{"tags": [{"key": 1}]}',
        b"[" * 100_000,
        b'{"n": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_not_understood_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError, match="refused"):
        stamped_body(body, [tag(Shape.PAIRS)], user=ALICE)


@pytest.mark.parametrize(
    "text", [1, "no json", "[1]", "{}", '[{"tags": []}]', '[{"tags": {"a": 1, "a": 2}}]']
)
def test_so_is_a_text_that_holds_something_else(text: object) -> None:
    records = Stamp(Shape.MAP, USER_TAG, "records@json[].tags")
    with pytest.raises(BadRequestError, match="refused"):
        stamped({"records": text}, records)


def test_keys_are_one_if_a_database_could_think_so() -> None:
    for one in (
        "mlflow.user",
        "MLflow.USER",
        "mlflow.user  ",
        "\tmlflow.user",
        "mlflow.usér",
        "mlflow.u\u200bser",
    ):
        assert same_key(one, USER_TAG)
    for other in ("mlflow.users", "mlflow_user", "user", "", "mlflow.trace.user"):
        assert not same_key(other, USER_TAG)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**63)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["user_id", "userId", "run_name", "start_time", "x"]) | st.text(max_size=5), VALUES
)
PAIRS = st.lists(
    st.builds(pair, st.sampled_from([USER_TAG, "a", "Mlflow.User"]) | st.text(max_size=5), VALUES)
)


@given(DOCUMENTS, st.none() | PAIRS, st.sampled_from([ALICE, TRAINER]))
def test_a_run_is_the_callers_and_all_else_is_as_it_was(
    document: dict[str, Any], tags: list[dict[str, Any]] | None, user: UserInfo
) -> None:
    sent = {**copy.deepcopy(document), "tags": tags}
    written = stamped(sent, *STAMPS["CreateRun"], user=user)
    assert written["user_id"] == user.username
    assert "userId" not in written
    assert [one["value"] for one in written["tags"] if same_key(one["key"], USER_TAG)] == [user.username]
    ours = {"user_id", "userId", "tags"}
    rest = [(key, value) for key, value in sent.items() if key not in ours]
    assert [(key, value) for key, value in written.items() if key not in ours] == rest
    assert [one for one in written["tags"] if not same_key(one["key"], USER_TAG)] == [
        one for one in tags or [] if not same_key(one["key"], USER_TAG)
    ]


@given(st.lists(st.fixed_dictionaries({"inputs": VALUES}, optional={"x": VALUES})))
def test_records_are_as_they_were_but_for_their_author(records: list[dict[str, Any]]) -> None:
    written = stamped({"records": json.dumps(records)}, *STAMPS["UpsertDatasetRecords"])
    without = [
        {key: value for key, value in one.items() if key != "tags"} for one in json.loads(written["records"])
    ]
    assert without == records
    assert all(one["tags"] == {USER_TAG: "alice"} for one in json.loads(written["records"]))


@given(
    st.sampled_from(sorted(set(STAMPS) - {"ExportTraces"})),
    st.dictionaries(st.sampled_from(["user_id", "createdBy", "updated_by", "name"]), VALUES),
)
def test_writing_twice_is_writing_once(operation: str, document: dict[str, Any]) -> None:
    once = stamped(document, *STAMPS[operation])
    assert stamped(once, *STAMPS[operation]) == once


def test_a_stamp_stands_first_and_what_holds_none_stays_where_it_was() -> None:
    """protobuf's parser stops at a value that it cannot take: what stood before it must not follow it."""
    sent = tag(Shape.PAIRS, when_sent=True)
    others = {"name": "n", "tags": [pair("k", 7)], "more": 1}
    assert list(stamped(others, sent)) == ["name", "tags", "more"]
    theirs = {"name": "n", "tags": [pair("k", 7), pair(USER_TAG, "bob")]}
    assert list(stamped(theirs, sent)) == ["tags", "name"]
    assert stamped(theirs, sent)["tags"][0] == pair(USER_TAG, "alice")
