"""Which of the recorded locations of experiments hold a place. Nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Mapping

from workspace_authz.errors import RequestError
from workspace_authz.mlflow_adapter.reading.places import PROXIED, Place, place_of

Locations = Mapping[str, Place | None]
"""Recorded locations by the experiment's id; None for one that says nothing."""


def recorded_place(location: str | None, workspace: str) -> Place | None:
    """A recorded location; None for one that could be read in two ways, or that is a whole store."""
    try:
        place = place_of(location or "", workspace=workspace)
    except RequestError:
        return None
    return place if place.segments and place.segments != ("",) else None


def owners_among(place: Place, locations: Locations) -> frozenset[str]:
    """The experiments whose artifacts a reader of ``place`` can reach, of all of a workspace.

    These are the experiments with the longest location that holds the place, and those whose location lies
    in the place. Empty for a place in no experiment.
    """
    owning = {
        experiment: len(location.segments)
        for experiment, location in locations.items()
        if location is not None and place.lies_in(location)
    }
    longest = max(owning.values(), default=0)
    owners = {experiment for experiment, length in owning.items() if length == longest}
    if not owners:
        return by_first_number(place, locations)
    within = {
        experiment
        for experiment, location in locations.items()
        if location is not None and location.lies_in(place)
    }
    return frozenset(owners | within)


def by_first_number(place: Place, locations: Locations) -> frozenset[str]:
    """The experiment whose id begins a path below the proxy, if its own location is in no such path.

    So does a client that reaches the proxy by another address than the recorded one.
    """
    first = place.segments[:1]
    if place.scheme != PROXIED or not first or first[0] not in locations:
        return frozenset()
    location = locations[first[0]]
    return frozenset(first) if location is None or location.scheme != PROXIED else frozenset()
