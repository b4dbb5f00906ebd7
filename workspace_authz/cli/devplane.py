"""``workspace-authz devplane``: a Kubernetes API on loopback, with MLflow's ClusterRoles in it."""

from __future__ import annotations

from collections.abc import Sequence

from workspace_authz.cli.options import command_parser
from workspace_authz.devplane import serve
from workspace_authz.roles.generate import cluster_roles

_DESCRIPTION = """\
Serve a Kubernetes API on 127.0.0.1, for laptops and tests. When ready, prints one JSON line
(url, admin_kubeconfig, server_kubeconfig) and stays until SIGTERM or ctrl-c."""


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    parser = command_parser("devplane", _DESCRIPTION)
    serve.add_arguments(parser)
    return serve.run(parser.parse(arguments), cluster_roles=cluster_roles())
