"""Questions about MLflow's pseudo-resources as people ask them, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from workspace_authz.types import API_GROUP, USABLE, USE, Attributes, Resource, Verb

VERBS: Final = ", ".join(Verb)
USES: Final = tuple(f"{resource}/{USE}" for resource in Resource if resource in USABLE)


def parse_question(verb: str, resource: str) -> tuple[Verb, Resource, str]:
    """Verb, resource and subresource; the API group may follow the resource.

    Raises ``ValueError``, whose text is a sentence, where there is no such question.
    """
    qualified, _, subresource = resource.partition("/")
    name = qualified.removesuffix(f".{API_GROUP}")
    if name not in list(Resource):
        raise ValueError(f"MLflow has no resource {name!r} in Kubernetes; there are {', '.join(Resource)}.")
    if subresource and f"{name}/{subresource}" not in USES:
        raise ValueError(f"There is no {name}/{subresource}; there are {', '.join(USES)}.")
    if verb not in list(Verb):
        raise ValueError(f"No route of MLflow asks the verb {verb!r}; there are {VERBS}.")
    if subresource and verb != Verb.CREATE:
        raise ValueError(f"A use is asked with the verb create: can-i create {name}/{subresource}")
    return Verb(verb), Resource(name), subresource


def questions_in_order(namespace: str, name: str) -> Iterator[Attributes]:
    """Every question there is, about all objects or about those called ``name``, by resource."""
    for resource in Resource:
        for verb in Verb:
            yield Attributes(namespace, verb, resource, "", name)
        if resource in USABLE:
            yield Attributes(namespace, Verb.CREATE, resource, USE, name)
