"""Whose rights a command asks about, of which API server, in which namespace."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from workspace_authz.errors import ConfigurationError, MisconfiguredError, UnauthenticatedError
from workspace_authz.identity.credentials import AUTHORIZATION, find_credential
from workspace_authz.kubernetes.configuration import ApiConfiguration, load_configuration, pod_namespace
from workspace_authz.kubernetes.connection import caller_connection, server_connection
from workspace_authz.kubernetes.objects import ApiObjects, Objects
from workspace_authz.kubernetes.own_credential import FileCredential, Impersonation
from workspace_authz.kubernetes.reviews import ApiReviews, Reviews

TOKEN_VARIABLE: Final = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable
WORKSPACE_VARIABLE: Final = "MLFLOW_WORKSPACE"

REVIEW_SECONDS: Final = 9.0
_CONNECTIONS: Final = 16


class CannotActError(ConfigurationError):
    """The API server does not let the caller act as somebody else."""


@dataclass(frozen=True, slots=True)
class Access:
    """One caller at one API server."""

    configuration: ApiConfiguration = field(repr=False)
    token: str = field(repr=False)
    """Empty where the configuration's own credential asks: by certificate, or in the name of another."""
    source: str
    """Where the credential was found, in words."""
    context_namespace: str | None
    """That of the kubeconfig's current context, or of the pod."""

    @property
    def impersonated(self) -> Impersonation | None:
        """As whom the caller acts, where that is somebody else."""
        return None if self.token else self.configuration.impersonation

    @property
    def by_certificate(self) -> bool:
        """Whether the caller is known by a client certificate, which MLflow's clients cannot send."""
        return not self.token and self.impersonated is None


async def find_access(options: argparse.Namespace, *, impersonation: Impersonation | None = None) -> Access:
    """What the shared options, the environment and the kubeconfig say.

    ``impersonation`` comes before the kubeconfig's, which counts for the kubeconfig's own user only. Raises
    :class:`ConfigurationError`.
    """
    token, source = given_token(options, os.environ)
    configuration = await load_configuration(options.kubeconfig, with_credential=not token)
    if impersonation is not None:
        configuration = replace(configuration, impersonation=impersonation)
        if token:
            configuration = replace(configuration, credential=FileCredential(token))
    if not token or impersonation is not None:
        token, source = await _own_token(configuration, source or "kubeconfig")
    return Access(configuration, token, source, configuration.namespace or pod_namespace())


@asynccontextmanager
async def open_reviews(access: Access) -> AsyncIterator[Reviews]:
    """Reviews as the caller, over a connection that holds no credential where the caller has a token.

    Raises :class:`CannotActError` within the block where the caller may not act as somebody else.
    """
    connect = caller_connection if access.token else server_connection
    connection = connect(access.configuration, limit=_CONNECTIONS)
    try:
        yield ApiReviews(connection, timeout=REVIEW_SECONDS)
    except MisconfiguredError as error:
        if access.impersonated is None:
            raise
        raise CannotActError(
            f"The API server does not let you act as {access.impersonated.user!r}: that takes the verb "
            "impersonate on the user, and on each group."
        ) from error
    finally:
        await connection.close()


@asynccontextmanager
async def open_objects(access: Access) -> AsyncIterator[Objects]:
    """Objects of the cluster as the caller, over a connection as in :func:`open_reviews`."""
    connect = caller_connection if access.token else server_connection
    connection = connect(access.configuration, limit=_CONNECTIONS)
    try:
        yield ApiObjects(connection, access.token or None, REVIEW_SECONDS)
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


def demand_token(access: Access) -> None:
    """Raise :class:`ConfigurationError` where MLflow's clients could not be this caller."""
    if access.impersonated is not None:
        raise ConfigurationError(
            "MLflow's clients cannot act as somebody else, and the kubeconfig says so: use --token-file, or "
            f"ask with can-i --as {access.impersonated.user}."
        )
    if access.by_certificate:
        raise ConfigurationError(
            "MLflow's clients cannot send a client certificate, and the kubeconfig has nothing else: "
            "use --token-file with the output of `kubectl create token SERVICE_ACCOUNT`."
        )


def given_token(options: argparse.Namespace, environ: Mapping[str, str]) -> tuple[str, str]:
    """The token that the options or the environment give, and where; empty where they give none.

    Raises :class:`ConfigurationError` for what is no token.
    """
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
    return found.bearer.token


async def _own_token(configuration: ApiConfiguration, source: str) -> tuple[str, str]:
    """The token to ask with, or none where the configuration's own credential must ask."""
    auth = await configuration.credential.current()
    if not auth.token and auth.certificate is None:
        raise ConfigurationError(
            f"There is no token: use --token-file, set {TOKEN_VARIABLE}, or log in to the cluster."
        )
    if configuration.impersonation is not None:
        return "", f"{source}, as {configuration.impersonation.user}"
    if not auth.token:
        return "", f"{source} (client certificate)"
    return _checked(auth.token, f"the {source}"), source
