"""Texts that refer to objects: model URIs and the models of scorers. One strict reading, or none at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.documents import texts
from workspace_authz.mlflow_adapter.reading.places import Place, place_at_path, place_of, scheme_of
from workspace_authz.types import Resource

Reference = tuple[Identifier, str]

_NAME: Final = r"[^/@%?#\x00-\x1f]+"  # urlparse drops control characters
_RUN: Final = re.compile(r"runs:/([0-9a-f]{32})/[^?#%]+")
_LOGGED_MODEL: Final = re.compile(r"models:/(m-[0-9a-f]+)")
_VERSION: Final = re.compile(rf"models:/({_NAME})(?:/{_NAME}|@{_NAME})")
_ENDPOINT: Final = re.compile(r"gateway:/([^/%?#\s]+)")
_ISSUE: Final = "iss-"

GATEWAY_URI: Final = "gateway:/"
"""In whatever case, the beginning of what names a gateway endpoint."""


_TIED: Final = frozenset({"runs", "models"})
_PROMPTS: Final = frozenset({"prompt-template", "dummy-source"})
"""``mlflow.prompt.constants._PROMPT_SOURCE_PLACEHOLDERS``: prompts have no files."""


def is_place(source: str) -> bool:
    """Whether the source of a model version is the place of files, not a run, a model or a prompt."""
    return source not in _PROMPTS and scheme_of(source.strip()) not in _TIED


def artifact_place(text: str, *, identifier: Identifier, workspace: str | None) -> Place | None:
    """The place of artifacts that ``text`` names; None where it names objects by their ids or names.

    ``workspace`` is the request's, None on a server without workspaces. Raises :class:`RequestError` for a
    place that MLflow could read in another way, and for one in another workspace.
    """
    match identifier:
        case Identifier.ARTIFACT_PATH | Identifier.SKILL_PATH:
            return place_at_path(text, workspace=workspace)
        case Identifier.ARTIFACT_LOCATION:
            return place_of(text, workspace=workspace)
        case Identifier.MODEL_SOURCE_URI if is_place(text):
            return place_of(text, workspace=workspace)
        case _:
            return None


def references(text: str, *, resource: Resource, identifier: Identifier) -> tuple[Reference, ...]:
    """The objects of ``resource`` that ``text`` refers to, unless it names a place of artifacts.

    Raises :class:`RequestError` for a reference that MLflow could read in another way.
    """
    match identifier:
        case Identifier.MODEL_SOURCE_URI:
            return _source(resource, text)
        case Identifier.GATEWAY_MODEL_URI:
            return tuple(dict.fromkeys(_endpoints(text)))
        case Identifier.ISSUE_MENTION:
            return ((Identifier.ISSUE_ID, text),) if mentions_issue(text) else ()
        case _:
            return ((identifier, text),)


def mentions_issue(text: str) -> bool:
    """Whether the name of an assessment is the id of an issue."""
    return text.strip().lower().startswith(_ISSUE)


def _source(resource: Resource, uri: str) -> tuple[Reference, ...]:
    if uri in _PROMPTS:
        return ()
    if found := _RUN.fullmatch(uri):
        return ((Identifier.RUN_ID, found[1]),) if resource is Resource.EXPERIMENTS else ()
    if found := _LOGGED_MODEL.fullmatch(uri):
        return ((Identifier.LOGGED_MODEL_ID, found[1]),) if resource is Resource.EXPERIMENTS else ()
    if found := _VERSION.fullmatch(uri):
        return ((Identifier.NAME, found[1]),) if resource is Resource.REGISTERED_MODELS else ()
    raise BadRequestError("The source refers to a model or run in a form that is not understood.")


def _endpoints(text: str) -> Iterator[Reference]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = text
    for value in texts(document):
        if GATEWAY_URI not in value.lower():
            continue
        found = _ENDPOINT.fullmatch(value)
        if found is None:
            raise BadRequestError("A scorer names a gateway endpoint in a form that is not understood.")
        yield Identifier.NAME, found[1]
