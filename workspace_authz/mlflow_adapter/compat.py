"""Whether the installed MLflow has what this package uses beside MLflow's public interface, and what if not.

:mod:`.relied_on` says what that is. What a missing function protects is refused and warned about; the rest
serves. Only what would open a hole everywhere stops the start, in one sentence and not in a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module, metadata
from types import ModuleType
from typing import Any, Final

import click

from workspace_authz.catalog.routes import all_routes
from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.options import from_parent
from workspace_authz.mlflow_adapter.relied_on import (
    COMMAND,
    DATABASES,
    FOR_UPKEEP,
    RELIED_ON,
    Refuses,
    RefusesCommand,
    Reliance,
    Stops,
    Without,
)

TESTED_RELEASES: Final = frozenset({"3.16.1", "3.17.2", "3.18.0"})
"""Releases that have all of it, by our own tests."""

_REMEDY: Final = (
    "install a release that is supported (pip install 'workspace-authz[server]') or a newer workspace-authz."
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is relied on and that this MLflow lacks."""

    name: str
    """Its module and name."""
    release: str
    """The version of the installed MLflow."""
    without: Without
    """What becomes of what it protects."""

    def __str__(self) -> str:
        return f"MLflow {self.release} lacks {self.name}: {self.without}"


def optional_module(name: str) -> Any:
    """MLflow's module ``name``; an empty one where this release has none, so that each use of it fails.

    Raises ``ImportError`` when something else cannot be imported.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        return ModuleType(name)


def replace_attribute(module: Any, name: str, *, by: object) -> None:
    """Set ``name`` where ``module`` has it: a replacement that nobody calls would only look like one."""
    if hasattr(module, name):
        setattr(module, name, by)


def find_gaps(relied_on: Iterable[Reliance] = RELIED_ON) -> tuple[Gap, ...]:
    """What the installed MLflow lacks, as far as it serves something that needs it. Imports MLflow."""
    release = metadata.version("mlflow")
    missing = [each for each in relied_on if not any(_has(each.module, name) for name in each.names)]
    served = _served_by(release) if missing else frozenset()
    return tuple(
        Gap(str(each), release, each.without)
        for each in missing
        if _numbers(each.since) <= _numbers(release)
        # An older release lacks a function together with the operations that use it.
        and not (isinstance(each.without, Refuses) and each.without.operations.isdisjoint(served))
    )


def _served_by(release: str) -> frozenset[str]:
    numbers = _numbers(release)
    return frozenset(route.operation for route in all_routes() if _numbers(route.since) <= numbers)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _has(module: str, dotted: str) -> bool:
    try:
        reduce(getattr, dotted.split("."), optional_module(module))
    except AttributeError:
        return False
    return True


def refused_operations(gaps: Iterable[Gap]) -> Mapping[str, str]:
    """The operations that are refused because of ``gaps``, and the reason that callers are told."""
    return {
        operation: f"Refused here: MLflow {gap.release} lacks {gap.name}, which protects this operation. "
        f"An administrator can {_REMEDY}"
        for gap in gaps
        if isinstance(gap.without, Refuses)
        for operation in gap.without.operations
    }


def refuse_unknown_mlflow(importers: Sequence[str], *, tested: Container[str] = TESTED_RELEASES) -> None:
    """Stop with one sentence if the installed MLflow lacks something without which nothing can be served.

    ``importers`` are names of modules that together import what is used of MLflow's public interface.

    Raises :class:`ConfigurationError`; in the ``mlflow server`` parent ``click.ClickException``. The parent
    does not look at a release that is among ``tested``: that takes as long as the start of a worker, and the
    workers wait for it.
    """
    in_parent, release = from_parent() is not None, metadata.version("mlflow")
    if in_parent and release in tested:
        return
    missing = [f"{gap.name} ({gap.without})" for gap in find_gaps() if isinstance(gap.without, Stops)]
    missing = missing or [text for importer in importers for text in _failed_import(importer)]
    if not missing:
        return
    message = f"MLflow {release} lacks what workspace-authz relies on: {'; '.join(missing)}. Please {_REMEDY}"
    raise click.ClickException(message) if in_parent else ConfigurationError(message)


def _failed_import(importer: str) -> Iterator[str]:
    try:
        import_module(importer)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "mlflow":
            raise
        yield str(error).partition(" (")[0]  # without the path


def demand_for_command(command: str = COMMAND) -> None:
    """Raise :class:`ConfigurationError` if MLflow lacks what ``command`` needs."""
    known = (*RELIED_ON, *FOR_UPKEEP)
    needed = (each for each in known if each.module == DATABASES or _is_for(each.without, command))
    missing = [gap.name for gap in find_gaps(needed)]
    if missing:
        raise ConfigurationError(
            f"MLflow {metadata.version('mlflow')} lacks what `{command}` relies on: "
            f"{', '.join(missing)}. Please {_REMEDY}"
        )


def _is_for(without: Without, command: str) -> bool:
    return isinstance(without, RefusesCommand) and command in without.commands
