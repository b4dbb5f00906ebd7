"""What a training script does with ``MLFLOW_TRACKING_AUTH=workspace-authz``: NAME of an experiment.

The environment says where MLflow is. Prints what came back, and what of this project was loaded, as JSON.
"""

from __future__ import annotations

import json
import os
import sys

import mlflow
from mlflow.tracking import MlflowClient

mlflow.set_experiment(sys.argv[1])
with mlflow.start_run() as run:
    mlflow.log_metric("accuracy", 0.5)
    mlflow.log_text("content", "note.txt")
print(
    json.dumps(
        {
            "sdk": mlflow.__version__,
            "run": run.info.run_id,
            "listed": [each.path for each in MlflowClient().list_artifacts(run.info.run_id)],
            "workspace": os.environ.get("MLFLOW_WORKSPACE"),
            "modules": sorted(name for name in sys.modules if name.startswith("workspace_authz.")),
        }
    )
)
