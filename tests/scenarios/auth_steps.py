"""What an administrator does with MLflow's own client of the contract, in the process of an SDK."""

from __future__ import annotations

import importlib
from typing import Any

import mlflow


def call_auth(method: str, *arguments: Any) -> Any:
    """Call a method of the client. Entities come back as JSON."""
    # Importing the module loads MLflow's auth app, so nobody else does it.
    client = importlib.import_module("mlflow.server.auth.client").AuthServiceClient(mlflow.get_tracking_uri())
    result = getattr(client, method)(*arguments)
    if isinstance(result, list):
        return [each.to_json() for each in result]
    return result if result is None else result.to_json()
