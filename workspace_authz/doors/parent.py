"""The module ``app`` in the parent process of ``mlflow server``: checks that run on import, and no app."""

from __future__ import annotations

from workspace_authz.aio.asgi import App
from workspace_authz.doors.preflight import check_parent


def create_app() -> App:
    """Never called: MLflow's parent only looks whether it exists. Raises ``RuntimeError``."""
    raise RuntimeError("the parent of the workers serves nothing")


# The parent runs no other code of an app than this import. preflight says why the parent must check.
check_parent()
