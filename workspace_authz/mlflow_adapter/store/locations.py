"""Which experiments the artifacts at a place belong to, by the recorded locations of experiments.

MLflow records a location with each experiment and never changes it. Mostly it ends with the id of the
experiment (``SqlAlchemyStore._get_artifact_location``), so those are found by the numbers in a place. The
others, of old databases and of clients that chose one, are few: they are kept in memory, and each look-up
adds the experiments that were made since.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from mlflow.store.tracking.dbmodels import models
from sqlalchemy import String, cast, or_, select
from sqlalchemy.orm import Session

from workspace_authz.mlflow_adapter.reading.places import Place, spellings_of
from workspace_authz.mlflow_adapter.store.owners import by_first_number, recorded_place

LIST_SECONDS: Final = 10.0
"""How long the list of a workspace is used before all of it is read again."""
_MISSED_SECONDS: Final = 1.0
"""The same after a place was found in no experiment: of two experiments, the later may be stored first."""

_LARGEST_INTEGER: Final = 2**31 - 1
_DEEPEST: Final = 64
"""Segments of a place that may be the id of its experiment."""
_MOST_WITHIN: Final = 200
_MOST_WORKSPACES: Final = 10_000

_Experiment = models.SqlExperiment


@dataclass(slots=True)
class _Unusual:
    """The experiments of one workspace whose location does not end with their id."""

    read_at: float
    newest: int = 0
    """The largest id of an experiment that has been looked at."""
    places: dict[str, Place] = field(default_factory=dict)

    def note(self, experiment: int, location: str | None, *, workspace: str) -> None:
        """Look at one experiment."""
        self.newest = max(self.newest, experiment)
        place = recorded_place(location, workspace)
        if place is not None and place.segments[-1:] != (str(experiment),):
            self.places[str(experiment)] = place


class ExperimentLocations:
    """Finds the experiments that own places. Used by several threads, each with a session of its own."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._unusual: dict[str, _Unusual] = {}

    def owners(self, session: Session, place: Place, *, workspace: str) -> frozenset[str]:
        """The ids of the experiments of ``workspace`` whose artifacts a reader of ``place`` can reach.

        These are the experiments with the longest location that holds the place, and those whose location
        lies in the place. Empty for a place in no experiment.
        """
        found = self._owners(session, place, workspace=workspace, seconds=LIST_SECONDS)
        return found or self._owners(session, place, workspace=workspace, seconds=_MISSED_SECONDS)

    def _owners(self, session: Session, place: Place, *, workspace: str, seconds: float) -> frozenset[str]:
        unusual = self._list(session, workspace, seconds=seconds)
        numbered = _numbered(session, place, workspace=workspace, unusual=unusual)
        others = dict(unusual.places)
        owning = {
            experiment: len(location.segments)
            for experiment, location in (numbered | others).items()
            if location is not None and place.lies_in(location)
        }
        longest = max(owning.values(), default=0)
        owners = {experiment for experiment, length in owning.items() if length == longest}
        if not owners:
            return by_first_number(place, numbered)
        within = {experiment for experiment, location in others.items() if location.lies_in(place)}
        if owners & others.keys():
            within |= _within(session, place, workspace=workspace)
        return frozenset(owners | within)

    def _list(self, session: Session, workspace: str, *, seconds: float) -> _Unusual:
        now = self._monotonic()
        found = self._unusual.get(workspace)
        if found is None or now - found.read_at >= seconds:
            found = _read_list(session, workspace, now=now)
            if len(self._unusual) >= _MOST_WORKSPACES:
                self._unusual.clear()
            self._unusual[workspace] = found
        return found


def _read_list(session: Session, workspace: str, *, now: float) -> _Unusual:
    newest = session.scalar(
        select(_Experiment.experiment_id)
        .where(_Experiment.workspace == workspace)
        .order_by(_Experiment.experiment_id.desc())
        .limit(1)
    )
    found = _Unusual(now, newest or 0)
    usual = "%/" + cast(_Experiment.experiment_id, String(20))
    query = select(_Experiment.experiment_id, _Experiment.artifact_location).where(
        _Experiment.workspace == workspace, _Experiment.artifact_location.not_like(usual)
    )
    for experiment, location in session.execute(query):
        found.note(experiment, location, workspace=workspace)
    return found


def _numbered(
    session: Session, place: Place, *, workspace: str, unusual: _Unusual
) -> dict[str, Place | None]:
    """The locations of the experiments whose id stands in ``place``. New ones are added to ``unusual``."""
    numbers = _numbers(place.segments[:_DEEPEST])
    known = unusual.newest
    query = select(_Experiment.experiment_id, _Experiment.artifact_location).where(
        _Experiment.workspace == workspace,
        or_(_Experiment.experiment_id.in_(numbers), _Experiment.experiment_id > known),
    )
    found: dict[str, Place | None] = {}
    for experiment, location in session.execute(query):
        if experiment > known:
            unusual.note(experiment, location, workspace=workspace)
        if experiment in numbers:
            found[str(experiment)] = recorded_place(location, workspace)
    return found


def _numbers(segments: Iterable[str]) -> Collection[int]:
    """MLflow reads "007" and "7_0" as numbers too; only the one spelling that it prints counts here."""
    numbers = (int(text) for text in segments if text.isascii() and text.isdigit() and len(text) <= 10)
    return {number for number in numbers if number <= _LARGEST_INTEGER and str(number) in segments}


def _within(session: Session, place: Place, *, workspace: str) -> set[str]:
    """The ids of the experiments whose location MLflow made below ``place``."""
    location = _Experiment.artifact_location
    query = select(_Experiment.experiment_id).where(
        _Experiment.workspace == workspace,
        or_(
            *(
                location.startswith(f"{spelt}/", autoescape=True)
                for spelt in spellings_of(place, workspace=workspace)
            )
        ),
    )
    return {str(experiment) for experiment in session.scalars(query.limit(_MOST_WITHIN))}
