"""Experiments, runs, metrics, artifacts of runs."""

from __future__ import annotations

from collections.abc import Mapping

from tests.scenarios.recipes.model import Call, Recipe, recipe

_RUN_ONLY = "query Q($r: String) { mlflowGetRun(input: {runId: $r}) { run { info { runUuid } } } }"
_EVERYTHING = """
query Q($r: String, $e: String) {
  mlflowGetExperiment(input: {experimentId: $e}) { experiment { name } }
  mlflowGetRun(input: {runId: $r}) { run { experiment { name } modelVersions { name } } }
  mlflowListArtifacts(input: {runId: $r}) { rootUri }
  mlflowGetMetricHistoryBulkInterval(input: {runIds: [$r], metricKey: "m"}) { metrics { key } }
  mlflowSearchRuns(input: {experimentIds: [$e], maxResults: 1}) { runs { experiment { name } } }
  mlflowSearchModelVersions(input: {filter: ""}) { modelVersions { name } }
}
"""

RECIPES: Mapping[str, Recipe] = {
    "CreateExperiment": recipe(lambda s: Call(fields={"name": s.a_name("made")}), absent="artifact_location"),
    "GetExperiment": recipe(lambda s: Call(fields={"experiment_id": s.experiment})),
    "GetExperimentByName": recipe(lambda s: Call(fields={"experiment_name": s.experiment_name})),
    "SearchExperiments": recipe(lambda s: Call(fields={"max_results": 5})),
    "UpdateExperiment": recipe(
        lambda s: Call(fields={"experiment_id": s.new_experiment(), "new_name": s.a_name("renamed")})
    ),
    "DeleteExperiment": recipe(lambda s: Call(fields={"experiment_id": s.new_experiment()})),
    "RestoreExperiment": recipe(lambda s: Call(fields={"experiment_id": s.new_deleted_experiment()})),
    "SetExperimentTag": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "key": "k", "value": "v"})
    ),
    "DeleteExperimentTag": recipe(
        lambda s: Call(fields={"experiment_id": s.new_tagged_experiment(), "key": "t"})
    ),
    "SearchDatasets": recipe(lambda s: Call(json={"experiment_ids": [s.experiment]})),
    "CreateRun": recipe(lambda s: Call(fields={"experiment_id": s.experiment, "start_time": 1})),
    "CreatePromptlabRun": recipe(
        lambda s: Call(
            json={
                "experiment_id": s.experiment,
                "prompt_template": "Say {{ what }}",
                "prompt_parameters": [{"key": "what", "value": "hello"}],
                "model_route": "route",
                "model_parameters": [{"key": "temperature", "value": "0"}],
                "model_output": "hello",
                "model_output_parameters": [{"key": "tokens", "value": "1"}],
                "model_input": "Say hello",
                "mlflow_version": "3.17.2",
                "user_id": "somebody",
                "start_time": "1",
            }
        )
    ),
    "GetRun": recipe(lambda s: Call(fields={"run_id": s.run})),
    "SearchRuns": recipe(lambda s: Call(fields={"experiment_ids": [s.experiment]})),
    "UpdateRun": recipe(lambda s: Call(fields={"run_id": s.run, "run_name": "renamed"})),
    "DeleteRun": recipe(lambda s: Call(fields={"run_id": s.new_run()})),
    "RestoreRun": recipe(lambda s: Call(fields={"run_id": s.new_deleted_run()})),
    "SetTag": recipe(lambda s: Call(fields={"run_id": s.run, "key": "k", "value": "v"})),
    "DeleteTag": recipe(lambda s: Call(fields={"run_id": s.new_tagged_run(), "key": "t"})),
    "LogParam": recipe(lambda s: Call(fields={"run_id": s.run, "key": s.a_name("p"), "value": "1"})),
    "LogModel": recipe(
        lambda s: Call(
            fields={
                "run_id": s.run,
                "model_json": '{"run_id": "r", "artifact_path": "a", "utc_time_created": "t", "flavors": {}}',
            }
        )
    ),
    "LogMetric": recipe(
        lambda s: Call(
            fields={
                "run_id": s.run,
                "key": "m",
                "value": 1.0,
                "timestamp": 1,
                "step": 1,
                "model_id": s.logged_model,
            }
        )
    ),
    "LogBatch": recipe(
        lambda s: Call(
            fields={
                "run_id": s.run,
                "metrics": [{"key": "m", "value": 1, "timestamp": 1, "step": 2, "model_id": s.logged_model}],
            }
        )
    ),
    "LogInputs": recipe(lambda s: Call(fields={"run_id": s.run, "models": [{"model_id": s.logged_model}]})),
    "LogOutputs": recipe(
        lambda s: Call(fields={"run_id": s.run, "models": [{"model_id": s.new_logged_model(), "step": 1}]})
    ),
    "GetMetricHistory": recipe(lambda s: Call(fields={"run_id": s.run, "metric_key": "m"})),
    "GetMetricHistoryBulkInterval": recipe(
        lambda s: Call(fields={"run_ids": [s.run], "metric_key": "m", "max_results": 10})
    ),
    "GetMetricHistoryBulk": recipe(lambda s: Call(query={"run_id": [s.run], "metric_key": "m"})),
    "ListArtifacts": recipe(lambda s: Call(fields={"run_id": s.run})),
    "CreatePresignedUploadUrl": recipe(
        lambda s: Call(fields={"run_id": s.run, "path": "up.txt"}),
        answers=(400,),
        why="local artifacts cannot be signed",
    ),
    "CreatePresignedDownloadUrl": recipe(
        lambda s: Call(fields={"run_id": s.run, "path": "note.txt"}),
        answers=(400,),
        why="local artifacts cannot be signed",
    ),
    "GetArtifact": recipe(lambda s: Call(query={"run_id": s.run, "path": "note.txt"})),
    "UploadRunArtifact": recipe(
        lambda s: Call(query={"run_uuid": s.run, "path": "uploaded.txt"}, body=b"content")
    ),
    "DownloadArtifact": recipe(
        lambda s: Call(path={"artifact_path": f"{s.experiment}/{s.run}/artifacts/note.txt"}),
        absent="skill_path",
    ),
    "UploadArtifact": recipe(
        lambda s: Call(
            path={"artifact_path": f"{s.experiment}/{s.run}/artifacts/{s.a_name('up')}.txt"}, body=b"content"
        ),
    ),
    "ListArtifactsMlflowArtifacts": recipe(
        lambda s: Call(fields={"path": f"{s.experiment}/{s.run}/artifacts"}), absent="skill_path"
    ),
    "DeleteArtifact": recipe(lambda s: Call(path={"artifact_path": s.new_artifact()})),
    "CreateMultipartUpload": recipe(
        lambda s: Call(
            path={"artifact_path": f"{s.experiment}/{s.run}/artifacts"},
            fields={"path": "big.bin", "num_parts": 2},
        ),
        answers=(501,),
        why="local artifacts take no multipart uploads",
    ),
    "CompleteMultipartUpload": recipe(
        lambda s: Call(
            path={"artifact_path": f"{s.experiment}/{s.run}/artifacts"},
            fields={
                "path": "big.bin",
                "upload_id": "1",
                "parts": [{"part_number": 1, "etag": "e", "url": "u"}],
            },
        ),
        answers=(501,),
        why="local artifacts take no multipart uploads",
    ),
    "AbortMultipartUpload": recipe(
        lambda s: Call(
            path={"artifact_path": f"{s.experiment}/{s.run}/artifacts"},
            fields={"path": "big.bin", "upload_id": "1"},
        ),
        answers=(501,),
        why="local artifacts take no multipart uploads",
    ),
    "GetPresignedDownloadUrl": recipe(
        lambda s: Call(path={"artifact_path": f"{s.experiment}/{s.run}/artifacts/note.txt"}),
        answers=(501,),
        why="local artifacts cannot be signed",
        absent="skill_path",
    ),
    "DeleteDemo": recipe(lambda _: Call(json={})),
    "GraphQL": recipe(
        lambda s: Call(json={"query": _EVERYTHING, "variables": {"r": s.run, "e": s.experiment}}),
        absent="Mutation.mlflowSearchRuns Mutation.mlflowSearchDatasets",
    ),
}

MINIMAL: Mapping[str, Recipe] = {
    "GraphQL": recipe(
        lambda s: Call(json={"query": _RUN_ONLY, "variables": {"r": s.run}}),
        absent="""
            Query.mlflowListArtifacts Query.mlflowGetMetricHistoryBulkInterval Query.mlflowGetExperiment
            Query.mlflowSearchRuns Query.mlflowSearchModelVersions Mutation.mlflowSearchRuns
            Mutation.mlflowSearchDatasets MlflowRunExtension.experiment MlflowRunExtension.modelVersions
        """,
    ),
}
"""The same operations asking for less."""
