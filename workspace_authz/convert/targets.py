"""What a permission of the old system is on here: which object, in which namespace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from workspace_authz.convert.known import Known
from workspace_authz.convert.places import DEFAULT_WORKSPACE, Places
from workspace_authz.convert.source import ALL, MODEL, PROMPT, TYPES, WORKSPACE, Permission, Ways
from workspace_authz.grants.commands import is_word
from workspace_authz.mlflow_adapter.store.named_objects import NamedObject
from workspace_authz.types import Resource

NO_DATABASE: Final = "only MLflow's own database knows the names of these: give it with --backend-store-uri"
GONE: Final = "there is no such object"
NO_PLACE: Final = "no line of the map says to which namespace it goes"
NO_WORKSPACES: Final = (
    "it lies in a workspace, and the old server is taken to have had none: --workspaces says that it had"
)
_ELSEWHERE: Final = "it is in the name of another workspace than the object's, so it never counted"
_ODD_NAME: Final = "RBAC must not be given such a name: it is empty, too long, unprintable, or has a *"
_NOT_A_MODEL: Final = "it is a prompt, for which permissions on models did not count"
_NOT_A_PROMPT: Final = "it is a model, for which permissions on prompts did not count"

_PARTS: Final = {
    "scorer": "an experiment",
    "scorer_version": "an experiment",
    "run": "an experiment",
    "trace": "an experiment",
    "assessment": "an experiment",
    "logged_model": "an experiment",
    "review_queue": "an experiment",
    "registered_model_version": "a registered model",
    "prompt_version": "a prompt",
    "mcp_server_version": "an MCP server",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Something in a namespace."""

    namespace: str
    resource: Resource | None = None
    """None for the namespace as a whole."""
    name: str = ""
    """Empty for all objects."""

    @property
    def around(self) -> Sequence[Target]:
        """What it is a part of."""
        if self.resource is None:
            return ()
        whole = Target(self.namespace)
        return (whole, replace(self, name="")) if self.name else (whole,)

    @property
    def text(self) -> str:
        """As people read it."""
        if self.resource is None:
            return f"the namespace {self.namespace}"
        return f"{self.resource}/{self.name or ALL} in {self.namespace}"


@dataclass(frozen=True, slots=True)
class Found:
    """The targets of a permission, or why there are none."""

    targets: Sequence[Target] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds what permissions are on."""

    known: Known
    places: Places
    ways: Ways

    def targets(self, permission: Permission) -> Found:
        """What ``permission`` is on; a regular expression is none of ours."""
        if permission.workspace != DEFAULT_WORKSPACE and not self.places.workspaces:
            return Found(why=NO_WORKSPACES)
        if permission.type == WORKSPACE:
            return self._workspace(permission)
        resource = TYPES.get(permission.type)
        if resource is None:
            return Found(why=unknown_type(permission.type))
        if permission.pattern == ALL:
            return self._all(permission, resource)
        return self._one(permission, resource)

    def placed(self, objects: Iterable[NamedObject]) -> Found:
        """Where objects go."""
        found: list[Target] = []
        why = ""
        for each in objects:
            if not nameable(each.name):
                why = _ODD_NAME
                continue
            namespace = self.places.namespace(each.workspace, each.resource, name=each.name)
            if namespace is None:
                why = NO_PLACE
            else:
                found.append(Target(namespace, each.resource, each.name))
        return Found(found, why)

    def objects(self, kind: str, workspace: str) -> Sequence[NamedObject]:
        """The objects of a type in a workspace, by name: of models and prompts only these or those."""
        resource = TYPES.get(kind)
        if resource is None:
            return ()
        return [
            each
            for each in self.known.all_of(resource, workspace)
            if resource is not Resource.REGISTERED_MODELS or each.prompt == (kind == PROMPT)
        ]

    @property
    def workspaces(self) -> Sequence[str]:
        """Those that counted in the old server."""
        if not self.places.workspaces:
            return [DEFAULT_WORKSPACE]
        return sorted({DEFAULT_WORKSPACE, *self.known.workspaces})

    def _fits(self, each: NamedObject, kind: str) -> bool:
        """Whether a permission of this type counts for a model or prompt."""
        if kind == PROMPT:
            return each.prompt
        return kind != MODEL or self.ways.models_are_prompts or not each.prompt

    def _workspace(self, permission: Permission) -> Found:
        if self.ways.nearest and not self.places.workspaces:
            return Found(why=NO_WORKSPACES)
        spaces = self.places.of(permission.workspace)
        if not spaces:
            return Found(why="no namespace can have the name of this workspace")
        return Found([Target(namespace) for namespace in spaces])

    def _all(self, permission: Permission, resource: Resource) -> Found:
        spaces = self.places.of(permission.workspace)
        return Found([Target(namespace, resource) for namespace in spaces], "" if spaces else NO_PLACE)

    def _one(self, permission: Permission, resource: Resource) -> Found:
        by_id = resource is Resource.EXPERIMENTS or (self.ways.ids and resource in _GATEWAY)
        if by_id and not self.known.complete:
            return Found(why=NO_DATABASE)
        if by_id:
            found = self.known.by_id.get((resource, permission.pattern))
        else:
            found = self.known.by_name.get((resource, permission.workspace, permission.pattern))
        if found is None and self.known.complete:
            return Found(why=GONE)
        if found is None:
            name, workspace = permission.pattern, permission.workspace
            return self.placed([NamedObject(resource, workspace, name, name)])
        if not self._fits(found, permission.type):
            return Found(why=_NOT_A_PROMPT if permission.type == PROMPT else _NOT_A_MODEL)
        counts_anywhere = self.ways.nearest and resource is Resource.EXPERIMENTS
        if found.workspace != permission.workspace and not counts_anywhere:
            return Found(why=_ELSEWHERE)
        if found.workspace != DEFAULT_WORKSPACE and not self.places.workspaces:
            return Found(why=NO_WORKSPACES)
        return self.placed([found])


_GATEWAY: Final = frozenset(
    {Resource.GATEWAY_ENDPOINTS, Resource.GATEWAY_SECRETS, Resource.GATEWAY_MODEL_DEFINITIONS}
)


def nameable(name: str) -> bool:
    """Whether a Role may name it. An empty name would mean every object."""
    return is_word(name) and ALL not in name


def unknown_type(kind: str) -> str:
    """Why a permission of this type is not written."""
    if kind in _PARTS:
        whole = _PARTS[kind]
        return f"a {kind} has no rights of its own here: who may read or change {whole} may do so with it"
    return f"nothing is known of permissions on {kind}"
