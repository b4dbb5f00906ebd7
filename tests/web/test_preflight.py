"""What the guarded server does to MLflow's environment before MLflow reads it."""

from __future__ import annotations

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings import WEBHOOK_CACHE
from workspace_authz.web.preflight import forget_webhooks


@pytest.mark.parametrize("given", [{}, {WEBHOOK_CACHE: "0"}, {WEBHOOK_CACHE: " 0 "}])
def test_the_webhook_cache_is_off(given: dict[str, str]) -> None:
    forget_webhooks(given)
    assert given[WEBHOOK_CACHE].strip() == "0"


@pytest.mark.parametrize("value", ["60", "1", "-1", "0.5", "", "off"])
def test_another_value_stops_the_start(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must be 0.*Unset it"):
        forget_webhooks({WEBHOOK_CACHE: value})
