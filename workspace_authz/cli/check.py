"""``workspace-authz check``: for the person on call. Everything an installation needs, each with the fix."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from workspace_authz.cli.checks import api_server, cluster_roles, rights, server, sign_in, software
from workspace_authz.cli.checks.finding import Finding, Level, failing, ok, warning
from workspace_authz.cli.checks.probe import NoAnswerError
from workspace_authz.cli.checks.workspaces import workspaces
from workspace_authz.cli.options import NO, OK, add_kubeconfig, add_output, command_parser
from workspace_authz.cli.output import print_json, print_lines
from workspace_authz.errors import ConfigurationError
from workspace_authz.identity.secret_file import read_secrets
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.settings.settings import Settings, load_settings, refuse_shared_caches
from workspace_authz.settings.sign_in_file import ProviderConfiguration
from workspace_authz.settings.variables import listed
from workspace_authz.workspaces.artifact_roots import artifact_buckets
from workspace_authz.workspaces.policy import NamespacePolicy

_DESCRIPTION = """\
Look at an installation as its server sees it: with the server's own credential and settings, so best in its
pod (kubectl exec deploy/mlflow -- workspace-authz check). Changes nothing.

Levels: ok, warning (works, but look at it), failing (does not work), unknown (the server may not see it,
and need not). Exit status 0, or 1 when something is failing."""


_LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Plan:
    """The server's settings, as far as checks need them."""

    kubeconfig: str | None
    policy: NamespacePolicy | None
    """None on a server without workspaces."""
    namespace: str | None = None
    """The one namespace of such a server."""
    needs_reviews: Sequence[str] = ()
    """The variables that make the server ask about callers with its own account."""
    artifact_roots: bool = False
    """Whether namespaces may choose their artifact roots."""
    providers: Sequence[ProviderConfiguration] = ()
    """Where people sign in with a browser."""
    public_urls: Sequence[str] = ()
    """The server's URLs, as people know them."""


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    parser = command_parser("check", _DESCRIPTION)
    parser.add_argument(
        "--workspace-store-uri",
        default=os.environ.get("MLFLOW_WORKSPACE_STORE_URI", "kubernetes://"),
        metavar="URI",
        help="as given to mlflow server; default: MLFLOW_WORKSPACE_STORE_URI, else kubernetes://",
    )
    parser.add_argument("--no-routes", action="store_true", help="leave out the slow look at MLflow's routes")
    add_kubeconfig(parser)
    add_output(parser)
    options = parser.parse(arguments)
    findings = asyncio.run(_check(options))
    if options.output == "json":
        print_json([asdict(finding) for finding in findings])
    else:
        print_lines([line for finding in findings for line in _lines(finding)])
    return NO if any(finding.level is Level.FAILING for finding in findings) else OK


def _lines(finding: Finding) -> list[str]:
    first = f"{finding.level:8} {finding.check:16} {finding.what}"
    return [first, f"{'':25} fix: {finding.fix}"] if finding.fix else [first]


async def _check(options: argparse.Namespace) -> list[Finding]:
    settings, plan = _settings(options)
    version = software.installed_mlflow()
    providers = await asyncio.gather(*map(sign_in.provider, plan.providers))
    findings = [*settings, software.mlflow(version), *providers, *await _server(plan, version)]
    if options.no_routes or version is None:
        return [*findings, *await _cluster(plan)]
    inside, cluster = await asyncio.gather(software.routes_and_functions(), _cluster(plan))
    return [*findings, *inside, *cluster]


async def _server(plan: Plan, version: str | None) -> list[Finding]:
    """What only the server's own environment shows, and what its public URLs show to anybody."""
    outside = await server.public_urls(plan.public_urls)
    if not server.is_server(os.environ):
        return outside
    own = [check(os.environ) for check in (server.passphrase, server.hosts, server.artifact_mode)]
    return [*own, *(await software.stores() if version else ()), *outside]


def _settings(options: argparse.Namespace) -> tuple[list[Finding], Plan]:
    try:
        settings = load_settings()
        refuse_shared_caches(os.environ)
        proxies = _proxies(settings)
        policy = _policy(settings, options.workspace_store_uri)
        kubeconfig = options.kubeconfig or settings.kubeconfig
        plan = Plan(
            kubeconfig,
            policy,
            settings.namespace,
            needs_reviews=settings.needs_own_reviews,
            artifact_roots=artifact_buckets(settings.artifact_buckets) is not None,
            providers=configuration.providers if (configuration := settings.sign_in_configuration) else (),
            public_urls=listed(settings.public_url),
        )
    except ConfigurationError as error:
        fix = "change the environment of the server; it does not start with this one"
        return [failing("settings", str(error), fix=fix)], Plan(options.kubeconfig, None)
    return [ok("settings", "the environment's settings are valid"), *proxies], plan


def _proxies(settings: Settings) -> list[Finding]:
    """From whom identity headers are believed. Raises :class:`ConfigurationError`."""
    check, believed = "proxies", []
    if settings.proxy_secret_file:
        read_secrets(Path(settings.proxy_secret_file))
        believed.append("whoever shows the secret")
    believed += [f"the service account {'/'.join(each)}" for each in sorted(settings.proxy_accounts)]
    believed += map(str, settings.proxy_networks)
    if not believed:
        return []
    user, groups = settings.identity_headers
    what = f"{user} and {groups} are believed from {', '.join(believed)}"
    if any(network.overlaps(own) for own in _LOOPBACK for network in settings.proxy_networks):
        fix = "let the proxy show a secret instead: WORKSPACE_AUTHZ_PROXY_SECRET_FILE"
        return [warning(check, f"{what}: who may port-forward to the pod can name anybody", fix=fix)]
    return [ok(check, what)]


def _policy(settings: Settings, uri: str) -> NamespacePolicy | None:
    if settings.namespace is not None:
        return None
    return NamespacePolicy.from_uri(
        uri,
        label_selector=settings.workspace_label_selector,
        default_workspace=settings.default_workspace,
        namespace_exclude_globs=settings.namespace_exclude_globs,
    )


async def _cluster(plan: Plan) -> list[Finding]:
    try:
        connection = server_connection(await load_configuration(plan.kubeconfig))
    except ConfigurationError as error:
        return [
            failing("api-server", str(error), fix="use --kubeconfig, or run the check in the server's pod")
        ]
    try:
        there, findings = await api_server.reachable(connection)
        if not there:
            return findings
        return [*findings, *await asyncio.gather(*map(_guarded, _checks(connection, plan)))]
    finally:
        await connection.close()


def _checks(connection: Connection, plan: Plan) -> list[Awaitable[Finding]]:
    followed = (
        [rights.needed(connection), rights.watch(connection), workspaces(connection, plan.policy)]
        if plan.policy is not None
        else []
    )
    reviews = [rights.reviews(connection, plan.needs_reviews)] if plan.needs_reviews else []
    return [
        api_server.identity(connection),
        api_server.basic_user(connection),
        *followed,
        rights.follows(connection, plan.namespace),
        *reviews,
        *([rights.artifact_roots(connection)] if plan.artifact_roots else []),
        rights.unneeded(connection, reviews=bool(plan.needs_reviews)),
        cluster_roles.installed(connection),
        cluster_roles.aggregated(connection),
    ]


async def _guarded(check: Awaitable[Finding]) -> Finding:
    """An API server that stopped answering is a finding too."""
    try:
        return await check
    except NoAnswerError as error:
        return failing("api-server", f"it stopped answering: {error}", fix="run the check again")
