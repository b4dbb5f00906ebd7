"""No field of MLflow's requests in which a person could be named is forgotten: read off its protos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow.protos import databricks_pb2, model_registry_pb2, service_pb2, webhooks_pb2

from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.identity_stamps import STAMPS
from workspace_authz.catalog.model import Refused
from workspace_authz.catalog.routes import all_routes

PERSON = re.compile(r"(^|_)(user|users|username|by|owner|creator|author|email|assignee|reviewer)(_id|$)")
SENDERS_OWN = re.compile(r"(^|_)(tags|metadata|records)$")

NAMES_NOBODY = {
    "order_by": "how a list is sorted",
    "user": "who is given a review queue",
    "users": "who is given reviews",
    "update_users": "whether the field beside it counts",
    "new_owner": "who is given a review queue",
    "datasets[].tags": "how a run uses a dataset",
    "assessment.metadata": "what a scorer notes",
    "trace.trace_info.assessments[].metadata": "what a scorer notes",
}


def fields(message: Any, place: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """Every field of a message and of those within it."""
    for field in message.fields:
        path = f"{place}.{field.name}" if place else field.name
        yield path
        inner = field.message_type
        if inner is None or inner.full_name in above or inner.GetOptions().map_entry:
            continue
        yield from fields(inner, f"{path}[]" if field.is_repeated else path, (*above, inner.full_name))


def requests() -> Iterator[tuple[str, str, Any]]:
    """Method, path and message of every RPC that writes."""
    for module in (service_pb2, model_registry_pb2, webhooks_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                    if endpoint.method not in ("GET", "DELETE"):
                        path = f"/api/{endpoint.since.major}.0{endpoint.path}"
                        yield endpoint.method, path, method.input_type


def named() -> Iterator[Any]:
    """Every field that could name a person."""
    for method, path, message in requests():
        for field in fields(message):
            last = field.rpartition(".")[2]
            if (PERSON.search(last) or SENDERS_OWN.search(last)) and field not in NAMES_NOBODY:
                yield pytest.param(method, path, field, id=f"{message.name}:{field}")


@pytest.mark.parametrize(("method", "path", "field"), [*named()])
def test_a_field_that_could_name_a_person_is_the_callers(method: str, path: str, field: str) -> None:
    match = compile_catalog().match(method, re.sub(r"\{[^}]*\}", "x", path))
    assert match is not None
    if isinstance(match.route.policy, Refused):
        return
    stamped = {
        re.sub(r"@json.*", "", stamp.place or stamp.key)
        if SENDERS_OWN.search(field.rpartition(".")[2])
        else f"{stamp.place}.{stamp.key}".lstrip(".")
        for stamp in match.route.stamps
    }
    assert field in stamped


def test_there_are_such_fields() -> None:
    assert len(list(named())) > 30


def test_every_stamp_is_on_a_route() -> None:
    assert set(STAMPS) <= {route.operation for route in all_routes()}


def test_what_is_refused_needs_no_stamp() -> None:
    assert not any(route.stamps for route in all_routes() if isinstance(route.policy, Refused))
