"""The catalog, compiled for one static prefix: finds the route that MLflow takes for a method and a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from workspace_authz.catalog.entries import Entry, ServedRoute, placed, refuse_double_claims
from workspace_authz.catalog.model import Refused, Route, Server
from workspace_authz.catalog.routes import all_routes
from workspace_authz.catalog.template import is_static, literal_prefix, pattern, shape

LONGEST_PATH: Final = 4096
"""The longest path, in characters, that can match. File systems (PATH_MAX) and object stores (1024 bytes)
hold no longer names, and a pattern with several ``:path`` parameters takes time quadratic in the length."""


@dataclass(frozen=True, slots=True)
class Match:
    """The route of a request and the values of its path parameters."""

    route: Route
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Candidate:
    rank: tuple[bool, int]
    """MLflow tries lower ranks first: FastAPI's templates in their order, then Flask's."""
    pattern: re.Pattern[str]
    route: Route | None
    """None for a route that the app serves and the catalog does not know."""


_Table = Mapping[str, Mapping[str, tuple[_Candidate, ...]]]
"""By method, then by the template's literal prefix up to a slash. Candidates are sorted by rank."""


@dataclass(frozen=True, slots=True)
class CompiledCatalog:
    """Made by :func:`compile_catalog`. Immutable and safe to share between threads."""

    entries: tuple[Entry, ...]
    """Every route at each path where MLflow serves it, in the catalog's order."""
    _static: Mapping[tuple[str, str], Match] = field(repr=False)
    _table: _Table = field(repr=False)
    _shapes: frozenset[tuple[str, str]] = field(repr=False)
    static_prefix: str = ""
    """What the paths of most entries begin with; no slash at its end."""

    def match(self, method: str, path: str) -> Match | None:
        """The route that MLflow takes for a decoded ASGI route path; None when no entry matches.

        HEAD is treated as GET. The path is not normalised: ``//``, dots and a trailing slash count.
        """
        if method == "HEAD":
            method = "GET"
        found = self._static.get((method, path))
        return found if found is not None else _match_template(self._table.get(method, {}), path)

    def covers(self, method: str, template: str) -> bool:
        """Whether a served route, given as a template, has an entry. Parameter names do not matter."""
        return (method, shape(template)) in self._shapes

    def without(self, unknown: Iterable[ServedRoute]) -> CompiledCatalog:
        """This catalog for an app that also serves ``unknown`` routes. Their requests match nothing.

        Otherwise a later MLflow's ``GET …/traces/new`` would match as the trace named "new".
        """
        routes = [served for served in unknown if not self.covers(served.method, served.path)]
        unmatched = [(served.method, served.path, _unknown(served)) for served in routes]
        static = {
            (method, path): found
            for (method, path), found in self._static.items()
            if not any(
                method == of and not candidate.rank[0] and candidate.pattern.fullmatch(path)
                for of, _, candidate in unmatched
            )
        }
        known = [(entry.method, entry.path, one) for entry, one in _candidates(self.entries)]
        table = _table([*unmatched, *known])
        return replace(self, _static=static, _table=table)


def compile_catalog(
    *, static_prefix: str = "", assistant: bool = False, refused: Mapping[str, str] | None = None
) -> CompiledCatalog:
    """The catalog as MLflow serves it below ``static_prefix`` (``--static-prefix``).

    ``assistant`` guards MLflow's assistant instead of refusing it. ``refused`` are operations that are
    refused to everybody, with the reasons. Raises :class:`ConfigurationError` when the prefix is malformed,
    or when two routes match the same request.
    """
    routes = (_refused(route, refused or {}) for route in all_routes(assistant=assistant))
    return compile_routes(routes, static_prefix=static_prefix)


def _refused(route: Route, refused: Mapping[str, str]) -> Route:
    if route.operation not in refused or isinstance(route.policy, Refused):
        return route
    return replace(route, policy=Refused(refused[route.operation]))


def compile_routes(routes: Iterable[Route], *, static_prefix: str = "") -> CompiledCatalog:
    """The same for any routes, given in MLflow's order of declaration.

    Raises :class:`ConfigurationError` as :func:`compile_catalog`.
    """
    entries = placed(routes, static_prefix)
    refuse_double_claims(entries)
    return CompiledCatalog(
        entries,
        {(entry.method, entry.path): Match(entry.route) for entry in entries if is_static(entry.path)},
        _table((entry.method, entry.path, candidate) for entry, candidate in _candidates(entries)),
        frozenset((entry.method, shape(entry.path)) for entry in entries),
        static_prefix.rstrip("/"),
    )


def _match_template(by_prefix: Mapping[str, tuple[_Candidate, ...]], path: str) -> Match | None:
    # Starlette's ".*" stops at a line break and its "$" accepts one at the end. Such paths match nothing.
    if len(path) > LONGEST_PATH or "\n" in path:
        return None
    best: tuple[_Candidate, re.Match[str]] | None = None
    slash = path.find("/")
    while slash >= 0:
        for candidate in by_prefix.get(path[: slash + 1], ()):
            if best is not None and best[0].rank <= candidate.rank:
                break
            if found := candidate.pattern.fullmatch(path):
                best = candidate, found
                break
        slash = path.find("/", slash + 1)
    if best is None or best[0].route is None:
        return None
    parameters = best[1].groupdict()
    # FastAPI's "{name:path}" also matches an empty text, but MLflow has no object without a name.
    return Match(best[0].route, parameters) if all(parameters.values()) else None


def _candidates(entries: Iterable[Entry]) -> Iterable[tuple[Entry, _Candidate]]:
    for position, entry in enumerate(entries):
        if not is_static(entry.path):
            rank = (entry.server is Server.FLASK, position)
            yield entry, _Candidate(rank, pattern(entry.path, entry.server), entry.route)


def _unknown(served: ServedRoute) -> _Candidate:
    """Ranks first among the routes of its server, because its real position is not known."""
    return _Candidate((served.server is Server.FLASK, -1), pattern(served.path, served.server), None)


def _table(candidates: Iterable[tuple[str, str, _Candidate]]) -> _Table:
    table: dict[str, dict[str, tuple[_Candidate, ...]]] = {}
    for method, path, candidate in sorted(candidates, key=lambda found: found[2].rank):
        by_prefix = table.setdefault(method, {})
        prefix = literal_prefix(path)
        by_prefix[prefix] = (*by_prefix.get(prefix, ()), candidate)
    return table
