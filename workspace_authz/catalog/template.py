"""Path templates, interpreted as MLflow's two routers do (Starlette 1.x, Werkzeug 3.x)."""

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
    """Whether a template has no parameters."""
    return "{" not in path


def shape(path: str) -> str:
    """The template without parameter names. Templates of equal shape match the same paths."""
    return _PARAMETER.sub(lambda found: f"{{{found[2] or ''}}}", path)


def literal_prefix(path: str) -> str:
    """The text up to the last slash before the first parameter. Every match begins with it."""
    head, _, _ = path.partition("{")
    return head[: head.rfind("/") + 1]


def pattern(path: str, server: Server) -> re.Pattern[str]:
    """The regular expression that ``server`` uses. Its groups have the names of the parameters.

    A converter that the catalog does not use matches anything.
    """
    text, position = "", 0
    for found in _PARAMETER.finditer(path):
        text += re.escape(path[position : found.start()])
        text += f"(?P<{found[1]}>{_PATTERNS[server].get(found[2] or '', '.*')})"
        position = found.end()
    return re.compile(text + re.escape(path[position:]))


def overlap(one: str, other: str) -> bool:
    """Whether some path may match both templates. A parameter in a segment counts as the whole segment."""
    return _overlap(one.split("/"), other.split("/"))


def _overlap(one: list[str], other: list[str]) -> bool:
    if not one or not other:
        return not one and not other
    if ":path}" in other[0]:
        one, other = other, one
    if ":path}" in one[0]:
        return any(_overlap(one[1:], other[taken:]) for taken in range(1, len(other) + 1))
    return ("{" in one[0] or "{" in other[0] or one[0] == other[0]) and _overlap(one[1:], other[1:])
