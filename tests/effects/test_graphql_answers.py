"""Lists within the answer to a document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workspace_authz.aio.asgi import App, Message, Receive, Scope, Send
from workspace_authz.doors.asgi.answers import filtered_answer
from workspace_authz.effects.graphql_answers import ElementFilter, Place
from workspace_authz.effects.lists import UnreadableAnswerError, read_answer

VERSIONS = Place(("a", "run", "modelVersions"), ("name",))


def shown(data: Any, *places: Place) -> Any:
    content = json.dumps({"data": data, "errors": None}).encode()
    return json.loads(ElementFilter(places, {"fraud"}).filtered(read_answer(content)))


def versions(*names: str | None) -> list[dict[str, str | None]]:
    return [{"name": name, "version": "1"} for name in names]


def test_only_the_allowed_are_left() -> None:
    answer = shown({"a": {"run": {"modelVersions": versions("fraud", "churn", None, "fraud")}}}, VERSIONS)
    assert answer == {"data": {"a": {"run": {"modelVersions": versions("fraud", "fraud")}}}, "errors": None}


def test_every_element_of_a_list_on_the_way_is_searched() -> None:
    place = Place(("b", "runs", "[]", "mine"), ("n", "name"))
    runs = [{"mine": [{"n": "fraud", "name": "fraud"}, {"n": "fraud", "name": "churn"}]}, {"mine": None}]
    assert shown({"b": {"runs": runs}}, place)["data"]["b"]["runs"] == [
        {"mine": [{"n": "fraud", "name": "fraud"}]},
        {"mine": None},
    ]


def test_what_does_not_show_its_name_is_not_shown() -> None:
    place = Place(VERSIONS.path, ())
    assert shown({"a": {"run": {"modelVersions": versions("fraud")}}}, place)["data"] == {
        "a": {"run": {"modelVersions": []}}
    }


@pytest.mark.parametrize(
    "data", [None, {"a": None}, {"a": {"run": None}}, {"a": {"run": {"modelVersions": None}}}]
)
def test_null_stays_null(data: Any) -> None:
    assert shown(data, VERSIONS)["data"] == data


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": {}},
        {"a": []},
        {"a": {"run": "x"}},
        {"a": {"run": {"modelVersions": {}}}},
        {"a": {"run": {"modelVersions": ["fraud"]}}},
    ],
)
def test_another_shape_is_withheld(data: Any) -> None:
    with pytest.raises(UnreadableAnswerError):
        shown(data, VERSIONS)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[" * 100_000, b"\xff"])
def test_what_is_no_answer_of_graphql_is_withheld(content: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        ElementFilter((VERSIONS,), {"fraud"}).filtered(read_answer(content))


def answering(status: int, content: bytes) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["headers"] == []
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


async def test_the_answer_is_sent_with_its_new_length_and_an_error_as_it_is() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    kept = ElementFilter((VERSIONS,), {"fraud"})
    content = json.dumps({"data": {"a": {"run": {"modelVersions": versions("churn")}}}}).encode()
    scope = {"headers": [(b"accept-encoding", b"gzip")]}
    for app in (answering(200, content), answering(500, b"error")):
        answer = await filtered_answer(app, scope, receive, keep=kept)
        await answer.send(send)
    assert json.loads(sent[1]["body"])["data"] == {"a": {"run": {"modelVersions": []}}}
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(sent[1]["body"])).encode()
    assert (sent[2]["status"], sent[3]["body"]) == (500, b"error")
