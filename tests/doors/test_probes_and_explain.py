"""Our own routes: probes for those without a token, and explain for the caller about the caller."""

from __future__ import annotations

import json

import pytest

from tests.doors.doors import TEAM_A, TOKEN, beyond, call
from tests.harness.fakes import NO, ScriptedReviews
from tests.pipeline.routes import pipeline_over
from workspace_authz.doors.explain_route import ExplainMiddleware
from workspace_authz.doors.probes import ProbesMiddleware
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.runtime.health import Health
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.telemetry.audit import NoAudit


def runtime(reviews: ScriptedReviews | None = None) -> Runtime:
    return Runtime(pipeline_over(reviews or ScriptedReviews()), NoAudit(), body_bytes=1, directory=None)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/mlflow/livez", "/mlflow/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_answer_below_the_prefix_and_at_the_root(method: str, path: str) -> None:
    app = ProbesMiddleware(beyond, static_prefix="/mlflow", runtime=runtime)

    answer = await call(app, method, path)

    assert answer.status == 200
    assert answer.body == (b"" if method == "HEAD" else b'{"status": "ok"}')


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/livez?verbose", "/readyz?verbose"])
@pytest.mark.parametrize("starting", [False, True])
async def test_no_answer_of_a_probe_is_stored(path: str, starting: bool) -> None:
    app = ProbesMiddleware(beyond, static_prefix="", runtime=lambda: None if starting else runtime())

    answer = await call(app, "GET", path)

    assert answer.headers[b"cache-control"] == b"no-store"


async def test_a_server_that_is_starting_lives_and_is_not_ready() -> None:
    app = ProbesMiddleware(beyond, static_prefix="", runtime=lambda: None)

    assert (await call(app, "GET", "/livez")).status == 200
    ready = await call(app, "GET", "/readyz")
    assert (ready.status, ready.document["status"]) == (503, "failing")


async def test_a_note_turns_nothing_red() -> None:
    health = Health(notes=lambda: ["Changes are not followed."])
    pipeline = pipeline_over(ScriptedReviews())
    noted = Runtime(pipeline, NoAudit(), body_bytes=1, directory=None, health=health)
    app = ProbesMiddleware(beyond, static_prefix="", runtime=lambda: noted)

    ready = await call(app, "GET", "/readyz")
    assert (ready.status, ready.document) == (200, {"status": "ok", "notes": ["Changes are not followed."]})
    listed = (await call(app, "GET", "/readyz?verbose")).body.decode()
    assert listed == "[+]ping ok\nnote: Changes are not followed.\nreadyz check passed\n"


async def test_reasons_are_told_and_listed_like_kubernetes_does() -> None:
    health = Health({"kubernetes-api": lambda: "It does not answer.", "namespaces": lambda: None})
    pipeline = pipeline_over(ScriptedReviews())
    unwell = Runtime(pipeline, NoAudit(), body_bytes=1, directory=None, health=health)
    app = ProbesMiddleware(beyond, static_prefix="", runtime=lambda: unwell)

    plain = await call(app, "GET", "/readyz")
    assert (plain.status, plain.document["problems"]) == (503, ["It does not answer."])
    listed = await call(app, "GET", "/readyz?verbose")
    assert listed.status == 503
    assert listed.body.decode().splitlines() == [
        "[+]ping ok",
        "[-]kubernetes-api failed: It does not answer.",
        "[+]namespaces ok",
        "readyz check failed",
    ]
    alive = await call(app, "GET", "/livez?verbose=1")
    assert (alive.status, alive.body) == (200, b"[+]ping ok\nlivez check passed\n")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/readyz"), ("GET", "/readyz/x"), ("GET", "/other/readyz")]
)
async def test_nothing_else_is_a_probe(method: str, path: str) -> None:
    app = ProbesMiddleware(beyond, static_prefix="", runtime=lambda: None)

    assert (await call(app, method, path)).status == 299


def explaining(reviews: ScriptedReviews) -> ExplainMiddleware:
    return ExplainMiddleware(beyond, static_prefix="/mlflow", runtime=lambda: runtime(reviews))


PATH = "/mlflow/workspace-authz/explain"
SEARCH = json.dumps({"method": "GET", "path": "/search"}).encode()


async def test_a_server_explains_the_callers_own_rights() -> None:
    reviews = ScriptedReviews()
    reviews.may_answer = NO

    answer = await call(explaining(reviews), "POST", PATH, TOKEN, TEAM_A, body=SEARCH)

    assert answer.status == 200
    assert answer.headers[b"cache-control"] == b"no-store"
    document = answer.document
    assert (document["user"], document["decision"], document["status"]) == ("alice", "deny", 403)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"path": "/workspaces/team-a/gateway/invoke"}, 200),
        ({"path": "/x", "raw_path": "/workspaces/team-a/gateway/invoke"}, 200),
        ({"path": "/x", "raw_path": "/workspaces%2Fteam-a/gateway/invoke"}, 404),
        ({"path": "/workspaces/team-b/gateway/invoke"}, 400),
    ],
)
async def test_a_workspace_in_the_url_is_explained_as_it_is_sent(
    document: dict[str, str], status: int
) -> None:
    """The explanation's own header names team-a."""
    body = json.dumps({"method": "POST", **document}).encode()
    answer = await call(explaining(ScriptedReviews()), "POST", PATH, TOKEN, TEAM_A, body=body)
    assert (answer.status, answer.document["status"]) == (200, status)
    assert ("path" in answer.document["effects"]) is (status == 200)


async def test_unknown_callers_learn_nothing_not_even_what_is_public() -> None:
    reviews = ScriptedReviews()
    public = json.dumps({"method": "GET", "path": "/public"}).encode()

    assert (await call(explaining(reviews), "POST", PATH, body=public)).status == 401
    reviews.who_answer = UnauthenticatedError("No.")
    assert (await call(explaining(reviews), "POST", PATH, TOKEN, body=public)).status == 401
    assert reviews.questions == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"method": "GET"}',
        b'{"method": 1, "path": "/search"}',
        b"[" * 100_000,
        b'{"method": "GET", "path": "\\ud800"}',
    ],
)
async def test_a_body_that_asks_nothing_is_refused(body: bytes) -> None:
    answer = await call(explaining(ScriptedReviews()), "POST", PATH, TOKEN, TEAM_A, body=body)

    assert (answer.status, answer.document["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", "/workspace-authz/explain")])
async def test_nothing_else_is_the_explain_route(method: str, path: str) -> None:
    assert (await call(explaining(ScriptedReviews()), method, path, TOKEN, body=SEARCH)).status == 299
