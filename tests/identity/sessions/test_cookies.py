"""Cookies of sessions, and what MLflow sees of them."""

from __future__ import annotations

import pytest

from workspace_authz.effects.headers import HeaderSanitizer
from workspace_authz.identity.sessions.cookies import Cookies, is_marked, without_ours

HTTPS, PREFIXED, HTTP = Cookies(secure=True), Cookies(secure=True, path="/mlflow"), Cookies(secure=False)


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        (HTTPS, b"__Host-workspace-authz-session=abc; Path=/; HttpOnly; SameSite=Lax; Secure"),
        (PREFIXED, b"__Secure-workspace-authz-session=abc; Path=/mlflow; HttpOnly; SameSite=Lax; Secure"),
        (HTTP, b"workspace-authz-session=abc; Path=/; HttpOnly; SameSite=Lax"),
    ],
)
def test_a_cookie_is_as_strict_as_the_address_allows(cookies: Cookies, expected: bytes) -> None:
    assert cookies.set("session", b"abc") == (b"set-cookie", expected)


def test_a_cookie_may_last_for_a_while() -> None:
    assert HTTP.set("sign-in", b"abc", seconds=600)[1].endswith(b"; Max-Age=600")
    assert HTTP.delete("session")[1] == b"workspace-authz-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"workspace-authz-session=abc", [b"abc"]),
        (b"a=1; workspace-authz-session=abc;b=2", [b"abc"]),
        (b"workspace-authz-session=abc; workspace-authz-session=abc", [b"abc"]),
        (b"workspace-authz-session=abc; workspace-authz-session=def", [b"abc", b"def"]),
        (b"workspace-authz-session=a=b", [b"a=b"]),
        (b"workspace-authz-session=", []),
        (b"workspace-authz-session", []),
        (b"Workspace-Authz-Session=abc", []),
        (b"__Host-workspace-authz-session=abc", []),  # not of a server that is reached over plain HTTP
        (b"xworkspace-authz-session=abc", []),
        (b"workspace-authz-session=" + b"x" * 5000, []),
        (b"\xff\xfe=1; ;;=; workspace-authz-session=abc", [b"abc"]),
    ],
)
def test_the_values_that_a_request_presents(header: bytes, found: list[bytes]) -> None:
    assert HTTP.find([(b"cookie", header)], "session") == found


@pytest.mark.parametrize(
    ("cookies", "attributes"),
    [
        (HTTPS, b"Path=/; SameSite=Lax; Secure"),
        (PREFIXED, b"Path=/mlflow; SameSite=Lax; Secure"),
        (HTTP, b"Path=/; SameSite=Lax"),
    ],
)
def test_a_mark_is_where_the_session_is_and_scripts_may_delete_it(
    cookies: Cookies, attributes: bytes
) -> None:
    assert cookies.mark() == (b"set-cookie", b"mlflow_user=signed-in; " + attributes)
    assert cookies.unmark() == (b"set-cookie", b"mlflow_user=signed-in; " + attributes + b"; Max-Age=0")


@pytest.mark.parametrize(
    ("header", "marked"),
    [
        (b"mlflow_user=signed-in", True),
        (b"a=1; mlflow_user=x", True),
        (b"mlflow_user=", False),
        (b"xmlflow_user=1; mlflow_user2=1", False),
    ],
)
def test_a_browser_with_the_mark_is_known(header: bytes, marked: bool) -> None:
    assert is_marked([(b"cookie", header)]) is marked


def test_several_headers_are_read() -> None:
    headers = [(b"cookie", b"workspace-authz-session=abc"), (b"cookie", b"workspace-authz-session=def")]
    assert HTTP.find(headers, "session") == [b"abc", b"def"]


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"a=1; b=2", b"a=1; b=2"),
        (b"a=1; __Host-workspace-authz-session=abc; b=2", b"a=1; b=2"),
        (b"workspace-authz-session=abc", b""),
        (
            b"workspace-authz-sign-in=abc;workspace-authz-session=def;a=workspace-authz-x",
            b"a=workspace-authz-x",
        ),
    ],
)
def test_mlflow_sees_only_the_others(value: bytes, left: bytes) -> None:
    assert without_ours(value) == left
    expected = [(b"cookie", left)] if left else []
    assert HeaderSanitizer().applied([(b"cookie", value)]) == expected
