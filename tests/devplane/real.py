"""For tests that need the real binaries: skipped without them on a laptop, failed without them in CI."""

from __future__ import annotations

from tests.harness.missing import missing
from workspace_authz.devplane import assets
from workspace_authz.errors import ConfigurationError


def require_binaries() -> None:
    """Skip the test when a binary of the real control plane is missing; fail it when ``CI=true``."""
    try:
        for name in (assets.ETCD, assets.APISERVER, assets.CONTROLLER_MANAGER, assets.KUBECTL):
            assets.find_binary(name)
    except ConfigurationError as error:
        missing(str(error))
