"""``MLFLOW_TRACKING_AUTH=workspace-authz``: MLflow's entry point ``mlflow.request_auth_provider``.

MLflow asks every registered provider for its name, and calls what ``get_auth`` returns with each request
(``mlflow.tracking.request_auth``, ``mlflow.utils.rest_utils.http_request``), from 2.9 to 3.18. SDKs before
3.10 know no workspaces, so the header that is added here is all that they have of them.
"""

from __future__ import annotations

import logging
import os
import re
from typing import Any, Final
from urllib.parse import urlsplit

from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider

from workspace_authz.client.sources import Tokens
from workspace_authz.errors import ConfigurationError

try:
    from mlflow.utils.workspace_context import get_request_workspace, set_workspace
except ImportError:  # an SDK before 3.10
    get_request_workspace = set_workspace = None

_log = logging.getLogger(__name__)

NAME: Final = "workspace-authz"
WORKSPACE_HEADER: Final = "X-MLFLOW-WORKSPACE"

_NAMES_WORKSPACE: Final = re.compile(r"/workspaces/[^/]+/(api|ajax-api|v1|gateway)/|/mlflow/workspaces(/|$)")
"""Paths that say themselves which workspace is meant: ours for clients without headers, and MLflow's own."""


class TokenAuth:
    """Adds the token, and the workspace where none was chosen, to one request after the other."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __call__(self, request: Any) -> Any:
        """The interface of ``requests.auth.AuthBase``. Raises :class:`ConfigurationError` with what to do."""
        _refuse_second_credential(request.headers)
        found = self._tokens.find(request.url)
        request.headers["Authorization"] = f"Bearer {found.token}"
        if WORKSPACE_HEADER not in request.headers and not _NAMES_WORKSPACE.search(
            urlsplit(request.url).path
        ):
            _add_workspace(request.headers, found.workspace)

        def look_at(response: Any, **_: Any) -> None:
            if response.status_code == 401:
                self._tokens.rejected(found.token)
                _log.warning("The server did not accept the token of %s.", found.source)

        request.register_hook("response", look_at)
        return request


class WorkspaceAuthzAuthProvider(RequestAuthProvider):  # type: ignore[misc]
    """MLflow makes one of these in each process."""

    def __init__(self) -> None:
        self._auth = TokenAuth(Tokens())

    def get_name(self) -> str:
        """What stands in ``MLFLOW_TRACKING_AUTH``."""
        return NAME

    def get_auth(self) -> TokenAuth:
        """What MLflow gives to ``requests`` with each request."""
        return self._auth


def _refuse_second_credential(headers: Any) -> None:
    given = headers.get("Authorization")
    if not given:
        return
    basic = str(given).lower().startswith("basic ")
    variables = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" if basic else "MLFLOW_TRACKING_TOKEN"
    also = ", and look into ~/.mlflow/credentials" if basic else ""
    raise ConfigurationError(
        f"There is another credential beside MLFLOW_TRACKING_AUTH={NAME}, which finds the token itself: "
        f"unset {variables}{also}, or unset MLFLOW_TRACKING_AUTH."
    )


def _add_workspace(headers: Any, known: str | None) -> None:
    """Name the workspace as MLflow's own provider does: for this request, and for all that follow."""
    chosen = _chosen()
    workspace = chosen or known
    if not workspace:
        return  # the server has a default, or says what to set
    headers[WORKSPACE_HEADER] = workspace
    if set_workspace is not None and not chosen:
        set_workspace(workspace)


def _chosen() -> str | None:
    if get_request_workspace is not None:
        return get_request_workspace() or None
    return os.environ.get("MLFLOW_WORKSPACE", "").strip() or None
