"""The app factory that ``mlflow server --app-name workspace-authz`` names.

MLflow's parent process imports this module before it starts workers, only to see that :func:`create_app` is
a function (MLflow 3.17.2, ``mlflow.server._is_factory``). The workers wait for that import. So the parent
checks the configuration and imports nothing that only a worker needs.
"""

from __future__ import annotations

from typing import Final

from workspace_authz.mlflow_adapter.compat import refuse_unknown_mlflow
from workspace_authz.mlflow_adapter.options import from_parent

IMPORTERS: Final = ("workspace_authz.doors.assembly", "workspace_authz.provider.store")
"""The modules that together import everything that a guarded server uses of MLflow."""

# Before the other imports, so that an unknown MLflow ends in one sentence and not in a traceback.
refuse_unknown_mlflow(IMPORTERS)

if from_parent() is None:
    from workspace_authz.doors.assembly import create_app
else:
    from workspace_authz.doors.parent import create_app

__all__ = ["create_app"]
