"""The catalog, compiled for one static prefix: from method and path to the route that MLflow would take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from workspace_authz.catalog.entries import Entry, placed, refuse_double_claims
from workspace_authz.catalog.model import Route, Server
from workspace_authz.catalog.routes import all_routes
from workspace_authz.catalog.template import is_static, literal_prefix, pattern, shape

LONGEST_PATH: Final = 4096
"""Characters. Longer paths match nothing: file systems (PATH_MAX) and object stores (1024 bytes) hold no such
name, and the time of a pattern with several ``:path`` parameters grows with the square of the length."""


@dataclass(frozen=True, slots=True)
class Match:
    """The route of a request, and the values of its path parameters."""

    route: Route
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Candidate:
    rank: int
    """Lower is tried first by MLflow."""
    pattern: re.Pattern[str]
    entry: Entry


@dataclass(frozen=True, slots=True)
class CompiledCatalog:
    """Made by :func:`compile_catalog`. Immutable; safe to share between threads."""

    entries: tuple[Entry, ...]
    """In the catalog's order."""
    _static: Mapping[tuple[str, str], Match] = field(repr=False)
    _dynamic: Mapping[str, Mapping[str, tuple[_Candidate, ...]]] = field(repr=False)
    """By method, then by the literal beginning of the template, up to a slash."""
    _shapes: frozenset[tuple[str, str]] = field(repr=False)

    def match(self, method: str, path: str) -> Match | None:
        """The route that MLflow takes for a decoded ASGI route path, or None for one that has no entry.

        HEAD is judged as GET. Nothing is normalised: neither ``//`` nor dots nor a trailing slash.
        """
        if method == "HEAD":
            method = "GET"
        found = self._static.get((method, path))
        return found if found is not None else self._match_template(method, path)

    def covers(self, method: str, template: str) -> bool:
        """Whether a served route, given as a template, has an entry. Names of parameters do not count."""
        return (method, shape(template)) in self._shapes

    def _match_template(self, method: str, path: str) -> Match | None:
        by_prefix = self._dynamic.get(method)
        # Starlette's ".*" stops at a line break and its "$" forgives one: no path with one is understood.
        if by_prefix is None or len(path) > LONGEST_PATH or "\n" in path:
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
        if best is None:
            return None
        parameters = best[1].groupdict()
        # FastAPI's "{name:path}" also takes nothing; MLflow has no object without a name.
        return Match(best[0].entry.route, parameters) if all(parameters.values()) else None


def compile_catalog(*, static_prefix: str = "", assistant: bool = False) -> CompiledCatalog:
    """The catalog as MLflow serves it below ``static_prefix`` (``--static-prefix``).

    ``assistant`` guards MLflow's assistant instead of refusing it. Raises :class:`ConfigurationError` when
    the prefix is none, or when two entries claim one request.
    """
    return compile_routes(all_routes(assistant=assistant), static_prefix=static_prefix)


def compile_routes(routes: Iterable[Route], *, static_prefix: str = "") -> CompiledCatalog:
    """The same for any routes, in MLflow's order of declaration."""
    entries = placed(routes, static_prefix)
    refuse_double_claims(entries)
    static = {(entry.method, entry.path): Match(entry.route) for entry in entries if is_static(entry.path)}
    dynamic = _by_prefix(entry for entry in entries if not is_static(entry.path))
    shapes = frozenset((entry.method, shape(entry.path)) for entry in entries)
    return CompiledCatalog(entries, MappingProxyType(static), MappingProxyType(dynamic), shapes)


def _by_prefix(entries: Iterable[Entry]) -> dict[str, dict[str, tuple[_Candidate, ...]]]:
    """FastAPI's templates rank before Flask's and keep their order, as in MLflow."""
    ranked = sorted(entries, key=lambda entry: entry.server is Server.FLASK)
    table: dict[str, dict[str, tuple[_Candidate, ...]]] = {}
    for rank, entry in enumerate(ranked):
        candidate = _Candidate(rank, pattern(entry.path, entry.server), entry)
        by_prefix = table.setdefault(entry.method, {})
        prefix = literal_prefix(entry.path)
        by_prefix[prefix] = (*by_prefix.get(prefix, ()), candidate)
    return table
