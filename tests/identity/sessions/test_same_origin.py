"""Who may use the cookie of a session: this server's own pages, and links to what only reads."""

from __future__ import annotations

import pytest

from workspace_authz.errors import ForbiddenError
from workspace_authz.identity.sessions.same_origin import demand_same_origin

OWN = "https://mlflow.example.com"

Headers = dict[str, str]


def allowed(method: str, *headers: Headers) -> bool:
    sent = [(name.encode(), value.encode("latin-1")) for each in headers for name, value in each.items()]
    try:
        demand_same_origin(method, sent, origins={OWN})
    except ForbiddenError:
        return False
    return True


def site(value: str, mode: str = "cors") -> Headers:
    return {"sec-fetch-site": value, "sec-fetch-mode": mode}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "get", "TRACE", ""])
def test_what_may_change_something_needs_proof(method: str) -> None:
    assert allowed(method, site("same-origin"))
    assert allowed(method, {"origin": OWN})
    for sent in (
        {},
        site("cross-site"),
        site("same-site"),
        site("none"),
        site("cross-site", "navigate"),  # a form
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": f"{OWN}.evil.example"},
        {"origin": ""},
        {"origin": "\xff"},
        {**site("cross-site"), "origin": OWN},
    ):
        assert not allowed(method, sent), sent


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_only_reads_may_come_from_a_link(method: str) -> None:
    for sent in ({}, site("same-origin"), site("none"), site("cross-site", "navigate")):
        assert allowed(method, sent), sent
    for sent in (site("cross-site"), site("same-site"), site("cross-site", "no-cors")):
        assert not allowed(method, sent), sent


@pytest.mark.parametrize("repeated", [site("same-origin"), {"origin": OWN}])
def test_repeated_headers_prove_nothing(repeated: Headers) -> None:
    assert not allowed("POST", repeated, repeated)
