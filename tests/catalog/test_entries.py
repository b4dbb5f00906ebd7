"""What the compiler refuses: prefixes that are none, and two routes that claim one request."""

from __future__ import annotations

import pytest

from workspace_authz.catalog.build import at_path
from workspace_authz.catalog.compile import compile_catalog, compile_routes
from workspace_authz.catalog.model import Mount, Public, Route, Server
from workspace_authz.errors import ConfigurationError


def route(path: str, server: Server, *, mount: Mount = Mount.PREFIXED) -> Route:
    return at_path("GET", path, f"Get{path}", Public(), server=server, mount=mount)[0]


@pytest.mark.parametrize("prefix", ["mlflow", "//mlflow", "/ml flow", "/{x}", "/a//b", "/a\n"])
def test_a_prefix_that_is_none_stops_the_start(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="static prefix"):
        compile_catalog(static_prefix=prefix)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a", "/a"),
        ("/a/{x}", "/a/{y}"),
        ("/a/{x:path}", "/a/{y:path}"),
        ("/{x}/b", "/a/{y}"),
        ("/a/{x}", "/a/{y:path}"),
        ("/a/{x:path}/c", "/a/b/{y}"),
        ("/a/{x:path}/c", "/{y:path}/b/c"),
        ("/a/{x}:run", "/a/{y}"),
    ],
)
def test_two_claims_of_flask_are_refused(one: str, other: str) -> None:
    with pytest.raises(ConfigurationError, match=r"claim one request: GET .* and GET .*"):
        compile_routes([route(one, Server.FLASK), route(other, Server.FLASK)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a/{x}", "/b/{x}"),
        ("/a/{x}", "/a/{x}/b"),
        ("/a/{x}/b", "/a/{x}/c"),
        ("/a/{x:path}", "/b/{x:path}"),
        ("/a/{x:path}/b", "/a/{x:path}/c"),
        ("/a/{x}", "/a/b"),
    ],
)
def test_claims_that_never_meet_are_fine(one: str, other: str) -> None:
    assert len(compile_routes([route(one, Server.FLASK), route(other, Server.FLASK)]).entries) == 2


def test_two_equal_claims_of_fastapi_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        compile_routes([route("/a/{x}", Server.FASTAPI), route("/a/{y}", Server.FASTAPI)])


def test_overlapping_templates_of_fastapi_are_taken_in_their_order() -> None:
    one, other = route("/a/{x}/c", Server.FASTAPI), route("/a/b/{y}", Server.FASTAPI)
    for routes in ([one, other], [other, one]):
        match = compile_routes(routes).match("GET", "/a/b/c")
        assert match is not None
        assert match.route is routes[0]


def test_fastapi_comes_before_flask_wherever_it_stands() -> None:
    flask, native = route("/a/b/{x}", Server.FLASK), route("/a/{x:path}", Server.FASTAPI)
    match = compile_routes([flask, native]).match("GET", "/a/b/c")
    assert match is not None
    assert match.route is native


def test_a_literal_path_that_fastapi_gives_to_a_template_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        compile_routes([route("/a/{x}", Server.FASTAPI), route("/a/b", Server.FASTAPI)])
    with pytest.raises(ConfigurationError):
        compile_routes([route("/a/b", Server.FLASK), route("/a/{x}", Server.FASTAPI)])
    assert compile_routes([route("/a/b", Server.FASTAPI), route("/a/{x}", Server.FASTAPI)]).match(
        "GET", "/a/b"
    )


def test_a_prefix_that_lands_on_a_route_at_the_root_is_refused() -> None:
    routes = [route("/a", Server.FLASK), route("/p/a", Server.FLASK, mount=Mount.ROOT)]
    assert len(compile_routes(routes).entries) == 2
    with pytest.raises(ConfigurationError):
        compile_routes(routes, static_prefix="/p")


def test_one_method_does_not_claim_for_another() -> None:
    routes = (*at_path("GET", "/a", "Get", Public()), *at_path("POST", "/a", "Post", Public()))
    assert len(compile_routes(routes).entries) == 2
