"""Write the settings table of README.md, or with --check say that it is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from workspace_authz.roles.files import with_section
from workspace_authz.settings import Settings

README = Path(__file__).resolve().parents[1] / "README.md"


def settings_table() -> str:
    """A Markdown table of every field of :class:`Settings`."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(("| variable | default | meaning |", "|---|---|---|", *rows))


def _row(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [f"WORKSPACE_AUTHZ_{name.upper()}"]
    variables = "<br>".join(f"`{choice}`" for choice in names)
    default = "" if field.default is None else f"`{_text(field.default)}`"
    return f"| {variables} | {default} | {field.description} |"


def _text(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else f"{default}".removesuffix(".0")


def main() -> int:
    """Returns the exit status: 1 when ``--check`` finds the table stale."""
    text = README.read_text()
    wanted = with_section(text, "settings", settings_table())
    if "--check" in sys.argv[1:]:
        if wanted != text:
            print("stale: the settings of README.md (make refresh)", file=sys.stderr)
        return int(wanted != text)
    README.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
