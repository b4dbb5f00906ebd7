"""The module ``app`` in the ``mlflow server`` parent: the checks, run when it is imported, and no app."""

from __future__ import annotations

from workspace_authz.aio.asgi import App
from workspace_authz.doors.preflight import check_parent


def create_app() -> App:
    """Not called: MLflow only looks whether it is there."""
    raise RuntimeError("the parent of the workers serves nothing")


# The parent runs no other code of an app's than its import; see preflight for why it must stop there.
check_parent()
