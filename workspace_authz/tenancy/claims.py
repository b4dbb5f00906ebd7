"""Claims: which namespace the data of a workspace belong to. One row for each workspace.

Every function here asks the database, may block, and raises ``SQLAlchemyError``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Engine, Row, delete, select, update

from workspace_authz.database.schema import CLAIMS, insert_if_absent, now_ms

NO_NAMESPACE: Final = ""
"""The UID in the claim of a workspace whose namespace was missing when its data were found."""


class Reason(StrEnum):
    """Why a claim was made."""

    START = "start-up"
    """A server started and found data without a claim."""
    WRITE = "first write"
    """A request wrote into a workspace without data."""
    ADOPTED = "adopted"
    """An administrator gave the data to the present namespace."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The namespace to which the data of a workspace belong."""

    workspace: str
    uid: str
    """The namespace's UID; :data:`NO_NAMESPACE` if there was no namespace."""
    reason: str
    """A :class:`Reason`, or one of a newer release."""
    by: str
    """The Kubernetes user who adopted the data; empty where the server made the claim by itself."""
    at: int
    """When it was made, in milliseconds since the epoch."""


def read_claim(engine: Engine, workspace: str) -> Claim | None:
    """The claim on a workspace's data; None if there is none."""
    with engine.connect() as connection:
        row = connection.execute(select(CLAIMS).where(CLAIMS.c.workspace == workspace)).first()
    return None if row is None else _claim(row)


def read_claims(engine: Engine) -> dict[str, Claim]:
    """All claims, by workspace."""
    with engine.connect() as connection:
        return {row.workspace: _claim(row) for row in connection.execute(select(CLAIMS))}


def claim(engine: Engine, workspace: str, *, uid: str, reason: Reason) -> None:
    """Claim a workspace's data for the namespace ``uid``. A claim that is there stays as it is."""
    values = {"workspace": workspace, "namespace_uid": uid, "reason": str(reason)}
    insert_if_absent(engine, CLAIMS, values={**values, "claimed_by": "", "claimed_at": now_ms()})


def adopt(engine: Engine, workspace: str, *, uid: str, by: str) -> None:
    """Give a workspace's data to the namespace ``uid``, whatever its claim, on the order of user ``by``."""
    claim(engine, workspace, uid=uid, reason=Reason.ADOPTED)
    values = {"namespace_uid": uid, "reason": str(Reason.ADOPTED), "claimed_by": by, "claimed_at": now_ms()}
    with engine.begin() as connection:
        connection.execute(update(CLAIMS).where(CLAIMS.c.workspace == workspace).values(**values))


def release(engine: Engine, workspace: str) -> None:
    """Delete the claim on a workspace. The next request that writes makes another."""
    with engine.begin() as connection:
        connection.execute(delete(CLAIMS).where(CLAIMS.c.workspace == workspace))


def _claim(row: Row[Any]) -> Claim:
    return Claim(
        workspace=row.workspace,
        uid=row.namespace_uid,
        reason=row.reason,
        by=row.claimed_by,
        at=row.claimed_at,
    )
