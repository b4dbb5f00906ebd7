"""``python -m workspace_authz.doors.uncovered``: the routes of MLflow here that have no rule, as JSON."""

from __future__ import annotations

import json
import os
import sys

from mlflow.server.fastapi_app import create_fastapi_app

from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.mlflow_adapter.inventory import uncovered
from workspace_authz.mlflow_adapter.options import from_environment


def main() -> None:
    """Print a JSON list of ``METHOD path`` on standard output."""
    catalog = compile_catalog(static_prefix=from_environment(os.environ).static_prefix)
    json.dump([str(route) for route in uncovered(create_fastapi_app(), catalog)], sys.stdout)


if __name__ == "__main__":
    main()
