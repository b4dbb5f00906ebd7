"""Which namespaces are workspaces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from workspace_authz.errors import ConfigurationError
from workspace_authz.types import is_namespace_name

SYSTEM_GLOBS: Final = ("kube-*", "openshift-*")
"""Namespaces of the platform itself: never workspaces."""

# MLflow (WorkspaceNameValidator of 3.16 and 3.17) refuses one-letter names and these four in
# X-MLFLOW-WORKSPACE: listed, they could be seen and never chosen.
_UNUSABLE: Final = frozenset({"workspaces", "api", "ajax-api", "static-files"})
_KEY: Final = r"[-\w./]+"
_TERM: Final = rf"(?:!\s*{_KEY}|{_KEY}(?:\s*(?:==?|!=|<|>)\s*[-\w.]*|\s+(?:not)?in\s*\([-\w.,\s]*\))?)"
_SELECTOR: Final = re.compile(rf"(?:{_TERM}(?:\s*,\s*{_TERM})*)?", re.ASCII)
"""The outline of a selector. It accepts all that the API server accepts, and refuses what cannot be one."""

_PARAMETERS: Final = ("label_selector", "default_workspace", "namespace_exclude_globs")


@dataclass(frozen=True, slots=True)
class NamespacePolicy:
    """The rule that makes namespaces workspaces: the API server applies the selector, this class the names.

    Raises :class:`ConfigurationError` for a selector or a default workspace that cannot be one.
    """

    label_selector: str = ""
    """Applied by the API server, which alone knows whether it is valid; empty selects every namespace."""
    exclude_globs: tuple[str, ...] = ()
    default_workspace: str | None = None

    def __post_init__(self) -> None:
        if not _SELECTOR.fullmatch(self.label_selector.strip()):
            raise ConfigurationError(
                f"The workspace label selector {self.label_selector!r} is not a label selector of Kubernetes."
            )
        if self.default_workspace is not None and self.hides(self.default_workspace):
            raise ConfigurationError(
                f"The default workspace {self.default_workspace!r} cannot be one: "
                "its name is reserved, excluded, or no name of a namespace."
            )

    @classmethod
    def from_uri(
        cls,
        uri: str,
        *,
        label_selector: str | None = None,
        default_workspace: str | None = None,
        namespace_exclude_globs: str | None = None,
    ) -> NamespacePolicy:
        """The policy of a URI ``kubernetes://?label_selector=…&default_workspace=…&namespace_exclude_globs=…``.

        What the URI does not say comes from the settings, the other arguments; an empty one says "none".
        Globs are separated by commas. Raises :class:`ConfigurationError`.
        """
        values = {
            "label_selector": label_selector,
            "default_workspace": default_workspace,
            "namespace_exclude_globs": namespace_exclude_globs,
            **_parameters(uri),
        }
        globs = (glob.strip() for glob in (values["namespace_exclude_globs"] or "").split(","))
        return cls(
            label_selector=(values["label_selector"] or "").strip(),
            exclude_globs=tuple(glob for glob in globs if glob),
            default_workspace=(values["default_workspace"] or "").strip() or None,
        )

    def hides(self, name: str) -> bool:
        """Whether no namespace of this name is a workspace, or no namespace can have it."""
        if not is_namespace_name(name) or len(name) == 1 or name in _UNUSABLE:
            return True
        return any(fnmatchcase(name, glob) for glob in (*SYSTEM_GLOBS, *self.exclude_globs))


def _parameters(uri: str) -> dict[str, str]:
    parts = urlsplit(uri)
    if parts.scheme != "kubernetes" or parts.netloc or parts.path not in ("", "/") or parts.fragment:
        raise ConfigurationError(
            f"The workspace store URI {uri!r} must be kubernetes://, with parameters at most."
        )
    given: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _PARAMETERS:
            raise ConfigurationError(
                f"The workspace store URI has the unknown parameter {name!r}; it may have "
                f"{', '.join(_PARAMETERS[:-1])} and {_PARAMETERS[-1]}."
            )
        if name in given:
            raise ConfigurationError(f"The workspace store URI gives {name} twice.")
        given[name] = value
    return given
