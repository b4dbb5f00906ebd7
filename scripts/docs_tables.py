"""Write the tables of docs/ that the code knows, or with ``--check`` name the files that are stale.

A table stands between ``<!-- generated:NAME -->`` and ``<!-- /generated:NAME -->``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from unittest import mock

from prometheus_client import CollectorRegistry
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from workspace_authz.authorizer.authorizer import CONCURRENT_QUESTIONS
from workspace_authz.catalog.compile import LONGEST_PATH
from workspace_authz.catalog.routes import all_routes
from workspace_authz.doors.asgi.body import STALL_SECONDS
from workspace_authz.doors.forward_auth.answers import LONGEST_GROUPS
from workspace_authz.doors.request_head import MAX_HEAD_BYTES, MAX_HEADER_FIELDS
from workspace_authz.effects.lists import SCANNED_PAGES
from workspace_authz.identity.asserted import MAX_GROUPS, MAX_NAME_BYTES
from workspace_authz.identity.credentials import MAX_TOKEN_BYTES
from workspace_authz.mlflow_adapter.reading.request import GRAPHQL_BYTES, SPANS_BYTES
from workspace_authz.mlflow_adapter.reading.span_limits import (
    FREE_BYTES,
    MAX_JSON_MESSAGES,
    MAX_MESSAGES,
    MAX_RATIO,
    MAX_SPANS,
)
from workspace_authz.mlflow_adapter.remote.client import CONNECTIONS, LARGEST_ANSWER, SECONDS
from workspace_authz.mlflow_adapter.remote.locations import MOST_PAGES, PAGE
from workspace_authz.mlflow_adapter.remote.objects import MOST_LOOKUPS
from workspace_authz.mlflow_adapter.serving import UNREAD_SECONDS
from workspace_authz.pipeline.lists import MOST_NAMES
from workspace_authz.pipeline.pipeline import DEADLINE_SECONDS
from workspace_authz.restrictions.combining_marks import MAX_MARKS
from workspace_authz.restrictions.searches import MAX_COMPARISONS, MAX_FILTER
from workspace_authz.roles.generate import deletions
from workspace_authz.roles.policy import ROLES, Right, Role
from workspace_authz.runtime.handler_threads import LEFT_TO_PUBLIC_ROUTES
from workspace_authz.settings.settings import Settings
from workspace_authz.telemetry.prometheus import PrometheusMetrics
from workspace_authz.telemetry.sampled import SampledMetrics
from workspace_authz.types import USABLE, USE, Resource, Verb
from workspace_authz.workspaces.namespace import LONGEST_SOURCES

ROOT: Final = Path(__file__).resolve().parents[1]


def settings_table() -> str:
    """Every field of :class:`Settings`."""
    rows = (_setting(name, field) for name, field in Settings.model_fields.items())
    return _table(("variable", "default", "meaning"), rows)


def _setting(name: str, field: FieldInfo) -> Sequence[str]:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [f"WORKSPACE_AUTHZ_{name.upper()}"]
    default = "" if field.default is None else f"`{_text(field.default)}`"
    return "<br>".join(f"`{choice}`" for choice in names), default, field.description or ""


def _text(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else f"{default}".removesuffix(".0")


def limits_table() -> str:
    """Every bound, its setting if it has one, and what a client sees beyond it."""
    rows = (
        *_bounds_with_settings(),
        ("a verdict, without waiting for the caller's body", f"{DEADLINE_SECONDS:g} s", "", "503"),
        ("silence of a caller whose body is awaited, except an artifact", f"{STALL_SECONDS:g} s", "", "408"),
        (
            "a Flask answer of which its client takes nothing",
            f"{UNREAD_SECONDS:g} s",
            "",
            "the connection ends",
        ),
        ("a token", _size(MAX_TOKEN_BYTES), "", "401"),
        ("groups of a user who is asserted by name", f"{MAX_GROUPS:,}", "", "401"),
        ("such a name of a user or a group", f"{MAX_NAME_BYTES:,} bytes", "", "401"),
        ("header fields of a request", f"{MAX_HEADER_FIELDS}", "", "431"),
        ("header fields and request line together", _size(MAX_HEAD_BYTES), "", "431"),
        ("a path", f"{LONGEST_PATH:,} characters", "", "404"),
        ("a body with a GraphQL document", _size(GRAPHQL_BYTES), "", "400"),
        ("spans (OTLP), after decompression", _size(SPANS_BYTES), "", "400"),
        (f"their compression, beyond {_size(FREE_BYTES)}", f"{MAX_RATIO}:1", "", "400"),
        ("spans in one export", f"{MAX_SPANS:,}", "", "400"),
        ("protobuf messages in one export: a span is one, an attribute two", f"{MAX_MESSAGES:,}", "", "400"),
        ("objects and lists in one export in JSON", f"{MAX_JSON_MESSAGES:,}", "", "400"),
        ("combining marks in a row, in keys of tags and in URLs", str(MAX_MARKS), "", "400"),
        ("comparisons in one filter, and terms in one order", f"{MAX_COMPARISONS}", "", "400"),
        ("characters of a filter or an order", f"{MAX_FILTER:,}", "", "400"),
        (
            "a namespace's annotation of model sources",
            f"{LONGEST_SOURCES:,} characters",
            "",
            "it allows none",
        ),
        ("single objects in one list", f"{MOST_NAMES:,}", "", "403"),
        ("MLflow's pages that one filtered list looks through", f"{SCANNED_PAGES}", "", "a page token"),
        ("questions to the API server at once, for one request", f"{CONCURRENT_QUESTIONS}", "", "they wait"),
        *_bounds_of_forward_auth(),
    )
    return _table(("what", "at most", "setting", "beyond it"), rows)


def _bounds_of_forward_auth() -> Iterator[Sequence[str]]:
    door = "forward-auth: "
    yield (
        f"{door}objects that one request names and that are looked up one by one",
        f"{MOST_LOOKUPS}",
        "",
        "400",
    )
    yield f"{door}look-ups in MLflow at once", f"{CONNECTIONS}", "", "they wait"
    yield f"{door}one look-up in MLflow", f"{SECONDS:g} s, {_size(LARGEST_ANSWER)}", "", "503"
    yield f"{door}experiments of a workspace that has artifacts", f"{PAGE * MOST_PAGES:,}", "", "503"
    yield f"{door}groups that MLflow is told", _size(LONGEST_GROUPS), "", "it is told none"


def _bounds_with_settings() -> Iterator[Sequence[str]]:
    defaults = Settings.model_construct()
    shared = defaults.handler_threads - defaults.handler_threads // LEFT_TO_PUBLIC_ROUTES
    bounds = (
        ("a body that is read for names, or to write the caller's", _size(defaults.body_bytes), "body_bytes"),
        ("any other body, except an artifact", _size(defaults.request_bytes), "request_bytes"),
    )
    for what, most, field in bounds:
        yield what, most, _variable(field), "400"
    running = (
        ("requests in MLflow's handlers, in a worker", f"{shared}", "handler_threads"),
        ("… of one caller", f"{defaults.caller_requests}", "caller_requests"),
        ("… of one workspace", f"{defaults.workspace_requests}", "workspace_requests"),
    )
    for what, most, field in running:
        yield what, most, _variable(field), "they wait"
    waiting = (
        ("requests of one caller that wait", f"{defaults.waiting_requests}", "waiting_requests"),
        ("the time that they wait", f"{defaults.waiting_seconds:g} s", "waiting_seconds"),
    )
    for what, most, field in waiting:
        yield what, most, _variable(field), "429, `Retry-After: 1`"
    yield (
        "a webhook's receiver is waited for, twice at most",
        "5 s",
        "`MLFLOW_WEBHOOK_REQUEST_TIMEOUT`",
        "500",
    )


def _variable(field: str) -> str:
    return f"`WORKSPACE_AUTHZ_{field.upper()}`"


def _size(number: int) -> str:
    return f"{number // 2**20} MiB" if number >= 2**20 else f"{number // 2**10} KiB"


def roles_table() -> str:
    """Which verbs each ClusterRole holds on each pseudo-resource."""
    rows = (
        (f"`{_qualified(resource, subresource)}`", *(_verbs(role, resource, subresource) for role in ROLES))
        for subresource in ("", USE)
        for resource in Resource
        if not subresource or resource in USABLE
    )
    return _table(("resource", *(f"`{role.name}`" for role in ROLES)), rows)


def _qualified(resource: Resource, subresource: str) -> str:
    return f"{resource}/{subresource}" if subresource else str(resource)


def _verbs(role: Role, resource: Resource, subresource: str) -> str:
    return " ".join(verb for verb in Verb if Right(resource, subresource, verb) in role.rights) or "–"


def deletions_table() -> str:
    """What each right can take away in MLflow."""
    found = deletions(all_routes(assistant=True)).items()
    return _table(
        ("a holder of", "may call MLflow's"), ((f"`{right}`", ", ".join(names)) for right, names in found)
    )


def metrics_table() -> str:
    """Every metric of a worker."""
    # Only here: tests make this table in a process that starts servers afterwards.
    with (
        tempfile.TemporaryDirectory() as directory,
        mock.patch.dict(os.environ, {"PROMETHEUS_MULTIPROC_DIR": directory}),
    ):
        metrics = PrometheusMetrics(0)
        SampledMetrics(metrics.registry)
        rows = sorted(map(tuple, _metrics(metrics.registry)))
    return _table(("metric", "type", "labels", "meaning"), rows)


def _metrics(registry: CollectorRegistry) -> Iterator[Sequence[str]]:
    # The library tells the labels of a metric to nobody before there is a sample.
    for each in registry._collector_to_names:
        metric: Any = each
        suffix = "_total" if metric._type == "counter" else ""
        labels = ", ".join(metric._labelnames)
        yield f"`{metric._name}{suffix}`", metric._type, labels, metric._documentation


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (f"| {' | '.join(cells)} |" for cells in rows)
    return "\n".join((f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines))


TABLES: Final[Mapping[str, Mapping[str, Callable[[], str]]]] = MappingProxyType(
    {
        "docs/permissions.md": {"roles": roles_table, "deletions": deletions_table},
        "docs/settings.md": {"settings": settings_table, "limits": limits_table},
        "docs/operations.md": {"metrics": metrics_table},
    }
)
"""By file and by the name of the markers."""


def with_section(text: str, name: str, *, body: str) -> str:
    """Replace what stands between the markers of ``name``.

    Raises ``ValueError`` unless each marker is there exactly once, in this order.
    """
    opening, closing = f"<!-- generated:{name} -->", f"<!-- /generated:{name} -->"
    before, found, rest = text.partition(opening)
    _, ended, after = rest.partition(closing)
    if not (found and ended) or opening in rest or closing in before + after:
        raise ValueError(f"the markers {opening} and {closing} must each be there once, in this order")
    return f"{before}{opening}\n{body}\n{closing}{after}"


def refreshed(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """``text`` with all its tables as they should be. Raises ``ValueError`` as :func:`with_section`."""
    for name, table in tables.items():
        text = with_section(text, name, body=table())
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 when ``--check`` finds a stale file, or a file lacks its markers."""
    parser = argparse.ArgumentParser(prog="scripts/docs_tables.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    options = parser.parse_args(arguments)
    status = 0
    for path, tables in TABLES.items():
        file = options.root / path
        text = file.read_text()
        try:
            wanted = refreshed(text, tables)
        except ValueError as error:
            sys.stderr.write(f"{path}: {error}\n")
            status = 1
            continue
        if wanted != text and options.check:
            sys.stderr.write(f"stale: {path} (make refresh)\n")
            status = 1
        elif wanted != text:
            file.write_text(wanted)
    return status


if __name__ == "__main__":
    sys.exit(main())
