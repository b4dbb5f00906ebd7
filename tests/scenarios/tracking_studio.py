"""Experiments and what they hold, made through MLflow's REST API when a test needs them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from sqlalchemy import create_engine, text

from tests.harness.http import Answer, Headers

V2: Final = "/api/2.0/mlflow"
V3: Final = "/api/3.0/mlflow"
NOBODY_LISTENS: Final = "https://127.0.0.1:9"
ENVIRONMENT: Final = {
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_MODEL_CATALOG_URI": "",
}
"""What lets a server take that for the address of a webhook or of a gateway's provider, and keeps it from
asking the Internet which models there are."""


class Ask(Protocol):
    """Sends one request as somebody who may do everything in the workspace."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        json_body: object = None,
        body: bytes | None = None,
        headers: Headers = (),
    ) -> Answer:
        """The server's answer."""


@dataclass
class TrackingStudio:
    """Makes objects. A plain attribute is one object for whoever only reads it; ``new_…`` makes another."""

    ask: Ask
    workspace: str
    database: str
    """The address of MLflow's: jobs can be had in no other way on a server that runs none."""
    provider: str = NOBODY_LISTENS
    """The address of the gateway's model provider."""
    counter: Callable[[], str] = field(default=lambda: uuid.uuid4().hex[:10])

    def post(self, path: str, **fields: object) -> Any:
        """POST, which must succeed."""
        answer = self.ask("POST", path, json_body=fields)
        assert answer.status in (200, 201), f"POST {path}: {answer.status} {answer.text}"
        return answer.json if answer.body else None

    def a_name(self, kind: str) -> str:
        """A name that nobody has used."""
        return f"{kind}-{self.counter()}"

    # Experiments and runs.

    def new_experiment(self) -> str:
        return str(self.post(f"{V2}/experiments/create", name=self.a_name("experiment"))["experiment_id"])

    def new_deleted_experiment(self) -> str:
        experiment = self.new_experiment()
        self.post(f"{V2}/experiments/delete", experiment_id=experiment)
        return experiment

    @cached_property
    def experiment(self) -> str:
        return self.new_experiment()

    @cached_property
    def experiment_name(self) -> str:
        answer = self.ask("GET", f"{V2}/experiments/get?experiment_id={self.experiment}")
        return str(answer.json["experiment"]["name"])

    def new_tagged_experiment(self) -> str:
        experiment = self.new_experiment()
        self.post(f"{V2}/experiments/set-experiment-tag", experiment_id=experiment, key="t", value="v")
        return experiment

    def new_run(self) -> str:
        made = self.post(f"{V2}/runs/create", experiment_id=self.experiment, start_time=1)
        return str(made["run"]["info"]["run_id"])

    @cached_property
    def run(self) -> str:
        run = self.new_run()
        self.post(f"{V2}/runs/log-metric", run_id=run, key="m", value=1.0, timestamp=1, step=0)
        self.post(f"{V2}/runs/set-tag", run_id=run, key="t", value="v")
        self.put_artifact(f"{self.experiment}/{run}/artifacts/note.txt")
        return run

    def new_tagged_run(self) -> str:
        run = self.new_run()
        self.post(f"{V2}/runs/set-tag", run_id=run, key="t", value="v")
        return run

    def new_deleted_run(self) -> str:
        run = self.new_run()
        self.post(f"{V2}/runs/delete", run_id=run)
        return run

    def put_artifact(self, path: str, content: bytes = b"content") -> str:
        """Upload a file; returns its path below the workspace's artifacts."""
        answer = self.ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", body=content)
        assert answer.status == 200, answer.text
        return path

    def new_artifact(self) -> str:
        return self.put_artifact(f"{self.experiment}/{self.run}/artifacts/{self.a_name('file')}.txt")

    # Traces.

    def new_export(self) -> tuple[str, bytes]:
        """The id of a trace of one span, and an OTLP export of it."""
        trace = uuid.uuid4()
        span = Span(trace_id=trace.bytes, span_id=trace.bytes[:8], name="think")
        span.start_time_unix_nano, span.end_time_unix_nano = 1_000_000_000, 2_000_000_000
        export = ExportTraceServiceRequest(
            resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]
        )
        return f"tr-{trace.hex}", export.SerializeToString()

    @cached_property
    def exported_trace(self) -> str:
        """One whose spans MLflow keeps."""
        trace, export = self.new_export()
        headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": self.experiment}
        answer = self.ask("POST", "/v1/traces", body=export, headers=headers)
        assert answer.status == 200, answer.text
        return trace

    def new_trace(self) -> str:
        trace = f"tr-{uuid.uuid4().hex}"
        info = {
            "trace_id": trace,
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": self.experiment},
            },
            "request_time": "2026-01-01T00:00:00Z",
            "execution_duration": "0.1s",
            "state": "OK",
            "tags": {"t": "v"},
        }
        self.post(f"{V3}/traces", trace={"trace_info": info})
        return trace

    @cached_property
    def trace(self) -> str:
        trace = self.new_trace()
        self.put_artifact(f"{self.experiment}/traces/{trace}/artifacts/traces.json", b'{"spans": []}')
        return trace

    def new_started_trace(self) -> str:
        """One of version 2 that has not ended."""
        made = self.post(
            f"{V2}/traces", experiment_id=self.experiment, timestamp_ms=1, request_metadata=[], tags=[]
        )
        return str(made["trace_info"]["request_id"])

    def new_assessment(self, trace: str) -> str:
        made = self.post(f"{V3}/traces/{trace}/assessments", assessment=self.assessment_of(trace))
        return str(made["assessment"]["assessment_id"])

    @staticmethod
    def assessment_of(trace: str) -> Mapping[str, object]:
        return {
            "assessment_name": "good",
            "trace_id": trace,
            "source": {"source_type": "HUMAN", "source_id": "somebody"},
            "feedback": {"value": True},
            "create_time": "2026-01-01T00:00:00Z",
            "last_update_time": "2026-01-01T00:00:00Z",
        }

    # What experiments hold beside runs and traces.

    def new_logged_model(self) -> str:
        made = self.post(
            f"{V2}/logged-models",
            experiment_id=self.experiment,
            name=self.a_name("logged"),
            source_run_id=self.run,
            tags=[{"key": "t", "value": "v"}],
        )
        return str(made["model"]["info"]["model_id"])

    @cached_property
    def logged_model(self) -> str:
        model = self.new_logged_model()
        self.put_artifact(f"{self.experiment}/models/{model}/artifacts/MLmodel")
        return model

    def new_issue(self) -> str:
        made = self.post(
            f"{V3}/issues", experiment_id=self.experiment, name=self.a_name("issue"), description="d"
        )
        return str(made["issue"]["issue_id"])

    @cached_property
    def issue(self) -> str:
        return self.new_issue()

    def label_schema_named(self, name: str) -> str:
        made = self.post(
            f"{V3}/label-schemas/create",
            experiment_id=self.experiment,
            name=name,
            type="FEEDBACK",
            input={"pass_fail": {"positive_label": "yes", "negative_label": "no"}},
        )
        return str(made["label_schema"]["schema_id"])

    def new_label_schema(self) -> str:
        return self.label_schema_named(self.a_name("schema"))

    @cached_property
    def label_schema(self) -> str:
        return self.new_label_schema()

    @cached_property
    def label_schema_name(self) -> str:
        name = self.a_name("schema")
        self.label_schema_named(name)
        return name

    def review_queue_named(self, name: str) -> str:
        made = self.post(
            f"{V3}/review-queues/create", experiment_id=self.experiment, name=name, queue_type="CUSTOM"
        )
        return str(made["review_queue"]["queue_id"])

    def new_review_queue(self) -> str:
        return self.review_queue_named(self.a_name("queue"))

    @cached_property
    def review_queue(self) -> str:
        return self.new_review_queue()

    @cached_property
    def review_queue_name(self) -> str:
        name = self.a_name("queue")
        self.review_queue_named(name)
        return name

    def new_queued_trace(self) -> str:
        trace = self.new_trace()
        self.post(
            f"{V3}/review-queues/items/add", queue_id=self.review_queue, item_type="TRACE", item_ids=[trace]
        )
        return trace

    def new_job(self, name: str = "optimize_prompts") -> str:
        """A row in MLflow's table of jobs, still waiting to run."""
        job, now = str(uuid.uuid4()), int(time.time() * 1000)
        row = {
            "id": job,
            "creation_time": now,
            "job_name": name,
            "params": json.dumps({"experiment_id": self.experiment, "run_id": self.run}),
            "workspace": self.workspace,
            "status": 0,
            "retry_count": 0,
            "last_update_time": now,
        }
        engine = create_engine(self.database)
        with engine.begin() as connection:
            values = ", ".join(f":{column}" for column in row)
            connection.execute(text(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({values})"), row)
        engine.dispose()
        return job
