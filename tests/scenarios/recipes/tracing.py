"""Traces, assessments, issues, label schemas, review queues, scorers, jobs."""

from __future__ import annotations

from collections.abc import Mapping

from tests.scenarios.recipes.model import Call, Recipe, recipe
from tests.scenarios.studio import SCORER, Studio


def _otlp(studio: Studio) -> Call:
    _, export = studio.new_export()
    return Call(
        headers={
            "Content-Type": "application/x-protobuf",
            "x-mlflow-experiment-id": studio.experiment,
            "x-mlflow-run-id": studio.run,
        },
        body=export,
    )


def _location(studio: Studio) -> Mapping[str, object]:
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": studio.experiment}}


def _new_trace_info(studio: Studio) -> Mapping[str, object]:
    return {
        "trace_id": studio.a_name("tr"),
        "trace_location": _location(studio),
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
    }


def _mentioning(studio: Studio) -> Mapping[str, object]:
    """An assessment that says that a trace shows an issue."""
    source = {"source_type": "CODE", "source_id": "a test"}
    return {"assessment_name": studio.issue, "source": source, "issue": {"issue_name": "i"}}


def _with_assessment(studio: Studio) -> tuple[str, str]:
    trace = studio.new_trace()
    return trace, studio.new_assessment(trace)


def _assessment_path(studio: Studio) -> Mapping[str, str]:
    return dict(zip(("trace_id", "assessment_id"), _with_assessment(studio), strict=True))


def _update_issue(studio: Studio) -> Call:
    issue = {"issue_id": studio.new_issue()}
    return Call(path=issue, fields={**issue, "description": "new"})


RECIPES: Mapping[str, Recipe] = {
    "ExportTraces": recipe(_otlp),
    "StartTraceV3": recipe(
        lambda s: Call(
            fields={"trace": {"trace_info": {**_new_trace_info(s), "assessments": [_mentioning(s)]}}}
        )
    ),
    "StartTrace": recipe(lambda s: Call(fields={"experiment_id": s.experiment, "timestamp_ms": 1})),
    "EndTrace": recipe(
        lambda s: Call(path={"request_id": s.new_started_trace()}, fields={"timestamp_ms": 2, "status": "OK"})
    ),
    "GetTraceInfo": recipe(lambda s: Call(path={"request_id": s.trace})),
    "GetTraceInfoV3": recipe(lambda s: Call(path={"trace_id": s.trace})),
    "GetTrace": recipe(lambda s: Call(fields={"trace_id": s.exported_trace})),
    "BatchGetTraces": recipe(lambda s: Call(fields={"trace_ids": [s.exported_trace]})),
    "BatchGetTraceInfos": recipe(lambda s: Call(fields={"trace_ids": [s.trace]})),
    "SearchTraces": recipe(lambda s: Call(fields={"experiment_ids": [s.experiment]})),
    "SearchTracesV3": recipe(lambda s: Call(fields={"locations": [_location(s)]})),
    "CalculateTraceFilterCorrelation": recipe(
        lambda s: Call(
            fields={
                "experiment_ids": [s.experiment],
                "filter_string1": "status = 'OK'",
                "filter_string2": "status = 'ERROR'",
            }
        )
    ),
    "QueryTraceMetrics": recipe(
        lambda s: Call(
            fields={
                "experiment_ids": [s.experiment],
                "view_type": "TRACES",
                "metric_name": "trace_count",
                "aggregations": [{"aggregation_type": "COUNT"}],
            }
        )
    ),
    "DeleteTraces": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "request_ids": [s.new_trace()]})
    ),
    "DeleteTracesV3": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "request_ids": [s.new_trace()]})
    ),
    "LinkTracesToRun": recipe(lambda s: Call(fields={"run_id": s.run, "trace_ids": [s.trace]})),
    "LinkPromptsToTrace": recipe(
        lambda s: Call(fields={"trace_id": s.trace, "prompt_versions": [{"name": s.prompt, "version": "1"}]})
    ),
    "GetTraceArtifact": recipe(lambda s: Call(query={"request_id": s.trace})),
    "SetTraceTag": recipe(lambda s: Call(path={"request_id": s.trace}, fields={"key": "k", "value": "v"})),
    "SetTraceTagV3": recipe(lambda s: Call(path={"trace_id": s.trace}, fields={"key": "k", "value": "v"})),
    "DeleteTraceTag": recipe(lambda s: Call(path={"request_id": s.new_trace()}, fields={"key": "t"})),
    "DeleteTraceTagV3": recipe(lambda s: Call(path={"trace_id": s.new_trace()}, fields={"key": "t"})),
    "CreateAssessment": recipe(
        lambda s: Call(path={"trace_id": s.new_trace()}, fields={"assessment": _mentioning(s)})
    ),
    "GetAssessmentRequest": recipe(lambda s: Call(path=_assessment_path(s))),
    "UpdateAssessment": recipe(
        lambda s: Call(
            path=_assessment_path(s),
            fields={"assessment": {"rationale": "because"}, "update_mask": "rationale"},
        ),
        absent="assessment.assessment_name",
    ),
    "DeleteAssessment": recipe(lambda s: Call(path=_assessment_path(s))),
    "CreateIssue": recipe(
        lambda s: Call(
            fields={
                "experiment_id": s.experiment,
                "name": s.a_name("issue"),
                "description": "d",
                "source_run_id": s.run,
            }
        )
    ),
    "GetIssue": recipe(lambda s: Call(path={"issue_id": s.new_issue()})),
    "UpdateIssue": recipe(_update_issue),
    "SearchIssues": recipe(lambda s: Call(fields={"experiment_id": s.experiment})),
    "CreateLabelSchema": recipe(
        lambda s: Call(
            fields={
                "experiment_id": s.experiment,
                "name": s.a_name("schema"),
                "type": "FEEDBACK",
                "input": {"text": {"max_length": 10}},
            }
        )
    ),
    "GetLabelSchema": recipe(lambda s: Call(fields={"schema_id": s.label_schema})),
    "GetLabelSchemaByName": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "name": s.label_schema_name})
    ),
    "ListLabelSchemas": recipe(lambda s: Call(fields={"experiment_id": s.experiment})),
    "UpdateLabelSchema": recipe(lambda s: Call(fields={"schema_id": s.label_schema, "instruction": "how"})),
    "DeleteLabelSchema": recipe(lambda s: Call(fields={"schema_id": s.new_label_schema()})),
    "CreateReviewQueue": recipe(
        lambda s: Call(
            fields={"experiment_id": s.experiment, "name": s.a_name("queue"), "queue_type": "CUSTOM"}
        )
    ),
    "GetOrCreateUserQueue": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "user": "somebody"})
    ),
    "GetReviewQueue": recipe(lambda s: Call(fields={"queue_id": s.review_queue})),
    "GetReviewQueueByName": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "name": s.review_queue_name})
    ),
    "ListReviewQueues": recipe(lambda s: Call(fields={"experiment_id": s.experiment})),
    "UpdateReviewQueue": recipe(
        lambda s: Call(fields={"queue_id": s.review_queue, "name": s.a_name("renamed")})
    ),
    "DeleteReviewQueue": recipe(lambda s: Call(fields={"queue_id": s.new_review_queue()})),
    "AddItemsToReviewQueue": recipe(
        lambda s: Call(fields={"queue_id": s.review_queue, "item_type": "TRACE", "item_ids": [s.trace]})
    ),
    "RemoveItemsFromReviewQueue": recipe(
        lambda s: Call(fields={"queue_id": s.review_queue, "item_ids": [s.new_queued_trace()]})
    ),
    "ListReviewQueueItems": recipe(lambda s: Call(fields={"queue_id": s.review_queue})),
    "SetReviewQueueItemStatus": recipe(
        lambda s: Call(
            fields={
                "queue_id": s.review_queue,
                "item_id": s.new_queued_trace(),
                "status": "COMPLETE",
                "completed_by": "somebody",
            }
        )
    ),
    "RegisterScorer": recipe(
        lambda s: Call(
            fields={
                "experiment_id": s.experiment,
                "name": s.a_name("scorer"),
                "serialized_scorer": SCORER.replace("gateway:/judge", f"gateway:/{s.endpoint_name}"),
            }
        )
    ),
    "ListScorers": recipe(lambda s: Call(fields={"experiment_id": s.experiment})),
    "ListScorerVersions": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "name": s.scorer["name"]})
    ),
    "GetScorer": recipe(lambda s: Call(fields={"experiment_id": s.experiment, "name": s.scorer["name"]})),
    "DeleteScorer": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "name": s.new_scorer()["name"]})
    ),
    "GetOnlineScoringConfigs": recipe(lambda s: Call(query={"scorer_ids": [s.scorer["scorer_id"]]})),
    "GetServerJob": recipe(lambda s: Call(path={"job_id": s.new_job()})),
    "CancelServerJob": recipe(lambda s: Call(path={"job_id": s.new_job()})),
    "SearchServerJobs": recipe(lambda _: Call(json={})),
    "GetJob": recipe(lambda s: Call(path={"job_id": s.new_job()})),
    "CancelJob": recipe(lambda s: Call(path={"job_id": s.new_job()})),
    "GetPromptOptimizationJob": recipe(lambda s: Call(path={"job_id": s.new_job()})),
    "SearchPromptOptimizationJobs": recipe(lambda s: Call(fields={"experiment_id": s.experiment})),
    "CancelPromptOptimizationJob": recipe(lambda s: Call(path={"job_id": s.new_job()})),
    "DeletePromptOptimizationJob": recipe(lambda s: Call(path={"job_id": s.new_job()})),
}

MINIMAL: Mapping[str, Recipe] = {
    "StartTraceV3": recipe(
        lambda s: Call(fields={"trace": {"trace_info": _new_trace_info(s)}}),
        absent="trace.trace_info.assessments[].assessment_name",
    ),
    "CreateAssessment": recipe(
        lambda s: Call(path={"trace_id": s.trace}, fields={"assessment": s.assessment_of(s.trace)}),
        absent="assessment.assessment_name",
    ),
    "CreateIssue": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "name": s.a_name("issue"), "description": "d"}),
        absent="source_run_id",
    ),
    "RegisterScorer": recipe(
        lambda s: Call(
            fields={
                "experiment_id": s.experiment,
                "name": s.a_name("scorer"),
                "serialized_scorer": SCORER.replace("gateway:/judge", "openai:/gpt-4o-mini"),
            }
        ),
        absent="serialized_scorer",
    ),
}
"""The same operations without the names on which further rights depend."""
