"""Whose rights a command asks about, of which API server, in which namespace."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from workspace_authz.cli.lazy import load
from workspace_authz.errors import ConfigurationError, UnauthenticatedError
from workspace_authz.identity.credentials import AUTHORIZATION, find_credential
from workspace_authz.kubernetes.plain import pod_namespace, read_plain
from workspace_authz.kubernetes.reviews import ApiReviews, Reviews
from workspace_authz.kubernetes.transport import ApiConfiguration, caller_connection, server_connection

TOKEN_VARIABLE: Final = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable
WORKSPACE_VARIABLE: Final = "MLFLOW_WORKSPACE"

_CONNECTION: Final = "workspace_authz.kubernetes.connection"
_REVIEW_SECONDS: Final = 9.0
_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Access:
    """One caller at one API server."""

    configuration: ApiConfiguration = field(repr=False)
    token: str = field(repr=False)
    """Empty when the kubeconfig has a client certificate only."""
    source: str
    """Where the credential was found, in words."""
    context_namespace: str | None
    """That of the kubeconfig's current context, or of the pod."""

    @property
    def by_certificate(self) -> bool:
        """Whether the caller is known by a client certificate, which MLflow's clients cannot send."""
        return not self.token


async def find_access(options: argparse.Namespace) -> Access:
    """What the shared options, the environment and the kubeconfig say. Raises ``ConfigurationError``."""
    token, source = _given_token(options, os.environ)
    plain = read_plain(options.kubeconfig, with_credential=not token)
    if plain is not None:
        configuration: ApiConfiguration = plain
        namespace = plain.namespace
    else:
        configuration = await load(f"{_CONNECTION}:load_configuration")(options.kubeconfig)
        namespace = load(f"{_CONNECTION}:current_namespace")(options.kubeconfig)
    if not token:
        token, source = await _own_token(configuration)
    return Access(configuration, token, source, namespace or pod_namespace())


@asynccontextmanager
async def open_reviews(access: Access) -> AsyncIterator[Reviews]:
    """Reviews as the caller: by token over a connection that holds no credential, or by their certificate."""
    connect = server_connection if access.by_certificate else caller_connection
    connection = connect(access.configuration, limit=_CONNECTIONS)
    try:
        yield ApiReviews(connection, timeout=_REVIEW_SECONDS)
    finally:
        await connection.close()


def explicit_namespace(options: argparse.Namespace, environ: Mapping[str, str]) -> str | None:
    """What MLflow's client would send: ``--namespace``, else ``MLFLOW_WORKSPACE``."""
    return options.namespace or environ.get(WORKSPACE_VARIABLE) or None


def demand_namespace(options: argparse.Namespace, access: Access) -> str:
    """The namespace that is meant. Raises :class:`ConfigurationError` when nothing says which."""
    namespace = explicit_namespace(options, os.environ) or access.context_namespace
    if namespace is None:
        raise ConfigurationError(f"No namespace is given: use -n NAME, or set {WORKSPACE_VARIABLE}.")
    return namespace


def _given_token(options: argparse.Namespace, environ: Mapping[str, str]) -> tuple[str, str]:
    if options.token is not None:
        return _checked(options.token, "--token"), "--token"
    if options.token_file is not None:
        return _checked(_read(options.token_file), "--token-file"), "--token-file"
    if environ.get(TOKEN_VARIABLE):
        return _checked(environ[TOKEN_VARIABLE], TOKEN_VARIABLE), TOKEN_VARIABLE
    return "", ""


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The token file cannot be read: {type(error).__name__}.") from error


def _checked(token: str, source: str) -> str:
    header = b"Bearer " + token.strip().encode("utf-8", "surrogateescape")
    try:
        found = find_credential([(AUTHORIZATION, header)], gateway=False)
    except UnauthenticatedError as error:
        raise ConfigurationError(f"What {source} gives is no token.") from error
    if found is None:
        raise ConfigurationError(f"What {source} gives is no token.")
    return found.token


async def _own_token(configuration: ApiConfiguration) -> tuple[str, str]:
    scheme, _, token = (await configuration.get_api_key_with_prefix("BearerToken") or "").partition(" ")
    if scheme.lower() == "bearer":
        return _checked(token, "the kubeconfig"), "kubeconfig"
    if configuration.cert_file:
        return "", "kubeconfig (client certificate)"
    raise ConfigurationError(
        f"There is no token: use --token-file, set {TOKEN_VARIABLE}, or log in to the cluster."
    )
