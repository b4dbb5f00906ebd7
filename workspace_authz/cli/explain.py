"""``workspace-authz explain``: what would become of a request to MLflow, step by step."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.cli.access import demand_token, explicit_namespace, find_access, open_reviews
from workspace_authz.cli.guarded_server import add_server, find_server
from workspace_authz.cli.options import ERROR, NO, OK, add_caller, add_namespace, add_output, command_parser
from workspace_authz.cli.output import note, print_json, print_lines
from workspace_authz.doors.explain import explain, lines
from workspace_authz.errors import ConfigurationError
from workspace_authz.identity.credentials import AUTHORIZATION
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.runtime.pipeline import ClusterParts, build_pipeline
from workspace_authz.settings.settings import CALLERS_WHO_ASK, load_settings
from workspace_authz.workspaces.in_url import UNENCODED
from workspace_authz.workspaces.namespace import NamespaceInfo
from workspace_authz.workspaces.requested import WORKSPACE_HEADER, WorkspaceRule

_DESCRIPTION = """\
Judge a request without sending it to MLflow: route, rule, user, workspace, each access review, verdict.

Asks the Kubernetes API server with your own token; with --server, a running server judges it by its own
settings, for you only. A token for an audience of the server needs --server. Exit status 0: it would reach
MLflow; 1: refused; 2: no verdict could be had."""


_KEYS: Final = frozenset(
    {"method", "path", "user", "workspace", "route", "operation", "checks"}
    | {"decision", "reason", "rule", "visible", "status"}
)
"""What an explanation consists of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The request to judge."""

    method: str
    path: str
    """Decoded, as MLflow routes it."""
    raw_path: str
    """As a client sends it."""
    query: str
    body: str


class OneWorkspace:
    """The directory of a dry run: the caller may not list namespaces, so it holds the one that they gave."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def names(self) -> Iterable[str]:
        """See :class:`~workspace_authz.pipeline.parts.Workspaces`."""
        return () if self._name is None else (self._name,)

    def get(self, name: str) -> NamespaceInfo:
        """See :class:`~workspace_authz.pipeline.parts.Workspaces`."""
        return NamespaceInfo(name, uid="")

    async def lookup(self, name: str) -> NamespaceInfo:
        """See :class:`~workspace_authz.pipeline.parts.Workspaces`."""
        return self.get(name)


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    parser = command_parser("explain", _DESCRIPTION)
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("path", metavar="PATH", help="path, or whole URL, with its query")
    parser.add_argument("--data", default="", metavar="TEXT", help="the body; @FILE reads a file, @- stdin")
    parser.add_argument("--static-prefix", default="", metavar="PREFIX", help="as given to mlflow server")
    parser.add_argument("--assistant", action="store_true", help="as if the assistant were turned on")
    add_server(parser, "judge")
    add_namespace(parser)
    add_caller(parser)
    add_output(parser)
    options = parser.parse(arguments)
    if options.server and options.assistant:
        parser.error("--assistant has no effect on a running server; leave out one of them")
    if options.insecure and not options.server:
        parser.error("--insecure is about --server")
    return asyncio.run(_explain(options, _asked(options)))


def _asked(options: argparse.Namespace) -> Asked:
    try:
        parts = urlsplit(options.path)
    except ValueError as error:
        raise ConfigurationError(f"This is neither a path nor a URL: {error}.") from error
    if not parts.path.startswith("/"):
        raise ConfigurationError("The path must start with a slash, for example /api/2.0/mlflow/runs/search.")
    return Asked(
        options.method.upper(),
        unquote(parts.path),
        quote(parts.path, safe=f"%{UNENCODED}"),
        parts.query,
        _body(options.data),
    )


def _body(data: str) -> str:
    if not data.startswith("@"):
        return data
    try:
        return sys.stdin.read() if data == "@-" else Path(data[1:]).read_text()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The body cannot be read: {type(error).__name__}.") from error


async def _explain(options: argparse.Namespace, asked: Asked) -> int:
    if options.server:
        server = await find_server(
            options,
            workspace=explicit_namespace(options, os.environ),
            static_prefix=options.static_prefix,
        )
        document = await server.post("/explain", asdict(asked), keys=_KEYS)
    else:
        document = await _dry_run(options, asked)
    if options.output == "json":
        print_json(document)
    else:
        print_lines(lines(document))
    return _exit_status(document)


async def _dry_run(options: argparse.Namespace, asked: Asked) -> dict[str, Any]:
    access = await find_access(options)
    demand_token(access)
    workspace = explicit_namespace(options, os.environ)
    default = workspace or access.context_namespace
    headers = [(AUTHORIZATION, b"Bearer " + access.token.encode())]
    if workspace is not None:
        headers.append((WORKSPACE_HEADER, workspace.encode()))
    request = AccessRequest(
        method=asked.method,
        path=asked.path,
        headers=headers,
        raw_path=asked.raw_path.encode(),
        query=asked.query.encode(),
        body=GivenBody(asked.body.encode()),
    )
    async with open_reviews(access) as reviews:
        pipeline = build_pipeline(
            ClusterParts(reviews, workspaces=OneWorkspace(default)),
            # Whose a token for an audience of the server is, and whom a proxy names, only the server can ask.
            settings=load_settings(**CALLERS_WHO_ASK),
            catalog=compile_catalog(static_prefix=options.static_prefix, assistant=options.assistant),
            rule=WorkspaceRule(default=default),
        )
        document = (await explain(pipeline, request)).document()
    if document["visible"] is not None:
        note("only the workspace that you gave was looked at; --server URL looks at all.")
    return document


def _exit_status(document: Mapping[str, Any]) -> int:
    if document["decision"] == "allow":
        return OK
    return NO if document["decision"] == "deny" else ERROR
