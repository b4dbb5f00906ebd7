"""The paths at which MLflow serves the catalog's routes, and a check that no two routes collide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from workspace_authz.catalog.model import Mount, Route, Server
from workspace_authz.catalog.template import is_static, overlap, pattern, shape
from workspace_authz.errors import ConfigurationError


@dataclass(frozen=True, slots=True, order=True)
class ServedRoute:
    """A method and a path template that a running app serves, in the catalog's notation."""

    method: str
    path: str
    server: Server

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One route of the catalog at one path where MLflow serves it."""

    method: str
    path: str
    """The template, including the static prefix if the route has it."""
    server: Server
    route: Route


def placed(routes: Iterable[Route], static_prefix: str) -> tuple[Entry, ...]:
    """The entries of ``routes`` for ``static_prefix``, in the given order.

    Raises :class:`ConfigurationError` when the prefix is malformed.
    """
    prefix = static_prefix.rstrip("/")
    if prefix and not re.fullmatch(r"(/[^/{}\s]+)+", prefix):
        raise ConfigurationError(
            f"The static prefix {static_prefix!r} must start with a slash and hold no braces, blanks or '//'."
        )
    return tuple(entry for route in routes for entry in _places(route, prefix))


def _places(route: Route, prefix: str) -> Iterator[Entry]:
    if route.mount is Mount.ROOT or not prefix:
        yield Entry(route.method, route.path, route.server, route)
        return
    if route.mount is Mount.BOTH:
        yield Entry(route.method, route.path, Server.FASTAPI, route)
        yield Entry(route.method, prefix + route.path, Server.FLASK, route)
        return
    yield Entry(route.method, prefix + route.path, route.server, route)
    if route.path == "/":
        # Werkzeug redirects this path to the same path with a slash (strict_slashes).
        yield Entry(route.method, prefix, route.server, route)


def refuse_double_claims(entries: tuple[Entry, ...]) -> None:
    """Raises :class:`ConfigurationError` when two entries match one request ambiguously.

    FastAPI takes the first route that matches, in order of declaration. Flask prefers literal segments.
    Therefore templates of FastAPI may overlap, and templates of Flask may not. The catalog tries literal
    paths first, so no template of FastAPI may hide a literal path.
    """
    by_method: dict[str, list[Entry]] = {}
    for entry in entries:
        by_method.setdefault(entry.method, []).append(entry)
    for claims in by_method.values():
        _refuse_equal(claims)
        dynamic = [entry for entry in claims if not is_static(entry.path)]
        _refuse_overlaps([entry for entry in dynamic if entry.server is Server.FLASK])
        _refuse_hidden(claims, [entry for entry in dynamic if entry.server is Server.FASTAPI])


def _refuse_equal(claims: list[Entry]) -> None:
    by_shape: dict[str, Entry] = {}
    for entry in claims:
        first = by_shape.setdefault(shape(entry.path), entry)
        if first is not entry:
            raise _collision(first, entry)


def _refuse_overlaps(claims: list[Entry]) -> None:
    for one, other in combinations(claims, 2):
        if overlap(one.path, other.path):
            raise _collision(one, other)


def _refuse_hidden(claims: list[Entry], templates: list[Entry]) -> None:
    order = {id(entry): position for position, entry in enumerate(claims)}
    for template in templates:
        expression = pattern(template.path, template.server)
        for entry in claims:
            hidden = entry.server is Server.FLASK or order[id(template)] < order[id(entry)]
            if hidden and is_static(entry.path) and expression.fullmatch(entry.path):
                raise _collision(template, entry)


def _collision(one: Entry, other: Entry) -> ConfigurationError:
    return ConfigurationError(
        f"Two routes of the catalog claim one request: {one.method} {one.path} ({one.route.operation}) "
        f"and {other.method} {other.path} ({other.route.operation})."
    )
