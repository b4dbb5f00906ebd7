"""A workspace in the URL: the verdict is that of the header, on every route that may have one."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Final
from urllib.parse import quote

import pytest

from tests.harness.fakes import YES
from tests.pipeline.world import World
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import Public
from workspace_authz.effects.effects import EffectKind
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline.verdict import Pass, Refuse, Verdict, demand_applicable, record
from workspace_authz.workspaces.in_url import UrlWorkspace
from workspace_authz.workspaces.requested import WorkspaceRule

TOKEN: Final = (b"authorization", b"Bearer token")
SEARCH: Final = "/api/2.0/mlflow/experiments/search"
CATALOGS: Final = {prefix: compile_catalog(static_prefix=prefix) for prefix in ("", "/mlflow")}
BODIES: Final = (
    b'{"experiment_id": "7", "experiment_ids": ["7"], "run_id": "%s", "name": "fraud"}' % (b"1" * 32),
    b'{"model": "fraud", "name": "churn", "experiment_id": "8"}',
)
HELD: Final = (
    ("everything",),
    (),
    ("get experiments fraud", "update experiments fraud", "list experiments fraud"),
    ("create gatewayendpoints/use fraud", "list gatewayendpoints fraud", "get registeredmodels fraud"),
)


def world(held: tuple[str, ...], *, prefix: str = "", rule: WorkspaceRule | None = None) -> World:
    made = World(*(() if held == HELD[0] else held))
    if held == HELD[0]:
        made.reviews.may_answer = YES
    made.pipeline = replace(made.pipeline, catalog=CATALOGS[prefix], rule=rule or WorkspaceRule())
    return made


def request(
    method: str, path: str, *headers: tuple[bytes, bytes], body: bytes = b"", raw_path: str = ""
) -> AccessRequest:
    return AccessRequest(
        method,
        path,
        headers=[TOKEN, *headers, (b"content-length", str(len(body)).encode())],
        body=GivenBody(body),
        raw_path=(raw_path or quote(path, safe="/:")).encode(),
    )


def called(entry: Entry) -> str:
    """A path of the entry; what its parameters mean does not matter here."""
    path = entry.path
    for parameter, value in (("workspace_name", "team-a"), ("endpoint_name", "fraud"), ("trace_id", "tr-1")):
        path = path.replace(f"{{{parameter}}}", value)
    while "{" in path:
        head, _, tail = path.partition("{")
        path = head + "7" + tail.partition("}")[2]
    return path


def may_have_one(entry: Entry, prefix: str) -> bool:
    if isinstance(entry.route.policy, Public) or not entry.path.startswith(prefix):
        return False
    below = entry.path.removeprefix(prefix)
    return below.startswith(("/api/", "/gateway/")) or below == "/v1/traces"


def in_url(path: str, prefix: str, workspace: str = "team-a") -> str:
    return f"{prefix}/workspaces/{workspace}{path.removeprefix(prefix)}"


def comparable(verdict: Verdict) -> object:
    """Everything that a verdict is, apart from the path that MLflow gets."""
    if isinstance(verdict, Refuse):
        return verdict.error.status, verdict.error.message, record(verdict)
    effects = replace(verdict.effects, url=None, narrowing=None, replacement=None)
    replacement = verdict.effects.replacement
    return effects, replacement and (replacement.content, replacement.query), record(verdict)


@pytest.mark.parametrize("held", HELD, ids=str)
@pytest.mark.parametrize("prefix", CATALOGS)
async def test_the_url_means_what_the_header_means_on_every_route(prefix: str, held: tuple[str, ...]) -> None:
    """Given each route below /api, /gateway and /v1/traces, then both ways to name a workspace are one."""
    one, other, passed = world(held, prefix=prefix), world(held, prefix=prefix), 0
    for entry in CATALOGS[prefix].entries:
        if not may_have_one(entry, prefix):
            continue
        for body in BODIES:
            path = called(entry)
            by_header = await one.pipeline.judge(
                request(entry.method, path, (b"x-mlflow-workspace", b"team-a"), body=body)
            )
            by_url = await other.pipeline.judge(request(entry.method, in_url(path, prefix), body=body))
            assert comparable(by_url) == comparable(by_header), entry
            if isinstance(by_url, Pass):
                passed += 1
                assert by_url.effects.url == UrlWorkspace("team-a", path, quote(path, safe="/:").encode())
    listing = len(BODIES)  # everybody may list the workspaces in which they hold rights
    assert passed > listing if held else passed == listing


@pytest.mark.parametrize("prefix", CATALOGS)
async def test_no_other_route_can_have_one(prefix: str) -> None:
    """Given each route that a browser calls or that is public, then with a workspace in the URL it is 404."""
    asked = world(HELD[0], prefix=prefix)
    for entry in CATALOGS[prefix].entries:
        if may_have_one(entry, prefix):
            continue
        below = prefix if entry.path.startswith(prefix) else ""
        verdict = await asked.pipeline.judge(request(entry.method, in_url(called(entry), below)))
        assert isinstance(verdict, Refuse), entry
        assert (verdict.error.status, verdict.error.code) == (404, "ENDPOINT_NOT_FOUND"), entry
        assert ("A workspace stands in a URL as" in verdict.error.message) is (below == prefix)


@pytest.mark.parametrize("path", [SEARCH, "/health", "/api/3.0/mlflow/server-info", "/nowhere"])
async def test_an_unknown_client_learns_nothing_from_it(path: str) -> None:
    asked = replace(request("GET", f"/workspaces/team-a{path}"), headers=[])
    verdict = await world(HELD[0]).pipeline.judge(asked)
    assert isinstance(verdict, Refuse)
    assert verdict.error.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-mlflow-workspace", b"team-b")],
        [(b"x-mlflow-workspace", b"team-a"), (b"x-mlflow-workspace", b"team-b")],
        [(b"authorization", b"Basic " + base64.b64encode(b"workspace:team-b:token"))],
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", SEARCH),
        ("GET", "/api/3.0/mlflow/workspaces"),
        ("GET", "/api/3.0/mlflow/workspaces/team-a"),
        ("POST", "/api/3.0/mlflow/workspaces"),
        ("POST", "/gateway/fraud/mlflow/invocations"),
    ],
)
async def test_two_workspaces_are_refused_and_nobody_is_asked_about_either(
    method: str, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    asked = world(HELD[0])
    verdict = await asked.pipeline.judge(request(method, f"/workspaces/team-a{path}", *headers))
    assert isinstance(verdict, Refuse)
    assert (verdict.error.status, verdict.error.code) == (400, "INVALID_PARAMETER_VALUE")
    assert "two different workspaces" in verdict.error.message
    assert all(check.attributes.namespace == "" for check in verdict.findings.checks)
    assert asked.reviews.questions == []


async def test_a_route_about_another_workspace_is_refused() -> None:
    verdict = await world(HELD[0]).pipeline.judge(
        request("GET", "/workspaces/team-a/api/3.0/mlflow/workspaces/team-b")
    )
    assert isinstance(verdict, Refuse)
    assert verdict.error.status == 400


async def test_the_user_name_of_basic_means_what_the_header_means() -> None:
    basic = b"Basic " + base64.b64encode(b"workspace:team-a:token")
    for method, path in (("GET", SEARCH), ("POST", "/gateway/fraud/mlflow/invocations")):
        named = replace(request(method, path), headers=[(b"authorization", basic)])
        by_name = await world(HELD[0]).pipeline.judge(named)
        by_header = await world(HELD[0]).pipeline.judge(
            request(method, path, (b"x-mlflow-workspace", b"team-a"))
        )
        assert by_name.passed
        assert comparable(by_name) == comparable(by_header)


@pytest.mark.parametrize(
    "raw_path",
    [
        "/workspaces%2Fteam-a/api/2.0/mlflow/experiments/search",
        "/workspaces/team-a%2Fapi/2.0/mlflow/experiments/search",
        "/workspaces/team-%61/api/2.0/mlflow/experiments/search",
    ],
)
async def test_what_is_encoded_up_to_the_name_is_no_route(raw_path: str) -> None:
    asked = request("GET", f"/workspaces/team-a{SEARCH}", raw_path=raw_path)
    verdict = await world(HELD[0]).pipeline.judge(asked)
    assert isinstance(verdict, Refuse)
    assert verdict.error.status == 404


async def test_the_urls_workspace_comes_before_every_default() -> None:
    rule = WorkspaceRule(default="team-b", service_account=True)
    verdict = await world(HELD[0], rule=rule).pipeline.judge(request("GET", f"/workspaces/team-a{SEARCH}"))
    assert verdict.passed
    assert verdict.findings.workspace == "team-a"


async def test_a_door_that_cannot_change_the_path_refuses() -> None:
    verdict = await world(HELD[0]).pipeline.judge(request("GET", f"/workspaces/team-a{SEARCH}"))
    refused = demand_applicable(verdict, frozenset(EffectKind) - {EffectKind.PATH})
    assert isinstance(refused, Refuse)
    assert (refused.error.status, "path" in refused.error.message) == (501, True)


@pytest.mark.parametrize("within", [False, True])
async def test_a_post_that_a_redirection_made_a_get_is_told_so(within: bool) -> None:
    """Given http:// in the client's address and a redirection to https://, then the answer says so."""
    path = "/api/2.0/mlflow/experiments/create"
    asked = request("GET", in_url(path, "") if within else path)
    verdict = await world(HELD[0]).pipeline.judge(asked)
    assert isinstance(verdict, Refuse)
    assert verdict.error.status == 404
    assert "put https:// into MLFLOW_TRACKING_URI" in verdict.error.message
    other = await world(HELD[0]).pipeline.judge(request("GET", "/api/2.0/mlflow/nowhere"))
    assert isinstance(other, Refuse)
    assert "https://" not in other.error.message
