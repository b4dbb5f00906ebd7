"""Path templates, read the way MLflow's two routers read them (Starlette 1.x, Werkzeug 3.x)."""

from __future__ import annotations

import re
from typing import Final

from workspace_authz.catalog.model import Server

_PARAMETER: Final = re.compile(r"\{([a-zA-Z_]\w*)(:[^{}]+)?\}")

_PATTERNS: Final = {
    # starlette.convertors: StringConvertor, PathConvertor.
    Server.FASTAPI: {"": "[^/]+", ":path": ".*"},
    # werkzeug.routing.converters: UnicodeConverter, PathConverter.
    Server.FLASK: {"": "[^/]+", ":path": "[^/].*"},
}


def is_static(path: str) -> bool:
    """Whether a template has no parameter."""
    return "{" not in path


def shape(path: str) -> str:
    """A template without the names of its parameters: equal shapes match the same paths."""
    return _PARAMETER.sub(lambda found: f"{{{found[2] or ''}}}", path)


def literal_prefix(path: str) -> str:
    """The directory of the first parameter, with its slash: every match starts so."""
    head, _, _ = path.partition("{")
    return head[: head.rfind("/") + 1]


def pattern(path: str, server: Server) -> re.Pattern[str]:
    """The regular expression that ``server`` uses; its groups are named as the parameters are.

    A converter that the catalog does not use may take anything.
    """
    text, position = "", 0
    for found in _PARAMETER.finditer(path):
        text += re.escape(path[position : found.start()])
        text += f"(?P<{found[1]}>{_PATTERNS[server].get(found[2] or '', '.*')})"
        position = found.end()
    return re.compile(text + re.escape(path[position:]))


def overlap(one: str, other: str) -> bool:
    """Whether some path may match both templates (a part of a segment counts as the whole one)."""
    return _overlap(one.split("/"), other.split("/"))


def _overlap(one: list[str], other: list[str]) -> bool:
    if not one or not other:
        return not one and not other
    if ":path}" in other[0]:
        one, other = other, one
    if ":path}" in one[0]:
        return any(_overlap(one[1:], other[taken:]) for taken in range(1, len(other) + 1))
    return ("{" in one[0] or "{" in other[0] or one[0] == other[0]) and _overlap(one[1:], other[1:])
