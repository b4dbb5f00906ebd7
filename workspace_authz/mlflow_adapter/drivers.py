"""The clients of stores, which MLflow imports only at their first use. Imports nothing of MLflow."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from workspace_authz.mlflow_adapter.reading.places import scheme_of

_CLIENT_ERRORS: Final = (
    ("boto3.exceptions", "Boto3Error"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("google.api_core.exceptions", "GoogleAPIError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
    ("paramiko.ssh_exception", "SSHException"),
)
INSTALL: Final = "pip install 'workspace-authz[server-all]'"
"""The command that installs every driver."""
DRIVERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "s3": ("boto3",),
        "r2": ("boto3",),
        "b2": ("boto3",),
        "gs": ("google.cloud.storage",),
        "wasb": ("azure.storage.blob",),
        "wasbs": ("azure.storage.blob",),
        "abfss": ("azure.storage.filedatalake",),
        "hdfs": ("pyarrow",),
        "viewfs": ("pyarrow",),
        "sftp": ("pysftp",),
    }
)
"""By the scheme of a store's URIs."""


def missing_driver(uri: str) -> str | None:
    """The Python module that a store needs and that is not installed; None where all are there."""
    return next((name for name in DRIVERS.get(scheme_of(uri), ()) if not _is_installed(name)), None)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def client_errors() -> Iterator[type[Exception]]:
    """The base classes of the errors of stores' clients, as far as these are imported."""
    for module, name in _CLIENT_ERRORS:
        found = getattr(sys.modules.get(module), name, None)
        if found is not None:
            yield found
