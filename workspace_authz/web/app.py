"""``mlflow server --app-name workspace-authz``: what MLflow's entry point names.

MLflow's parent process imports this module before it starts workers, only to see that :func:`create_app` is
a function (3.17.2, ``mlflow.server._is_factory``), and its workers wait for that. So there the app is not
imported: what must be right is checked, and nothing else is done.
"""

from __future__ import annotations

from workspace_authz.web.options import from_parent

if from_parent() is None:
    from workspace_authz.web.assembly import create_app
else:
    from workspace_authz.web.parent import create_app

__all__ = ["create_app"]
