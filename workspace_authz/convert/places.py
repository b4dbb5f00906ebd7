"""Which namespace an object of the old system goes to."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from workspace_authz.errors import ConfigurationError
from workspace_authz.types import Resource, is_namespace_name

DEFAULT_WORKSPACE: Final = "default"
"""Where everything lies in an MLflow without workspaces."""

_GLOB: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the objects of the workspace ``default`` go; other workspaces go to the namespace of their name.

    Of several patterns the first one that fits counts, and a name without wildcards counts before all.
    """

    exact: Mapping[str, str] = field(default_factory=dict)
    """By ``RESOURCE/NAME``."""
    patterns: Sequence[tuple[re.Pattern[str], str]] = ()
    workspaces: bool = False
    """Whether the old server had workspaces."""

    @property
    def namespaces(self) -> Sequence[str]:
        """Where objects of ``default`` go."""
        return list(dict.fromkeys([*self.exact.values(), *(name for _, name in self.patterns)]))

    def of(self, workspace: str) -> Sequence[str]:
        """Every namespace that gets objects of ``workspace``."""
        if workspace == DEFAULT_WORKSPACE:
            return self.namespaces
        return [workspace] if self.workspaces and is_namespace_name(workspace) else []

    def namespace(self, workspace: str, resource: Resource, *, name: str) -> str | None:
        """Where an object goes; None where nothing says so."""
        if workspace != DEFAULT_WORKSPACE:
            return next(iter(self.of(workspace)), None)
        text = f"{resource}/{name}"
        if text in self.exact:
            return self.exact[text]
        return next((namespace for pattern, namespace in self.patterns if pattern.match(text)), None)


def one_place(namespace: str, *, workspaces: bool) -> Places:
    """Everything of ``default`` goes to one namespace. Raises :class:`ConfigurationError`."""
    return read_places([f"* {namespace}"], workspaces=workspaces)


def read_places(text: Iterable[str], *, workspaces: bool) -> Places:
    """The places that a file gives: in each line a pattern of ``RESOURCE/NAME``, and a namespace.

    Raises :class:`ConfigurationError`.
    """
    exact: dict[str, str] = {}
    patterns: list[tuple[re.Pattern[str], str]] = []
    for number, line in enumerate(text, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pattern, namespace = _parted(line)
        resource = pattern.partition("/")[0]
        if not is_namespace_name(namespace) or ("/" not in pattern and not _GLOB & set(resource)):
            raise ConfigurationError(
                f"Line {number} of the map is no RESOURCE/NAME and namespace: `experiments/fraud-* team-a`."
            )
        if not _GLOB & set(resource) and resource not in list(Resource):
            kinds = ", ".join(Resource)
            raise ConfigurationError(f"Line {number} of the map begins with no resource; there are {kinds}.")
        if _GLOB & set(pattern):
            patterns.append((re.compile(fnmatch.translate(pattern)), namespace))
        else:
            exact.setdefault(pattern, namespace)
    if not exact and not patterns:
        raise ConfigurationError("The map is empty: it needs a line such as `experiments/fraud-* team-a`.")
    return Places(exact, patterns, workspaces)


def _parted(line: str) -> tuple[str, str]:
    """Names may have spaces; a namespace has none."""
    *pattern, namespace = line.strip().rsplit(None, 1)
    return (pattern[0] if pattern else ""), namespace
