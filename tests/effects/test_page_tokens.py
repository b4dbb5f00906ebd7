"""Page tokens of ours: opaque, unchangeable, and for one caller, workspace and query."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from workspace_authz.effects.ciphers import AesCipher, SharedKeyCipher
from workspace_authz.effects.page_tokens import (
    ListQuery,
    Position,
    is_ours,
    position_of,
    refuse_ours,
    token_of,
)
from workspace_authz.errors import BadRequestError, UnavailableError

KEY = "a key of sixteen letters or more"
QUERY = {"filter": "name LIKE 'a%'", "max_results": 5}
MLFLOWS = base64.b64encode(json.dumps({"offset": 5}).encode()).decode()


def bound(**changed: Any) -> bytes:
    who = {"username": "nora", "uid": "1", "workspace": "team-a", "operation": "Search", "fields": QUERY}
    return ListQuery(**{**who, **changed}).digest()


def test_a_token_leads_back_to_its_position() -> None:
    cipher, position = AesCipher(KEY), Position(MLFLOWS, 3)
    token = token_of(position, cipher, bound_to=bound())
    fields = {**QUERY, "page_token": token}
    assert position_of(fields, cipher, bound_to=bound(fields=fields)) == position
    assert position_of(fields, AesCipher(KEY), bound_to=bound()) == position  # another worker


def test_a_token_tells_nothing_and_differs_each_time() -> None:
    cipher = AesCipher(KEY)
    one, other = (token_of(Position(MLFLOWS, 3), cipher, bound_to=bound()) for _ in range(2))
    assert one != other
    assert MLFLOWS not in one
    assert b"offset" not in base64.urlsafe_b64decode(one.removeprefix("wsa."))


@pytest.mark.parametrize(
    "changed",
    [
        {"username": "mallory"},
        {"uid": "2"},
        {"workspace": "team-b"},
        {"operation": "Other"},
        {"fields": {**QUERY, "max_results": 6}},
        {"fields": {**QUERY, "filter": "name LIKE 'b%'"}},
        {"fields": {"max_results": 5}},
    ],
    ids=str,
)
def test_it_holds_for_nothing_else(changed: dict[str, Any]) -> None:
    cipher = AesCipher(KEY)
    token = token_of(Position(MLFLOWS, 3), cipher, bound_to=bound())
    with pytest.raises(BadRequestError, match="page token"):
        position_of({"page_token": token}, cipher, bound_to=bound(**changed))


@pytest.mark.parametrize("token", [MLFLOWS, "wsa.", "wsa.AAAA", "wsa.%%%", "wsa.日", "x"])
def test_what_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(BadRequestError, match="page token"):
        position_of({"page_token": token}, AesCipher(KEY), bound_to=bound())


def test_a_changed_token_and_one_of_another_key_are_refused() -> None:
    cipher = AesCipher(None)
    token = token_of(Position(MLFLOWS, 3), cipher, bound_to=bound())
    middle = len(token) // 2
    changed = f"{token[:middle]}{'A' if token[middle] != 'A' else 'B'}{token[middle + 1 :]}"
    for sealed, reader in ((changed, cipher), (token, AesCipher(None))):
        with pytest.raises(BadRequestError, match="page token"):
            position_of({"page_token": sealed}, reader, bound_to=bound())


@pytest.mark.parametrize("fields", [{}, {"page_token": ""}, {"page_token": None}])
def test_without_a_token_it_is_the_first_page(fields: dict[str, Any]) -> None:
    assert position_of(fields, AesCipher(KEY), bound_to=bound()) == Position()
    refuse_ours(fields)


def test_two_tokens_are_none() -> None:
    with pytest.raises(BadRequestError):
        position_of({"page_token": [MLFLOWS, MLFLOWS]}, AesCipher(KEY), bound_to=bound())


def test_one_of_ours_is_known_where_mlflows_belongs() -> None:
    token = token_of(Position(), AesCipher(KEY), bound_to=bound())
    assert is_ours(token)
    assert not is_ours(MLFLOWS)
    with pytest.raises(BadRequestError, match="page token"):
        refuse_ours({"page_token": token})


def test_without_the_shared_key_there_are_no_pages_and_with_it_every_worker_opens_them() -> None:
    ours, theirs = SharedKeyCipher(), SharedKeyCipher()
    with pytest.raises(UnavailableError, match="key for pages"):
        token_of(Position(MLFLOWS, 3), ours, bound_to=bound())
    with pytest.raises(UnavailableError, match="key for pages"):
        theirs.decrypt("anything", bound_to=bound())
    for cipher in (ours, theirs):
        cipher.use(KEY)
    token = token_of(Position(MLFLOWS, 3), ours, bound_to=bound())
    assert position_of({**QUERY, "page_token": token}, theirs, bound_to=bound()) == Position(MLFLOWS, 3)
