"""Combinations that mean nothing cannot be written down."""

from __future__ import annotations

import pytest

from workspace_authz.catalog.build import body, right, use
from workspace_authz.catalog.listing import Clause, Listing
from workspace_authz.catalog.model import AnyRight, Guarded, Identifier, NameSource, Origin, Requirement
from workspace_authz.types import Resource, Verb

NAME = body("name")


def test_a_guard_needs_a_requirement() -> None:
    with pytest.raises(ValueError, match="needs a requirement"):
        Guarded(())


@pytest.mark.parametrize("resource", [Resource.EXPERIMENTS, Resource.GATEWAY_BUDGETS])
def test_only_some_resources_can_be_used(resource: Resource) -> None:
    with pytest.raises(ValueError, match="has no subresource"):
        use(resource)


def test_there_is_no_other_subresource() -> None:
    with pytest.raises(ValueError, match="has no subresource 'status'"):
        Requirement(Verb.CREATE, Resource.GATEWAY_ENDPOINTS, "status")


def test_a_use_is_a_create() -> None:
    with pytest.raises(ValueError, match="verb create"):
        Requirement(Verb.GET, Resource.GATEWAY_ENDPOINTS, "use")


@pytest.mark.parametrize("condition", ["when_present", "unless_present"])
def test_a_condition_needs_something_to_look_for(condition: str) -> None:
    with pytest.raises(ValueError, match="needs a name source"):
        right(Verb.GET, Resource.DATASETS, **{condition: True})


def test_a_requirement_cannot_hold_with_a_name_and_without_it() -> None:
    with pytest.raises(ValueError, match="not both"):
        right(Verb.GET, Resource.DATASETS, NAME, when_present=True, unless_present=True)


def test_any_right_is_asked_in_one_workspace_or_in_all_listed() -> None:
    with pytest.raises(ValueError, match="not of one workspace"):
        AnyRight(listing=True, parameter="workspace_name")


def test_a_requirement_reads_like_a_sentence() -> None:
    run = body("run_id", Identifier.RUN_ID, "run_uuid")
    assert (
        str(right(Verb.UPDATE, Resource.EXPERIMENTS, run))
        == "update experiments (body:run_id|run_uuid→run_id)"
    )
    assert str(use(Resource.GATEWAY_ENDPOINTS, NAME, when_present=True)) == (
        "create gatewayendpoints/use (body:name) if present"
    )
    assert str(right(Verb.CREATE, Resource.EXPERIMENTS, NAME, unless_present=True)) == (
        "create experiments (body:name) if absent"
    )


FOUND = NameSource(Origin.RESPONSE, "experiments[].name")


def test_what_an_answer_names_is_for_one_listing() -> None:
    listing = Listing(inject="ids", clause=Clause("filter", "name"), paged=True)
    needed = Requirement(Verb.LIST, Resource.EXPERIMENTS, names=(NAME, FOUND), listing=listing)
    assert str(needed) == (
        "list experiments (body:name, response:experiments[].name) "
        "kept to the allowed: ids put in, filter name IN, paged"
    )
    for names, given, conditional in (
        ((FOUND,), None, False),
        ((FOUND, FOUND), listing, False),
        ((), listing, False),
        ((NAME,), listing, True),
    ):
        with pytest.raises(ValueError, match="listing"):
            Requirement(Verb.LIST, Resource.EXPERIMENTS, names=names, listing=given, when_present=conditional)
