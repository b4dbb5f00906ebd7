"""Each proxy, by its shipped example, tells the door what MLflow gets, and nothing that clients make up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import pytest

from tests.doors.forward_auth.told import WORKSPACE, Told, get, status_of, told_by
from tests.harness.forward_auth import ENVOY, NGINX, TRAEFIK, proxies
from workspace_authz.doors.forward_auth.answers import STRIPPED
from workspace_authz.doors.forward_auth.target import Target
from workspace_authz.errors import BadRequestError

TARGETS: Final = (
    *(b"/a//b", b"//a", b"/a/../b", b"/a/./b", b"/a/%2e%2e/b", b"/a/.%2E/b", b"/a/..", b"/..", b"/a/."),
    *(b"/a%2Fb", b"/a%5cb", b"/a\\b", b"/a%252Fb", b"/a%252e%252e/b", b"/a;b", b"/a/..;/b", b"/a/...;/b"),
    *(b"/a?x=1;y=2", b"/a?x=%3B2", b"/a?", b"/a?a=b?c", b"/a?x=1&x=2", b"/a?%", b"/a?x=%zz", b"/a?x=../../b"),
    *(b"/a#b", b"/a?x#y", b"/%41bc", b"/a%zz", b"/a%", b"/a b", b"/a\xc3\xa9", b"/a%c3%a9", b"/a%ff"),
    *(b"/a%00b", b"/a%0ab", b"/a%3Fb", b"/a%23b", b"/a%25b", b"/a|b", b"/a[b]", b'/a"b', b"/a{b}", b"/a'b"),
    *(
        b"/a~b",
        b"/a%7Eb",
        b"/a+b",
        b"/a?x=[1]",
        b"/a?x={1}|\\^`",
        b'/a?x="1"',
        b"/a?\xc3\xa9",
        b"/@a/b",
        b"/a:8",
    ),
    *(b"/a=b,c!d$e*f(g)", b"/a^b", b"/a<b>", b"http://other/a", b"http://other", b"*", b"a", b"/a?x=a+b%20c"),
)
PIECES: Final = (
    *(
        b"a",
        b"/",
        b"//",
        b".",
        b"..",
        b"%2e",
        b"%2F",
        b"%2f",
        b"%5C",
        b"\\",
        b"%25",
        b";",
        b"?",
        b"&",
        b"=",
        b"%3b",
    ),
    *(b"%3F", b"#", b"%", b"%00", b"%20", b"+", b"@", b":", b"~", b"\xc3\xa9", b"%c3%a9", b"%FF", b"x"),
)


@pytest.fixture(scope="module", params=proxies())
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Each proxy that is there."""
    name = str(request.param)
    with told_by(name, tmp_path_factory.mktemp(name)) as told:
        told.name = name
        yield told


def generated() -> list[bytes]:
    """The same each time."""
    chosen = random.Random(12)
    return [b"/" + b"".join(chosen.choices(PIECES, k=chosen.randint(1, 8))) for _ in range(150)]


def test_the_target_that_is_judged_is_the_one_that_mlflow_gets(told: Told) -> None:
    judged = 0
    for target in (*TARGETS, *generated()):
        told.send(get(target))
        if not told.received:
            continue
        assert told.original is not None, target
        try:
            Target.read(told.original.target)
        except BadRequestError:
            continue  # the door refuses it
        judged += 1
        # An empty query is none.
        assert told.received[-1].target.removesuffix(b"?") == told.original.target.removesuffix(b"?"), target
    assert judged > 40


@pytest.mark.parametrize("target", [b"/a/b?x=1&y=%2F", b"/a/%C3%A9/%25?x=a+b", b"/a:8/@b;c=d,(e)!$'*"])
def test_plain_targets_are_judged_as_they_are(told: Told, target: bytes) -> None:
    assert status_of(told.send(get(target))) == 200
    assert told.original is not None
    assert Target.read(told.original.target).raw_path == target.partition(b"?")[0]
    assert told.received[-1].target == target


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE"])
def test_the_method_is_the_clients_own(told: Told, method: bytes) -> None:
    spoofed = (
        b"X-Original-Method: OPTIONS",
        b"X-Forwarded-Method: OPTIONS",
        b"X-HTTP-Method-Override: TRACE",
    )
    told.send(get(b"/a", *spoofed, method=method))
    assert told.original is not None
    assert told.original.method == told.received[-1].method == method.decode()


SPOOFED: Final = (
    (b"X-Original-URI: /health", b"X-Forwarded-Uri: /health", b"X-Envoy-Original-Path: /health"),
    (b"X-Rewrite-Url: /health", b"X-Original-Url: /health", b"X-Forwarded-Prefix: /health"),
)


@pytest.mark.parametrize("headers", SPOOFED)
def test_a_clients_word_about_the_path_counts_for_nothing(told: Told, headers: tuple[bytes, ...]) -> None:
    told.send(get(b"/a", *headers))
    assert told.original is not None
    assert told.original.target == told.received[-1].target == b"/a"


def test_the_clients_address_is_the_proxys_word(told: Told) -> None:
    told.send(get(b"/a", b"X-Forwarded-For: 203.0.113.7", b"X-Real-Ip: 203.0.113.7"))
    assert told.original is not None
    assert told.original.peer not in ("", "203.0.113.7")


WORKSPACES: Final = (
    (b"X-MLFLOW-WORKSPACE: team-b",),
    (b"X-MLFLOW-WORKSPACE: team-b", b"X-MLFLOW-WORKSPACE: team-a"),
    (b"x-mlflow-workspace:", b"X-Mlflow-Workspace:team-b"),
    (b"X_MLFLOW_WORKSPACE: team-b", b"X-MLFLOW_WORKSPACE: team-b"),
    (b"X-MLFLOW-WORKSPACE: team-b\r\n team-c",),
    (b"Connection: close, X-MLFLOW-WORKSPACE, X-Remote-User, Authorization", b"X-MLFLOW-WORKSPACE: team-b"),
    (),
)


@pytest.mark.parametrize("headers", WORKSPACES)
def test_mlflow_gets_the_workspace_and_the_caller_of_the_answer_only(
    told: Told, headers: tuple[bytes, ...]
) -> None:
    told.send(get(b"/a", *headers, b"X-Remote-User: root", b"X-Remote-Groups: system:masters"))
    for received in told.received:
        assert received.values(b"x-mlflow-workspace") == [WORKSPACE.encode()]
        assert received.values(b"x-remote-user") == [b"alice"]
        assert received.values(b"x-remote-groups") == [b"readers|writers"]
        assert not [name for name, _ in received.headers if b"_" in name]


def test_no_credential_and_no_claim_reaches_mlflow(told: Told) -> None:
    told.send(get(b"/a", *(name.title() + b": evil" for name in sorted(STRIPPED))))
    assert [name for name, value in told.received[-1].headers if b"evil" in value] == []
    told.send(get(b"/a", b"X-Remote-Extra-Scopes: evil", b"Impersonate-Extra-Scopes: evil"))
    assert [name for each in told.received for name, value in each.headers if b"evil" in value] == []


CHUNKED: Final = get(b"/a", b"Transfer-Encoding: chunked", method=b"POST", body=b"3\r\nabc\r\n0\r\n\r\n")
LARGE: Final = 5 * 2**20
BODIES: Final = {
    "post": (get(b"/a", b"Content-Length: 3", method=b"POST", body=b"abc"), b"abc"),
    "get": (get(b"/a", b"Content-Length: 3", body=b"abc"), b"abc"),
    "chunked": (CHUNKED, b"abc"),
    "binary": (get(b"/a", b"Content-Length: 3", method=b"POST", body=b"\xff\x00\xfe"), b"\xff\x00\xfe"),
    "empty": (get(b"/a", b"Content-Length: 0", method=b"POST"), b""),
    "none": (get(b"/a", method=b"POST"), b""),
    "large": (
        get(b"/a", b"Content-Length: %d" % LARGE, method=b"PUT", body=b"a" * LARGE),
        b"a" * LARGE,
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_is_delivered_whole_or_is_known_to_be_missing(told: Told, case: str) -> None:
    request, body = BODIES[case]
    told.send(request)
    if told.name == TRAEFIK and case == "large":
        assert told.received == []  # larger than maxBodySize
        return
    assert told.original is not None
    assert told.received[-1].body == body
    assert told.original.has_body is bool(body)
    delivered = not body or (told.name != NGINX and not (told.name == ENVOY and case == "large"))
    assert told.body == (body if delivered else None)


def test_artifacts_of_any_size_pass(told: Told) -> None:
    """Given an upload, then no proxy needs to hold all of it."""
    body = b"a" * LARGE
    target = b"/api/2.0/mlflow-artifacts/artifacts/1/model.bin"
    told.send(get(target, b"Content-Length: %d" % LARGE, method=b"PUT", body=body))
    assert told.original is not None
    assert (told.received[-1].body, told.body, told.original.target) == (body, None, target)


@pytest.mark.parametrize("how", ["hangs up", "500", "502", "503", "404", "302", "100", "no status"])
def test_without_an_answer_nothing_passes(told: Told, how: str) -> None:
    """Given a door that is away, or another server in its place, then the proxy lets nothing through."""
    told.failing = how
    try:
        status = status_of(told.send(get(b"/a")))
    finally:
        told.failing = ""
    assert told.received == []
    assert not 200 <= status < 300
