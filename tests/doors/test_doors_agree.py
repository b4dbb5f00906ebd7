"""The doors give the same verdict, for generated requests over the whole catalog."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from tests.doors.forward_auth.asking import ENVOY_BODY, NGINX, Answer, Judge, asked, question
from tests.doors.test_guard import Guard
from tests.harness.fakes import YES, Records
from tests.pipeline.world import KNOWN, World
from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.doors.explain import explain
from workspace_authz.doors.forward_auth.answers import STATUS
from workspace_authz.errors import RequestError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline.verdict import conclusion

ENTRIES: Final = compile_catalog(assistant=True).entries
EVERYTHING: Final = ("everything",)
RIGHTS: Final = (
    EVERYTHING,
    (),
    ("get experiments fraud", "update experiments fraud", "list experiments fraud"),
    ("get experiments", "list experiments", "create experiments", "update experiments", "delete experiments"),
    ("get registeredmodels fraud", "list registeredmodels churn", "update registeredmodels fraud"),
    ("create gatewayendpoints/use fraud", "list gatewayendpoints fraud"),
)
FIELDS: Final = (
    *(
        "experiment_id",
        "experimentId",
        "experiment_ids",
        "run_id",
        "run_uuid",
        "name",
        "key",
        "value",
        "tags",
    ),
    *(
        "trace",
        "trace_id",
        "request_id",
        "dataset_id",
        "source",
        "path",
        "target_scope",
        "metrics",
        "created_by",
    ),
    *("model_id", "endpoint_id", "records", "assessment", "filter", "max_results", "page_token", "user_id"),
)
TEXTS: Final = st.sampled_from(
    [*KNOWN, "fraud", "churn", "", "mlflow.user", "runs:/x", "models:/fraud/1", "GLOBAL", "../x", "é" * 3]
)
SCALARS: Final = TEXTS | st.none() | st.booleans() | st.integers(-1, 10)
VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=6,
)
BODIES: Final = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5).map(
        lambda fields: json.dumps(fields).encode()
    ),
    st.sampled_from([b"", b"{}", b"[1,2]", b"{", b"null", b'"{}"', b'{"key":"a","key":"b"}', b"\xff"]),
)
QUERIES: Final = st.lists(st.tuples(st.sampled_from(FIELDS), TEXTS), max_size=3).map(
    lambda pairs: "&".join(f"{key}={value}" for key, value in pairs).encode()
)
HEADERS: Final = st.lists(
    st.sampled_from(
        [
            (b"content-type", b"application/json"),
            (b"content-type", b"application/x-protobuf"),
            (b"content-encoding", b"gzip"),
            (b"x-mlflow-experiment-id", b"7"),
            (b"x-mlflow-run-id", b"1" * 32),
        ]
    ),
    max_size=3,
)
BASIC: Final = b"Basic " + base64.b64encode(b"workspace:team-a:token")
CREDENTIALS: Final = st.sampled_from(
    [[(b"authorization", b"Bearer token")]] * 8
    + [[(b"authorization", BASIC)], [(b"x-api-key", b"token")], []]
)
IN_URL: Final = st.sampled_from([""] * 6 + ["/workspaces/team-a"] * 3 + ["/workspaces/team-b", "/workspaces"])
WORKSPACES: Final = st.sampled_from([[(b"x-mlflow-workspace", b"team-a")]] * 9 + [[]])


@st.composite
def paths(draw: st.DrawFn, entry: Entry) -> str:
    def value(found: re.Match[str]) -> str:
        chosen = draw(st.sampled_from([*KNOWN, "fraud", "churn", "7/model.pkl", "%2e%2e"]))
        return chosen if found[2] else chosen.replace("/", "-")

    return re.sub(r"\{([^{}:]+)(:path)?\}", value, entry.path)


@st.composite
def requests(draw: st.DrawFn) -> AccessRequest:
    entry = draw(st.sampled_from(ENTRIES))
    body = draw(BODIES)
    headers = [*draw(CREDENTIALS), *draw(WORKSPACES), *draw(HEADERS)]
    method = "HEAD" if entry.method == "GET" and draw(st.booleans()) else entry.method
    raw_path = quote(draw(IN_URL) + draw(paths(entry)), safe="/:%")
    return AccessRequest(
        method,
        unquote(raw_path),
        raw_path=raw_path.encode(),
        headers=[*headers, (b"content-length", str(len(body)).encode())],
        query=draw(QUERIES),
        body=GivenBody(body),
    )


class Application:
    """Stands for MLflow: answers an empty list and counts how often it is reached."""

    def __init__(self) -> None:
        self.reached = 0
        self.path = ""
        self.workspace = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached += 1
        self.path = scope["path"]
        self.workspace = dict(scope["headers"]).get(b"x-mlflow-workspace", b"")
        while (await receive()).get("more_body"):
            continue
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"data": {}}'})


def world_of(rights: tuple[str, ...]) -> World:
    world = World(*(rights if rights is not EVERYTHING else ()))
    if rights is EVERYTHING:
        world.reviews.may_answer = YES
    return world


async def at_the_asgi_door(world: World, request: AccessRequest) -> tuple[Application, Records, Any]:
    app, audit, sent = Application(), Records(), list[Message]()
    body = await request.body.read()
    waiting: list[Message] = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
    scope: Scope = {
        "type": "http",
        "method": request.method,
        "path": request.path,
        "raw_path": request.raw_path,
        "query_string": request.query,
        "headers": list(request.headers),
    }

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    guard = Guard(world.pipeline, audit, body_bytes=2**20)
    await GuardMiddleware(app, guard=lambda: guard)(scope, receive, send)
    refusal = b"".join(message.get("body", b"") for message in sent[1:])
    return app, audit, (sent[0]["status"], refusal)


@settings(max_examples=400)
@given(requests(), st.sampled_from(RIGHTS))
@example(
    AccessRequest(
        "POST",
        "/api/2.0/mlflow/runs/set-tag",
        headers=[(b"authorization", b"Bearer token"), (b"x-mlflow-workspace", b"team-a")],
        body=GivenBody(b"[1,2]"),
    ),
    EVERYTHING,
)
@example(
    AccessRequest(
        "POST",
        "/v1/traces",
        headers=[
            (b"authorization", b"Bearer token"),
            (b"x-mlflow-workspace", b"team-a"),
            (b"content-type", b"text/plain"),
        ],
        body=GivenBody(b"{}"),
    ),
    EVERYTHING,
)
def test_explain_and_the_asgi_door_agree(request: AccessRequest, rights: tuple[str, ...]) -> None:
    """Given any request, when both doors judge it, then they agree, and MLflow is reached just by a pass."""

    async def both() -> None:
        explanation = await explain(world_of(rights).pipeline, request)
        app, audit, (status, refusal) = await at_the_asgi_door(world_of(rights), request)
        (record,) = audit.kept
        event(f"{conclusion(explanation.verdict)} {explanation.status}")
        assert app.reached == int(explanation.verdict.passed)
        assert not app.path.startswith("/workspaces")
        assert record["decision"] == conclusion(explanation.verdict)
        assert record["reason"] == explanation.document()["reason"]
        error: RequestError | None = explanation.verdict.error
        if error is not None:
            assert status == error.status
            if request.method != "HEAD":
                assert json.loads(refusal) == error.document

    asyncio.run(both())


async def at_the_forward_auth_door(
    dialect: str, world: World, request: AccessRequest
) -> tuple[Mapping[str, Any], Answer]:
    body = await request.body.read() or b""
    target = request.raw_path + b"?" + request.query if request.query else request.raw_path
    headers = [pair for pair in request.headers if pair[0] != b"content-length"]
    judge = Judge(world.pipeline)
    scope = question(dialect, request.method, target, headers=headers, body=body)
    answer = await asked(judge, scope, body=body if dialect == ENVOY_BODY else b"")
    (record,) = judge.audit.kept
    return record, answer


@settings(max_examples=120)
@given(requests(), st.sampled_from(RIGHTS), st.sampled_from([ENVOY_BODY, NGINX]))
def test_forward_auth_lets_nothing_pass_that_the_app_refuses(
    request: AccessRequest, rights: tuple[str, ...], dialect: str
) -> None:
    """Given any request, then a proxy may pass on just what the app passes on unchanged but for headers.

    What the app refuses is refused in the same words. Else the refusal says what is lacking here: an effect,
    the body, or a target that is read in one way only.
    """

    async def both() -> None:
        app, records, (status, refusal) = await at_the_asgi_door(world_of(rights), request)
        record, answer = await at_the_forward_auth_door(dialect, world_of(rights), request)
        told = answer.header(STATUS)
        event(f"{dialect} {app.reached} {answer.status} {told!r}")
        if answer.status == 200:
            assert app.reached == 1
            assert answer.header(b"x-mlflow-workspace") == app.workspace
            assert record["decision"] == records.kept[0]["decision"] == "allow"
            assert record["checks"] == records.kept[0]["checks"]
            return
        assert record["decision"] == ("error" if told == b"501" else "deny")
        if told not in (b"501", b"400"):
            assert app.reached == 0
            assert int(told or b"0") == status
            if request.method != "HEAD":
                assert json.loads(refusal) == json.loads(answer.content)

    asyncio.run(both())
