"""``mlflow server --app-name workspace-authz``: what MLflow's entry point names.

MLflow's parent process imports this module before it starts workers, only to see that :func:`create_app` is
a function (3.17.2, ``mlflow.server._is_factory``), and its workers wait for that. So there the app is not
imported: what must be right is checked, and nothing else is done.
"""

from __future__ import annotations

from workspace_authz.mlflow_adapter.compat import refuse_unknown_mlflow
from workspace_authz.mlflow_adapter.options import from_parent

# First: MLflow gets one sentence instead of a traceback.
refuse_unknown_mlflow()

if from_parent() is None:
    from workspace_authz.doors.assembly import create_app
else:
    from workspace_authz.doors.parent import create_app

__all__ = ["create_app"]
