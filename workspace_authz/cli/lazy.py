"""What is imported only when it is used, by name. The one such place in the project.

MLflow takes seconds to import: the command line starts without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from workspace_authz.errors import ConfigurationError

PACKAGE: Final = "workspace_authz"


def load(target: str, *, extra: str = "") -> Any:
    """The object that ``module:name`` names.

    Raises :class:`ConfigurationError` where another package is missing, naming the ``extra`` that brings it.
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
