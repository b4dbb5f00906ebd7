"""A dev plane's administrator, from its kubeconfig."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import yaml

from workspace_authz.devplane.api import Api, connect


def administrator(kubeconfig: Path) -> AbstractAsyncContextManager[Api]:
    """A client of the API. The kubeconfig lies in the dev plane's state directory, as its keys do."""
    config = yaml.safe_load(kubeconfig.read_text())
    return connect(
        config["clusters"][0]["cluster"]["server"],
        ca_file=kubeconfig.parent / "pki" / "ca.crt",
        token=config["users"][0]["user"]["token"],
    )
