"""What a caller of team-a could try to reach team-b with: ids, names, places, keys and headers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fuzz.calls import leaves
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.recipes.model import Call

DEFAULT: Final = "default"
FOREIGN: Final = (TEAM_B, DEFAULT)

WORKSPACES: Final = (
    TEAM_B,
    DEFAULT,
    "",
    f"{TEAM_A},{TEAM_B}",
    f"{TEAM_B},{TEAM_A}",
    f" {TEAM_B} ",
    f"{TEAM_A}/../{TEAM_B}",
    TEAM_B.upper(),
    "team%2Db",
    "team-b\t",
    "*",
    "team_b",
)
HEADERS: Final = (
    "X-MLFLOW-WORKSPACE",
    "x-mlflow-workspace",
    "X_MLFLOW_WORKSPACE",
    "X-MLFLOW_WORKSPACE",
    "X-Mlflow-Workspace ",
)
CLAIMS: Final = (
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Original-URL", "/api/2.0/mlflow/experiments/search"),
    ("X-Forwarded-User", "root"),
    ("X-Forwarded-Prefix", "/mlflow"),
    ("X-Remote-User", "root"),
    ("Impersonate-User", "root"),
    ("X-MLflow-Guardrail-Bypass", "1"),
    ("Cookie", "mlflow_workspace=team-b"),
    ("Range", "bytes=0-"),
    ("Accept-Encoding", "gzip"),
    ("Connection", "close"),
    ("Expect", "100-continue"),
)
RESERVED: Final = ("mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.archiveLocation")
"""Tags that tell MLflow where the data of a trace lie."""
_FILTERS: Final = (
    "name LIKE '%'",
    "attributes.name ILIKE '%'",
    "workspace = 'team-b'",
    "name = 'a' OR 1 = 1",
    "name != 'a'",
    "tags.t LIKE '%'",
    "creation_time > 0",
    "trace.status != 'x'",
)
_ORDERS: Final = (
    "name ASC",
    "workspace DESC",
    "experiment_id",
    "1; DROP TABLE experiments",
    "creation_time DESC",
)


@dataclass(frozen=True, slots=True)
class Words:
    """The vocabulary of one run."""

    values: tuple[str, ...]
    """Every text that identifies something foreign."""
    places: tuple[str, ...]
    """Paths and addresses of foreign artifacts."""
    folders: tuple[str, ...]
    """Addresses of folders with foreign artifacts."""

    def reserved(self) -> list[dict[str, str]]:
        """Tags that point at foreign artifacts."""
        return [{"key": key, "value": place} for key in RESERVED for place in self.folders]

    def extras(self) -> tuple[tuple[str, Any], ...]:
        """Fields that MLflow reads somewhere, set to reach further."""
        place, value = self.places, self.values
        pages = [base64.b64encode(json.dumps({"offset": n}).encode()).decode() for n in (0, 1, 100)]
        return (
            *(("workspace", workspace) for workspace in FOREIGN),
            *(("page_token", page) for page in pages),
            *(("filter", text) for text in _FILTERS),
            *(("filter_string", text) for text in _FILTERS),
            *(("order_by", [text]) for text in _ORDERS),
            *((key, one) for key in ("artifact_location", "source", "path", "artifact_uri") for one in place),
            *(("experiment_ids", [one]) for one in value if one.isdigit()),
            *(("run_uuid", one) for one in value if len(one) == 32),
            ("max_results", 1000),
            ("view_type", "ALL"),
            ("tags", [{"key": "mlflow.artifactLocation", "value": place[0]}]),
            ("tags", {"mlflow.trace.spansLocation": "ARTIFACT_REPO", "mlflow.artifactLocation": place[0]}),
            ("request_metadata", [{"key": "mlflow.artifactLocation", "value": place[0]}]),
        )


def vocabulary(foreign: Iterable[Mapping[str, Call]], *, artifacts: Path) -> Words:
    """What the calls of other workspaces hold, and where their artifacts are."""
    values = {
        value
        for calls in foreign
        for call in calls.values()
        for _, value in leaves({"path": call.path, "fields": call.fields, "query": call.query})
        if isinstance(value, str) and 0 < len(value) < 100
    }
    root = artifacts / "workspaces" / TEAM_B
    by_name = {file.name: file.relative_to(root) for file in sorted(root.rglob("*")) if file.is_file()}
    files = [place for file in by_name.values() for place in _spelt(str(file))]
    folders = [
        place
        for file in by_name.values()
        for place in (f"mlflow-artifacts:/workspaces/{TEAM_B}/{file.parent}", f"file://{root / file.parent}")
    ]
    above = (f"workspaces/{TEAM_B}", "workspaces", ".", "..", "/", str(root))
    absolute = [form for file in by_name.values() for form in (str(root / file), f"file://{root / file}")]
    return Words(tuple(sorted(values)), (*files, *folders, *absolute, *above), tuple(folders))


def _spelt(file: str) -> Iterator[str]:
    """An artifact of team-b, as somebody else could name it."""
    yield f"workspaces/{TEAM_B}/{file}"
    yield f"%77orkspaces/{TEAM_B}/{file}"
    yield f"workspaces%2f{TEAM_B}%2f{file}"
    yield f"workspaces//{TEAM_B}/{file}"
    yield f"x/../workspaces/{TEAM_B}/{file}"
    yield f"../{TEAM_B}/{file}"
    yield f"../../workspaces/{TEAM_B}/{file}"
    yield f"./workspaces/{TEAM_B}/{file}"
    yield f"1/../workspaces/{TEAM_B}/{file}"
    yield f"workspaces/{TEAM_A}/../{TEAM_B}/{file}"
    yield f"..%2f{TEAM_B}%2f{file}"
    yield f"..\\{TEAM_B}\\{file}"
    yield f"mlflow-artifacts:/workspaces/{TEAM_B}/{file}"
    yield f"mlflow-artifacts:/../{TEAM_B}/{file}"
