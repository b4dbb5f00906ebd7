"""Where a model version may come from: the workspace's own runs, models and artifacts.

MLflow (``handlers._create_model_version``) ties ``runs:``, ``models:`` and ``mlflow-artifacts:`` sources and
local paths to a run or model of the workspace, but takes any object store's address as it is, and later opens
it with the server's own credentials.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from workspace_authz.catalog.build import body
from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.mlflow_adapter.reading.artifact_paths import experiment_in
from workspace_authz.mlflow_adapter.reading.reader import Values
from workspace_authz.mlflow_adapter.reading.references import references
from workspace_authz.mlflow_adapter.store.protocol import ObjectStore
from workspace_authz.types import Resource

_RUN: Final = body("run_id", Identifier.RUN_ID)
_MODEL: Final = body("model_id", Identifier.LOGGED_MODEL_ID)
_SOURCE: Final = body("source", Identifier.MODEL_SOURCE_URI)
_TIED: Final = frozenset({"runs", "models"})
_PROXIED: Final = "mlflow-artifacts"
_PROMPTS: Final = frozenset({"prompt-template", "dummy-source"})
"""``mlflow.prompt.constants._PROMPT_SOURCE_PLACEHOLDERS``: prompts have no files."""
_DEFAULT: Final = "default"


def check_source(source: object, *, artifact_root: str | None, workspace: str | None) -> None:
    """Check a model version's ``source``.

    ``artifact_root`` is the server's default artifact root; ``workspace`` is None on a server without
    workspaces. Raises :class:`BadRequestError` or :class:`ForbiddenError`.
    """
    if not isinstance(source, str):
        raise BadRequestError("The source of a model version must be a text.")
    if source in _PROMPTS or _scheme(source) in _TIED:
        return
    if _scheme(source) == _PROXIED:
        _, _, segments = _parts(source)
        experiment_in("/".join(segments), workspace=workspace)
        return
    if artifact_root is None or not _within(source, root=artifact_root, workspace=workspace):
        raise _elsewhere()


async def check_origin(values: Values, store: ObjectStore, *, workspace: str) -> None:
    """Check that the run and the logged model from which a version comes are of ``workspace``.

    MLflow 3.17 compares ``runs:`` and ``models:`` sources with the ids beside them, 3.16 with nothing, and
    neither looks for what they name before it is read. Raises :class:`ForbiddenError`.
    """
    wanted = [
        (source.identifies, value)
        for source in (_RUN, _MODEL)
        for value in await values.values(source, complete=False)
    ]
    for uri in await values.values(_SOURCE, complete=False):
        if _scheme(uri) in _TIED:
            wanted += references(
                uri, resource=Resource.EXPERIMENTS, identifier=_SOURCE.identifies, workspace=workspace
            )
    for identifier, key in wanted:
        if not await store.names(
            [key], resource=Resource.EXPERIMENTS, identifier=identifier, workspace=workspace
        ):
            raise _elsewhere()


def _within(source: str, *, root: str, workspace: str | None) -> bool:
    """Whether ``source`` lies in the part of ``root`` that MLflow gives to the workspace."""
    scheme, authority, segments = _parts(source)
    root_scheme, root_authority, root_segments = _parts(root)
    inner = segments[len(root_segments) :]
    if (scheme, authority, segments[: len(root_segments)]) != (root_scheme, root_authority, root_segments):
        return False
    if workspace not in (None, _DEFAULT):
        return inner[:2] == ["workspaces", workspace] and len(inner) > 2
    # The workspace "default" keeps MLflow's old layout, beside the folder "workspaces".
    return bool(inner) and re.fullmatch("[0-9]+", inner[0]) is not None


def _parts(uri: str) -> tuple[str, str, list[str]]:
    """Scheme, authority and path segments. Raises :class:`BadRequestError` for what could be read twice."""
    scheme = _scheme(uri)
    try:
        split = urlsplit(uri)
        segments = unquote(split.path).split("/")
    except ValueError:
        raise _unclear() from None
    if split.query or split.fragment or re.search(r"[\x00-\x20\x7f\\%]", unquote(uri)):
        raise _unclear()
    trimmed = segments[segments[:1] == [""] : len(segments) - (segments[-1:] == [""])]
    if any(segment in ("", ".", "..") for segment in trimmed):
        raise _unclear()
    return ("" if scheme == "file" else scheme), split.netloc, trimmed


def _scheme(uri: str) -> str:
    """As ``urllib.parse`` finds it, which MLflow uses; none where control characters could hide one."""
    found = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", uri)
    return found[1].lower() if found else ""


def _elsewhere() -> ForbiddenError:
    return ForbiddenError(
        "The source of a model version must be a run, a model or an artifact of its own workspace: "
        "runs:/…, models:/… or a place below the workspace's artifact root."
    )


def _unclear() -> BadRequestError:
    return BadRequestError(
        "The source of this model version is refused: it may hold no '.', '..' or empty segment, blank, "
        "backslash, query or fragment."
    )
