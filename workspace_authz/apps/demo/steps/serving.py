"""One person's process: ``python -m workspace_authz.apps.demo.steps.tracking [--account-files DIR]``.

Each line of standard input is ``{"action": …, "workspace": … or null}``; each answer is one line
``{"got": …, "detail": …}``. The first line out says that MLflow is loaded. Who the person is, is in
the environment, as MLflow's documentation has it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking.request_auth import kubernetes_request_auth_provider as provider

Actions = Mapping[str, Callable[[], str]]


def perform(actions: Actions, request: Mapping[str, Any], *, home: str | None) -> dict[str, str]:
    """Do one thing, in ``home`` unless the request names another workspace, and tell what came of it."""
    mlflow.set_workspace(request["workspace"] or home)
    try:
        return {"got": actions[request["action"]](), "detail": ""}
    except MlflowException as error:
        return {"got": f"{error.get_http_status_code()} {error.error_code}", "detail": str(error)}
    except (OSError, LookupError, ValueError) as error:
        return {"got": type(error).__name__, "detail": str(error)}


def use_account_files(directory: Path) -> None:
    """Point MLflow at service-account files that could not be mounted where a pod has them."""
    provider._SERVICE_ACCOUNT_TOKEN_PATH = directory / "token"
    provider._SERVICE_ACCOUNT_NAMESPACE_PATH = directory / "namespace"


def serve(actions: Actions) -> None:
    """Answer requests until standard input ends."""
    parser = argparse.ArgumentParser(description="one person's process in the demo")
    parser.add_argument("--account-files", type=Path)
    directory = parser.parse_args().account_files
    if directory is not None:
        use_account_files(directory)
    home = os.environ.get("MLFLOW_WORKSPACE")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # MLflow prints; that belongs in the log
    answers.write(json.dumps({"account_files": "constants" if directory else "mount"}) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(perform(actions, json.loads(line), home=home)) + "\n")
