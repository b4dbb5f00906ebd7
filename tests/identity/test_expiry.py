"""When a token says that it ends, and what no token can make of it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.identity.jwts import jwt
from workspace_authz.identity.credentials import expiry


@pytest.mark.parametrize("end", [0, 1_700_000_000, 1_700_000_000.5, -1, 1e300])
def test_the_claim_is_read(end: float) -> None:
    assert expiry(jwt({"iss": "somebody", "exp": end})) == end


@pytest.mark.parametrize(
    "claims",
    [
        {},
        [],
        {"exp": None},
        {"exp": "1700000000"},
        {"exp": True},
        {"exp": {"in": 3}},
        {"exp": 10**400},
        b'{"exp": Infinity}',
        b'{"exp": NaN}',
        b"{",
        b"\xff\xfe",
        b"[" * 20_000,
    ],
)
def test_what_is_no_time_is_none(claims: object) -> None:
    assert expiry(jwt(claims)) is None


@pytest.mark.parametrize("token", ["sha256~opaque", "a.b", "a.b.c.d", "..", "a.!.c", "a.A.c"])
def test_what_is_no_jwt_has_none(token: str) -> None:
    assert expiry(token) is None


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60), st.binary(max_size=60))
def test_no_token_is_too_strange(text: str, payload: bytes) -> None:
    expiry(text)
    expiry(f"{text}.{base64.urlsafe_b64encode(payload).decode()}.{text}")
    expiry(f"a.{base64.urlsafe_b64encode(json.dumps({'exp': text}).encode()).decode()}.c")
