"""Reads kubeconfig files as client-go does, and says what their current context means.

Several files are merged: of clusters, users and contexts with the same name the first file's counts, and the
first ``current-context``. Relative paths are resolved beside the file that they are in. See
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from workspace_authz.errors import ConfigurationError

_SECTIONS: Final = (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one entry. Its readers raise :class:`ConfigurationError` for what they cannot read."""

    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    folder: Path = Path()
    """Where relative paths begin."""

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        return _text(self.values.get(name), name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(_text(value, name) for value in self.list(name))

    def flag(self, name: str) -> bool:
        """True or false; false where there is none. Raises :class:`ConfigurationError` for another value."""
        value = self.values.get(name)
        if value not in (None, True, False):
            raise unusable(f"{name} is neither true nor false")
        return bool(value)

    def path(self, name: str) -> Path | None:
        """A path."""
        value = self.text(name)
        return self.folder / value if value else None

    def data(self, name: str) -> bytes | None:
        """Bytes that are written in base64. Raises :class:`ConfigurationError` when they are not."""
        value = self.text(name)
        if not value:
            return None
        try:
            return base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError):
            raise unusable(f"{name} is not base64") from None

    def fields(self, name: str) -> Fields | None:
        """Fields below this entry, or None. Raises :class:`ConfigurationError` when they are malformed."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise unusable(f"{name} is malformed")
        return Fields(value, self.folder)

    def list(self, name: str) -> Sequence[Any]:
        """A list of anything. Raises :class:`ConfigurationError` when it is no list."""
        value = self.values.get(name) or []
        if not isinstance(value, list):
            raise unusable(f"{name} is not a list")
        return value


@dataclass(frozen=True, slots=True)
class CurrentContext:
    """The cluster and the user of the current context."""

    cluster: Fields
    user: Fields
    namespace: str


def unusable(why: str) -> ConfigurationError:
    """The error that says why a Kubernetes configuration cannot be used."""
    return ConfigurationError(f"The Kubernetes configuration cannot be used: {why}.")


def read_context(paths: Sequence[Path]) -> CurrentContext:
    """The current context of the merged files. Files that do not exist are skipped, if there is another.

    Raises :class:`ConfigurationError` where it cannot be used. The message quotes names only.
    """
    sections: dict[str, dict[str, Fields]] = {section: {} for section, _ in _SECTIONS}
    current = ""
    found = [document for document in map(_document, paths) if document is not None]
    if not found:
        raise unusable(f"No such file or directory: {paths[0]}" if paths else "no file is named")
    for document in found:
        current = current or document.text("current-context")
        for section, entry in _SECTIONS:
            sections[section] = {**_entries(document, section=section, entry=entry), **sections[section]}
    if not current:
        raise unusable("it names no current context")
    context = _chosen(sections["contexts"], current, section="contexts")
    user = context.text("user")
    return CurrentContext(
        cluster=_chosen(sections["clusters"], context.text("cluster"), section="clusters"),
        user=_chosen(sections["users"], user, section="users") if user else Fields(),
        namespace=context.text("namespace"),
    )


def _document(path: Path) -> Fields | None:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(f"{error.strerror or type(error).__name__}: {path}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise unusable(f"it is malformed: {path}") from None
    if not isinstance(document, dict):
        raise unusable(f"it is malformed: {path}")
    return Fields(document, path.absolute().parent)


def _entries(document: Fields, *, section: str, entry: str) -> dict[str, Fields]:
    entries: dict[str, Fields] = {}
    for item in document.list(section):
        if not isinstance(item, dict):
            raise unusable(f"{section} is malformed")
        fields = Fields(item, document.folder)
        name = fields.text("name")
        if name in entries:
            raise unusable(f"{section} has the name {name!r} twice")
        entries[name] = fields.fields(entry) or Fields({}, document.folder)
    return entries


def _chosen(entries: Mapping[str, Fields], name: str, *, section: str) -> Fields:
    try:
        return entries[name]
    except KeyError:
        raise unusable(f"its {section} have no {name!r}") from None


def _text(value: object, name: str) -> str:
    # YAML takes some texts, such as a name of digits, for numbers.
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise unusable(f"{name} is not a text")
