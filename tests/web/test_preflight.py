"""What the guarded server does to MLflow's environment before MLflow reads it."""

from __future__ import annotations

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings import FORGETFUL_CACHES, PAGE_TOKEN_KEY, load_settings
from workspace_authz.web.preflight import share_page_token_key, switch_off_caches


@pytest.mark.parametrize("value", [None, "0", " 0 "])
def test_caches_that_forget_the_workspace_are_off(value: str | None) -> None:
    given = {} if value is None else dict.fromkeys(FORGETFUL_CACHES, value)
    switch_off_caches(given)
    assert {variable: given[variable].strip() for variable in FORGETFUL_CACHES} == dict.fromkeys(
        FORGETFUL_CACHES, "0"
    )


@pytest.mark.parametrize("variable", FORGETFUL_CACHES)
@pytest.mark.parametrize("value", ["60", "1", "-1", "0.5", "", "off"])
def test_another_value_stops_the_start(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{variable} must be 0.*Unset it"):
        switch_off_caches({variable: value})


def test_workers_share_a_key_that_is_made_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    one: dict[str, str] = {}
    other: dict[str, str] = {PAGE_TOKEN_KEY: ""}
    share_page_token_key(one)
    share_page_token_key(other)
    assert one[PAGE_TOKEN_KEY] != other[PAGE_TOKEN_KEY]
    monkeypatch.setenv(PAGE_TOKEN_KEY, one[PAGE_TOKEN_KEY])
    settings = load_settings()
    assert settings.page_token_key is not None
    assert settings.page_token_key.get_secret_value() == one[PAGE_TOKEN_KEY]
    assert one[PAGE_TOKEN_KEY] not in repr(settings)


def test_a_key_that_was_given_is_kept() -> None:
    given = {PAGE_TOKEN_KEY: "the same in every replica"}
    share_page_token_key(given)
    assert given == {PAGE_TOKEN_KEY: "the same in every replica"}
