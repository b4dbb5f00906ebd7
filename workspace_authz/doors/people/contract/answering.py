"""What several routes of the contract need to answer."""

from __future__ import annotations

from collections.abc import Sequence

from workspace_authz.doors.people.contract.documents import Documents, to_look_up
from workspace_authz.doors.people.visible import ids_by_name, workspace_of
from workspace_authz.doors.visits import Visit
from workspace_authz.grants.mlflow_roles import MlflowRole


async def documents_for(visit: Visit, roles: Sequence[MlflowRole]) -> Documents:
    """Writes ``roles``. Raises ``UnavailableError``."""
    single = visit.runtime.pipeline.rule.single
    return Documents(
        await ids_by_name(visit.runtime, to_look_up(roles)),
        single=single,
        single_workspace=workspace_of(visit.runtime, single) if single is not None else "",
    )
