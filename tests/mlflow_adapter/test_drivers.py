"""The extra ``server-all``, which these tests run with, brings what messages say that it brings."""

from __future__ import annotations

import pytest

from workspace_authz.mlflow_adapter.drivers import DRIVERS, missing_driver

NOT_BROUGHT = {"sftp"}
"""Its module is maintained by nobody."""


@pytest.mark.parametrize("scheme", sorted(DRIVERS.keys() - NOT_BROUGHT))
def test_a_bucket_that_mlflow_knows_has_its_driver(scheme: str) -> None:
    assert missing_driver(f"{scheme}://bucket/path") is None
