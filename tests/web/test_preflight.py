"""What the guarded server does to MLflow's environment before MLflow reads it."""

from __future__ import annotations

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings import PAGE_TOKEN_KEY, WEBHOOK_CACHE, load_settings
from workspace_authz.web.preflight import forget_webhooks, share_page_token_key


@pytest.mark.parametrize("given", [{}, {WEBHOOK_CACHE: "0"}, {WEBHOOK_CACHE: " 0 "}])
def test_the_webhook_cache_is_off(given: dict[str, str]) -> None:
    forget_webhooks(given)
    assert given[WEBHOOK_CACHE].strip() == "0"


@pytest.mark.parametrize("value", ["60", "1", "-1", "0.5", "", "off"])
def test_another_value_stops_the_start(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must be 0.*Unset it"):
        forget_webhooks({WEBHOOK_CACHE: value})


def test_workers_share_a_key_of_page_tokens_that_is_made_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
