"""What the guard tells the history: one decision per request about somebody, in a namespace that exists."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from tests.doors.test_guard import TEAM_A, TOKEN, Door
from tests.harness.fakes import NO, ManualClock
from workspace_authz.database.audit import Bounds
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.doors.asgi.audit import note
from workspace_authz.effects.effects import Effects
from workspace_authz.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from workspace_authz.history.events import MOST_CHECKS, AskedRight, Event
from workspace_authz.history.history import History
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.pipeline.verdict import Check, Findings, Pass, Refuse
from workspace_authz.types import Attributes, Caller, Decision, Outcome, Resource, Source, UserInfo, Verb


class Noted(History):
    """Keeps decisions in a list."""

    def __init__(self, clock: ManualClock) -> None:
        threads = DatabaseThreads(lambda: None, "nothing")
        super().__init__(
            threads, threads, days=1, bounds=Bounds(1), clock=clock, uid_of={"team-a": "uid-a"}.get
        )
        self.events: list[Event] = []

    def note(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def noted(clock: ManualClock) -> Noted:
    return Noted(clock)


@pytest.fixture
def door(noted: Noted) -> Door:
    return Door(history=noted)


LISTED = AskedRight("list", "experiments", "", "allow")


async def test_what_passed_is_told_with_the_status_of_its_answer(door: Door, noted: Noted) -> None:
    await door.request("GET", "/search", TOKEN, TEAM_A)
    assert noted.events == [Event("uid-a", "alice", "GET", "Search", "allow", 201, "", (LISTED,))]


async def test_what_was_refused_is_told_with_its_code(door: Door, noted: Noted) -> None:
    door.reviews.may_answer = NO
    await door.request("GET", "/search", TOKEN, TEAM_A)
    (event,) = noted.events
    assert (event.decision, event.status, event.code) == ("deny", 403, "PERMISSION_DENIED")
    assert [asked.outcome for asked in event.asked] == ["no-opinion"]


async def test_what_nobody_could_decide_is_told_as_that(door: Door, noted: Noted) -> None:
    door.reviews.may_answer = UnavailableError("down")
    await door.request("GET", "/search", TOKEN, TEAM_A)
    (event,) = noted.events
    assert (event.decision, event.status, event.code) == ("error", 503, "TEMPORARILY_UNAVAILABLE")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/search", ()),  # nobody
        ("/search", (TOKEN,)),  # no workspace
        ("/search", (TOKEN, (b"x-mlflow-workspace", b"team-unknown"))),
        ("/public", (TOKEN, TEAM_A)),
        ("/known", (TOKEN, TEAM_A)),
    ],
)
async def test_of_what_belongs_to_no_namespace_nothing_is_told(
    door: Door, noted: Noted, path: str, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    await door.request("GET", path, *headers)
    assert door.record
    assert noted.events == []


async def test_a_rejected_token_floods_nothing(door: Door, noted: Noted) -> None:
    door.reviews.who_answer = UnauthenticatedError("no")
    await door.request("GET", "/search", TOKEN, TEAM_A)
    assert (door.status, noted.events) == (401, [])


async def test_an_answer_that_never_began_has_no_status(door: Door, noted: Noted) -> None:
    door.app.fails_before = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        await door.request("GET", "/search", TOKEN, TEAM_A)
    assert [event.status for event in noted.events] == [0]


async def test_nothing_that_is_told_holds_the_token_or_a_sentence(door: Door, noted: Noted) -> None:
    door.reviews.may_answer = NO
    await door.request("GET", "/search", TOKEN, TEAM_A, query=b"secret=query")
    (event,) = noted.events
    text = json.dumps({each.name: str(getattr(event, each.name)) for each in fields(event)})
    assert "alice-token" not in text
    assert "secret" not in text
    assert "forbidden" not in text


def test_of_many_questions_few_are_kept_and_the_rest_is_counted(noted: Noted) -> None:
    caller = Caller(UserInfo("alice"), BearerToken("t"))
    checks = tuple(
        Check(
            Attributes("team-a", Verb.GET, Resource.GATEWAY_ENDPOINTS, "use", f"n-{number}"),
            Decision(Outcome.DENY, Source.CACHE),
            looked_up=True,
        )
        for number in range(60)
    )
    findings = Findings(caller=caller, workspace="team-a", checks=checks, change="grant it")
    note(noted, Pass(findings, Effects()), method="GET", status=200)
    note(noted, Refuse(findings, ForbiddenError("no")), method="GET", status=403)
    for event in noted.events:
        assert event.asked == tuple(
            AskedRight("get", "gatewayendpoints/use", f"n-{number}", "deny", looked_up=True)
            for number in range(MOST_CHECKS)
        )
        assert (event.left_out, event.changed, event.operation) == (60 - MOST_CHECKS, "grant it", "")
