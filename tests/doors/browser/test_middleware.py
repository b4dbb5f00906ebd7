"""What browsers get in place of what programs get, whatever is behind."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.doors.doors import TOKEN, Answer, call
from tests.harness.fakes import Records, ScriptedReviews
from tests.pipeline.routes import pipeline_over
from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.browser.assets import Assets
from workspace_authz.doors.browser.middleware import BrowserMiddleware
from workspace_authz.errors import UnavailableError
from workspace_authz.runtime.runtime import Runtime

PREFIX = "/mlflow"
SCRIPTED = ((b"sec-fetch-mode", b"cors"), (b"sec-fetch-dest", b"empty"))
TYPED = ((b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document"))
PLAIN_HTTP = ((b"user-agent", b"Mozilla/5.0 (X11)"),)
JSON = (b"content-type", b"application/json")
CHALLENGE = (b"www-authenticate", b"Basic realm=x")
REFUSED = json.dumps({"error_code": "PERMISSION_DENIED", "message": "No & <never>."}).encode()
GRAPHQL, CURRENT = f"{PREFIX}/graphql", f"{PREFIX}/ajax-api/2.0/mlflow/users/current"


def answering(status: int, *parts: bytes, headers: Sequence[tuple[bytes, bytes]] = (JSON,)) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for part in parts[:-1]:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": parts[-1]})

    return app


def browsers(app: App, reviews: ScriptedReviews, *, signs_in: bool = False) -> BrowserMiddleware:
    runtime = Runtime(pipeline_over(reviews), Records(), body_bytes=1, directory=None)
    return BrowserMiddleware(
        app, static_prefix=PREFIX, signs_in=signs_in, assistant=False, runtime=lambda: runtime
    )


@pytest.mark.parametrize("status", [400, 403, 404, 429, 503])
@pytest.mark.parametrize("parts", [(REFUSED,), (REFUSED[:9], REFUSED[9:], b"")])
@pytest.mark.parametrize("by", [SCRIPTED, PLAIN_HTTP])
async def test_the_ui_is_told_a_refused_document_as_graphql_tells_errors(
    reviews: ScriptedReviews, status: int, parts: tuple[bytes, ...], by: tuple[tuple[bytes, bytes], ...]
) -> None:
    app = browsers(answering(status, *parts, headers=(JSON, (b"retry-after", b"1"))), reviews)
    told = await call(app, "POST", GRAPHQL, *by)
    extensions = {"code": "PERMISSION_DENIED", "status": status}
    errors = [{"message": "No & <never>.", "extensions": extensions}]
    assert (told.status, told.document) == (200, {"data": None, "errors": errors})
    assert told.headers[b"retry-after"] == b"1"
    assert (await call(app, "POST", GRAPHQL)).status == status  # a program
    assert (await call(app, "POST", f"{PREFIX}/other", *by)).status == status
    assert (await call(app, "POST", "/graphql", *by)).status == status


@pytest.mark.parametrize(
    ("status", "content", "header"),
    [
        (200, b'{"data": {}}', JSON),
        (401, REFUSED, JSON),  # the script leads to the sign-in
        (403, b'{"message": 1}', JSON),
        (403, b"[]", JSON),
        (403, b"<h1>", JSON),
        (403, REFUSED, (b"content-type", b"text/plain")),
        (403, b'{"message": "' + b"x" * 70_000 + b'"}', JSON),
    ],
)
async def test_what_is_no_refusal_of_this_shape_goes_on_as_it_is(
    reviews: ScriptedReviews, status: int, content: bytes, header: tuple[bytes, bytes]
) -> None:
    for parts in ((content,), (content[:5], content[5:])):
        told = await call(
            browsers(answering(status, *parts, headers=(header,)), reviews), "POST", GRAPHQL, *SCRIPTED
        )
        assert (told.status, told.body, told.headers) == (status, content, dict([header]))


async def test_a_refused_page_is_a_page(reviews: ScriptedReviews) -> None:
    app = browsers(answering(403, REFUSED), reviews)
    told = await call(app, "GET", f"{PREFIX}/get-artifact", *TYPED)
    assert (told.status, told.headers[b"content-type"]) == (403, b"text/html; charset=utf-8")
    assert b"No &amp; &lt;never&gt;." in told.body
    assert (await call(app, "GET", f"{PREFIX}/get-artifact", *SCRIPTED)).body == REFUSED


# Challenges, for which a browser opens a prompt of its own.


async def challenged(path: str, reviews: ScriptedReviews, *by: tuple[bytes, bytes], signs_in: bool) -> Answer:
    app = browsers(answering(401, REFUSED, headers=(JSON, CHALLENGE)), reviews, signs_in=signs_in)
    return await call(app, "GET", path, *by)


@pytest.mark.parametrize(("signs_in", "path", "prompts"), [
    (False, f"{PREFIX}/x", False),
    (False, CURRENT, True),
    (True, f"{PREFIX}/x", False),
    (True, CURRENT, False),
])  # fmt: skip
async def test_a_script_is_challenged_only_for_the_logout_of_basic(
    reviews: ScriptedReviews, signs_in: bool, path: str, prompts: bool
) -> None:
    told = await challenged(path, reviews, *SCRIPTED, signs_in=signs_in)
    assert (told.status, b"www-authenticate" in told.headers) == (401, prompts)
    program = await challenged(path, reviews, signs_in=signs_in)
    assert (program.status, b"www-authenticate" in program.headers) == (401, True)


async def test_a_page_without_sign_in_is_challenged(reviews: ScriptedReviews) -> None:
    told = await challenged(f"{PREFIX}/x", reviews, *TYPED, signs_in=False)
    assert (told.status, b"www-authenticate" in told.headers) == (401, True)
    told = await challenged(f"{PREFIX}/x?a=b", reviews, *TYPED, signs_in=True)
    assert (told.status, b"www-authenticate" in told.headers) == (303, False)
    assert told.headers[b"location"].startswith(b"/mlflow/workspace-authz/sign-in?next=")


# MLflow's page.

PAGE = b"<html><head><title>MLflow</title></head><body></head></body></html>"
HTML = ((b"content-type", b"text/html"), (b"etag", b"x"), (b"content-length", b"1"))


async def test_the_page_is_for_who_is_signed_in_and_for_programs(reviews: ScriptedReviews) -> None:
    app = browsers(answering(200, PAGE, headers=HTML), reviews)
    assert b"script" in (await call(app, "GET", f"{PREFIX}/")).body
    told = await call(app, "GET", f"{PREFIX}/", *TYPED)
    assert (told.status, told.headers[b"content-type"]) == (401, b"text/html; charset=utf-8")
    assert b"www-authenticate" in told.headers
    reviews.who_answer = UnavailableError("Away.")
    assert (await call(app, "GET", f"{PREFIX}/", *TYPED, TOKEN)).status == 200


async def test_the_page_holds_one_script_and_one_stylesheet_of_ours(reviews: ScriptedReviews) -> None:
    app = browsers(answering(200, PAGE[:20], PAGE[20:], headers=HTML), reviews)
    told = await call(app, "GET", f"{PREFIX}/", (b"if-none-match", b"x"))
    tags = Assets(static_prefix=PREFIX, assistant=False).tags
    assert told.body == PAGE.replace(b"</head>", tags + b"</head>", 1)
    assert (told.headers[b"cache-control"], told.headers[b"content-length"]) == (
        b"no-store",
        str(len(told.body)).encode(),
    )
    assert b"etag" not in told.headers


async def test_a_file_is_kept_for_ever_under_the_name_of_its_content_only(reviews: ScriptedReviews) -> None:
    app = browsers(answering(299, b""), reviews)
    for found in Assets(static_prefix=PREFIX, assistant=False).tags.decode().split('"'):
        if not found.startswith(PREFIX):
            continue
        for method in ("GET", "HEAD"):
            told = await call(app, method, found)
            assert (told.status, told.headers[b"x-content-type-options"]) == (200, b"nosniff")
            assert b"immutable" in told.headers[b"cache-control"]
            assert bool(told.body) is (method == "GET")
        folder, _, name = found.rpartition("/")
        other = await call(app, "GET", f"{folder}/{'0' * 16}.{name.partition('.')[2]}")
        assert (other.status, other.headers[b"cache-control"]) == (200, b"no-store")
        assert (await call(app, "GET", f"{folder}/{name}.map")).status == 299
        assert (await call(app, "POST", found)).status == 299
        assert (await call(app, "GET", found.removeprefix(PREFIX))).status == 299


def test_another_configuration_is_another_name() -> None:
    names = {Assets(static_prefix="", assistant=assistant).tags for assistant in (True, False)}
    assert len(names) == 2
