"""Imports by name, at the time of use. The only such place in the project (docs/architecture.md).

MLflow takes seconds to import, so the command line starts without it; its client starts without aiohttp.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from workspace_authz.errors import ConfigurationError

PACKAGE: Final = "workspace_authz"


def load(target: str, *, extra: str = "") -> Any:
    """Import and return the object ``module:name``.

    Raises :class:`ConfigurationError` when a third-party module is missing. The message names ``extra``, with
    which it is installed.
    """
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.split(".")[0] == PACKAGE:
            raise
        needed = f"{PACKAGE.replace('_', '-')}{f'[{extra}]' if extra else ''}"
        raise ConfigurationError(
            f"This needs the Python module {missing.split('.')[0]}: pip install '{needed}'"
        ) from error
