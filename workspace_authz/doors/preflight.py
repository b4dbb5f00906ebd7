"""The checks before workers start, made in the ``mlflow server`` parent.

The parent stops with one sentence. If only the app factory checked, four workers would be restarted for ever,
and a single worker would end with status 0 (seen with MLflow 3.17.2 under uvicorn 0.54).
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from workspace_authz.doors.public_urls import allow_public_urls
from workspace_authz.errors import ConfigurationError, RequestError, UnavailableError
from workspace_authz.identity.secret_file import read_secrets
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.kubernetes.own_rights import OwnRights
from workspace_authz.mlflow_adapter.drivers import INSTALL, missing_driver
from workspace_authz.mlflow_adapter.options import ServerOptions, from_parent
from workspace_authz.mlflow_adapter.reading.places import PROXIED, place_of, scheme_of
from workspace_authz.restrictions.shared_sources import refuse_overlap, shared_sources
from workspace_authz.runtime.sign_in import check_sign_in
from workspace_authz.settings.proxy_headers import ADDRESSES_REPLACED
from workspace_authz.settings.settings import (
    BOUNDED_CALLS,
    SHARED_CACHES,
    Settings,
    load_settings,
    refuse_shared_caches,
    resolve_single_namespace,
)
from workspace_authz.telemetry.audit import open_audit_sink
from workspace_authz.telemetry.workers import make_run_directory
from workspace_authz.workspaces.artifact_roots import artifact_buckets
from workspace_authz.workspaces.policy import NamespacePolicy

_log = logging.getLogger(__name__)

_LIST_ROUTES_SECONDS: Final = 120
_HTTP: Final = "UVICORN_HTTP"
_H11: Final = "h11"
_PROXY_HEADERS: Final = "UVICORN_PROXY_HEADERS"
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off"})
"""As click reads a flag's variable."""


def check(options: ServerOptions, settings: Settings, *, environ: Mapping[str, str]) -> None:
    """Raise :class:`ConfigurationError` for the first reason why this server cannot be guarded."""
    if options.server != "uvicorn":
        raise ConfigurationError(
            f"workspace-authz runs under uvicorn, not {options.server}: "
            f"leave out --{options.server}-opts and use --uvicorn-opts instead."
        )
    if options.artifacts_only:
        raise ConfigurationError(
            "workspace-authz cannot guard --artifacts-only, which has no experiments for artifacts: "
            "start the whole server."
        )
    if environ.get("MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS", "").lower() in ("true", "1"):
        raise ConfigurationError(
            "Custom scorers run a tenant's code on the server of all tenants: "
            "unset MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS."
        )
    _check_artifact_root(options.artifact_root)
    roots = (options.artifact_root, options.artifacts_destination)
    buckets = artifact_buckets(settings.artifact_buckets)
    if buckets is not None and not options.workspaces:
        raise ConfigurationError(
            "WORKSPACE_AUTHZ_ARTIFACT_BUCKETS is for workspaces: start with --enable-workspaces, or unset it."
        )
    refuse_overlap(
        shared_sources(settings.model_sources), roots=(*roots, *(buckets.roots if buckets else ()))
    )
    resolve_single_namespace(settings, mlflow_workspaces=options.workspaces)
    namespace_policy(options, settings)
    _check_drivers(roots)
    if settings.username_claim:
        _log.warning("MLFLOW_K8S_AUTH_USERNAME_CLAIM has no effect: the API server names the user.")


def _check_drivers(roots: Sequence[str | None]) -> None:
    """Check that MLflow can import what it reaches artifacts with. It does so only at the first use.

    Raises :class:`ConfigurationError`.
    """
    for root in filter(None, roots):
        if module := missing_driver(root):
            raise ConfigurationError(
                f"Artifacts in {scheme_of(root)}: need the Python module {module}, which is not installed: "
                f"{INSTALL}"
            )


def _check_artifact_root(root: str | None) -> None:
    """Check that clients can reach what lies below a proxied root, by its path.

    Raises :class:`ConfigurationError`.
    """
    if root is None or scheme_of(root) != PROXIED:
        return
    try:
        place_of(root, workspace=None)
    except RequestError as error:
        raise ConfigurationError(
            f"Artifacts below --default-artifact-root {root} could not be reached by anybody: choose a path "
            "without dot or empty segments that does not begin with 'workspaces'."
        ) from error


def switch_off_caches(environ: MutableMapping[str, str]) -> None:
    """Switch off MLflow's caches whose keys have no workspace, for this process and those that it starts.

    Raises :class:`ConfigurationError` when a variable has another value.
    """
    refuse_shared_caches(environ)
    for variable in SHARED_CACHES:
        environ.setdefault(variable, "0")


def choose_http_parser(options: ServerOptions, environ: MutableMapping[str, str]) -> None:
    """Make h11 the parser that uvicorn takes by default, also where httptools is installed.

    Workers are processes of uvicorn's command line, which reads each of its options from ``UVICORN_*`` too
    (uvicorn 0.54, ``main.main``). The command line takes precedence; another parser is warned about.
    """
    if not environ.get(_HTTP):
        environ[_HTTP] = _H11
    chosen = options.http or environ[_HTTP]
    if chosen == "auto":
        chosen = "httptools" if importlib.util.find_spec("httptools") else _H11
    if chosen != _H11:
        _log.warning(
            "uvicorn reads requests with %s: a client without a token can make it hold header fields of any "
            "size in memory, and requests that offer an HTTP upgrade (JDK's HttpClient, curl --http2) are "
            "refused when they have a body. Leave out --http to use h11.",
            chosen,
        )


def check_proxies(options: ServerOptions, settings: Settings, *, environ: Mapping[str, str]) -> None:
    """Check what a proxy proves itself by. Only the parent of the workers can tell.

    uvicorn takes the address of a client from ``X-Forwarded-For`` if a proxy sends it, unless its command
    line or the variable of that option says otherwise (uvicorn 0.54, ``Config.load``). Raises
    :class:`ConfigurationError`.
    """
    if settings.proxy_secret_file:
        read_secrets(Path(settings.proxy_secret_file))
    replaced = options.proxy_headers
    if replaced is None:
        replaced = environ.get(_PROXY_HEADERS, "true").strip().lower() not in _FALSE
    if settings.proxy_networks and replaced:
        raise ConfigurationError(ADDRESSES_REPLACED)


def bound_calls(environ: MutableMapping[str, str]) -> None:
    """Bound what MLflow asks of other servers, for this process and those that it starts."""
    for variable, value in BOUNDED_CALLS.items():
        environ.setdefault(variable, value)


def advertise_authentication(options: ServerOptions, environ: MutableMapping[str, str]) -> None:
    """Have MLflow's server-info name the provider of its SDK that authenticates here (since MLflow 3.18).

    Where there are workspaces, it is the one that also sends the caller's namespace. An operator's own value
    is kept.
    """
    provider = "kubernetes-namespaced" if options.workspaces else "kubernetes"
    environ.setdefault("MLFLOW_SERVER_INFO_TRACKING_AUTH", provider)


def namespace_policy(options: ServerOptions, settings: Settings) -> NamespacePolicy | None:
    """Which namespaces are workspaces; None without workspaces. Raises :class:`ConfigurationError`."""
    if not options.workspaces:
        return None
    uri = options.workspace_store_uri or ""
    if urlsplit(uri).scheme != "kubernetes":
        raise ConfigurationError(
            "With workspaces, namespaces must be the workspaces: start with --workspace-store-uri kubernetes://."
        )
    return NamespacePolicy.from_uri(
        uri,
        label_selector=settings.workspace_label_selector,
        default_workspace=settings.default_workspace,
        namespace_exclude_globs=settings.namespace_exclude_globs,
    )


def unsupported(options: ServerOptions) -> Sequence[str]:
    """What a worker that is started with ``options`` would refuse and warn about, in sentences.

    That is routes without a rule and what MLflow lacks, found in a process of the same kind. Raises
    :class:`ConfigurationError` when they cannot be listed.
    """
    environment = {
        **os.environ,
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_STATIC_PREFIX": options.static_prefix,
    }
    try:
        listed = subprocess.run(
            [sys.executable, "-m", "workspace_authz.mlflow_adapter.inventory"],
            env=environment,
            stdout=subprocess.PIPE,
            timeout=_LIST_ROUTES_SECONDS,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise ConfigurationError(
            "MLflow's routes could not be listed for WORKSPACE_AUTHZ_STRICT; see the lines above."
        ) from error
    found = json.loads(listed.stdout)
    routes: list[str] = found["uncovered"]
    gaps: list[str] = found["gaps"]
    return [*([_without_rule(routes)] if routes else []), *gaps]


def _without_rule(routes: Sequence[str]) -> str:
    return f"{len(routes)} of MLflow's routes have no rule: {'; '.join(routes[:5])}"


async def check_cluster(settings: Settings) -> None:
    """Check that the API server can be asked, and that the server may ask it all that the settings need.

    An API server that does not answer is no reason not to start. Raises :class:`ConfigurationError`.
    """
    configuration = await load_configuration(settings.kubeconfig)
    if not settings.asks_with_own_account:
        return
    connection = server_connection(configuration)
    try:
        rights = OwnRights(connection)
        missing = await rights.missing()
        command = await rights.grant_command() if missing else ""
    except UnavailableError as error:
        _log.warning("It could not be checked whether the server may create reviews: %s", error.message)
        return
    finally:
        await connection.close()
    if missing:
        needed_for = " and ".join(settings.needs_own_reviews)
        raise ConfigurationError(
            f"The server's own account may not {' or '.join(missing)}, which {needed_for} needs: "
            f"run `{command}`, or unset it."
        )


def check_parent() -> None:
    """Check this process if it is the ``mlflow server`` parent. In any other process nothing is done.

    Raises ``click.ClickException`` with the reason why the server cannot start.
    """
    options = from_parent()
    if options is None:
        return
    try:
        settings = load_settings()
        check(options, settings, environ=os.environ)
        check_proxies(options, settings, environ=os.environ)
        switch_off_caches(os.environ)
        allow_public_urls(settings.public_url, os.environ)
        bound_calls(os.environ)
        advertise_authentication(options, os.environ)
        check_sign_in(settings)
        asyncio.run(check_cluster(settings))
        open_audit_sink(settings).close()
        make_run_directory(os.environ, workers=options.workers)
        if settings.strict and (found := unsupported(options)):
            raise ConfigurationError(f"WORKSPACE_AUTHZ_STRICT is set and {'; '.join(found)}")
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    choose_http_parser(options, os.environ)
    if not options.serve_artifacts:
        _log.warning(
            "--no-serve-artifacts: clients reach the artifact store directly, "
            "so the bucket's own credentials decide who reads and writes artifacts, not Kubernetes."
        )
