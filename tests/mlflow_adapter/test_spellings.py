"""One rule for the spellings of a field, held against protobuf, and one for keys that may be one key."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_TRACE_TAG_KEY_LENGTH

from workspace_authz.mlflow_adapter.reading.messages import _MESSAGES
from workspace_authz.mlflow_adapter.reading.spellings import (
    LONGEST_KEY,
    collated,
    json_name,
    same_key,
    spellings,
)

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
_numbers = itertools.count()


def of_protobuf(name: str) -> FieldDescriptor:
    """The descriptor that protobuf makes of a field of that name."""
    file = FileDescriptorProto(name=f"f{next(_numbers)}.proto", package="p", syntax="proto3")
    message = file.message_type.add(name="M")
    message.field.add(
        name=name, number=1, type=FieldDescriptorProto.TYPE_STRING, label=FieldDescriptorProto.LABEL_OPTIONAL
    )
    pool = DescriptorPool()
    pool.Add(file)
    field: FieldDescriptor = pool.FindMessageTypeByName("p.M").fields_by_name[name]
    return field


@given(NAMES)
def test_a_json_name_is_protobufs(name: str) -> None:
    assert json_name(name) == of_protobuf(name).json_name


@pytest.mark.parametrize(
    ("field", "expected"),
    [("run_id", "runId"), ("run__id", "runId"), ("x_ID", "xID"), ("trace_id_", "traceId"), ("_a", "A")],
)
def test_an_underscore_goes_and_the_next_letter_is_a_capital(field: str, expected: str) -> None:
    assert json_name(field) == expected == of_protobuf(field).json_name
    assert spellings(field) == (field, expected)


def test_every_field_of_mlflows_messages_is_spelt_so() -> None:
    fields = [field for message in _MESSAGES.values() for field in message.fields]
    assert len(fields) > 500
    for field in fields:
        assert set(spellings(field.name)) == {field.name, field.json_name}


def test_a_field_of_one_spelling_has_one() -> None:
    assert spellings("name") == ("name",)


KEY = "mlflow.user"


@given(
    st.sampled_from([KEY, "mlflow.trace.spansLocation"]),
    st.sampled_from([str, str.upper, str.title, str.swapcase]),
    st.text(st.sampled_from(" \t\n"), max_size=400),
    st.text(st.sampled_from(" \t\n\u00a0\u200b"), max_size=20),
)
def test_case_and_blanks_at_the_ends_do_not_count(key: str, case: object, before: str, after: str) -> None:
    assert callable(case)
    assert same_key(before + case(key) + after, key)
    assert not same_key(before + "x" + case(key) + after, key)


def test_what_is_longer_than_any_key_is_none() -> None:
    assert max(MAX_ENTITY_KEY_LENGTH, MAX_TRACE_TAG_KEY_LENGTH) <= LONGEST_KEY
    longest = KEY + "\u0301" * (LONGEST_KEY - len(KEY))
    assert same_key(longest, KEY)
    assert not same_key(f"{longest}\u0301", KEY)
    assert collated(f"{longest}\u0301") == f"{longest}\u0301"
    assert unicodedata.normalize("NFKD", longest) == longest
