"""Forms of our pages, in plain HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape


def form(action: str, fields: Mapping[str, str], *, inner: str) -> str:
    """A form that is sent to ``action`` with ``fields`` and what ``inner``, which is HTML, has."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    return f'<form method="post" action="{escape(action)}">{hidden}{inner}</form>'


def option(value: str, text: str, *, chosen: bool = False) -> str:
    """One choice of a list."""
    selected = " selected" if chosen else ""
    return f'<option value="{escape(value)}"{selected}>{escape(text)}</option>'


def workspace_choice(action: str, namespaces: Sequence[str], *, chosen: str = "") -> str:
    """Where somebody chooses the workspace; a field for its name where none is known."""
    options = "".join(option(name, name, chosen=name == chosen) for name in namespaces)
    field = f'<select name="workspace">{options}</select>'
    if not namespaces:
        field = '<input name="workspace" required maxlength="63">'
    button = '<button class="second">Show</button>'
    return f'<form action="{escape(action)}"><label>Workspace {field} {button}</label></form>'
