"""Who may look at what was decided, and that nothing is shown or found that they may not see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import create_engine

from tests.doors.doors import TOKEN, Answer, beyond, call
from tests.harness.fakes import NO, YES, ManualClock, Records, ScriptedReviews
from tests.pipeline.routes import KnownWorkspaces, pipeline_over
from workspace_authz.database.audit import Bounds
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.doors.people import audit, audit_records
from workspace_authz.doors.visits import OwnRoutesMiddleware
from workspace_authz.errors import RequestError, UnavailableError
from workspace_authz.history.events import AskedRight, Event, owner_of
from workspace_authz.history.history import History
from workspace_authz.kubernetes.access_reviews import Target
from workspace_authz.kubernetes.reviews import AccessAnswer, ResourceRule, RulesAnswer
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.types import API_GROUP, Attributes

API, PAGE = "/workspace-authz/api/audit", "/workspace-authz/audit"
RULE = ResourceRule(frozenset({"list"}), frozenset({API_GROUP}), frozenset({"experiments"}), frozenset())
SOME_RIGHT = RulesAnswer((RULE,), incomplete=False)

EVENT = Event("uid-of-team-a", "bob", "GET", "GetExperiment", "allow", 200, "")
SECRET = AskedRight("get", "experiments", "merger", "allow")
USE = AskedRight("create", "gatewayendpoints/use", "chat", "allow")


@dataclass
class Site:
    """Routes over a database, as one caller, alice, whose rights a test says."""

    reviews: ScriptedReviews
    history: History
    app: OwnRoutesMiddleware
    held: set[str]
    """Rights as ``get experiments``, beside ``rolebindings``."""
    workspaces: KnownWorkspaces
    clock: ManualClock

    def _may(self, asked: Attributes) -> AccessAnswer:
        return YES if f"{asked.verb} {asked.qualified_resource}" in self.held and not asked.name else NO

    def _may_do(self, target: Target) -> AccessAnswer:
        asked = target["resourceAttributes"]
        about = (asked["verb"], asked["group"], asked["namespace"])
        right = ("list", "rbac.authorization.k8s.io", "team-a")
        return YES if asked["resource"] in self.held and about == right else NO

    async def given(self, *events: Event) -> None:
        for event in events:
            self.history.note(event)
            await self.history.flush()
            self.clock.advance(0.01)

    async def ask(self, path: str = API, **query: str) -> Answer:
        fields = {"workspace": "team-a", **query}
        return await call(self.app, "GET", f"{path}?{urlencode(fields)}", TOKEN)

    async def records(self, **query: str) -> Sequence[Any]:
        answer = await self.ask(**query)
        assert answer.status == 200, answer.body
        found: Sequence[Any] = answer.document["records"]
        return found


@pytest.fixture
async def site(reviews: ScriptedReviews, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Site]:
    engine = create_engine(f"sqlite:///{tmp_path / 'mlflow.db'}")
    threads = DatabaseThreads(lambda: engine, "the audit page")
    history = History(threads, threads, days=7, bounds=Bounds(1000), clock=clock, uid_of=lambda _: None)
    workspaces = KnownWorkspaces()
    runtime = Runtime(pipeline_over(reviews, workspaces=workspaces), Records(), 1, None, history=history)
    app = OwnRoutesMiddleware(beyond, routes=audit.ROUTES, static_prefix="", runtime=lambda: runtime)
    site = Site(reviews, history, app, set(), workspaces, clock)
    reviews.may_answer, reviews.get_answer = site._may, site._may_do
    yield site
    threads.close()
    engine.dispose()


@pytest.fixture
def admin(site: Site) -> Site:
    """Alice may list RoleBindings, and sees no object of MLflow."""
    site.held.add("rolebindings")
    return site


async def test_who_may_list_rolebindings_sees_everybody(admin: Site) -> None:
    await admin.given(EVENT, replace(EVENT, username="alice", decision="deny", status=403, code="X"))
    document = (await admin.ask()).document
    assert (document["workspace"], document["of_everybody"], document["days"], document["next"]) == (
        "team-a",
        True,
        7,
        None,
    )
    assert [(row["user"], row["decision"], row["status"]) for row in document["records"]] == [
        ("alice", "deny", 403),
        ("bob", "allow", 200),
    ]
    assert [row["user"] for row in await admin.records(own="true")] == ["alice"]


async def test_who_holds_a_right_sees_their_own_and_nobody_elses(site: Site) -> None:
    """Given bob's records, when alice asks for them in any way, then she gets none."""
    site.reviews.rules_answer = SOME_RIGHT
    await site.given(EVENT, replace(EVENT, username="alice"))
    assert [row["user"] for row in await site.records()] == ["alice"]
    for query in ({"user": "bob"}, {"user": "bob", "own": "true"}, {"own": "false", "user": "bob"}):
        assert await site.records(**query) == []
    assert b"bob" not in (await site.ask(PAGE, user="bob2")).body
    assert (await site.ask()).document["of_everybody"] is False


@pytest.mark.parametrize("workspace", ["team-a", "team-b", "no-such-namespace"])
async def test_who_holds_nothing_is_refused_and_learns_of_no_namespace(site: Site, workspace: str) -> None:
    """Given refused requests of her own, then the answers of all namespaces differ in the name only."""
    await site.given(replace(EVENT, username="alice", decision="deny", status=403))
    answer = await site.ask(workspace=workspace)
    assert answer.status == 403
    assert f'in the namespace "{workspace}"' in answer.document["message"]
    assert site.workspaces.looked_up == []


async def test_the_right_counts_in_its_namespace_only(admin: Site) -> None:
    admin.reviews.rules_answer = SOME_RIGHT
    await admin.given(replace(EVENT, namespace_uid="uid-of-team-b"))
    document = (await admin.ask(workspace="team-b")).document
    assert (document["of_everybody"], document["records"]) == (False, [])


async def test_a_namespace_that_was_made_again_does_not_inherit_the_records(admin: Site) -> None:
    await admin.given(replace(EVENT, namespace_uid="uid-of-the-team-a-before"))
    assert await admin.records() == []


async def test_a_workspace_that_is_gone_is_gone_for_who_may_know(admin: Site) -> None:
    admin.workspaces.get = lambda name: None  # type: ignore[method-assign]
    assert (await admin.ask()).status == 404


@pytest.mark.parametrize(
    ("held", "seen"),
    [
        ((), set()),
        (("get experiments",), {"merger"}),
        (("list experiments",), {"merger"}),
        (("update experiments",), set()),
        (("list gatewayendpoints",), {"chat"}),
        (("create gatewayendpoints/use",), set()),
        (("get experiments", "get gatewayendpoints"), {"merger", "chat"}),
    ],
)
async def test_names_of_objects_are_for_who_may_see_them(
    admin: Site, held: tuple[str, ...], seen: set[str]
) -> None:
    """... in every form of the answer, and by no filter."""
    admin.held.update(held)
    await admin.given(replace(EVENT, asked=(SECRET, USE)))
    for name in ("merger", "chat"):
        found = await admin.records(name=name)
        assert bool(found) is (name in seen)
        page = (await admin.ask(PAGE)).body
        assert (name.encode() in page) is (name in seen)
        assert (name.encode() in (await admin.ask()).body) is (name in seen)
    ((first, second),) = [row["checks"] for row in await admin.records()]
    assert {first["name"], second["name"]} - seen <= {audit_records.HIDDEN}


@pytest.mark.parametrize("held", [set(), {"roles"}])
async def test_what_was_changed_is_for_who_may_list_roles(admin: Site, held: set[str]) -> None:
    """Given a grant on an object, then its name is hidden from who could not read the Role that holds it."""
    admin.held |= held
    change = "grant user:carol READ on experiments/merger"
    await admin.given(
        replace(EVENT, operation="", changed=change),
        replace(EVENT, username="alice", operation="", changed=f"{change} too"),
    )
    texts = [(await admin.ask()).body.decode(), (await admin.ask(PAGE)).body.decode()]
    assert [change in text for text in texts] == [bool(held)] * 2
    ((own),) = await admin.records(own="true")
    assert own["change"] == f"{change} too"


async def test_ones_own_records_hold_what_the_answer_said_and_no_more(site: Site) -> None:
    """Given a refusal, then the names that were looked up are left out, and those that were sent are not."""
    site.reviews.rules_answer = SOME_RIGHT
    sent = AskedRight("get", "experiments", "sent", "no-opinion")
    found = AskedRight("get", "experiments", "looked-up", "no-opinion", looked_up=True)
    got = AskedRight("get", "experiments", "got", "allow", looked_up=True)
    await site.given(
        replace(EVENT, username="alice", decision="deny", status=403, asked=(sent, found, got)),
        replace(EVENT, username="alice", asked=(sent, found, got)),
    )
    passed, refused = await site.records()
    assert [check["name"] for check in refused["checks"]] == ["sent"]
    assert [check["name"] for check in passed["checks"]] == ["sent", "got"]
    assert await site.records(name="looked-up") == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"user": "bob"}, ["bob"]),
        ({"user": "BOB"}, []),
        ({"user": "%"}, []),
        ({"user": "' OR 1=1 --"}, []),
        ({"decision": "deny"}, ["carol"]),
        ({"resource": "experiments"}, ["carol", "bob"]),
        ({"resource": "gatewayendpoints/use"}, ["bob"]),
        ({"resource": "gatewayendpoints"}, []),
        ({"resource": "experiments", "name": "merger"}, ["bob"]),
        ({"resource": "gatewayendpoints/use", "name": "merger"}, []),
        ({"name": "_erger"}, []),
        ({"limit": "1"}, ["carol"]),
    ],
)
async def test_the_filters_find_what_they_say(admin: Site, query: dict[str, str], found: list[str]) -> None:
    admin.held.update({"list experiments", "list gatewayendpoints"})
    broad = AskedRight("list", "experiments", "", "no-opinion")
    await admin.given(
        replace(EVENT, asked=(SECRET, USE)),
        replace(EVENT, username="carol", decision="deny", status=403, asked=(broad,)),
    )
    assert [row["user"] for row in await admin.records(**query)] == found


@pytest.mark.parametrize(
    "query",
    [
        {"decision": "maybe"},
        {"before": "-1"},
        {"before": "9" * 19},
        {"before": "9" * 5000},
        {"before": "١٢"},
        {"before": "0"},
        {"limit": "201"},
        {"limit": "1e2"},
        {"user": "u" * 513},
        {"name": "n" * 513},
        {"workspace": "Not_A_Namespace"},
        {"workspace": "../team-a"},
    ],
)
async def test_hostile_queries_are_refused(admin: Site, query: dict[str, str]) -> None:
    assert (await admin.ask(**query)).status == 400


async def test_a_field_that_is_repeated_is_refused(admin: Site) -> None:
    answer = await call(admin.app, "GET", f"{API}?workspace=team-a&workspace=team-b", TOKEN)
    assert answer.status == 400


async def test_pages_lead_to_all_records_once(admin: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_records, "_CHUNK", 3)
    await admin.given(*(replace(EVENT, operation=f"Operation{number}") for number in range(10)))
    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        document = (await admin.ask(limit="4", **before)).document
        seen += [row["operation"] for row in document["records"]]
        if document["next"] is None:
            break
        before = {"before": document["next"]}
    assert seen == [f"Operation{number}" for number in reversed(range(10))]


async def test_a_look_at_very_many_ends_and_says_where_to_go_on(
    admin: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given records that do not match, then an answer looks at a bounded number of them."""
    monkeypatch.setattr(audit_records, "_CHUNK", 2)
    monkeypatch.setattr(audit_records, "_MOST_CHUNKS", 2)
    admin.held.add("get experiments")
    await admin.given(
        replace(EVENT, asked=(SECRET,)), *(replace(EVENT, operation=f"Other{number}") for number in range(4))
    )
    first = (await admin.ask(name="merger")).document
    assert first["records"] == []
    page = (await admin.ask(PAGE, name="merger")).body.decode()
    assert "Nothing among the newest records matches" in page
    assert f"before={first['next']}" in page
    second = (await admin.ask(name="merger", before=first["next"])).document
    assert len(second["records"]) == 1


async def test_what_others_write_is_text_on_the_page(admin: Site) -> None:
    """Given names that are markup, then the page shows them as text, in its form, too."""
    hostile = "\"><script>alert(1)</script>&'<img src=x onerror=alert(1)>"
    admin.held |= {"get experiments", "roles"}
    await admin.given(
        replace(
            EVENT,
            username=hostile,
            method="<b>GET",
            operation="",
            changed="<i>x",
            asked=(replace(SECRET, name=hostile),),
        )
    )
    page = (await admin.ask(PAGE)).body.decode()
    shown = (await admin.ask(PAGE, user=hostile, name=hostile, resource=hostile)).body.decode()
    for text in (page, shown):
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "<b>GET" not in text
        assert "<i>x" not in text
    assert "&lt;script&gt;alert(1)" in page
    assert "&quot;&gt;&lt;script&gt;" in shown


async def test_the_database_that_is_away_is_no_empty_page(
    admin: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise UnavailableError("MLflow's database gave no answer; try again.")

    monkeypatch.setattr(admin.history, "read", away)
    assert (await admin.ask()).status == 503
    page = await admin.ask(PAGE)
    assert (page.status, page.headers[b"content-type"]) == (503, b"text/html; charset=utf-8")


async def test_nobody_looks_twice_at_a_time(admin: Site) -> None:
    """Given a look that takes long, then a second one of the same user is refused and others' are not."""
    with admin.history.look(owner_of("alice")):
        assert (await admin.ask()).status == 429
    with admin.history.look(owner_of("bob")):
        assert (await admin.ask()).status == 200


@pytest.mark.parametrize("error", [UnavailableError("down")])
async def test_an_api_server_that_is_away_is_no_decision(site: Site, error: RequestError) -> None:
    site.reviews.get_answer = error
    site.reviews.rules_answer = SOME_RIGHT
    assert (await site.ask()).status == 503


async def test_a_server_that_keeps_nothing_says_so(reviews: ScriptedReviews) -> None:
    runtime = Runtime(pipeline_over(reviews, workspaces=KnownWorkspaces()), Records(), 1, None)
    app = OwnRoutesMiddleware(beyond, routes=audit.ROUTES, static_prefix="", runtime=lambda: runtime)
    answer = await call(app, "GET", f"{API}?workspace=team-a", TOKEN)
    assert (answer.status, "AUDIT_HISTORY_DAYS is 0" in answer.document["message"]) == (404, True)


async def test_who_has_no_workspace_gets_a_page_that_says_so(site: Site) -> None:
    answer = await call(site.app, "GET", PAGE, TOKEN)
    assert (answer.status, b"You hold rights in no workspace" in answer.body) == (200, True)
