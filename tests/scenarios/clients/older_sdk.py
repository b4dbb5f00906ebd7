"""What a training script does with an SDK from before workspaces: NAME of an experiment and of a model.

The environment says where MLflow is and who calls. Prints what came back, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

name = sys.argv[1]
client = MlflowClient()
mlflow.set_experiment(name)
with mlflow.start_run() as run:
    mlflow.log_param("depth", 3)
    mlflow.log_metric("accuracy", 0.5)
    mlflow.log_text("content", "model/a note.txt")
run_id = run.info.run_id
version = mlflow.register_model(f"runs:/{run_id}/model", name)
downloaded = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}/{version.version}"))
found = client.get_run(run_id)
print(
    json.dumps(
        {
            "sdk": mlflow.__version__,
            "run": run_id,
            "metrics": found.data.metrics,
            "listed": [each.path for each in client.list_artifacts(run_id, "model")],
            "text": mlflow.artifacts.load_text(f"{found.info.artifact_uri}/model/a note.txt"),
            "model": (downloaded / "a note.txt").read_text(),
        }
    )
)
