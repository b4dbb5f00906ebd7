"""The catalog as text and as JSON."""

from __future__ import annotations

import json

from workspace_authz.catalog.build import all_of, at_path, body, experiments, path, use
from workspace_authz.catalog.compile import compile_catalog, compile_routes
from workspace_authz.catalog.expand import as_json, as_text
from workspace_authz.catalog.model import AnyRight, Authenticated, Identifier, Public, Refused
from workspace_authz.types import Resource, Verb

RUN = body("run_id", Identifier.RUN_ID, "run_uuid")
ENTRIES = compile_routes(
    (
        *at_path("GET", "/health", "Health", Public()),
        *at_path("GET", "/telemetry", "Telemetry", Authenticated("Of nobody.")),
        *at_path("GET", "/spaces", "List", AnyRight(listing=True)),
        *at_path("GET", "/spaces/{name}", "Get", AnyRight(parameter="name")),
        *at_path("DELETE", "/spaces/{name}", "Delete", Refused("Not here.")),
        *at_path("GET", "/runs/get", "GetRun", experiments(Verb.GET, RUN)),
        *at_path(
            "POST",
            "/runs/{id}/log",
            "Log",
            all_of(
                experiments(Verb.UPDATE, path("id", Identifier.RUN_ID)),
                experiments(Verb.CREATE, RUN, unless_present=True),
                use(Resource.GATEWAY_ENDPOINTS, body("model"), when_present=True),
            ),
        ),
    )
).entries


def test_one_aligned_line_each() -> None:
    assert as_text(ENTRIES).splitlines() == [
        "GET     /health         public",
        "GET     /telemetry      authenticated: Of nobody.",
        "GET     /spaces         any right, in each workspace listed",
        "GET     /spaces/{name}  any right in the workspace path:name",
        "DELETE  /spaces/{name}  refused: Not here.",
        "GET     /runs/get       get experiments (query:run_id|run_uuid→run_id)",
        "POST    /runs/{id}/log  update experiments (path:id→run_id)"
        " + create experiments (body:run_id|run_uuid→run_id) if absent"
        " + create gatewayendpoints/use (body:model) if present",
    ]


def test_no_routes_are_no_lines() -> None:
    assert as_text(()) == ""
    assert as_json(()) == []


def test_the_same_as_plain_values() -> None:
    rows = {(row["method"], row["path"]): row for row in as_json(ENTRIES)}
    assert rows["GET", "/health"] == {
        "method": "GET",
        "path": "/health",
        "operation": "Health",
        "server": "flask",
        "policy": "public",
        "restrictions": [],
        "stamps": [],
    }
    assert rows["GET", "/telemetry"]["reason"] == "Of nobody."
    assert rows["GET", "/spaces"]["listing"] is True
    assert rows["GET", "/spaces/{name}"]["parameter"] == "name"
    assert rows["DELETE", "/spaces/{name}"]["policy"] == "refused"
    assert rows["POST", "/runs/{id}/log"]["requirements"] == [
        {
            "verb": "update",
            "resource": "experiments",
            "subresource": "",
            "names": ["path:id→run_id"],
            "if": "always",
            "listing": "",
        },
        {
            "verb": "create",
            "resource": "experiments",
            "subresource": "",
            "names": ["body:run_id|run_uuid→run_id"],
            "if": "absent",
            "listing": "",
        },
        {
            "verb": "create",
            "resource": "gatewayendpoints",
            "subresource": "use",
            "names": ["body:model"],
            "if": "present",
            "listing": "",
        },
    ]


def test_the_whole_catalog_is_json() -> None:
    entries = compile_catalog().entries
    assert len(json.loads(json.dumps(as_json(entries)))) == len(entries)
