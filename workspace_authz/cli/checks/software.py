"""The MLflow of this environment: whether every route of it has a rule, and what it lacks."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

from workspace_authz.cli.checks.finding import Finding, Level, failing, ok, warning

OLDEST: Final = (3, 16)
BEFORE: Final = (3, 19)
"""MLflow's releases that this one supports, as in pyproject.toml."""

INVENTORY: Final = "workspace_authz.mlflow_adapter.inventory"
INVENTORY_SECONDS: Final = 120.0
STORES: Final = "workspace_authz.mlflow_adapter.store.stores_check"
STORES_SECONDS: Final = 120.0
_SHOWN: Final = 5


def installed_mlflow() -> str | None:
    """Its version by its metadata, since importing it takes seconds; None when it is not installed."""
    try:
        return metadata.version("mlflow")
    except metadata.PackageNotFoundError:
        return None


def mlflow(version: str | None) -> Finding:
    """Whether this release supports the installed MLflow."""
    check, supported = "mlflow", f"{_text(OLDEST)} up to, not including, {_text(BEFORE)}"
    fix = "pip install 'workspace-authz[server]'"
    if version is None:
        return warning(check, "MLflow is not installed here; a server needs it", fix=fix)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        return failing(check, f"MLflow {version} is too old; supported is {supported}", fix=fix)
    if numbers >= BEFORE:
        what = f"MLflow {version} is newer than supported ({supported}): its new routes are refused"
        return warning(check, what, fix="upgrade workspace-authz")
    return ok(check, f"MLflow {version}")


async def routes_and_functions(
    *, module: str = INVENTORY, seconds: float = INVENTORY_SECONDS
) -> list[Finding]:
    """Whether the installed MLflow is known: each route of it has a rule, and it has what is relied on.

    ``module`` runs apart: it imports MLflow.
    """
    found = await _answer_of(module, check="routes", seconds=seconds)
    if isinstance(found, Finding):
        return [found]
    return [_routes(found["uncovered"]), *_functions(found["gaps"])]


async def stores(*, module: str = STORES, seconds: float = STORES_SECONDS) -> list[Finding]:
    """Whether the databases and the artifact store of this environment can be used."""
    found = await _answer_of(module, check="stores", seconds=seconds)
    if isinstance(found, Finding):
        return [found]
    return [Finding(each["check"], Level(each["level"]), each["what"], each["fix"]) for each in found]


async def _answer_of(module: str, *, check: str, seconds: float) -> Any:
    """What ``module`` prints, which runs apart; a finding where it prints nothing of use."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds):
            output, errors = await process.communicate()
        found = json.loads(output)
    except TimeoutError:
        process.kill()
        await process.wait()
        return failing(check, f"no answer in {seconds:g} s", fix=f"python -m {module}")
    except ValueError:
        last = (errors.decode(errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
        return failing(check, f"MLflow's {check} cannot be read: {last}", fix=f"python -m {module}")
    return found


def _routes(uncovered: Sequence[str]) -> Finding:
    if uncovered:
        shown = ", ".join(uncovered[:_SHOWN])
        what = f"{len(uncovered)} routes have no rule and are refused: {shown}"
        return warning("routes", what, fix="upgrade workspace-authz")
    return ok("routes", "every route of this MLflow has a rule")


def _functions(gaps: Sequence[str]) -> list[Finding]:
    if gaps:
        return [warning("functions", gap, fix="upgrade workspace-authz") for gap in gaps]
    return [ok("functions", "this MLflow has all that is relied on")]


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
